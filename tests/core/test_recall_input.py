"""Whatever is asked, recall answers from the asker's own memory or says what to pass; it never crashes."""

import asyncio
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from memori import Attribution, Memori
from memori.cli.app import build
from memori.model import RecallOptions
from typer.testing import CliRunner

from .conftest import ADA, BOB

MEGABYTE = 2**20
LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)
NOTHING_TO_LOOK_FOR = ["", "   ", "\n\t\u2003", "?!.,;:-—…()[]{}", "?" * MEGABYTE, "\x00", "\ud800", "𓀀"]


@pytest.fixture
def known(memori):
    """Two entities who said much the same in different words."""
    memori.remember("ada drinks green tea 'every' morning", attribution=ADA)
    memori.remember("ada NEAR the lake OR in the hills", attribution=ADA)
    memori.remember("bob drinks green tea 'every' evening", attribution=BOB)
    memori.remember("bob NEAR the sea OR in the valley", attribution=BOB)
    return memori


def own(recalled, who):
    return all(one.text.startswith(who.entity_id) for one in recalled)


@pytest.mark.parametrize("query", NOTHING_TO_LOOK_FOR, ids=range(len(NOTHING_TO_LOOK_FOR)))
async def test_a_query_with_nothing_to_look_for_has_an_empty_answer(known, query):
    assert known.recall(query, attribution=ADA) == []
    assert not known.context(query, attribution=ADA)
    assert await known.arecall(query, attribution=ADA) == []
    assert not await known.acontext(query, attribution=ADA)


@pytest.mark.parametrize(
    "query", ["green tea " * (MEGABYTE // 10), "green tea" + " " * MEGABYTE, "green tea\x00\ud800"]
)
def test_a_query_of_a_megabyte_or_of_broken_text_is_answered(known, query):
    recalled = known.recall(query, attribution=ADA)

    assert recalled[0].text == "ada drinks green tea 'every' morning"
    assert own(recalled, ADA)
    assert known.context(query, attribution=ADA)


@pytest.mark.parametrize("query", [None, b"green tea", 7, ["green tea"], object()])
async def test_a_query_that_is_no_string_is_a_type_error(known, query):
    for ask in (known.recall, known.context):
        with pytest.raises(TypeError, match="query must be a string, got"):
            ask(query, attribution=ADA)
    with pytest.raises(TypeError, match="query must be a string, got"):
        await known.arecall(query, attribution=ADA)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"limit": 0}, ValueError, "limit must be between 1 and 10000, got 0"),
        ({"limit": -3}, ValueError, "limit must be between 1 and 10000, got -3"),
        ({"limit": 10**6}, ValueError, "limit must be between 1 and 10000, got 1000000"),
        ({"limit": True}, TypeError, "limit must be an integer, got bool"),
        ({"limit": 2.5}, TypeError, "limit must be an integer, got float"),
        ({"limit": "5"}, TypeError, "limit must be an integer, got str"),
        ({"limit": None}, TypeError, "limit must be an integer, got NoneType"),
        ({"kinds": ["fact", "opinion"]}, ValueError, "unknown kind 'opinion'; kinds are "),
        ({"kinds": "fact"}, ValueError, "write kinds=\\['fact'\\]"),
        ({"kinds": 7}, TypeError, "kinds must be a list of kinds, got int"),
        ({"kinds": [["fact"]]}, ValueError, "unknown kind \\['fact'\\]; kinds are "),
        (
            {"as_of": datetime.fromisoformat("2026-01-01")},
            ValueError,
            "has no time zone; pass datetime\\(..., tzinfo=UTC\\)",
        ),
        ({"as_of": "2026-01-01"}, TypeError, "expected a datetime with a time zone, got str"),
        ({"as_of": date(2026, 1, 1)}, TypeError, "expected a datetime with a time zone, got date"),
        ({"min_relevance": math.nan}, ValueError, "min_relevance must be between 0 and 1, got nan"),
        ({"min_relevance": math.inf}, ValueError, "min_relevance must be between 0 and 1, got inf"),
        ({"min_relevance": -0.1}, ValueError, "min_relevance must be between 0 and 1, got -0.1"),
        ({"min_relevance": 1.5}, ValueError, "min_relevance must be between 0 and 1, got 1.5"),
        ({"min_relevance": "0.1"}, TypeError, "min_relevance must be a number, got str"),
        ({"min_relevance": True}, TypeError, "min_relevance must be a number, got bool"),
    ],
)
@pytest.mark.parametrize("query", ["green tea", " "])
async def test_recall_says_what_is_wrong_and_what_to_pass(known, query, given, error, told):
    with pytest.raises(error, match=told):
        known.recall(query, attribution=ADA, **given)
    with pytest.raises(error, match=told):
        await known.arecall(query, attribution=ADA, **given)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"limit": 0}, ValueError, "limit must be between 1 and 10000, got 0"),
        ({"limit": 10**6}, ValueError, "limit must be between 1 and 10000, got 1000000"),
        ({"limit": True}, TypeError, "limit must be an integer, got bool"),
        ({"token_budget": -1}, ValueError, "token_budget must not be negative, got -1"),
        ({"token_budget": 250.0}, TypeError, "token_budget must be an integer, got float"),
        ({"token_budget": "250"}, TypeError, "token_budget must be an integer, got str"),
        ({"token_budget": True}, TypeError, "token_budget must be an integer, got bool"),
        ({"min_relevance": math.nan}, ValueError, "min_relevance must be between 0 and 1, got nan"),
        ({"exclude": "green tea"}, TypeError, "exclude must be a list of texts, got str"),
        ({"exclude": [b"green tea"]}, TypeError, "exclude must be a list of texts, got one with bytes in it"),
        ({"exclude": None}, TypeError, "exclude must be a list of texts, got NoneType"),
    ],
)
@pytest.mark.parametrize("query", ["green tea", " "])
async def test_context_says_what_is_wrong_and_what_to_pass(known, query, given, error, told):
    with pytest.raises(error, match=told):
        known.context(query, attribution=ADA, **given)
    with pytest.raises(error, match=told):
        await known.acontext(query, attribution=ADA, **given)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"limit": 0}, ValueError, "limit must be between"),
        ({"token_budget": -1}, ValueError, "token_budget must not be negative"),
        ({"min_relevance": math.nan}, ValueError, "min_relevance must be between"),
    ],
)
def test_options_that_no_recall_could_use_are_refused_at_once(database, options, error, told):
    with pytest.raises(error, match=told):
        Memori(database, embedder="hashing", recall=RecallOptions(**options))


