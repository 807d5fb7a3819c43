"""Was the office's announcement heard (R3)? Normalised cross-correlation with the announcement itself.

The announcement is cut into segments of half a second, and each is looked for where the ones before it say
that it should be: so a lost packet costs one segment, a buffer that slipped moves the rest a little, and
neither gain, nor coding, nor a voice over it hides the whole. Nothing else about the voices is computed
(R19).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.resample import resample

RATE_HZ: Final = 8000
#: Longer than this is no announcement, and would make checking a call dear.
MAX_S: Final = 120
_SEGMENT: Final = RATE_HZ // 2
_BLOCK: Final = RATE_HZ // 50
#: How far neighbours may be apart from where they should be: 6 blocks of 20 ms.
_SLIP: Final = 6
#: Segments of one sound agree on where it begins, in samples: 2 ms.
_TOGETHER: Final = 16
#: A segment this alike is the same sound; other speech of the same voice stays below.
_ALIKE: Final = 0.42
#: The beginning alone must be more alike than that on average, for it is less.
_SURE: Final = 0.55
#: Segments softer than this against the loudest say nothing.
_QUIET: Final = 0.05
_HEARD: Final = 0.45
_BEGUN: Final = 3
#: So many segments say where it begins.
_OPENING: Final = 6

State = Literal["heard", "missing", "cut"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``at_s``: where it begins in the samples; ``heard_s``: how much of it; ``score``: share of its
    segments.

    What was heard but for its last second counts as heard: the line may have lost that.
    """

    state: State
    at_s: float | None
    heard_s: float
    score: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The announcement, in segments float32[n, 4000] at 8 kHz; ``judged`` are the numbers of those with
    sound.
    """

    segments: NDArray[np.float32]
    judged: tuple[int, ...]

    @classmethod
    def from_samples(cls, samples: NDArray[Any], rate_hz: int) -> Self:
        """Take the announcement, int16[n] or float[n] (full scale 1). Raises ValueError: too short, long,
        silent.
        """
        if np.issubdtype(samples.dtype, np.floating):
            samples = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
        sound = resample(samples.astype(np.int16), rate_hz, RATE_HZ).astype(np.float32)
        if len(sound) > MAX_S * RATE_HZ:
            raise ValueError(f"longer than {MAX_S} s: that is no announcement")
        if np.abs(sound).max(initial=0) < 100:
            raise ValueError("silent: there is nothing to look for")
        # Silence around it is not part of it.
        loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
        sound = sound[loud[0] : loud[-1] + 1]
        count = len(sound) // _SEGMENT
        if count < 2:
            raise ValueError("shorter than a second: it could not be told from other sounds")
        segments = sound[: count * _SEGMENT].reshape(count, _SEGMENT)
        segments = segments - segments.mean(axis=1, keepdims=True)
        loudness = np.sqrt((segments**2).mean(axis=1))
        judged = tuple(np.flatnonzero(loudness > _QUIET * loudness.max()).tolist())
        return cls(segments, judged)

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return len(self.segments) * _SEGMENT / RATE_HZ


def look(reference: Reference, samples: NDArray[np.int16], rate_hz: int, within_s: float = 30.0) -> Finding:
    """Look for the announcement in the first seconds of one channel, int16[n]: it may begin within
    ``within_s``.
    """
    nothing = Finding("missing", None, 0.0, 0.0)
    wanted_s = within_s + reference.length_s + 1
    sound = resample(samples[: int(wanted_s * rate_hz)], rate_hz, RATE_HZ).astype(np.float32)
    if len(sound) < _SEGMENT or not reference.judged:
        return nothing
    starts = int(within_s * RATE_HZ) // _BLOCK + 1
    # Its beginning is looked for everywhere, the rest where the beginning says: that costs a quarter.
    total = np.zeros(starts)
    whole = _Sound(sound)
    for number in reference.judged[:_OPENING]:
        row = _best_near(whole.likeness(reference.segments[number]))
        row = row[number * _SEGMENT // _BLOCK :][:starts]
        total[: len(row)] += np.where(row > _ALIKE, row, 0.0)
    best = int(total.argmax())
    if not total[best]:
        return nothing
    alike, begin = _followed(reference, sound, best * _BLOCK)
    return _judged(reference, alike, begin / RATE_HZ)


def _followed(
    reference: Reference, sound: NDArray[np.float32], begin: int
) -> tuple[NDArray[np.float64], int]:
    """Return how alike each judged segment is, each looked for where the one before says, and the sample at
    which the announcement begins; ``begin`` is about where: the first block from which it is in reach.
    """
    alike = np.zeros(len(reference.judged))
    # Where the announcement would begin by each segment that is found.
    begins = np.zeros(len(reference.judged), np.int64)
    reach, known = _SLIP * _BLOCK, begin
    for at, number in enumerate(reference.judged):
        place = known + number * _SEGMENT
        start = max(0, place - reach)
        # The first may lie anywhere in the last block in reach.
        ahead = reach if (alike[:at] > _ALIKE).any() else reach + _BLOCK
        near = sound[start : max(0, place + _SEGMENT + ahead)]
        if len(near) < _SEGMENT:
            continue
        row = _Sound(near).likeness(reference.segments[number])
        found = int(row.argmax())
        alike[at] = row[found]
        begins[at] = start + found - number * _SEGMENT
        if row[found] > _ALIKE:
            known = int(begins[at])
    found_at = np.flatnonzero(alike > _ALIKE)
    agree = _agree(begins[found_at])
    alike[found_at[~agree]] = 0.0
    sure = found_at[agree]
    return alike, max(0, int(begins[sure[0]])) if len(sure) else begin


def _agree(begins: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which segments agree with one beside them on where it all begins.

    A buffer slips now and then, and those before agree with each other, as do those behind. Where each says
    something else, it is other speech that happens to be alike, or the same words read at another pace.
    """
    close = np.abs(np.diff(begins)) <= _TOGETHER
    return np.concatenate((close, [False])) | np.concatenate(([False], close))


