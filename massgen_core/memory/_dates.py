"""Dates in a question, and whether a time is one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NAMED: Final = re.compile(
    r"\b(?:(jan)(?:uary)?|(feb)(?:ruary)?|(march)|(apr)(?:il)?|(may)|(june)|(july)|(aug)(?:ust)?"
    r"|(sept?)(?:ember)?|(oct)(?:ober)?|(nov)(?:ember)?|(dec)(?:ember)?)\b"
)
_VERBS: Final = re.compile(r"\b(?:in|of|since|until|by|last|this|\d+(?:st|nd|rd|th)?) $")
"""What stands before *may* and *march* where they are months."""
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True, slots=True)
class DateHint:
    """The months and years a question names.

    Attributes:
        years: Empty for any.
        months: From 0; empty for any.
    """

    years: frozenset[int]
    months: frozenset[int]

    def fits(self, month: int) -> bool:
        """Whether a month (see `month_of`) is named, or is the one after: things are told later."""
        year, place = divmod(month, 12)
        earlier = (month - 1) // 12
        if not self.months:
            return year in self.years
        if place in self.months and (not self.years or year in self.years):
            return True
        return (place - 1) % 12 in self.months and (not self.years or earlier in self.years)


def date_hint(query: str) -> DateHint | None:
    """The months and years an English question names; None if there are none."""
    low = query.lower()
    months = {
        month
        for match in _NAMED.finditer(low)
        if (month := next(n for n, name in enumerate(match.groups()) if name)) not in _ALSO_VERBS
        or _is_month(low, match)
    }
    years = {int(year) for year in _YEAR.findall(low)}
    return DateHint(frozenset(years), frozenset(months)) if months or years else None


def month_of(time: float | None) -> int | None:
    """Months since the year 0 of a time (seconds since the epoch, UTC); None if it is no date."""
    day = _day(time)
    return None if day is None else day.year * 12 + day.month - 1


def spelled(time: float | None) -> str:
    """The day in words, e.g. ``8 May 2023``; empty if it is no date."""
    day = _day(time)
    return "" if day is None else f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


_ALSO_VERBS: Final = (2, 4)


def _is_month(text: str, match: re.Match[str]) -> bool:
    follows = re.match(r",? \d", text[match.end() :])
    return bool(follows or _VERBS.search(text[: match.start()]))


def _day(time: float | None) -> datetime | None:
    if time is None:
        return None
    try:
        return _EPOCH + timedelta(seconds=time)
    except (OverflowError, ValueError):  # beyond the calendar, or not a number
        return None