def test_a_budget_without_room_gives_an_empty_context(known):
    assert not known.context("green tea", token_budget=0, attribution=ADA)
    assert not known.context("green tea", token_budget=1, attribution=ADA)
    assert known.context("green tea", token_budget=10**9, attribution=ADA)


def test_the_largest_limit_gives_all_there_is(known):
    assert len(known.recall("ada", limit=10_000, min_relevance=0, attribution=ADA)) == 2


def test_no_kinds_are_none(known):
    assert known.recall("green tea", kinds=[], attribution=ADA) == []


@pytest.mark.parametrize(
    "as_of",
    [
        LONG_AGO,
        datetime.min.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_before_the_first_fact_nothing_was_known(known, as_of):
    known.remember("ada lives in Rome", valid_from=datetime(2020, 1, 1, tzinfo=UTC), attribution=ADA)

    assert known.recall("where does ada live", as_of=as_of, attribution=ADA) == []


@pytest.mark.parametrize("hours", [14, 0, -12])
def test_at_the_end_of_time_the_latest_is_known(known, hours):
    as_of = datetime.max.replace(tzinfo=timezone(timedelta(hours=hours)))

    recalled = known.recall("green tea", as_of=as_of, attribution=ADA)

    assert recalled[0].text == "ada drinks green tea 'every' morning"


def test_the_command_line_says_what_is_wrong(known, database):
    def memori(*arguments):
        return CliRunner().invoke(build(), ["recall", *arguments, "--entity", "ada", "--database", database])

    for wrong in (
        ["", "--json"],
        ["  "],
        ["tea", "--limit", "0"],
        ["tea", "--limit", "1000000"],
        ["tea", "--as-of", "x"],
    ):
        done = memori(*wrong)
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.output
    for unanswerable in ("?!" * MEGABYTE, "\ud800", "tea' OR '1'='1"):
        done = memori(unanswerable, "--json")
        assert done.exit_code == 0, done.output
        assert all(one["text"].startswith("ada") for one in json.loads(done.stdout))


SYNTAX = [
    "' OR 1=1 --",
    '"green tea" OR bob',
    "green NEAR(tea, 5) bob*",
    "text:bob",
    "-ada +bob",
    "bob | (tea & !ada) <-> x",
    "%bob%",
    "_ob",
    "(?P<bob>.*)+$",
    "[bob](*+?{2})\\",
    "bob\x00ada",
    "\ud83d bob \udc00",
    "'; DROP TABLE memori_fact; --",
    "{bob} ${bob} {{bob}} %(bob)s :bob ? $1",
]
QUERIES = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.lists(
        st.sampled_from([*SYNTAX, "green tea", "bob", "ada", "NEAR", "OR", "AND", "NOT", "*", '"', "'", "(", ")", "^"])
    ).map(" ".join),
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES)
@example(query=" ".join(SYNTAX))
@example(query="bob drinks green tea 'every' evening")
def test_no_query_reaches_another_tenant_or_raises(known, query):
    for who in (ADA, BOB):
        recalled = known.recall(query, limit=50, min_relevance=0, attribution=who)
        assert own(recalled, who)
        assert own(known.context(query, attribution=who).recalled, who)
        assert own(asyncio.run(known.arecall(query, limit=50, attribution=who)), who)
    assert known.recall(query, attribution=Attribution("nobody")) == []
    assert known.recall(query, attribution=Attribution("ada", namespace="elsewhere")) == []
