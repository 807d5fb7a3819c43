"""Until when a recording is kept (R10): calendar months by the Civil Code's rule, in the office's time zone.

Article 112 of the Polish Civil Code: a term in months ends with the day that has the same number as the day
it began, or with the last day of the month where there is none. A recording of 31 August, kept three months,
is kept until the end of 30 November.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from dateutil.relativedelta import relativedelta

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_S: Final = 1_000_000_000
_DIGITS: Final = re.compile(r"\D")
#: Times outside of these are nonsense (a capture can hold any number); their terms are those of the bounds.
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long calls of one kind are kept: months and days on top. What is None fits every call.

    ``number`` is a prefix of digits or a regular expression between slashes, as the office's own numbers are
    written; ``trunk`` an address or network that the call's signalling came through.
    """

    name: str
    months: int = 0
    days: int = 0
    direction: str | None = None
    number: str | None = None
    trunk: str | None = None

    def fits(self, direction: str, numbers: Iterable[str], addresses: Iterable[str]) -> bool:
        """Return whether a call is of this rule's kind."""
        if self.direction is not None and direction != self.direction:
            return False
        if self.number is not None and not any(_is_number(self.number, number) for number in numbers):
            return False
        return self.trunk is None or any(_is_in(self.trunk, address) for address in addresses)


@dataclass(frozen=True, slots=True)
class Term:
    """The end of a term: its last day, its last millisecond (RFC 3339, UTC), and the rule that set it."""

    last_day: date
    delete_after: str
    rule: str


class Terms:
    """The terms of an office. ``zone`` None is the machine's. ``rules`` are asked in order, then ``months``.

    Raises ValueError for a rule that is shorter than the floor: what the ordinance promises is kept.
    """

    def __init__(
        self,
        months: int,
        floor_months: int | None = None,
        rules: Sequence[Rule] = (),
        zone: tzinfo | None = None,
    ) -> None:
        self.floor_months = months if floor_months is None else floor_months
        self._default = Rule(DEFAULT, months)
        self._rules = (*rules, self._default)
        self._zone = zone
        for rule in self._rules:
            if not reaches(rule.months, rule.days, self.floor_months):
                raise ValueError(f"{rule.name}: shorter than the floor of {self.floor_months} months")

    def end(self, recorded_ns: int, direction: str, numbers: Iterable[str], addresses: Iterable[str]) -> Term:
        """Return the term of a call that began at ``recorded_ns`` (ns UTC)."""
        numbers, addresses = list(numbers), list(addresses)
        rule = next((rule for rule in self._rules if rule.fits(direction, numbers, addresses)), self._default)
        last = last_day(day_of(recorded_ns, self._zone), rule.months, rule.days)
        floor = last_day(day_of(recorded_ns, self._zone), self.floor_months)
        last = max(last, floor)
        return Term(last, _rfc3339(_end_of(last, self._zone)), rule.name)


def last_day(begin: date, months: int, days: int = 0) -> date:
    """Return the day with which a term ends that begins on ``begin``."""
    return begin + relativedelta(months=months, days=days)


def day_of(time_ns: int, zone: tzinfo | None) -> date:
    """Return the day in the zone; nonsense times are taken for the nearest that is not."""
    try:
        moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    except OverflowError:
        moment = _LATEST if time_ns > 0 else _EARLIEST
    return min(max(moment, _EARLIEST), _LATEST).astimezone(zone).date()


def reaches(months: int, days: int, floor_months: int) -> bool:
    """Return whether a term is never shorter than the floor, whatever day it begins on."""
    # 28 days are the shortest month, 31 the longest.
    return months >= floor_months or months * 28 + days >= floor_months * 31


def _end_of(day: date, zone: tzinfo | None) -> datetime:
    """Return the last instant of a day in a zone, to the millisecond, UTC.

    The next day begins at midnight, but not where clocks change at midnight: there it begins at 01:00, or its
    midnight comes twice. So it is looked for: the first instant that the zone counts to a later day for good.
    """
    late = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=40)
    early = late - timedelta(hours=32)
    while late - early > timedelta(milliseconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).date() > day and not _comes_back(middle, day, zone):
            late = middle
        else:
            early = middle
    # `late` is within a millisecond behind the boundary, which is on a whole second.
    return late.replace(microsecond=0) - timedelta(milliseconds=1)


def _comes_back(moment: datetime, day: date, zone: tzinfo | None) -> bool:
    """Return whether the zone, having begun the next day, is set back into ``day`` within three hours."""
    return any(
        (moment + timedelta(minutes=15 * step)).astimezone(zone).date() <= day for step in range(1, 13)
    )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_number(pattern: str, number: str) -> bool:
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        return re.search(pattern[1:-1], number) is not None
    wanted = _DIGITS.sub("", pattern)
    return bool(wanted) and _DIGITS.sub("", number).startswith(wanted)


def _is_in(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
