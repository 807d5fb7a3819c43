"""Capture times that are nonsense are set right by their neighbours (C18); all others stay as they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.frames import mended

S = 1_000_000_000
YEAR = 365 * 86_400 * S


def test_one_wrong_time() -> None:
    times = np.arange(50, 60) * YEAR // 50
    assert mended(times) is times
    for wrong in (0, 2**32 * S, -5):
        spoilt = times.copy()
        spoilt[4] = wrong
        right = mended(spoilt)
        assert right[4] == times[3]
        assert np.array_equal(np.delete(right, 4), np.delete(times, 4))
        assert spoilt[4] == wrong


def test_captures_of_two_years_in_one_block_stay() -> None:
    times = np.array([1, 2, 3, 3 * YEAR, 3 * YEAR + 1, 3 * YEAR + 2])
    assert np.array_equal(mended(times), times)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_any_times_at_all(times: list[int]) -> None:
    """Nothing is raised, and every time is one that was there."""
    given_times = np.array(times, np.int64)
    assert set(mended(given_times).tolist()) <= set(times)
