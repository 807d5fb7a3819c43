"""The clock of a sender by its own sender reports (RFC 3550 §6.4.1), as far as they can be believed.

A sender report says which RTP timestamp its sender's wall clock gives to a moment. No network delays that, so
a few reports tell the rate of the RTP clock where arrivals are too unsteady to; but they tell it against the
sender's wall clock, and of telephones' wall clocks many were never set, and of their timestamps many are made
up: zero, that of the last packet, a count that stands still. So a rate is told only where

- the wall clock agrees with the capture's to half a second, all through: then it is set by the same time;
- reports take about the same time on their way, and no clock was set in between;
- timestamps lie on a line so straight that its slope is known to ten parts per million.

Whoever uses it compares it with arrivals first (`agree`). It moves no sample: see docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from bystander.sniffer.delays import MOST_PPM, WORST_PPM, Slope

#: Reports remembered of a stream; beyond, every other one is forgotten, and of later ones as many.
MAX_REPORTS: Final = 64
#: Fewer reports, or of a shorter time, tell nothing.
_LEAST: Final = 4
_LEAST_NS: Final = 8_000_000_000
#: A wall clock further from the capture's was not set by the same time.
_APART_NS: Final = 500_000_000
#: Reports differ in their delay by less, or a clock was set in between.
_DELAYS_NS: Final = 100_000_000
#: Standard errors within which an estimate is right, nearly always, and two of one rate lie.
_ERRORS: Final = 3.0
_AGREE: Final = 2.0
_S: Final = 1e9


class Report(NamedTuple):
    """A sender report: when it was captured, the sender's wall clock (both ns), extended RTP timestamp."""

    captured_ns: int
    wall_ns: int
    ticks: int


class SenderReports:
    """The reports of one stream, thinned out as they become many, so that they span all of it."""

    __slots__ = ("_every", "_seen", "reports")

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._seen = 0
        self._every = 1

    def add(self, report: Report) -> None:
        """Take the next report."""
        if self._seen % self._every == 0:
            if len(self.reports) >= MAX_REPORTS:
                del self.reports[1::2]
                self._every *= 2
            if self._seen % self._every == 0:
                self.reports.append(report)
        self._seen += 1


def clock_slope(reports: Sequence[Report], clock_hz: int) -> Slope | None:
    """Return how much faster than its wall clock a sender's RTP clock runs; None where that is not sure."""
    if len(reports) < _LEAST or clock_hz <= 0:
        return None
    first = reports[0]
    captured, wall, ticks = (
        np.array([report[field] - first[field] for report in reports], np.float64) / unit
        for field, unit in ((0, _S), (1, _S), (2, clock_hz))
    )
    if wall[-1] * _S < _LEAST_NS or (np.diff(wall) <= 0).any() or (np.diff(captured) <= 0).any():
        return None
    apart = captured - wall + (first.captured_ns - first.wall_ns) / _S
    if np.abs(apart).max() * _S > _APART_NS or np.ptp(apart) * _S > _DELAYS_NS:
        return None
    drift = _line(wall, ticks - wall, 1 / clock_hz)
    # A wall clock that is seen to run at another rate than the capture's is not set by the same time.
    wandering = _line(wall, apart, 0.0)
    if abs(wandering.ppm) > _ERRORS * wandering.error_ppm + WORST_PPM:
        return None
    return drift if drift.error_ppm <= WORST_PPM and abs(drift.ppm) <= MOST_PPM else None


def agree(one: Slope, other: Slope) -> bool:
    """Tell whether two estimates of one rate may both be right."""
    return abs(one.ppm - other.ppm) <= _AGREE * float(np.hypot(one.error_ppm, other.error_ppm))


def _line(
    x: np.ndarray[tuple[int], np.dtype[np.float64]],
    y: np.ndarray[tuple[int], np.dtype[np.float64]],
    step: float,
) -> Slope:
    """Return the slope of a line by least squares, s/s, of values that are no finer than ``step``."""
    across = x - x.mean()
    width = float(across @ across)
    slope = float(across @ y) / width
    rest = y - y.mean() - slope * across
    spread = max(float(rest @ rest) / (len(x) - 2), step * step / 12)
    return Slope(slope * 1e6, (spread / width) ** 0.5 * 1e6)
