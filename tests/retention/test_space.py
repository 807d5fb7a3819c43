"""C19: room is watched, because nothing within its term is erased to make some."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bystander.retention.space import days_left, may_record

GB = 1 << 30


def test_new_calls_stop_below_the_reserve_and_begin_again_a_tenth_above() -> None:
    assert may_record(GB, GB, may_now=True)
    assert not may_record(GB - 1, GB, may_now=True)
    assert not may_record(GB, GB, may_now=False)
    assert may_record(GB + GB // 10 + 1, GB, may_now=False)


@given(st.lists(st.integers(0, 4 * GB), max_size=50))
def test_it_does_not_flap(rooms: list[int]) -> None:
    """Between two changes of mind lies a tenth of the reserve at least."""
    may, last = True, None
    for room in rooms:
        now = may_record(room, GB, may_now=may)
        if now != may:
            if last is not None:
                assert abs(room - last) >= GB // 10
            may, last = now, room
        assert may or room < 1.1 * GB
        assert not may or room >= GB


def test_days_left() -> None:
    week = 7 * 86_400.0
    assert days_left(71 * GB, GB, 7 * GB, week) == 70
    assert days_left(GB, GB, 7 * GB, week) == 0
    assert days_left(GB // 2, GB, 7 * GB, week) == 0
    # half a week of history is half a week of recordings
    assert days_left(71 * GB, GB, 7 * GB, week / 2) == 35


def test_nothing_is_forecast_from_nothing() -> None:
    assert days_left(GB, 0, 0, 86_400.0) is None
    assert days_left(GB, 0, GB, 60.0) is None
