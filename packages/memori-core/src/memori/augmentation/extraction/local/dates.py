"""Resolve a date said in words against the day it was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Period:
    """When something began and, where said, ended; both at midnight UTC of the first day meant.

    `lasting`: the words say since when something holds ("since 2019", "for three years").
    """

    start: datetime | None
    end: datetime | None = None
    lasting: bool = False


def resolve(text: str, said_on: date | None, *, past: bool) -> Period | None:
    """Return the first date that `text` names, or None.

    `said_on`: the speaker's day; None leaves relative dates unresolved. `past`: whether the statement is in the
    past tense, which decides where a bare "in May" or "on Friday" points. A week begins on Monday; a named month,
    season or year begins on its first day ("three years ago" is the first of January of that year, "two months ago"
    the first of that month, "two weeks ago" fourteen days back). Vague spans ("a few years ago") are left alone.
    """
    found: list[tuple[int, int, Period]] = []
    for order, (pattern, build) in enumerate(_PATTERNS):
        for match in pattern.finditer(text):
            try:
                period = build(match, said_on, past)
            except (ValueError, OverflowError):
                continue
            if period is not None:
                found.append((match.start(), order, period))
                break
    return min(found, key=lambda item: item[:2])[2] if found else None


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_WEEKDAYS = {
    name: number
    for number, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
}
_WEEKDAYS |= {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_SEASONS = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_NUMBERS |= {"seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12}

# Month names are matched with a capital, so that "may" and "march" stay verbs.
_MONTH = "(?P<month>" + "|".join(sorted((m.capitalize() for m in _MONTHS), key=len, reverse=True)) + r")\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_WEEKDAY = "(?P<weekday>" + "|".join(sorted(_WEEKDAYS, key=len, reverse=True)) + r")\b"
_SEASON = "(?P<season>" + "|".join(_SEASONS) + r")\b"
_COUNT = r"(?P<count>\d{1,4}|a couple of|a couple|" + "|".join(_NUMBERS) + ")"
_UNIT = r"(?P<unit>day|week|month|year)s?\b"

Builder = Callable[[re.Match[str], date | None, bool], Period | None]


def _at(day: date, *, lasting: bool = False) -> Period:
    return Period(datetime(day.year, day.month, day.day, tzinfo=UTC), lasting=lasting)


def _relative(days: int) -> Builder:
    return lambda match, said, past: _at(said + timedelta(days=days)) if said else None


def _count(match: re.Match[str]) -> int:
    word = match["count"].lower().removesuffix(" of").removeprefix("a ")
    return int(word) if word.isdigit() else _NUMBERS[word]


def _months_from(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _shift(day: date, count: int, unit: str) -> date:
    if unit == "year":
        return date(day.year + count, 1, 1)
    if unit == "month":
        return _months_from(day, count)
    return day + timedelta(days=count * (7 if unit == "week" else 1))


def _ago(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    return _at(_shift(said, -_count(match), match["unit"].lower())) if said else None


def _for(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    return _at(_shift(said, -_count(match), match["unit"].lower()), lasting=True) if said and not past else None


def _in(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    return _at(_shift(said, _count(match), match["unit"].lower())) if said and not past else None


_STEP = {"last": -1, "this": 0, "next": 1, "this past": -1, "past": -1, "this coming": 1, "coming": 1}


def _step(match: re.Match[str]) -> int:
    return _STEP[" ".join(match["which"].lower().split())]


def _unit(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    if said is None:
        return None
    monday = said - timedelta(days=said.weekday())
    unit = match["span"].lower()
    if unit == "weekend":
        return _at(monday + timedelta(days=5 + 7 * (-1 if past and _step(match) == 0 else _step(match))))
    return _at(monday + timedelta(weeks=_step(match))) if unit == "week" else _at(_shift(said, _step(match), unit))


def _weekday(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    if said is None:
        return None
    ahead = (_WEEKDAYS[match["weekday"].lower()] - said.weekday()) % 7
    which = (match["which"] or "").lower()
    if "last" in which or "past" in which or (past and which != "next"):
        return _at(said - timedelta(days=(7 - ahead) if ahead else 7))
    return _at(said + timedelta(days=ahead or 7))


def _month(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    month = _MONTHS[match["month"].rstrip(".").lower()]
    groups = match.groupdict()
    day = int(groups.get("day") or 1)
    if groups.get("year"):
        return _at(date(int(groups["year"]), month, day))
    return _nearest(month, day, (groups.get("which") or "").lower(), said, past=past)


def _season(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    if match["year"]:
        return _at(date(int(match["year"]), _SEASONS[match["season"].lower()], 1))
    return _nearest(_SEASONS[match["season"].lower()], 1, (match["which"] or "").lower(), said, past=past)


def _nearest(month: int, day: int, which: str, said: date | None, *, past: bool) -> Period | None:
    """The month or day without a year: before the day it was said for the past, after it for the future."""
    if said is None:
        return None
    if which == "this":
        return _at(date(said.year, month, day))
    behind = "last" in which or "past" in which or (past and which != "next")
    this_year = date(said.year, month, day)
    if behind:
        # "last May" said in May means a year ago; "in May" said in May means now.
        too_late = this_year.replace(day=1) >= said.replace(day=1) if which == "last" else this_year > said
        return _at(date(said.year - 1, month, day) if too_late else this_year)
    return _at(this_year if this_year >= said.replace(day=1) else date(said.year + 1, month, day))


def _year(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    return _at(date(int(match["year"]), 1, 1))


def _since(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    inner = resolve("in " + match["rest"], said, past=True)
    return Period(inner.start, lasting=True) if inner else None


def _between(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    start, end = (datetime(int(match[part]), 1, 1, tzinfo=UTC) for part in ("year", "until"))
    return Period(start, end) if start < end else None


def _iso(match: re.Match[str], said: date | None, past: bool) -> Period | None:
    return _at(date.fromisoformat(match[0]))


def _pattern(text: str, *, keep_case: bool = False) -> re.Pattern[str]:
    return re.compile(text, 0 if keep_case else re.IGNORECASE)


# Earlier entries win where two match at the same place.
_PATTERNS: tuple[tuple[re.Pattern[str], Builder], ...] = (
    (_pattern(rf"\b(?:from|between)\s+{_YEAR}\s+(?:to|until|till|and|-)\s+(?P<until>(?:19|20)\d\d)\b"), _between),
    (_pattern(r"\bsince\s+(?P<rest>[\w ,.]{3,40})"), _since),
    (_pattern(rf"\b(?:for|over)\s+(?:the\s+(?:last|past)\s+)?(?:about\s+|over\s+)?{_COUNT}\s+{_UNIT}(?! old)"), _for),
    (_pattern(r"\b\d{4}-\d\d-\d\d\b"), _iso),
    (_pattern(r"\bday before yesterday\b"), _relative(-2)),
    (_pattern(r"\bday after tomorrow\b"), _relative(2)),
    (_pattern(r"\b(?:yesterday|last night)\b"), _relative(-1)),
    (_pattern(r"\btomorrow\b"), _relative(1)),
    (_pattern(r"\b(?:today|tonight|this (?:morning|afternoon|evening))\b"), _relative(0)),
    (_pattern(rf"\b{_COUNT}\s+{_UNIT}\s+(?:ago|back|earlier)\b"), _ago),
    (_pattern(rf"\bin\s+{_COUNT}\s+{_UNIT}(?! old)"), _in),
    (_pattern(rf"\b(?P<which>last|this past|this coming|this|next)\s+{_WEEKDAY}"), _weekday),
    (_pattern(r"\b(?P<which>last|this past|this|next|past)\s+(?P<span>weekend|week|month|year)\b"), _unit),
    (_pattern(rf"\b{_MONTH}\s+{_DAY}\b(?!:)(?:,?\s+{_YEAR})?", keep_case=True), _month),
    (_pattern(rf"\b{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?", keep_case=True), _month),
    (_pattern(rf"\b{_MONTH}\s+(?:of\s+)?{_YEAR}\b", keep_case=True), _month),
    (
        _pattern(
            rf"\b(?:(?P<which>[Ll]ast|[Tt]his|[Nn]ext)|[Ii]n|[Bb]ack in)\s+{_MONTH}(?!,?\s+(?:of\s+)?\d)",
            keep_case=True,
        ),
        _month,
    ),
    (_pattern(rf"\b(?:(?P<which>last|this past|this|next)|in(?: the)?)\s+{_SEASON}(?:\s+(?:of\s+)?{_YEAR})?"), _season),
    (_pattern(rf"\b(?P<which>on)\s+{_WEEKDAY}(?!s)"), _weekday),
    (_pattern(rf"\b(?:in|during|back in|of|by|until|till|early|late)\s+{_YEAR}\b"), _year),
)
