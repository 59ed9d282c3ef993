"""Find facts by their words, each database with its own full text, at a cost that follows the entity's own facts.

A word is indexed together with its entity, as one token of letters and digits: no list of other tenants' facts is
read, no parser meets a word too short, too common or not a word ("C++", "コーヒー"), and what a codec encrypts stays
secret. Only active facts have a row in `memori_fact_search`; what keeps a full text in step with it is in the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    DDL,
    BindParameter,
    Connection,
    Integer,
    Select,
    String,
    bindparam,
    cast,
    column,
    func,
    select,
    table,
    union_all,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import ExecutableDDLElement

from ...keys import derived_key
from ..records import Codec, NewFact
from . import schema as t
from .dialects import traits_of
from .planning import without_index, without_workers

_BATCH = 500
MAX_TERMS = 2000
"""Different words of one fact that are indexed; tsvector has an upper bound."""
MAX_WANTED = 32
"""Words of one query."""

_CATALOGUE = table("sqlite_master", column("name"))
_FTS5 = table("memori_fact_search_words", column("rowid"), column("memori_fact_search_words"))


def token(entity: str, term: str, codec: Codec) -> str:
    """A word of an entity. Two words with one token would do no harm: facts are read by their entity."""
    return f"t{entity[:8]}{derived_key(codec.fingerprint(term))[:12]}"


def add(connection: Connection, entity: str, facts: Sequence[NewFact], codec: Codec) -> None:
    """Make active facts findable."""
    rows = []
    for new in facts:
        terms = list(dict.fromkeys(new.search_text.split()))[:MAX_TERMS]
        if new.fact.status == "active" and terms:
            tokens = " ".join(token(entity, term, codec) for term in terms)
            rows.append({"fact_id": new.fact.id, "entity_id": entity, "tokens": tokens})
    if rows:
        connection.execute(t.search.insert(), rows)


def remove(connection: Connection, entity: str, fact_ids: Sequence[str]) -> None:
    """Make facts impossible to find."""
    s = t.search
    for start in range(0, len(fact_ids), _BATCH):
        batch = fact_ids[start : start + _BATCH]
        connection.execute(s.delete().where(s.c.entity_id == entity, s.c.fact_id.in_(batch)))


def search(
    connection: Connection, entity: str, terms: Sequence[str], codec: Codec, *, limit: int
) -> list[tuple[str, str]]:
    """Active facts that hold any of the terms, those with most of them first, then the newest."""
    wanted = list(dict.fromkeys(term for term in terms if term))[:MAX_WANTED]
    if not wanted:
        return []
    full_text = traits_of(connection).full_text
    given: dict[str, Any] = {"entity": entity, "limit": limit}
    for number, term in enumerate(wanted):
        word = token(entity, term, codec)
        given[f"word{number}"] = f"%{word}%" if full_text == "portable" else word
    rows = connection.execute(_holding_any(full_text, len(wanted)), given)
    return [(row.fact_id, codec.decode(row.text).strip()) for row in rows if row.text is not None]


@cache
def _holding_any(full_text: str, words: int) -> Select[Any]:
    """The search for so many words, made once: making it takes longer than finding a few facts."""
    holding = _HOLDING[full_text]
    found = union_all(*(holding(bindparam(f"word{n}", type_=String)) for n in range(words))).subquery("found")
    matched = func.count().label("matched")
    best = (
        select(found.c.ordinal, matched)
        .group_by(found.c.ordinal)
        .order_by(matched.desc(), found.c.ordinal.desc())
        .limit(bindparam("limit", type_=Integer))
        .subquery("best")
    )
    f, s = t.fact, t.search
    owned = without_index(f.c.entity_id) == bindparam("entity")
    # Looked up one by one: joins would be planned with everybody's facts, for want of knowing how few are wanted.
    fact_id = select(s.c.fact_id).where(s.c.ordinal == best.c.ordinal).scalar_subquery()
    named = select(best.c.matched, best.c.ordinal, fact_id.label("fact_id")).subquery("named")
    text = (
        select(f.c.search_text)
        .where(f.c.id == named.c.fact_id, owned, without_index(f.c.status) == "active")
        .scalar_subquery()
    )
    query = select(named.c.fact_id, text.label("text")).order_by(named.c.matched.desc(), named.c.ordinal.desc())
    return query.where(without_workers()) if full_text == "tsvector" else query


def _fts5(word: BindParameter[str]) -> Select[Any]:
    return select(_FTS5.c.rowid.label("ordinal")).where(_FTS5.c.memori_fact_search_words.op("MATCH")(word))


def _tsvector(word: BindParameter[str]) -> Select[Any]:
    return select(t.search.c.ordinal).where(t.search.c.tokens.op("@@")(cast(word, postgresql.TSQUERY)))


def _fulltext(word: BindParameter[str]) -> Select[Any]:
    return select(t.search.c.ordinal).where(mysql.match(t.search.c.tokens, against=word).in_boolean_mode())


def _portable(word: BindParameter[str]) -> Select[Any]:
    return select(t.search.c.ordinal).where(t.search.c.entity_id == bindparam("entity"), t.search.c.tokens.like(word))


_HOLDING: dict[str, Callable[[BindParameter[str]], Select[Any]]] = {
    "fts5": _fts5,
    "tsvector": _tsvector,
    "fulltext": _fulltext,
    "portable": _portable,
}

_SQLITE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS memori_fact_search_words USING fts5(tokens, content = 'memori_fact_search', "
    "content_rowid = 'ordinal', detail = 'none', columnsize = 0, tokenize = 'ascii')",
    "CREATE TRIGGER IF NOT EXISTS memori_fact_search_add AFTER INSERT ON memori_fact_search BEGIN "
    "INSERT INTO memori_fact_search_words (rowid, tokens) VALUES (new.ordinal, new.tokens); END",
    "CREATE TRIGGER IF NOT EXISTS memori_fact_search_remove AFTER DELETE ON memori_fact_search BEGIN "
    "INSERT INTO memori_fact_search_words (memori_fact_search_words, rowid, tokens) "
    "VALUES ('delete', old.ordinal, old.tokens); END",
)


def of_sqlite(connection: Connection) -> Literal["fts5", "portable"]:
    """Which full text an SQLite file has; where there are no tables yet, which one this SQLite can give it."""
    names = select(_CATALOGUE.c.name).where(_CATALOGUE.c.name.in_([t.search.name, _FTS5.name]))
    present = set(connection.execute(names).scalars())
    able = bool(present) or connection.scalar(select(func.sqlite_compileoption_used("ENABLE_FTS5")))
    connection.rollback()
    return "fts5" if able and present != {t.search.name} else "portable"


INDEX_NAME = "ix_memori_search_tokens"


def structure(full_text: str, *, indexes: Iterable[str]) -> list[ExecutableDDLElement]:
    """What makes the search table searchable on a database, less what is among its `indexes` already."""
    if full_text == "fts5":
        return [_ddl(statement) for statement in _SQLITE]
    if full_text == "portable" or INDEX_NAME in indexes:
        return []
    if full_text == "tsvector":
        # Searching must not go through a list of pending rows.
        return [_ddl(f"CREATE INDEX {INDEX_NAME} ON {t.search.name} USING gin (tokens) WITH (fastupdate = off)")]
    return [_ddl(f"CREATE FULLTEXT INDEX {INDEX_NAME} ON {t.search.name} (tokens)")]


def _ddl(statement: str) -> ExecutableDDLElement:
    made: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
    return made
