"""Dates in words are resolved against the day they were said."""

from datetime import UTC, date, datetime

import pytest
from memori.augmentation.extraction.local.dates import resolve

SAID = date(2024, 5, 15)  # a Wednesday

PAST = [
    ("yesterday", "2024-05-14"),
    ("last night", "2024-05-14"),
    ("the day before yesterday", "2024-05-13"),
    ("today", "2024-05-15"),
    ("this morning", "2024-05-15"),
    ("three days ago", "2024-05-12"),
    ("2 weeks ago", "2024-05-01"),
    ("a couple of weeks ago", "2024-05-01"),
    ("two months ago", "2024-03-01"),
    ("3 years ago", "2021-01-01"),
    ("a year ago", "2023-01-01"),
    ("last week", "2024-05-06"),
    ("last weekend", "2024-05-11"),
    ("this weekend", "2024-05-11"),
    ("last month", "2024-04-01"),
    ("last year", "2023-01-01"),
    ("last Friday", "2024-05-10"),
    ("last Fri", "2024-05-10"),
    ("last Wednesday", "2024-05-08"),
    ("on Monday", "2024-05-13"),
    ("last March", "2024-03-01"),
    ("last May", "2023-05-01"),
    ("last summer", "2023-06-01"),
    ("in March", "2024-03-01"),
    ("in November", "2023-11-01"),
    ("on May 5", "2024-05-05"),
    ("on May 5th, 2021", "2021-05-05"),
    ("on 5 May 2021", "2021-05-05"),
    ("on the 5th of May", "2024-05-05"),
    ("in May 2020", "2020-05-01"),
    ("in the summer of 2018", "2018-06-01"),
    ("in 2019", "2019-01-01"),
    ("on 2023-02-03", "2023-02-03"),
    ("since 2019", "2019-01-01"),
    ("since last month", "2024-04-01"),
]

FUTURE = [
    ("tomorrow", "2024-05-16"),
    ("the day after tomorrow", "2024-05-17"),
    ("next week", "2024-05-20"),
    ("next month", "2024-06-01"),
    ("next year", "2025-01-01"),
    ("on Friday", "2024-05-17"),
    ("on Wednesday", "2024-05-22"),
    ("next Monday", "2024-05-20"),
    ("in three weeks", "2024-06-05"),
    ("on June 5", "2024-06-05"),
    ("in March", "2025-03-01"),
    ("for three years", "2021-01-01"),
]

NONE = [
    "a few years ago", "someday", "may", "march on", "at 10:30", "on Mondays", "room 2019", "May 5:30", "on May 45", ""
]  # fmt: skip


@pytest.mark.parametrize(("words", "day"), PAST)
def test_what_was(words, day):
    period = resolve(f"went there {words}", SAID, past=True)

    assert period is not None
    assert period.start == datetime.fromisoformat(day).replace(tzinfo=UTC)


@pytest.mark.parametrize(("words", "day"), FUTURE)
def test_what_will_be(words, day):
    period = resolve(f"goes there {words}", SAID, past=False)

    assert period is not None
    assert period.start == datetime.fromisoformat(day).replace(tzinfo=UTC)


@pytest.mark.parametrize("words", NONE)
def test_what_names_no_day(words):
    assert resolve(words, SAID, past=True) is None


def test_relative_dates_need_a_day_to_start_from():
    assert resolve("yesterday", None, past=True) is None
    assert resolve("on May 5", None, past=True) is None
    assert resolve("in 2019", None, past=True) is not None


def test_the_first_date_wins():
    period = resolve("in 2019 and again last week", SAID, past=True)

    assert period is not None
    assert period.start == datetime(2019, 1, 1, tzinfo=UTC)


def test_leap_days_and_the_turn_of_the_year_are_real_days():
    assert resolve("on February 29", date(2023, 3, 1), past=True) is None
    assert resolve("last month", date(2024, 1, 31), past=True).start == datetime(2023, 12, 1, tzinfo=UTC)
    assert resolve("in 9999 years", SAID, past=False) is None
