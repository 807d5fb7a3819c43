"""Delay variation and drift: of clocks whose rate is known, with jitter, jumps and pauses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.clock import LATE, Clocks
from bystander.sniffer.delays import EDGES_MS, Delays
from bystander.sniffer.sequence import heads_of
from bystander.sniffer.timing import Timing

S = 1_000_000_000
T0 = 1_790_000_000 * S


def arrivals(n: int, ppm: float, jitter_ms: float, ptime_s: float = 0.02, seed: int = 1) -> np.ndarray:
    """Capture times of n packets of a sender whose clock is fast by ``ppm``, delayed at random."""
    late = np.random.default_rng(seed).exponential(jitter_ms * 1e6, n) if jitter_ms else np.zeros(n)
    times: np.ndarray = T0 + np.sort(np.arange(n) * ptime_s * 1e9 / (1 + ppm * 1e-6) + late).astype(np.int64)
    return times


def g711(times: np.ndarray, ts: np.ndarray | None = None, numbers: np.ndarray | None = None) -> Clocks:
    """Place packets of 20 ms as the table of streams does; ``numbers`` where they came out of order."""
    clocks = Clocks(2)
    clocks.start(1)
    stamps = np.arange(len(times)) * 160 if ts is None else ts
    extended = np.arange(len(times)) if numbers is None else numbers
    seconds = times // S
    for second in np.unique(seconds).tolist():
        at = np.flatnonzero(seconds == second)
        stream = np.ones(len(at), np.int64)
        clocks.place(
            stream,
            heads_of(stream),
            extended[at],
            stamps[at] & 0xFFFFFFFF,
            times[at],
            np.full(len(at), 160, np.int64),
        )
        clocks.end_window(np.ones(1, np.int64), second)
    return clocks


def other(times: np.ndarray, clock_hz: int, ptime_s: float = 0.02) -> Timing:
    """Time packets that are not G.711."""
    timing = Timing(2)
    timing.start(1)
    timing.measure(1, 111, clock_hz)
    stamps = (np.arange(len(times)) * round(clock_hz * ptime_s) + 2**32 - 5000) & 0xFFFFFFFF
    seconds = times // S
    for second in np.unique(seconds).tolist():
        at = np.flatnonzero(seconds == second)
        stream = np.ones(len(at), np.int64)
        timing.feed(stream, np.full(len(at), 111, np.uint8), stamps[at], times[at])
        timing.end_window(np.ones(1, np.int64), second)
    return timing


@pytest.mark.parametrize(("ppm", "jitter_ms"), [(-150.0, 0.2), (1.0, 0.2), (100.0, 5.0)])
def test_c16_drift_of_an_hour_within_one_part_per_million(ppm: float, jitter_ms: float) -> None:
    times = arrivals(180_000, ppm, jitter_ms)
    found = g711(times).delays.figures(1)
    assert found.drift_ppm is not None
    assert found.drift_error_ppm is not None
    assert found.drift_ppm == pytest.approx(ppm, abs=1.0)
    assert found.drift_error_ppm < 1.0
    assert found.seconds in (3600, 3601)


@pytest.mark.parametrize(("clock_hz", "ptime_s"), [(48_000, 0.02), (8_000, 0.03), (16_000, 0.02)])
def test_other_clocks_drift_as_well(clock_hz: int, ptime_s: float) -> None:
    timing = other(arrivals(60_000, 75, 1, ptime_s), clock_hz, ptime_s)
    found = timing.delays.figures(1)
    assert found.drift_ppm == pytest.approx(75, abs=1.5)


def test_g711_and_the_others_are_measured_alike() -> None:
    times = arrivals(3_000, 40, 3)
    clocks, timing = g711(times), other(times, 8000)
    assert timing.jitter.mean_ms(1) == pytest.approx(clocks.jitter.mean_ms(1), rel=1e-9)
    assert timing.jitter.most_ms(1) == pytest.approx(clocks.jitter.most_ms(1), rel=1e-9)
    one, two = clocks.delays.figures(1), timing.delays.figures(1)
    assert one.most_ms == pytest.approx(two.most_ms, abs=0.13)
    assert one.median_ms == pytest.approx(two.median_ms, abs=0.3)
    assert one.drift_ppm == pytest.approx(two.drift_ppm, abs=0.5)


def test_a_short_stream_has_no_drift() -> None:
    assert g711(arrivals(400, 100, 0.1)).delays.figures(1).drift_ppm is None


def test_what_cannot_be_told_is_not() -> None:
    """Twelve seconds of delays that jump about by 300 ms say nothing of clocks."""
    stalls = np.random.default_rng(3).integers(0, 300, 12) * 1_000_000
    times = arrivals(600, 0, 0) + np.repeat(stalls, 50)
    assert g711(np.sort(times)).delays.figures(1).drift_ppm is None


def test_a_jump_of_timestamps_begins_a_new_line() -> None:
    """The longer one counts, and the jump is no drift."""
    times = arrivals(30_000, 50, 0.5)
    stamps = np.arange(30_000) * 160
    stamps[20_000:] += 1_000_000
    found = g711(times, stamps).delays.figures(1)
    assert found.drift_ppm == pytest.approx(50, abs=2)


def test_delay_variation_is_that_of_each_second() -> None:
    times = arrivals(3000, 0, 0)
    times[np.arange(60) * 50 + 20] += 7_000_000
    times[1520] += 113_000_000 - 7_000_000
    order = np.argsort(times, kind="stable")
    found = g711(times[order], order * 160, order).delays.figures(1)
    assert found.most_ms == pytest.approx(113, abs=0.2)
    assert 5 <= found.median_ms <= 7.5
    assert 5 <= found.p95_ms <= 7.5


def test_packets_too_late_are_counted() -> None:
    times = arrivals(1000, 0, 0)
    late = np.array([125, 330, 331, 332])
    times[late] += (LATE // 8 + 3) * 1_000_000
    times[700] += (LATE // 8 - 3) * 1_000_000
    order = np.argsort(times, kind="stable")
    assert int(g711(times[order], order * 160, order).late[1]) == 4


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=400))
def test_quantiles_are_within_their_bins(spreads: list[int]) -> None:
    delays = Delays(1)
    for second, spread in enumerate(spreads):
        delays.note(np.zeros(1, np.int64), second, np.zeros(1, np.int64), np.array([spread]))
    found = delays.figures(0)
    ordered = sorted(spread / 8 for spread in spreads)
    edges = [0.0, *EDGES_MS, ordered[-1] + 1]
    for share, said in ((0.5, found.median_ms), (0.95, found.p95_ms)):
        exact = ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]
        at = next(i for i in range(len(edges) - 1) if exact <= edges[i + 1])
        assert edges[at] - 1e-9 <= said <= min(edges[at + 1], ordered[-1]) + 1e-9
    assert found.most_ms == ordered[-1]