def _judged(reference: Reference, alike: NDArray[np.float64], at_s: float) -> Finding:
    found = alike > _ALIKE
    score = float(found.mean())
    if not found.any():
        return Finding("missing", None, 0.0, score)
    # A segment far behind may be alike by chance: what was heard ends where it was still heard on the whole.
    share = np.cumsum(found) / np.arange(1, len(found) + 1)
    within = np.flatnonzero(found & (share >= 0.5))
    last = int(within[-1]) if len(within) else 0
    heard_s = (reference.judged[last] + 1) * _SEGMENT / RATE_HZ
    tail = max(2, len(found) // 5)
    if score >= _HEARD and found[-tail:].sum() * 3 >= tail:
        return Finding("heard", at_s, heard_s, score)
    begun = alike[: last + 1][found[: last + 1]]
    if len(within) and len(begun) >= min(_BEGUN, len(found)) and begun.mean() > _SURE:
        return Finding("cut", at_s, heard_s, score)
    return Finding("missing", None, 0.0, score)


class _Sound:
    """A sound that segments are looked for in, float32[n]: what all of them need of it is computed once."""

    def __init__(self, sound: NDArray[np.float32]) -> None:
        self._size = 1 << (len(sound) + _SEGMENT - 1).bit_length()
        self._places = len(sound) - _SEGMENT + 1
        self._spectrum = np.fft.rfft(sound, self._size)
        sums = np.concatenate(([0.0], np.cumsum(sound, dtype=np.float64)))
        squares = np.concatenate(([0.0], np.cumsum(sound.astype(np.float64) ** 2)))
        inside = sums[_SEGMENT:] - sums[:-_SEGMENT]
        energy = squares[_SEGMENT:] - squares[:-_SEGMENT] - inside**2 / _SEGMENT
        # Where there is next to nothing, next to nothing is alike.
        self._norm = np.sqrt(np.maximum(energy, _SEGMENT * 25.0))

    def likeness(self, segment: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the normalised correlation of a segment with the sound from each sample on,
        float64[places].
        """
        product = np.fft.irfft(self._spectrum * np.conj(np.fft.rfft(segment, self._size)), self._size)
        own = float(np.sqrt((segment.astype(np.float64) ** 2).sum()))
        alike: NDArray[np.float64] = product[: self._places] / (self._norm * own)
        return alike


def _best_near(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the best correlation in each block of 20 ms or near it, within the slip."""
    blocks = -(-len(alike) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[: len(alike)] = alike
    best = padded.reshape(blocks, _BLOCK).max(axis=1)
    wide: NDArray[np.float64] = best.copy()
    for slip in range(1, _SLIP + 1):
        np.maximum(wide[slip:], best[:-slip], out=wide[slip:])
        np.maximum(wide[:-slip], best[slip:], out=wide[:-slip])
    return wide
