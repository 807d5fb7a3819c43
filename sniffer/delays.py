"""How evenly packets come, and how fast the sender's clock runs, of many streams at once.

Fed once a second per stream with the least and the greatest delay of the packets of that second, relative to
their timestamps. The difference of the two is the delay variation of that second (RFC 5481's PDV, its
reference the earliest packet of the second, so that the drift of clocks does not count). The least delays,
one a second, lie on a line whose slope tells the drift of the sender's clock against that of the capture:
late packets do not bend it, as the least delay is that of the packet that waited for nothing. The slope is
that of least squares, with its standard error; where timestamps jump a new line is begun, and the longest
counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Delays are counted in samples of 8 kHz, 125 µs.
UNITS_PER_MS: Final = 8
_UNITS_PER_S: Final = 8000
#: Upper edges of the histogram of delay variation, ms.
EDGES_MS: Final = (0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000)
_EDGES = np.array(EDGES_MS) * UNITS_PER_MS
#: Seconds that a line of delays must have before its slope says anything.
_LEAST_S: Final = 10
#: A slope less certain than this (parts per million) is not told.
WORST_PPM: Final = 10.0
#: No crystal is off by more; a steeper line is of timestamps that count something else.
MOST_PPM: Final = 1000.0
_SUMS: Final = 6
#: A line that a stream is placed by has so many seconds, and a slope of at least so many of its errors.
_SURE_S: Final = 20
_SURE: Final = 10.0

Ints = NDArray[np.int64]


class Slope(NamedTuple):
    """How much faster one clock runs than another, and the standard error of that, parts per million."""

    ppm: float
    error_ppm: float


@dataclass(slots=True, frozen=True)
class DelayFigures:
    """Delay variation over the ``seconds`` in which packets came, ms, and the drift of the sender's clock.

    ``drift_ppm`` is positive where the sender's clock is fast: packets come ever earlier than their
    timestamps say. None: not known. ``slope`` is what it was taken from, however uncertain that is; None
    where there is not even a line.
    """

    seconds: int = 0
    median_ms: float = 0.0
    p95_ms: float = 0.0
    most_ms: float = 0.0
    drift_ppm: float | None = None
    drift_error_ppm: float | None = None
    slope: Slope | None = None


#: Of a stream that was never timed.
NO_DELAYS: Final = DelayFigures()


class Delays:
    """Delay variation and drift of each stream; arrays are indexed by stream number."""

    def __init__(self, capacity: int) -> None:
        self._bins = np.zeros((capacity, len(EDGES_MS) + 1), np.uint32)
        self._most = np.zeros(capacity, np.int64)
        self._began = np.zeros(capacity, np.int64)
        self._reference = np.zeros(capacity, np.int64)
        # n and the sums of x, y, xx, xy, yy of the line in progress, and of the longest before it.
        self._line = np.zeros((capacity, _SUMS))
        self._longest = np.zeros((capacity, _SUMS))

    def start(self, stream: int) -> None:
        """Forget whatever this number meant before."""
        self._bins[stream] = 0
        self._most[stream] = 0
        self._line[stream] = self._longest[stream] = 0.0

    def restart(self, stream: int) -> None:
        """Begin a new line: the stream's timestamps have jumped."""
        if self._line[stream, 0] > self._longest[stream, 0]:
            self._longest[stream] = self._line[stream]
        self._line[stream] = 0.0

    def note(self, streams: Ints, second: int, least: Ints, most: Ints) -> None:
        """Take the least and the greatest delay of a second, each stream at most once."""
        spread = most - least
        bins = np.searchsorted(_EDGES, spread, side="left")
        self._bins[streams, bins] += np.uint32(1)
        self._most[streams] = np.maximum(self._most[streams], spread)
        fresh = streams[self._line[streams, 0] == 0]
        self._began[fresh] = second
        if len(fresh):
            self._reference[fresh] = least[self._line[streams, 0] == 0]
        x = (second - self._began[streams]).astype(np.float64)
        y = (least - self._reference[streams]).astype(np.float64)
        self._line[streams] += np.stack((np.ones(len(x)), x, y, x * x, x * y, y * y), axis=1)

    def rates(self, streams: Ints) -> NDArray[np.float64]:
        """Return by how much delays grow in a second, in units, float64[n]; 0 where that is not sure."""
        n, x, y, xx, xy, yy = self._line[streams].T
        count = np.maximum(n, 1)
        across = np.maximum(xx - x * x / count, 1)
        slope = (xy - x * y / count) / across
        rest = np.maximum((yy - y * y / count) - slope * slope * across, 0)
        error = np.sqrt(rest / np.maximum(n - 2, 1) / across)
        sure: NDArray[np.bool_] = (n >= _SURE_S) & (np.abs(slope) > _SURE * error)
        return np.where(sure, slope, 0.0)

    def figures(self, stream: int) -> DelayFigures:
        """Return the figures of a stream as they stand."""
        bins: list[int] = self._bins[stream].tolist()
        seconds = sum(bins)
        if not seconds:
            return NO_DELAYS
        most_ms = int(self._most[stream]) / UNITS_PER_MS
        line: list[float] = self._line[stream].tolist()
        before: list[float] = self._longest[stream].tolist()
        median_ms, p95_ms = (min(_quantile(bins, share * seconds), most_ms) for share in (0.5, 0.95))
        line = line if line[0] >= before[0] else before
        slope = _slope(line)
        told = slope is not None and line[0] >= _LEAST_S
        if slope is None or not told or slope.error_ppm > WORST_PPM or abs(slope.ppm) > MOST_PPM:
            return DelayFigures(seconds, median_ms, p95_ms, most_ms, slope=slope)
        return DelayFigures(seconds, median_ms, p95_ms, most_ms, *slope, slope)


def _quantile(bins: list[int], wanted: float) -> float:
    """Return what ``wanted`` seconds of the histogram do not exceed, ms, interpolated within its bin."""
    total = 0
    low = 0.0
    for count, high in zip(bins, EDGES_MS, strict=False):
        if total + count >= wanted:
            return low + (high - low) * (wanted - total) / max(count, 1)
        total += count
        low = high
    return float("inf")


def _slope(sums: list[float]) -> Slope | None:
    """Return the slope of a line of delays, None of fewer than three."""
    n, x, y, xx, xy, yy = sums
    across = xx - x * x / n if n else 0.0
    if n <= 2 or across <= 0:
        return None
    slope = (xy - x * y / n) / across
    rest = max(0.0, (yy - y * y / n) - slope * slope * across)
    # No finer than the delays are counted.
    error = (max(rest / (n - 2), 1 / 12) / across) ** 0.5
    return Slope(-slope / _UNITS_PER_S * 1e6, error / _UNITS_PER_S * 1e6)
