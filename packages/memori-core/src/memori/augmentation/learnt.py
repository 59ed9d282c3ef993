"""What a job teaches beside facts: mentions, attributes of the agent, a summary, and what is to be forgotten."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from .. import telemetry
from ..errors import ExtractionError
from ..storage.base import Storage
from ..storage.records import Codec, FactChanges, Job, NewAttribute, Retirement
from ..text import fold
from .drafts import Draft
from .extraction.base import Extraction
from .summary import summarised
from .turns import summary_so_far
from .withdrawal import Withdrawn

logger = logging.getLogger("memori.augmentation")
_LONGEST_SUMMARY = 2000


def learnt(
    storage: Storage,
    codec: Codec,
    job: Job,
    extraction: Extraction,
    drafts: Sequence[Draft],
    gone: Withdrawn,
    *,
    version: str,
) -> FactChanges:
    """What the extraction holds beside proposals, and what is to be forgotten. What names nothing is refused."""
    named = {fact_id for fact_id, _ in extraction.mentions}
    mine = {fact.id for fact in storage.facts(job.attribution, ids=named)} if named else set()
    here = range(len(job.messages))
    mentions = [(one, job.messages[at].key) for one, at in extraction.mentions if one in mine and at in here]
    said = [(text.strip(), at) for text, at in extraction.attributes if at in here and 0 < len(text.strip()) <= 500]
    refused = len(extraction.mentions) - len(mentions) + len(extraction.attributes) - len(said)
    if refused:
        telemetry.failure(logger, "proposal", ExtractionError(f"{refused} mentions or attributes name nothing here"))
    places = {stored.key: at for at, stored in enumerate(job.messages)}
    # What the user tells the agent to do is known of the agent too.
    rules = [one.fact for one in drafts if one.fact.kind == "rule" and one.fact.status == "active"]
    said += [(rule.text, places[rule.message_key]) for rule in rules if rule.message_key in places]
    attributes = [
        NewAttribute(text, codec.fingerprint(fold(text)), spoken.key, spoken.message.source_class, version)
        for text, spoken in ((text, job.messages[at]) for text, at in said)
    ]
    summary = (extraction.summary or "").strip() or _summary(storage, job)
    return FactChanges(
        retire=tuple(Retirement(one, "forgotten") for one in gone.facts),
        mentions=tuple(dict.fromkeys(mentions)),
        attributes=tuple(attributes),
        summary=(job.messages[-1].key, summary[:_LONGEST_SUMMARY]) if summary and job.messages else None,
    )


def _summary(storage: Storage, job: Job) -> str | None:
    """The conversation in its own words, where that says more than before."""
    before = summary_so_far(storage, job)
    now = summarised(before, [stored.message for stored in job.messages])
    return None if now == before else now


def joined(changes: FactChanges, more: FactChanges) -> FactChanges:
    """Both changes as one. What is to be forgotten is neither superseded nor mentioned."""
    forgotten = {one.fact_id for one in more.retire}
    return replace(
        changes,
        retire=(*(one for one in changes.retire if one.fact_id not in forgotten), *more.retire),
        mentions=tuple(one for one in dict.fromkeys((*changes.mentions, *more.mentions)) if one[0] not in forgotten),
        attributes=more.attributes,
        summary=more.summary,
    )
