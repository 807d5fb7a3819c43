"""Interarrival jitter (RFC 3550 §6.4.1) of many streams at once.

J += (|D| - J)/16 is a recurrence, but a linear one: its value after a run of packets, and the sum of its
values through the run, are weighted sums of the differences, so no loop over packets is needed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_GAIN: Final = 15 / 16
#: What is left of a difference after so many packets; of more, nothing.
_DECAY: Final = _GAIN ** np.arange(401)
#: The unit is a sample of 8 kHz.
_MS: Final = 1 / 8

Ints = NDArray[np.int64]


class Jitter:
    """The jitter of each stream, in samples of 8 kHz; arrays are indexed by stream number."""

    def __init__(self, capacity: int) -> None:
        self.now = np.zeros(capacity)
        self.most = np.zeros(capacity)
        self._sum = np.zeros(capacity)
        self._count = np.zeros(capacity, np.int64)

    def start(self, stream: int) -> None:
        """Forget whatever this number meant before."""
        self.now[stream] = self.most[stream] = self._sum[stream] = 0.0
        self._count[stream] = 0

    def add(
        self,
        who: Ints,
        heads: Ints,
        lengths: Ints,
        spread: NDArray[np.float64],
        fresh: NDArray[np.bool_],
    ) -> None:
        """Advance over packets sorted by stream; the first of ``fresh`` streams has no |D|."""
        tails = heads + lengths
        age = np.repeat(tails, lengths) - np.arange(1, len(spread) + 1)
        decayed = np.add.reduceat(spread * _DECAY.take(age, mode="clip"), heads)
        last = decayed / 16
        total = np.add.reduceat(spread, heads) - decayed * _GAIN
        kept = _DECAY.take(lengths, mode="clip")
        before = self.now[who]
        self._sum[who] += before * (1 - kept) * _GAIN / (1 - _GAIN) + total
        self.now[who] = before * kept + last
        self._count[who] += lengths - fresh

    def look(self, streams: Ints) -> None:
        """Take note of the jitter of now: once a second, so that the greatest does not depend on blocks."""
        self.most[streams] = np.maximum(self.most[streams], self.now[streams])

    def mean_ms(self, stream: int) -> float:
        """Return the mean of the estimate over the stream's packets."""
        count = int(self._count[stream])
        return float(self._sum[stream]) / count * _MS if count else 0.0

    def most_ms(self, stream: int) -> float:
        """Return the greatest estimate, looked at each second and at the end."""
        return float(max(self.most[stream], self.now[stream])) * _MS
