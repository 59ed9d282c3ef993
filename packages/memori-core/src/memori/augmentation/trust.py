"""Review what is not trusted yet, and take back what a source brought in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from ..errors import UnknownFactError, UnknownSourceError
from ..model import KINDS, QUARANTINED, Attribution, Change, Fact, Reverted
from ..storage.base import Storage
from ..storage.records import FactChanges, NewFact, Restoration, Retirement
from .resolve import Known, ended, resolve


def approval(storage: Storage, attribution: Attribution, new: NewFact, known: Known) -> tuple[FactChanges, str]:
    """Make a quarantined fact what it would have become if the user had said it; also the id of the fact it became.

    Raises `UnknownFactError` when it is not quarantined any more.
    """
    fact = _quarantined(storage, attribution, new.fact.id)
    # Without its message, so that a fact of the same message which says the same is named all the same.
    stated = replace(new, fact=replace(fact, status="active", source="user_input", message_key=None))
    changes = resolve([stated], known)
    if not changes.add:
        ((same, _),) = changes.mentions
        (twin,) = storage.facts(attribution, ids=[same])
        again = fact.message_key is None or fact.message_key != twin.message_key
        mentions = ((same, fact.message_key),) if again else ()
        return FactChanges(retire=(Retirement(fact.id, "superseded", same),), mentions=mentions), same
    (made,) = changes.add
    if made.fact.status == "active":
        return FactChanges(retire=changes.retire, restore=(Restoration(fact.id, fact.valid_to),)), fact.id
    late = Retirement(fact.id, "superseded", made.fact.superseded_by, made.fact.valid_to)
    return FactChanges(retire=(*changes.retire, late)), fact.id


def rejection(storage: Storage, attribution: Attribution, fact_id: str) -> FactChanges:
    """Never look at a quarantined fact again. Raises `UnknownFactError` when it is not quarantined any more."""
    return FactChanges(retire=(Retirement(_quarantined(storage, attribution, fact_id).id, "forgotten"),))


def _quarantined(storage: Storage, attribution: Attribution, fact_id: str) -> Fact:
    found = storage.facts(attribution, ids=[fact_id], statuses=QUARANTINED)
    if not found:
        raise UnknownFactError(
            f"No fact {fact_id!r} of {attribution.entity_id!r} waits for review. memori.review() lists those that do."
        )
    return found[0]


def messages_of(storage: Storage, attribution: Attribution, source: str) -> list[str]:
    """Keys of the messages that a source names, or named before they were deleted. Raises `UnknownSourceError`."""
    keys = storage.sources(attribution, source)
    if not keys and storage.mentions(attribution, messages=[source]):
        keys = [source]
    if not keys:
        raise UnknownSourceError(
            f"{attribution.entity_id!r} has no message, conversation or session {source!r}. memori.messages() and "
            "memori.conversations() list them; a fact names its own as message_key."
        )
    return keys


def reversal(
    storage: Storage, attribution: Attribution, keys: Sequence[str], fingerprint: Callable[[str], str]
) -> tuple[FactChanges, Reverted]:
    """Retire what only those messages said, take their mentions back, and bring back what was replaced by it."""
    said = {one.fact_id for one in storage.mentions(attribution, messages=keys)}
    facts = {fact.id: fact for fact in storage.facts(attribution, ids=said, statuses=())} if said else {}
    facts = {key: fact for key, fact in facts.items() if fact.status != "forgotten"}
    mentions = storage.mentions(attribution, facts=list(facts)) if facts else []
    here, all_of = set(keys), Counter(one.fact_id for one in mentions)
    mine = [one for one in mentions if one.message_key in here]
    taken = Counter(one.fact_id for one in mine)
    # A mention without a message was made by hand.
    kept = {key for key, fact in facts.items() if all_of[key] > taken[key] or fact.mentions > max(all_of[key], 1)}
    gone = {key: fact for key, fact in facts.items() if key not in kept}
    restore, relink = _successions(storage, attribution, gone, fingerprint)
    changes = FactChanges(
        retire=(*(Retirement(key, "forgotten") for key in gone), *relink),
        restore=tuple(Restoration(fact.id) for fact in restore),
        unsaid=tuple((one.fact_id, one.message_key) for one in mine if one.fact_id in kept),
        unlearnt=tuple(keys),
    )
    back = tuple(replace(fact, status="active", superseded_by=None, valid_to=None) for fact in restore)
    return changes, Reverted(len(keys), tuple(gone.values()), back, len(changes.unsaid))


def _successions(
    storage: Storage, attribution: Attribution, gone: dict[str, Fact], fingerprint: Callable[[str], str]
) -> tuple[list[Fact], list[Retirement]]:
    """What comes back, and what another fact has replaced all the same."""
    replaced = [fact for fact in storage.superseded_by(attribution, list(gone)) if fact.id not in gone] if gone else []
    if not replaced:
        return [], []
    slots = {fact.slot for fact in replaced if fact.slot}
    holders = storage.facts(attribution, slots=slots) if slots else []
    held = {fact.slot: fact for fact in holders if fact.slot and fact.id not in gone}
    same = storage.facts_by_fingerprint(attribution, [fingerprint(fact.text) for fact in replaced])
    successors = [_successor(fact, gone) for fact in replaced]
    known = {fact.id: fact for fact in storage.facts(attribution, ids=[one for one in successors if one], statuses=())}
    restore: list[Fact] = []
    relink: list[Retirement] = []
    for fact, key in zip(replaced, successors, strict=True):
        twin = same.get(fingerprint(fact.text))
        after = known.get(key or "") or held.get(fact.slot or "") or (twin if twin and twin.id not in gone else None)
        if after is None:
            restore.append(fact)
            if fact.slot:
                held[fact.slot] = fact
        else:
            relink.append(Retirement(fact.id, "superseded", after.id, ended(fact, after)))
    return restore, relink


def _successor(fact: Fact, gone: dict[str, Fact]) -> str | None:
    key = fact.superseded_by
    while key in gone:
        key = gone[key].superseded_by
    return key


def changes_between(storage: Storage, attribution: Attribution, since: datetime, until: datetime) -> list[Change]:
    """Facts that began or ceased to hold in the world after `since` and until `until`, oldest first."""
    kinds = [kind for kind in KINDS if kind != "episode"]
    facts = {fact.id: fact for fact in storage.facts(attribution, kinds=kinds, statuses=("active", "superseded"))}
    found: list[Change] = []
    for fact in facts.values():
        began = fact.valid_from or fact.said_at or fact.created_at
        if began is not None and since < began <= until:
            found.append(Change("began", began, fact))
        if fact.valid_to is not None and since < fact.valid_to <= until:
            found.append(Change("ended", fact.valid_to, fact, facts.get(fact.superseded_by or "")))
    return sorted(found, key=_order)


def _order(change: Change) -> tuple[datetime, int, str]:
    """At one moment the old ends before the new begins, and what both began and ended then began first."""
    passing = change.fact.valid_to == change.at
    rank = 1 if change.what == "ended" else 0 if passing else 2
    return change.at, rank, change.fact.id
