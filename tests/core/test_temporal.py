"""Which time a question asks about."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memori.recall.temporal import window

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)  # a Wednesday


def days(query):
    found = window(query, NOW)
    assert found is not None, query
    return found.start.date().isoformat(), found.end.date().isoformat()


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("What did I eat yesterday?", "2026-03-17", "2026-03-18"),
        ("Where was I the day before yesterday?", "2026-03-16", "2026-03-17"),
        ("What did I say this morning?", "2026-03-18", "2026-03-19"),
        ("What happened last week?", "2026-03-09", "2026-03-16"),
        ("What happened last weekend?", "2026-03-14", "2026-03-16"),
        ("What have I done this week?", "2026-03-16", "2026-03-23"),
        ("Where did I travel last month?", "2026-02-01", "2026-03-01"),
        ("Where did I travel last year?", "2025-01-01", "2026-01-01"),
        ("Where did I travel last March?", "2025-03-01", "2025-04-01"),
        ("Where did I travel in March?", "2026-03-01", "2026-04-01"),
        ("Where did I travel in December?", "2025-12-01", "2026-01-01"),
        ("Where was I in 2023?", "2023-01-01", "2024-01-01"),
        ("Who joined between 2019 and 2021?", "2019-01-01", "2022-01-01"),
        ("Where did she go in July 2023?", "2023-07-01", "2023-08-01"),
        ("What happened on 8 May 2023?", "2023-05-08", "2023-05-09"),
        ("What happened on May 8th, 2023?", "2023-05-08", "2023-05-09"),
        ("What happened on 8 May?", "2025-05-08", "2025-05-09"),
        ("What did I do on 2024-02-29?", "2024-02-29", "2024-03-01"),
        ("Whom did I meet two weeks ago?", "2026-02-28", "2026-03-09"),
        ("Whom did I meet three days ago?", "2026-03-14", "2026-03-17"),
        ("Whom did I meet a couple of months ago?", "2026-01-01", "2026-02-01"),
        ("What did I plant in the last two weeks?", "2026-03-04", "2026-03-19"),
        ("Whom did I call on Monday?", "2026-03-16", "2026-03-17"),
        ("Whom did I call last Wednesday?", "2026-03-11", "2026-03-12"),
        ("Where were we in the summer of 2022?", "2022-06-01", "2022-09-01"),
        ("Where were we last winter?", "2025-12-01", "2026-03-01"),
    ],
)
def test_a_question_names_a_time(query, start, end):
    assert days(query) == (start, end)


@pytest.mark.parametrize(
    "query",
    [
        "Where does she live?",
        "May I march with you?",
        "Who is 2023 in the list of 12 people?",
        "What happened on 31 February 2023?",
        "Was it in 2021 or in 2022?",
        "Is it at May 12:30?",
        "",
    ],
)
def test_a_question_without_one_time_names_none(query):
    assert window(query, NOW) is None


def test_the_day_is_that_of_utc():
    late = datetime.fromisoformat("2026-03-18T23:30:00-05:00")

    found = window("yesterday", late)

    assert found is not None
    assert found.start.date() == date(2026, 3, 18)


@given(st.text(), st.datetimes(timezones=st.just(UTC)))
def test_any_text_at_any_time_gives_a_window_or_none(query, now):
    found = window(query, now)

    assert found is None or found.start < found.end


@given(
    st.sampled_from(["yesterday", "last year", "999 years ago", "in January", "last weekend", "in the last 900 years"]),
    st.datetimes(timezones=st.just(UTC)),
)
def test_the_edges_of_the_calendar_are_no_error(query, now):
    found = window(query, now)

    assert found is None or found.start < found.end
