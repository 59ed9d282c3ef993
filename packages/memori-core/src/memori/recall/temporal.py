"""Read a stretch of time out of a question: "last March", "two weeks ago", "in 2023", a date."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` on, and before `end`. Days are those of UTC."""

    start: datetime
    end: datetime


def window(query: str, now: datetime) -> Window | None:
    """The time that a question asks about, seen from `now`; None when it names none, or more than one.

    A bare month, day or weekday is the latest one that has begun: people ask about what has been. "Ago" counts back
    with some slack, as people do: a day either side for days, half a unit for weeks, months and years.
    """
    try:
        today = now.astimezone(UTC).date()
    except OverflowError:  # within a day of the calendar's end
        return None
    found: set[tuple[date, date]] = set()
    rest = query
    for pattern, read in _PATTERNS:
        for match in pattern.finditer(rest):
            try:
                found.add(read(match, today))
            except (ValueError, OverflowError):
                continue
        # A part of the question is read once, by the first pattern that knows it.
        rest = pattern.sub(" | ", rest)
    if len(found) != 1:
        return None
    [(start, end)] = found
    return Window(_midnight(start), _midnight(end))


Span = tuple[date, date]

_MONTHS = (
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
    "september sept sep", "october oct", "november nov", "december dec",
)  # fmt: skip
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "couple of": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNTS |= {"seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12}

# Months are read with a capital, so that "may" and "march" stay verbs.
_MONTH = "(?P<month>" + "|".join(sorted((m.capitalize() for m in _MONTH_OF), key=len, reverse=True)) + r")\b\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b(?!:)"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_COUNT = r"(?:a )?(?P<count>\d{1,3}|" + "|".join(sorted(_COUNTS, key=len, reverse=True)) + ")"
_UNIT = r"(?P<unit>day|week|month|year)s?\b"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _days(start: date, number: int = 1) -> Span:
    return start, start + timedelta(days=number)


def _year_of(year: int) -> Span:
    return date(year, 1, 1), date(year + 1, 1, 1)


def _month_of(year: int, month: int, months: int = 1) -> Span:
    after = year * 12 + month - 1 + months
    return date(year, month, 1), date(after // 12, after % 12 + 1, 1)


def _shifted(today: date, months: int) -> date:
    place = today.year * 12 + today.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)


def _relative(days: int) -> Callable[[re.Match[str], date], Span]:
    return lambda match, today: _days(today + timedelta(days=days))


def _number(match: re.Match[str]) -> int:
    said = match["count"].lower()
    return int(said) if said.isdigit() else _COUNTS[said]


def _ago(match: re.Match[str], today: date) -> Span:
    count, unit = _number(match), match["unit"].lower()
    if unit == "year":
        return _year_of(today.year - count)
    if unit == "month":
        then = _shifted(today, -count)
        return _month_of(then.year, then.month)
    slack = 1 if unit == "day" else 4
    return _days(today - timedelta(days=count * (1 if unit == "day" else 7) + slack), 2 * slack + 1)


def _lately(match: re.Match[str], today: date) -> Span:
    count, unit = _number(match), match["unit"].lower()
    days = count * {"day": 1, "week": 7, "month": 31, "year": 366}[unit]
    return _days(today - timedelta(days=days), days + 1)


def _unit(match: re.Match[str], today: date) -> Span:
    back, unit = int(match["which"].lower() != "this"), match["unit"].lower()
    if unit == "year":
        return _year_of(today.year - back)
    if unit == "month":
        then = _shifted(today, -back)
        return _month_of(then.year, then.month)
    monday = today - timedelta(days=today.weekday() + 7 * back)
    return _days(monday, 7) if unit == "week" else _days(monday + timedelta(days=5), 2)


def _weekday(match: re.Match[str], today: date) -> Span:
    behind = (today.weekday() - _WEEKDAYS.index(match["weekday"].lower())) % 7
    return _days(today - timedelta(days=behind or 7))


def _date(match: re.Match[str], today: date) -> Span:
    month, day = _MONTH_OF[match["month"].lower()], int(match["day"])
    if match["year"]:
        return _days(date(int(match["year"]), month, day))
    begun = date(today.year, month, day)
    return _days(begun if begun <= today else date(today.year - 1, month, day))


def _month(match: re.Match[str], today: date) -> Span:
    month, named = _MONTH_OF[match["month"].lower()], match.groupdict()
    if named.get("year"):
        return _month_of(int(named["year"]), month)
    last = (named.get("which") or "").lower() == "last"
    over = month > today.month or (last and month == today.month)
    return _month_of(today.year - int(over), month)


def _season(match: re.Match[str], today: date) -> Span:
    month, year = _SEASONS[match["season"].lower()], match["year"]
    begun = today.year if month <= today.month else today.year - 1
    return _month_of(int(year) if year else begun, month, 3)


def _years(match: re.Match[str], today: date) -> Span:
    first, last = int(match["year"]), int(match["until"])
    if last < first:
        raise ValueError("a stretch of years ends after it begins")
    return date(first, 1, 1), date(last + 1, 1, 1)


def _iso(match: re.Match[str], today: date) -> Span:
    return _days(date.fromisoformat(match[0]))


def _pattern(text: str, *, keep_case: bool = False) -> re.Pattern[str]:
    return re.compile(text, 0 if keep_case else re.IGNORECASE)


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], Span]], ...] = (
    (_pattern(rf"\b(?:from|between)\s+{_YEAR}\s+(?:to|until|till|and|-)\s+(?P<until>(?:19|20)\d\d)\b"), _years),
    (_pattern(r"\b\d{4}-\d\d-\d\d\b"), _iso),
    (_pattern(rf"\b{_MONTH}\s+{_DAY}(?:,?\s+{_YEAR})?", keep_case=True), _date),
    (_pattern(rf"\b{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?", keep_case=True), _date),
    (_pattern(rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}", keep_case=True), _month),
    (_pattern(rf"\b(?P<which>[Ll]ast|[Tt]his|[Ii]n|[Dd]uring)\s+{_MONTH}(?!\s+\d)", keep_case=True), _month),
    (_pattern(r"\bday before yesterday\b"), _relative(-2)),
    (_pattern(r"\b(?:yesterday|last night)\b"), _relative(-1)),
    (_pattern(r"\b(?:today|this (?:morning|afternoon|evening))\b"), _relative(0)),
    (_pattern(rf"\b{_COUNT}\s+{_UNIT}\s+(?:ago|back)\b"), _ago),
    (_pattern(rf"\b(?:in|over|during|within)?\s*the\s+(?:last|past)\s+{_COUNT}\s+{_UNIT}"), _lately),
    (_pattern(r"\b(?P<which>last|this|past)\s+(?P<unit>weekend|week|month|year)\b"), _unit),
    (_pattern(rf"\b(?:last|on)\s+(?P<weekday>{'|'.join(_WEEKDAYS)})\b(?!s)"), _weekday),
    (
        _pattern(
            rf"\b(?:last|this|in|during)\s+(?:the\s+)?(?P<season>{'|'.join(_SEASONS)})\b(?:\s+(?:of\s+)?{_YEAR})?"
        ),
        _season,
    ),
    (_pattern(rf"\b(?:in|during|of)\s+{_YEAR}"), lambda match, today: _year_of(int(match["year"]))),
)
