"""A channel of a recording in which not all is G.711: sounds of any rate, laid over one another.

As in `timeline.py`, the sounds of a channel lie in layers, the preferred on top; at any moment the topmost
that has something is heard (C13). All are brought to the recording's rate, the highest of any of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.decoded import Piece, Reader
from bystander.codecs.g711 import decode
from bystander.codecs.resample import Resampler
from bystander.codecs.timeline import CLOCK_HZ, Channel, Run

_BLOCK_S = 1


class LawReader:
    """Runs of G.711, in samples of 8 kHz counted from the recording's beginning, as sound."""

    rate_hz = CLOCK_HZ

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs
        self._channel = Channel()
        for run in runs:
            self._channel.lay(run)

    def read(self, start: int, n: int) -> Piece:
        """Read ``n`` samples from ``start`` on."""
        raw = np.empty(n, np.uint8)
        found = self._channel.read(start, raw)
        covered = np.zeros(n, bool)
        for run in self._runs:
            first, last = max(run.position, start), min(run.end, start + n)
            if first < last:
                covered[first - start : last - start] = True
        samples = decode(raw, found) if isinstance(found, int) else found
        samples[~covered] = 0
        return samples, covered


class _AtRate:
    """A reader brought to the recording's rate."""

    def __init__(self, reader: Reader, from_hz: int, to_hz: int) -> None:
        self._reader = reader
        self._from_hz, self._to_hz = from_hz, to_hz
        self._restart()

    def _restart(self) -> None:
        self._resampler = Resampler(self._from_hz, self._to_hz)
        self._taken = 0  # samples of the source that were fed
        self._at = 0  # sample of the recording that ``_ready`` begins with
        self._ready = np.zeros(0, np.int16)
        self._covered = np.zeros(0, bool)
        self._covered_at = 0

    def read(self, start: int, n: int) -> Piece:
        if self._from_hz == self._to_hz:
            return self._reader.read(start, n)
        if start < self._at:
            self._restart()
        while self._at + len(self._ready) < start + n:
            self._feed()
            self._drop(start)
        samples = self._ready[start - self._at : start - self._at + n]
        there = np.arange(start, start + n) * self._from_hz // self._to_hz - self._covered_at
        return samples, self._covered[there]

    def _feed(self) -> None:
        samples, covered = self._reader.read(self._taken, self._from_hz * _BLOCK_S)
        self._taken += len(samples)
        self._ready = np.concatenate((self._ready, self._resampler.feed(samples)))
        self._covered = np.concatenate((self._covered, covered))

    def _drop(self, start: int) -> None:
        """Forget what lies before ``start``."""
        done = min(start - self._at, len(self._ready))
        self._ready = self._ready[done:]
        self._at += done
        behind = start * self._from_hz // self._to_hz - self._covered_at
        behind = max(0, min(behind, len(self._covered)))
        self._covered = self._covered[behind:]
        self._covered_at += behind


class WideChannel(Channel):
    """One party, at the recording's rate; later layers win over earlier ones."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__()
        self._rate_hz = rate_hz
        self._layers: list[_AtRate] = []

    def lay_sound(self, reader: Reader, rate_hz: int) -> None:
        """Put a sound of its own rate on top."""
        self._layers.append(_AtRate(reader, rate_hz, self._rate_hz))

    def read(self, start: int, raw: NDArray[np.uint8]) -> int | NDArray[np.int16]:
        """Read as many samples as ``raw`` has room for, from ``start`` on: int16[n]."""
        out = np.zeros(len(raw), np.int16)
        for layer in self._layers:
            samples, covered = layer.read(start, len(raw))
            np.copyto(out, samples, where=covered)
        return out
