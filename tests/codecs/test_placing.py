"""Where kept packets belong in time: loss, reordering, wraps, jumps, stalls, drift (C14, C16)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.codecs.placing import place, unwrapped

Array = np.ndarray[Any, Any]
MS = 1_000_000
T0 = 1_790_000_000_000_000_000


def at(seq: Array, ts: Array, time_ns: Array, clock_hz: int = 48000) -> Array:
    """Where each packet begins, in µs after T0, in the order of the packets given."""
    placed = place(seq.astype(np.int64), (ts % 2**32).astype(np.uint32), time_ns.astype(np.int64), clock_hz)
    out = np.empty(len(seq), np.int64)
    out[placed.order] = placed.positions(T0, 1_000_000)
    return out


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([8000, 16000, 44100, 48000]),
    st.integers(0, 10**6),
)
@settings(max_examples=30)
def test_whatever_the_network_did_samples_follow_one_another(first: int, clock_hz: int, seed: int) -> None:
    """Jitter, loss and reordering move nothing against the timestamps; 32 bits may wrap."""
    random = np.random.default_rng(seed)
    n = np.flatnonzero(random.random(400) > 0.05)
    ticks = clock_hz // 50
    sent_ns = n * ticks * 1_000_000_000 // clock_hz
    order = np.argsort(sent_ns + random.integers(0, 45, len(n)) * MS, kind="stable")
    arrived = T0 + np.sort(sent_ns + random.integers(0, 45, len(n)) * MS)
    placed = place(n[order], ((first + n[order] * ticks) % 2**32).astype(np.uint32), arrived, clock_hz)
    position = placed.positions(T0, clock_hz)
    assert (np.diff(position) == np.diff(n) * ticks).all()
    assert abs(int(position[0]) - int(n[0]) * ticks) < 0.05 * clock_hz


def test_the_least_delayed_packet_is_the_anchor() -> None:
    n = np.arange(200)
    late = np.where(n < 20, 80 * MS, 5 * MS)
    assert at(n, n * 960, T0 + n * 20 * MS + late)[0] == 5000


def test_a_pause_in_time_but_not_in_timestamps_stays_a_pause() -> None:
    """A phone on hold whose timestamps stand still meanwhile."""
    n = np.arange(200)
    time = T0 + n * 20 * MS + np.where(n >= 100, 30_000 * MS, 0)
    where = at(n, n * 960, time)
    assert where[99] == 99 * 20_000
    assert where[100] == 100 * 20_000 + 30_000_000


def test_timestamps_that_start_over_are_anchored_anew() -> None:
    n = np.arange(200)
    where = at(n, np.where(n < 100, n * 960, n * 960 + 123_456_789), T0 + n * 20 * MS)
    assert np.abs(where - n * 20_000).max() <= 1


def test_a_stalled_network_moves_nothing() -> None:
    """1.5 s of packets come at once: the timestamps were right."""
    n = np.arange(400)
    time = T0 + n * 20 * MS
    time[100:176] = T0 + 175 * 20 * MS + (n[100:176] - 100) * MS // 10
    assert (at(n, n * 960, time) == n * 20_000).all()


@pytest.mark.parametrize("ppm", [100, -100])
def test_a_clock_that_drifts_is_followed_and_never_by_a_jump(ppm: int) -> None:
    """C16: after an hour, 100 ppm are 0.36 s; 20 ms are allowed."""
    n = np.arange(0, 180_000)
    random = np.random.default_rng(5)
    time = T0 + (n * 20 * MS * (1 + ppm * 1e-6)).astype(np.int64) + random.integers(0, 15, len(n)) * MS
    where = at(n, n * 960, time)
    true = n * 20_000 * (1 + ppm * 1e-6)
    assert np.abs(where - true).max() < 20_000
    assert np.abs(np.diff(where) - 20_000).max() <= 501


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20), st.integers(0, 2**32 - 1))
def test_timestamps_unwrap_to_the_steps_that_were_made(steps: list[int], first: int) -> None:
    true = np.concatenate(([0], np.cumsum(np.array(steps, np.int64))))
    assert (unwrapped(((first + true) % 2**32).astype(np.uint32)) == true).all()


@pytest.mark.parametrize("ppm", [100, -100])
def test_c16_after_a_hold_of_an_hour_the_capture_clock_says_where_it_goes_on(ppm: int) -> None:
    """Timestamps that ran on through it are 360 ms wrong by its end."""
    sent_s = np.concatenate([np.arange(500) * 0.02, 3610 + np.arange(500) * 0.02])
    ts = np.rint(sent_s * 48_000 * (1 + ppm * 1e-6)).astype(np.int64).astype(np.uint32)
    late = np.random.default_rng(1).exponential(2e6, 1000)
    time_ns = (sent_s * 1e9 + late).astype(np.int64)
    placed = place(np.arange(1000), ts, time_ns, 48_000)
    where_s = placed.positions(0, 48_000) / 48_000
    assert np.abs(where_s - sent_s)[500:].max() < 0.012
    assert np.abs(where_s - sent_s)[:500].max() < 0.012


@pytest.mark.parametrize("ppm", [-5000, -1000, -500, 500, 1000, 5000])
def test_c16_a_clock_that_is_no_crystal_is_followed(ppm: int) -> None:
    n = np.arange(600 * 50)
    sent_s = n * 0.02 / (1 + ppm * 1e-6)
    late_s = np.random.default_rng(5).exponential(0.002, len(n))
    came_ns = np.maximum.accumulate(T0 + ((sent_s + late_s) * 1e9).astype(np.int64))
    assert np.abs(at(n, n * 960, came_ns) / 1e6 - sent_s).max() < 0.02


@pytest.mark.parametrize("drains_s", [0.5, 3.0, 8.0])
def test_a_queue_that_drains_at_the_start_does_not_make_the_stream_late(drains_s: float) -> None:
    n = np.arange(2000)
    late = np.maximum(0, 300 * MS * (1 - n * 0.02 / drains_s)).astype(np.int64)
    where = at(n, n * 960, T0 + n * 20 * MS + late)
    assert np.abs(where - n * 20_000).max() < 3000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=90), st.integers(0, 10**6))
def test_whatever_the_network_does_no_packet_lies_before_it_was_sent_or_after_it_came(
    seconds_ms: list[int], seed: int
) -> None:
    n = np.arange(50 * len(seconds_ms))
    late_ms = np.interp(n * 0.02, np.arange(len(seconds_ms)), np.array(seconds_ms))
    late_ms += np.random.default_rng(seed).uniform(0, 30, len(n))
    came = np.maximum.accumulate(n * 20 * MS + (late_ms * MS).astype(np.int64))
    where = at(n, n * 960, T0 + came)
    assert (where >= n * 20_000 - 500).all()
    assert (where <= n * 20_000 + (came - n * 20 * MS).max() // 1000 + 500).all()
