"""Recorded audio held against known speech: where each block of it was said, and how true it is.

A block of 100 ms is looked for in the speech by normalised cross-correlation; its signal-to-noise ratio is
that of the sample-exact difference. A/µ-law costs the round trip 37-38 dB; a law mix-up gives under 10 dB
and a slip of one sample under 15 dB, so a block that reaches ``TRUE_DB`` is the speech, at that sample.
G.722 reaches 35 dB. Opus keeps 24-28 dB at 40-48 kbit/s, and has a threshold of its own.

Recordings of a higher rate are brought to the speech's 8 kHz. Their first sample may lie between two of it,
so every phase is tried and the truest taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from phonelab.speech import RATE_HZ, Samples, resample

BLOCK = 800  # samples: 100 ms at 8 kHz
TRUE_DB = 25.0
TRUE_OPUS_DB = 15.0
PROBES = 7  # blocks by which the phase is chosen
QUIET = 0.01  # RMS of a pause in the speech: too little signal to be told apart
SILENT = 0.0015  # peak of explicit silence: the smallest A-law step is 8 / 32768


@dataclass
class Aligned:
    """Blocks of a recording with speech in them, in order. ``start`` and ``position`` are int64[n]: the
    block's first sample in the recording and in the speech, both at 8 kHz; ``snr_db`` is float64[n]."""

    start: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    snr_db: npt.NDArray[np.float64]
    true_db: float = TRUE_DB

    @property
    def true(self) -> npt.NDArray[np.bool_]:
        return self.snr_db >= self.true_db

    def later(self, samples: int) -> Aligned:
        """The same in a recording of which this was a piece, ``samples`` from its beginning."""
        return replace(self, start=self.start + samples)

    @classmethod
    def join(cls, pieces: Sequence[Aligned]) -> Aligned:
        columns = ([getattr(piece, name) for piece in pieces] for name in ("start", "position", "snr_db"))
        return cls(*map(np.concatenate, columns), pieces[0].true_db)

    def median_db(self) -> float:
        """The SNR of the middle block: one that a loss or a jump falls into does not spoil it."""
        return float(np.median(self.snr_db)) if len(self.start) else -np.inf


def align(recorded: Samples, speech: Samples, rate_hz: int = RATE_HZ, true_db: float = TRUE_DB) -> Aligned:
    """Align blocks of ``recorded`` with ``speech``. Blocks without a voice are left out."""
    finder = _Finder(speech)
    ratio = rate_hz // RATE_HZ
    phases = [
        resample(recorded[phase : len(recorded) - (len(recorded) - phase) % ratio], rate_hz, RATE_HZ)
        for phase in range(ratio)
    ]
    truest = max(phases, key=lambda samples: _probe(samples, finder)) if ratio > 1 else phases[0]
    return _align(truest, finder, true_db)


def _probe(recorded: Samples, finder: _Finder) -> float:
    """The SNR of the loudest blocks."""
    blocks = recorded[: len(recorded) // BLOCK * BLOCK].reshape(-1, BLOCK)
    loudest = np.argsort((blocks**2).sum(axis=1))[-PROBES:]
    return float(np.median([finder.snr_db(block, finder.find(block)) for block in blocks[loudest]]))


def _align(recorded: Samples, finder: _Finder, true_db: float) -> Aligned:
    found: list[tuple[int, int, float]] = []
    slip = None
    for start in range(0, len(recorded) - BLOCK + 1, BLOCK):
        block = recorded[start : start + BLOCK]
        if np.sqrt(np.mean(block**2)) < QUIET:
            continue
        position = -1 if slip is None else start + slip
        snr_db = finder.snr_db(block, position)
        if snr_db < true_db:
            position = finder.find(block)
            snr_db = finder.snr_db(block, position)
        if snr_db >= true_db:
            slip = position - start
        found.append((start, position, snr_db))
    rows = np.array(found, dtype=np.float64).reshape(-1, 3)
    return Aligned(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), rows[:, 2], true_db)


def silent(samples: Samples) -> bool:
    """Whether it is explicit silence from end to end."""
    return not len(samples) or bool(np.abs(samples).max() < SILENT)


class _Finder:
    def __init__(self, speech: Samples) -> None:
        self._speech = speech
        size = 1 << (len(speech) + BLOCK).bit_length()
        self._spectrum = np.fft.rfft(speech, size)
        self._size = size
        energy = np.concatenate(([0.0], np.cumsum(speech**2)))
        self._norm = np.sqrt(np.maximum(energy[BLOCK:] - energy[:-BLOCK], BLOCK * QUIET**2 / 4))

    def find(self, block: Samples) -> int:
        """Where in the speech the block correlates best."""
        product = np.fft.irfft(self._spectrum * np.conj(np.fft.rfft(block, self._size)), self._size)
        return int(np.argmax(product[: len(self._norm)] / self._norm))

    def snr_db(self, block: Samples, position: int) -> float:
        if not 0 <= position <= len(self._speech) - BLOCK:
            return -np.inf
        truth = self._speech[position : position + BLOCK]
        noise = float(np.sum((block - truth) ** 2)) + 1e-12
        return float(10 * np.log10((np.sum(truth**2) + 1e-12) / noise))
