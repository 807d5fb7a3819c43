"""Times as people write them, in the office's zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.errors import UserError
from bystander.moments import from_ns, length, moment, to_ns

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # half past midnight on the 24th in Warsaw


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2026-11-23", "2026-11-22T23:00", "2026-11-23T23:00"),
        ("today", "2026-11-23T23:00", "2026-11-24T23:00"),
        ("yesterday", "2026-11-22T23:00", "2026-11-23T23:00"),
        ("2026-07-01", "2026-06-30T22:00", "2026-07-01T22:00"),
        ("2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours: the clocks are put back
        ("2026-11-23 20:46", "2026-11-23T19:46", "2026-11-23T19:46"),
        ("2026-11-23T20:46:10Z", "2026-11-23T20:46:10", "2026-11-23T20:46:10"),
        ("2026-11-23T20:46+05:00", "2026-11-23T15:46", "2026-11-23T15:46"),
        ("00:10", "2026-11-23T23:10", "2026-11-23T23:10"),
        ("2h", "2026-11-23T21:30", "2026-11-23T21:30"),
        ("3d", "2026-11-20T23:30", "2026-11-20T23:30"),
        (" 90M ", "2026-11-23T22:00", "2026-11-23T22:00"),
    ],
)
def test_times_people_write(text: str, begins: str, ends: str) -> None:
    for end, meant in ((False, begins), (True, ends)):
        assert moment(text, WARSAW, NOW, end=end) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "25:00", "999999w", "2026-02-30", "0001-01-01x"])
def test_what_is_no_time_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="not a time; write it as 2026-11-23"):
        moment(text, WARSAW, NOW)


@given(st.integers(0, 4_000_000_000_000_000))
def test_nanoseconds_and_back(microseconds: int) -> None:
    assert to_ns(from_ns(microseconds * 1000)) == microseconds * 1000


def test_lengths() -> None:
    assert [length(value) for value in (0, 20.4, 59.6, 3599.4, 3599.6, 7384)] == [
        *("0:00", "0:20", "1:00", "59:59", "1:00:00", "2:03:04"),
    ]
