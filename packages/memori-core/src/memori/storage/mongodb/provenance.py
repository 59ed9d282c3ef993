"""Where facts and attributes come from: read to review them, changed to take them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...keys import derived_key
from ...model import Attribution, ProcessAttribute
from ..records import Codec, FactChanges, Mention
from ..values import entity_key, optional_micros, optional_time, process_key, to_attribute
from . import facts
from .layout import ATTRIBUTE, CONVERSATION, FACT, MESSAGE, SESSION, Document
from .rows import Rows, Unit


def change(
    unit: Unit,
    attribution: Attribution,
    changes: FactChanges,
    there: Mapping[str, Document],
    codec: Codec,
    *,
    revision: int,
    moment: int,
) -> None:
    """Write what of the changes concerns provenance. `there` are the entity's facts that the changes name."""
    entity = entity_key(attribution)
    restored = {one.fact_id: one for one in changes.restore if one.fact_id in there}
    where: Document = {"entity_id": entity, "_id": {"$in": sorted(restored)}}
    for row in list(unit.find(FACT, where, fields=("search_text",))) if restored else ():
        until = optional_micros(restored[row["_id"]].valid_to)
        active: Document = {"status": "active", "superseded_by": None, "retired_at": None, "valid_to": until}
        unit.set(FACT, row["_id"], {**active, "terms": facts.searchable(row, codec), "revision": revision})
    for fact_id, message in changes.unsaid:
        one = there.get(fact_id)
        if one is not None and message in one["said_by"]:
            one["mentions"] -= 1
            one["said_by"] = [key for key in one["said_by"] if key != message]
            counted = {"mentions": one["mentions"], "said_by": one["said_by"]}
            unit.set(FACT, fact_id, {**counted, "revision": revision})
    if changes.summary is not None:
        key, text = changes.summary
        said = unit.first(MESSAGE, {"_id": key, "entity_id": entity})
        if said is not None:
            unit.set(CONVERSATION, said["conversation_id"], {"summary": codec.encode(text)})
    _learn(unit, attribution, changes, codec, moment=moment)
    where = {"entity_id": entity, "message_id": {"$in": sorted(changes.unlearnt)}}
    for row in list(unit.find(ATTRIBUTE, where, fields=("_id",))) if changes.unlearnt else ():
        unit.remove(ATTRIBUTE, row["_id"])


def _learn(unit: Unit, attribution: Attribution, changes: FactChanges, codec: Codec, *, moment: int) -> None:
    entity, process = entity_key(attribution), process_key(attribution)
    if process is None:
        return
    for one in changes.attributes:
        key = derived_key("process attribute", entity, process, one.fingerprint)
        known = unit.first(ATTRIBUTE, {"_id": key, "gone_at": {"$exists": False}})
        if known is not None:
            unit.set(ATTRIBUTE, key, {"mentions": known["mentions"] + 1})
            continue
        row = {
            "_id": key,
            "process_id": process,
            "entity_id": entity,
            "content": codec.encode(one.text),
            "fingerprint": one.fingerprint,
            "mentions": 1,
            "created_at": moment,
            "message_id": one.message_key,
            "source": one.source,
            "extractor": one.extractor,
        }
        unit.put(ATTRIBUTE, row)


def sources(rows: Rows, attribution: Attribution, source: str) -> list[str]:
    """Keys of the entity's messages that a source names, by the first meaning it has."""
    owned: Document = {"entity_id": entity_key(attribution)}
    # What was removed without a transaction has left its id behind.
    there: Document = {**owned, "position": {"$exists": True}}

    def named(collection: str, name: str) -> list[str]:
        return [row["_id"] for row in rows.find(collection, {**owned, name: source}, fields=("_id",))]

    sessions = [row["_id"] for row in rows.find(SESSION, owned, fields=("_id",))]
    conversations = {*named(CONVERSATION, "_id"), *named(CONVERSATION, "external_id")}
    meanings: tuple[Document, ...] = (
        {"_id": source},
        {"session_id": {"$in": sessions}, "native_id": source},
        {"conversation_id": {"$in": sorted(conversations)}},
        {"session_id": {"$in": named(SESSION, "external_id")}},
    )
    for meaning in meanings:
        order = [("session_id", 1), ("position", 1)]
        found = list(rows.find(MESSAGE, {**there, **meaning}, sort=order, fields=("_id", "process_id")))
        if found:
            # Agents number their sessions and messages alike.
            own = [row for row in found if attribution.process_id and row["process_id"] == process_key(attribution)]
            return [row["_id"] for row in own or found]
    return []


def mentions(
    rows: Rows, attribution: Attribution, *, facts: Collection[str] | None, messages: Collection[str] | None
) -> list[Mention]:
    """Which messages said which facts."""
    where: Document = {"entity_id": entity_key(attribution)}
    where |= {"_id": {"$in": sorted(facts)}} if facts is not None else {"said_by": {"$in": sorted(messages or ())}}
    wanted = None if facts is not None else set(messages or ())
    pairs = [
        (row["_id"], key)
        for row in rows.find(FACT, where, sort=[("_id", 1)], fields=("said_by",))
        for key in sorted(row.get("said_by", ()))
        if wanted is None or key in wanted
    ]
    keys = sorted({key for _, key in pairs})
    stored: Document = {"entity_id": entity_key(attribution), "_id": {"$in": keys}}
    said = {row["_id"]: row.get("said_at") for row in rows.find(MESSAGE, stored, fields=("said_at",))}
    return [Mention(fact, key, optional_time(said.get(key))) for fact, key in pairs]


def process_attributes(rows: Rows, attribution: Attribution, codec: Codec, *, limit: int) -> list[ProcessAttribute]:
    """What is known of a process from conversations with the entity, newest first."""
    process = process_key(attribution)
    if process is None:
        return []
    where = {"entity_id": entity_key(attribution), "process_id": process}
    found = rows.find(ATTRIBUTE, where, sort=[("created_at", -1), ("_id", 1)], limit=limit)
    return [to_attribute({**row, "id": row["_id"]}, codec) for row in found]
