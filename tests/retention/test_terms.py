"""R10: three months to the day, by the Civil Code, in the office's time."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.retention.terms import Rule, Terms, last_day, reaches

WARSAW = ZoneInfo("Europe/Warsaw")


def at(zone: ZoneInfo, *moment: int) -> int:
    return int(datetime(*moment, tzinfo=zone).timestamp()) * 1_000_000_000  # type: ignore[misc, arg-type]


def ends(zone: ZoneInfo, *moment: int, months: int = 3) -> str:
    return Terms(months, zone=zone).end(at(zone, *moment), "incoming", ["101"], []).delete_after


@pytest.mark.parametrize(
    ("recorded", "last"),
    [
        ((2026, 8, 31), "2026-11-30"),
        ((2026, 11, 30), "2027-02-28"),
        ((2026, 11, 29), "2027-02-28"),
        ((2026, 11, 28), "2027-02-28"),
        ((2026, 11, 27), "2027-02-27"),
        ((2027, 11, 30), "2028-02-29"),
        ((2099, 11, 30), "2100-02-28"),
        ((2026, 12, 31), "2027-03-31"),
        ((2026, 1, 15), "2026-04-15"),
        ((2028, 2, 29), "2028-05-29"),
    ],
)
def test_r10_the_term_ends_with_the_day_of_the_same_number(recorded: tuple[int, ...], last: str) -> None:
    term = Terms(3, zone=WARSAW).end(at(WARSAW, *recorded, 12), "incoming", [], [])
    assert term.last_day.isoformat() == last
    assert term.delete_after.startswith(last)


@pytest.mark.parametrize(
    ("recorded", "end"),
    [
        # ends on the day that the clocks go back (25 hours), and on the day that they go forward (23)
        ((2026, 7, 25, 9), "2026-10-25T22:59:59.999Z"),
        ((2026, 12, 28, 9), "2027-03-28T21:59:59.999Z"),
        # over the change and not on it
        ((2026, 8, 31, 12), "2026-11-30T22:59:59.999Z"),
        ((2027, 1, 31, 12), "2027-04-30T21:59:59.999Z"),
        # one second decides
        ((2026, 8, 30, 23, 59, 59), "2026-11-30T22:59:59.999Z"),
        ((2026, 8, 31, 0, 0, 0), "2026-11-30T22:59:59.999Z"),
        ((2026, 9, 1, 0, 0, 0), "2026-12-01T22:59:59.999Z"),
    ],
)
def test_r10_across_the_clock_changes(recorded: tuple[int, ...], end: str) -> None:
    assert ends(WARSAW, *recorded) == end


def test_the_day_is_the_offices_not_the_machines() -> None:
    late = int(datetime(2026, 8, 31, 22, 30, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert Terms(3, zone=WARSAW).end(late, "", [], []).last_day == date(2026, 12, 1)
    assert Terms(3, zone=ZoneInfo("UTC")).end(late, "", [], []).last_day == date(2026, 11, 30)


@given(st.dates(date(1971, 1, 1), date(8000, 1, 1)), st.integers(0, 240))
def test_months_by_a_second_formulation(begin: date, months: int) -> None:
    """Month by month on the calendar: the same number, or the last day of a month that has it not."""
    year, month = begin.year, begin.month
    for _ in range(months):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    same = min(begin.day, calendar.monthrange(year, month)[1])
    assert last_day(begin, months) == date(year, month, same)


@given(
    st.sampled_from(
        ["Europe/Warsaw", "UTC", "Africa/Cairo", "Asia/Beirut", "America/Sao_Paulo", "Asia/Kathmandu"]
    ),
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001
    st.integers(0, 24),
)
def test_the_end_is_the_last_millisecond_of_the_last_day(zone: str, begin: datetime, months: int) -> None:
    """Where midnight does not exist, or comes twice, too."""
    here = ZoneInfo(zone)
    recorded = begin.replace(tzinfo=here)
    term = Terms(months, zone=here).end(int(recorded.timestamp()) * 1_000_000_000, "", [], [])
    end = datetime.fromisoformat(term.delete_after)
    assert end.astimezone(here).date() == term.last_day
    behind = end + timedelta(milliseconds=1)
    assert behind.astimezone(here).date() > term.last_day
    # never the last day again after that
    later = [(behind + timedelta(minutes=10 * n)).astimezone(here).date() for n in range(30)]
    assert min(later) > term.last_day


@given(st.integers(-(2**80), 2**80))
def test_nonsense_times_have_a_term(time_ns: int) -> None:
    term = Terms(3, zone=WARSAW).end(time_ns, "", [], [])
    assert date(1970, 4, 1) <= term.last_day <= date(9000, 4, 2)


def test_the_first_rule_that_fits() -> None:
    rules = [
        Rule("emergency", months=12, number="112"),
        Rule("operator", months=6, direction="incoming", trunk="203.0.113.0/24"),
        Rule("extension", months=4, number=r"/^1\d\d$/"),
    ]
    terms = Terms(3, rules=rules, zone=WARSAW)
    day = at(WARSAW, 2026, 1, 15, 12)
    assert terms.end(day, "outgoing", ["101", "112"], []).rule == "emergency"
    assert terms.end(day, "incoming", ["600", "700"], ["203.0.113.5", "10.0.0.1"]).rule == "operator"
    assert terms.end(day, "outgoing", ["600", "700"], ["203.0.113.5"]).rule == "default"
    assert terms.end(day, "internal", ["101", "600"], []).last_day == date(2026, 5, 15)
    assert terms.end(day, "unknown", ["", "anonymous"], ["not an address"]).last_day == date(2026, 4, 15)


def test_no_rule_is_shorter_than_the_floor() -> None:
    with pytest.raises(ValueError, match="spam: shorter than the floor of 3 months"):
        Terms(3, rules=[Rule("spam", days=80)])
    with pytest.raises(ValueError, match="default: shorter than the floor of 6 months"):
        Terms(3, floor_months=6)
    assert Terms(3, floor_months=1, rules=[Rule("short", months=1)])


@given(
    st.dates(date(1999, 1, 1), date(2100, 1, 1)), st.integers(0, 6), st.integers(0, 200), st.integers(0, 6)
)
def test_what_reaches_the_floor_reaches_it_from_every_day(
    begin: date, months: int, days: int, floor: int
) -> None:
    if reaches(months, days, floor):
        assert last_day(begin, months, days) >= last_day(begin, floor)
