"""The rate of a sender's clock by its reports: found where they are honest, not told where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.delays import MOST_PPM, WORST_PPM, Slope
from bystander.sniffer.senderclock import MAX_REPORTS, Report, SenderReports, agree, clock_slope

S = 1_000_000_000
T0 = 1_790_000_000 * S


def reports(
    ppm: float = 0.0,
    *,
    seconds: int = 60,
    every: float = 5.0,
    clock_hz: int = 8000,
    late_ms: float = 40.0,
    apart_s: float = 0.0,
    wall_ppm: float = 0.0,
    seed: int = 1,
) -> list[Report]:
    """What a sender says every few seconds whose RTP clock is fast by ``ppm``, delayed on its way."""
    random = np.random.default_rng(seed)
    at = np.arange(0, seconds, every) + random.uniform(0, 0.3, len(np.arange(0, seconds, every)))
    late = random.uniform(0, late_ms / 1000, len(at))
    return [
        Report(
            T0 + int((when + way) * S),
            T0 + int((when * (1 + wall_ppm * 1e-6) + apart_s) * S),
            round(when * clock_hz * (1 + ppm * 1e-6)),
        )
        for when, way in zip(at.tolist(), late.tolist(), strict=True)
    ]


@given(st.floats(-500, 500), st.sampled_from([8000, 16000, 48000]), st.integers(0, 10**6))
def test_c16_an_honest_sender_within_four_parts_per_million(ppm: float, clock_hz: int, seed: int) -> None:
    """However the network delays the reports, by up to 40 ms."""
    found = clock_slope(reports(ppm, clock_hz=clock_hz, seed=seed), clock_hz)
    if found is None:
        # By chance the delays of twelve reports may look like a wall clock that drifts.
        assert clock_slope(reports(ppm, clock_hz=clock_hz, late_ms=0), clock_hz) is not None
    else:
        assert found.ppm == pytest.approx(ppm, abs=4)
        assert found.error_ppm < 4


def test_its_error_is_told() -> None:
    """Of 200 senders three standard errors contain nearly all."""
    outside = 0
    for seed in range(200):
        found = clock_slope(reports(77, seconds=30, seed=seed, late_ms=0), 8000)
        assert found is not None
        outside += abs(found.ppm - 77) > 3 * found.error_ppm
    assert outside <= 10


def _last_packet(said: list[Report]) -> list[Report]:
    return [report._replace(ticks=report.ticks // 160 * 160) for report in said]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([r._replace(ticks=0) for r in reports()], id="zero, as old routers say"),
        pytest.param([r._replace(ticks=r.ticks * 7014 // 8000) for r in reports()], id="another rate"),
        pytest.param(_last_packet(reports(seconds=30)), id="the last packet's"),
        pytest.param(reports(apart_s=19_800), id="another time zone"),
        pytest.param(reports(apart_s=-1_790_000_000), id="since it was switched on"),
        pytest.param(reports(apart_s=0.6), id="set by nobody"),
        pytest.param(reports(wall_ppm=300, late_ms=1), id="a wall clock that drifts"),
        pytest.param(
            [r._replace(wall_ns=r.wall_ns + (n > 5) * S // 5) for n, r in enumerate(reports())],
            id="a wall clock that is set",
        ),
        pytest.param([r._replace(wall_ns=T0) for r in reports()], id="a wall clock that stands still"),
        pytest.param(list(reversed(reports())), id="backwards"),
        pytest.param(
            [r._replace(ticks=r.ticks + (n > 5) * 800) for n, r in enumerate(reports())],
            id="timestamps that jump",
        ),
        pytest.param(reports(2500), id="no crystal"),
        pytest.param(reports()[:3], id="too few"),
        pytest.param(reports(every=0.5)[:10], id="too short"),
        pytest.param([], id="none"),
    ],
)
def test_what_cannot_be_believed_is_not(said: list[Report]) -> None:
    assert clock_slope(said, 8000) is None


numbers = st.integers(-(2**63), 2**63)


@given(st.lists(st.builds(Report, numbers, numbers, numbers), max_size=20), st.integers(0, 200_000))
def test_whatever_is_said_nothing_raises_and_what_is_told_is_possible(
    said: list[Report], clock_hz: int
) -> None:
    found = clock_slope(said, clock_hz)
    assert found is None or (abs(found.ppm) <= MOST_PPM and 0 <= found.error_ppm <= WORST_PPM)


@given(st.integers(0, 700))
def test_what_is_remembered_is_bounded_and_spans_the_stream(count: int) -> None:
    held = SenderReports()
    for n in range(count):
        held.add(Report(n, n, n))
    kept = [report.ticks for report in held.reports]
    assert len(kept) <= MAX_REPORTS
    assert kept == sorted(kept)
    if count:
        assert kept[0] == 0
        assert kept[-1] >= count - 1 - 2 * count // MAX_REPORTS
        assert len(set(np.diff(kept).tolist())) <= 1


def test_estimates_that_may_both_be_right_agree() -> None:
    assert agree(Slope(10, 3), Slope(40, 20))
    assert not agree(Slope(10, 3), Slope(60, 20))
