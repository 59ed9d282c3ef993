"""Where facts and attributes come from: read to review them, changed to take them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, select, update

from ...keys import derived_key
from ...model import Attribution, ProcessAttribute
from ..records import Codec, FactChanges, Mention, NewAttribute, NewFact
from ..values import entity_key, optional_micros, optional_time, process_key, to_attribute, to_fact
from . import fulltext
from . import schema as t
from .dialects import insert_missing

_BATCH = 500


def change(
    connection: Connection, attribution: Attribution, changes: FactChanges, codec: Codec, *, revision: int, moment: int
) -> None:
    """Write what of the changes concerns provenance. Runs inside the caller's transaction, under the entity's lock."""
    entity = entity_key(attribution)
    _restore(connection, entity, changes, codec, revision=revision)
    _unsay(connection, entity, changes.unsaid, revision=revision)
    if changes.summary is not None:
        key, text = changes.summary
        m, c = t.message.c, t.conversation
        of = select(m.conversation_id).where(m.id == key, m.entity_id == entity).scalar_subquery()
        connection.execute(update(c).where(c.c.id == of, c.c.entity_id == entity).values(summary=codec.encode(text)))
    _learn(connection, attribution, changes.attributes, codec, moment=moment)
    a = t.process_attribute
    for batch in _batches(changes.unlearnt):
        connection.execute(a.delete().where(a.c.entity_id == entity, a.c.message_id.in_(batch)))


def _restore(connection: Connection, entity: str, changes: FactChanges, codec: Codec, *, revision: int) -> None:
    f = t.fact
    if not changes.restore:
        return
    statement = (
        update(f)
        .where(f.c.entity_id == entity, f.c.id == bindparam("restored_id"))
        .values(
            status="active",
            superseded_by=None,
            retired_at=None,
            valid_to=bindparam("until", type_=BigInteger),
            revision=revision,
        )
    )
    rows = [{"restored_id": one.fact_id, "until": optional_micros(one.valid_to)} for one in changes.restore]
    connection.execute(statement, rows)
    for batch in _batches(one.fact_id for one in changes.restore):
        fulltext.remove(connection, entity, batch)
        found = connection.execute(select(f).where(f.c.entity_id == entity, f.c.id.in_(batch))).mappings()
        facts = [
            NewFact(to_fact({**row, "session": None}, codec), codec.decode(row["search_text"]), row["fingerprint"])
            for row in found
        ]
        fulltext.add(connection, entity, facts, codec)


def _unsay(connection: Connection, entity: str, unsaid: Sequence[tuple[str, str]], *, revision: int) -> None:
    f, m = t.fact, t.mention
    for fact_id, message in unsaid:
        gone = m.delete().where(m.c.fact_id == fact_id, m.c.message_id == message, m.c.entity_id == entity)
        if connection.execute(gone).rowcount:
            connection.execute(
                update(f)
                .where(f.c.entity_id == entity, f.c.id == fact_id)
                .values(mentions=f.c.mentions - 1, revision=revision)
            )


def _learn(
    connection: Connection, attribution: Attribution, learnt: Sequence[NewAttribute], codec: Codec, *, moment: int
) -> None:
    entity, process = entity_key(attribution), process_key(attribution)
    if process is None or not learnt:
        return
    a = t.process_attribute
    by_key = {derived_key("process attribute", entity, process, one.fingerprint): one for one in learnt}
    there = set[str]()
    for batch in _batches(by_key):
        there.update(connection.execute(select(a.c.id).where(a.c.id.in_(batch))).scalars())
    rows = [
        {
            "id": key,
            "process_id": process,
            "entity_id": entity,
            "content": codec.encode(one.text),
            "fingerprint": one.fingerprint,
            "mentions": 1,
            "created_at": moment,
            "message_id": one.message_key,
            "source": one.source,
            "extractor": one.extractor[:64],
        }
        for key, one in by_key.items()
        if key not in there
    ]
    insert_missing(connection, a, rows)
    for batch in _batches(sorted(there)):
        connection.execute(
            update(a).where(a.c.id.in_(batch), a.c.entity_id == entity).values(mentions=a.c.mentions + 1)
        )


def sources(connection: Connection, attribution: Attribution, source: str) -> list[str]:
    """Keys of the entity's messages that a source names, by the first meaning it has."""
    m, s, c = t.message.c, t.session, t.conversation
    entity = entity_key(attribution)
    sessions = select(s.c.id, s.c.external_id).where(s.c.entity_id == entity)
    named = [row.id for row in connection.execute(sessions.where(s.c.external_id == source)) if row[1] == source]
    talks = select(c.c.id, c.c.external_id).where(
        c.c.entity_id == entity, (c.c.id == source) | (c.c.external_id == source)
    )
    conversations = [row.id for row in connection.execute(talks) if source in (row.id, row.external_id)]
    native = m.session_id.in_(sessions.with_only_columns(s.c.id)) & (m.native_id == source)
    meanings: Iterable[ColumnElement[bool]] = (
        m.id == source,
        native,
        m.conversation_id.in_(conversations),
        m.session_id.in_(named),
    )
    for meaning in meanings:
        query = (
            select(m.id, m.native_id, s.c.process_id)
            .join(s, s.c.id == m.session_id)
            .where(m.entity_id == entity, meaning)
            .order_by(m.session_id, m.position)
        )
        # MySQL takes an id for the same with a space at its end.
        found = [row for row in connection.execute(query) if meaning is not native or row.native_id == source]
        if found:
            # Agents number their sessions and messages alike.
            own = [row for row in found if attribution.process_id and row.process_id == process_key(attribution)]
            return [row.id for row in own or found]
    return []


def mentions(
    connection: Connection,
    attribution: Attribution,
    *,
    facts: Collection[str] | None,
    messages: Collection[str] | None,
) -> list[Mention]:
    """Which messages said which facts."""
    n, m = t.mention, t.message
    query = (
        select(n.c.fact_id, n.c.message_id, m.c.said_at)
        .outerjoin(m, m.c.id == n.c.message_id)
        .where(n.c.entity_id == entity_key(attribution))
        .order_by(n.c.fact_id, n.c.message_id)
    )
    column, wanted = (n.c.fact_id, facts) if facts is not None else (n.c.message_id, messages or ())
    found: list[Mention] = []
    for batch in _batches(sorted(set(wanted))):
        for row in connection.execute(query.where(column.in_(batch))):
            found.append(Mention(row.fact_id, row.message_id, optional_time(row.said_at)))
    return found


def process_attributes(
    connection: Connection, attribution: Attribution, codec: Codec, *, limit: int
) -> list[ProcessAttribute]:
    """What is known of a process from conversations with the entity, newest first."""
    a, process = t.process_attribute, process_key(attribution)
    query = (
        select(a)
        .where(a.c.entity_id == entity_key(attribution), a.c.process_id == process)
        .order_by(a.c.created_at.desc(), a.c.id)
        .limit(limit)
    )
    return [to_attribute(row, codec) for row in connection.execute(query).mappings()] if process else []


def _batches(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = list(dict.fromkeys(values))
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]
