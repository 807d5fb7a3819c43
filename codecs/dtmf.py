"""DTMF in the audio (ITU-T Q.23, Q.24): which key was held, from when to when.

Nothing is computed but the two tones. Three sieves, each on what the one before has left: a look of 10 ms
every 20 ms, whether a row and a column together hold most of the energy; the same over frames of 20 ms every
10 ms; and for the few frames that are left the frequencies and levels of the two tones themselves, by a fit
that also says how much is left over. Speech has harmonics and moves; a key does not.

What is accepted (Q.24 in brackets): frequencies within 2.4 % (1.5 % must be, 3.5 % must not), the column at
most 6 dB above the row and 10 dB below it (4 and 8), 40 ms and longer (must; 23 ms must not), and pauses of
40 ms and longer part two presses. A hole of one lost packet parts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.resample import Resampler

RATE_HZ: Final = 8000
ROWS_HZ: Final = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = "123A456B789C*0#D"

#: Samples: a frame, how far apart frames are, and the look of the first sieve.
FRAME: Final = 160
HOP: Final = 80
_LOOK: Final = 80
_STRIDE: Final = 160
#: Softer than this (rms of 16-bit samples, some -40 dBm0) is not looked at.
_SOFT: Final = 150.0
#: Shares of the energy that row and column hold, by sieve.
_LIKELY: Final = 0.42
_LIKELIER: Final = 0.42
_PURE: Final = 0.87
_OFF: Final = 0.024
_HIGH_TWIST: Final = 10**0.6
_LOW_TWIST: Final = 10**1.0
#: Frames in a row that make a press; Q.24 leaves open what lies between 23 and 40 ms.
_LEAST: Final = 2
#: Frames missing inside a press: a lost packet of 20 ms spoils three, and a pause of 40 ms four or more.
_HOLE: Final = 3
_SPECTRUM: Final = 512
_BLOCK: Final = RATE_HZ * 4
#: Products of larger matrices (multiplications) are given to several threads by OpenBLAS, which wait for one
#: another at full speed: beside capture that costs far more than it gains.
_ONE_THREAD: Final = 1 << 18


@dataclass(slots=True, frozen=True)
class Tone:
    """A key held: first and last sample at 8 kHz, which key, and its level (rms of 16-bit samples)."""

    start: int
    end: int
    key: str
    level: float


def tones(samples: NDArray[np.int16], rate_hz: int = RATE_HZ) -> list[Tone]:
    """Return the keys held in a sound, int16[n]; in samples of 8 kHz."""
    finder = ToneFinder(rate_hz)
    for at in range(0, len(samples), 10 * rate_hz):
        finder.feed(samples[at : at + 10 * rate_hz])
    return finder.finish()


class ToneFinder:
    """Takes a sound piece by piece and keeps of it only the frames in which a key was held."""

    def __init__(self, rate_hz: int = RATE_HZ) -> None:
        self._resampler = Resampler(rate_hz, RATE_HZ)
        self._waiting: list[NDArray[np.int16]] = []
        self._waiting_samples = 0
        self._at = 0
        self._found: list[tuple[int, int, float]] = []
        """(number of the frame, key, level)."""

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Take the next samples, int16[n], which are copied."""
        came = self._resampler.feed(samples)
        self._waiting.append(came.copy())
        self._waiting_samples += len(came)
        if self._waiting_samples >= _BLOCK:
            self._work()

    def finish(self) -> list[Tone]:
        """Return the keys that were held; the sound is over."""
        self.feed(np.zeros(2 * _STRIDE, np.int16))
        self._work()
        return _pressed(self._found)

    def _work(self) -> None:
        sound = np.concatenate(self._waiting)
        # A whole number of strides is done with; the frames that begin in it reach one frame further.
        done = (len(sound) - FRAME) // _STRIDE * _STRIDE
        if done <= 0:
            self._waiting = [sound]
            return
        first = self._at // HOP
        for number, key, level in _frames(sound, done):
            self._found.append((first + number, key, level))
        self._at += done
        self._waiting = [sound[done:]]
        self._waiting_samples = len(sound) - done


def _basis(size: int) -> NDArray[np.float32]:
    """Return cosines and sines of the eight frequencies, float32[size, 16], for energies in their bins."""
    angle = 2 * np.pi * np.outer(np.arange(size), ROWS_HZ + COLUMNS_HZ) / RATE_HZ
    scale = np.sqrt(2 / size)
    basis: NDArray[np.float64] = np.concatenate((np.cos(angle), np.sin(angle)), axis=1) * scale
    return basis.astype(np.float32)


_LOOK_BASIS: Final = _basis(_LOOK)
_FRAME_BASIS: Final = _basis(FRAME)
_HANN: Final = np.hanning(FRAME + 2)[1:-1].astype(np.float32)


def _shares(
    frames: NDArray[np.float32], basis: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (energy, share of it in the strongest row and the strongest column), float32[n] each."""
    energy = np.einsum("ij,ij->i", frames, frames)
    both = np.empty((len(frames), basis.shape[1]), np.float32)
    step = _ONE_THREAD // basis.size
    for at in range(0, len(frames), step):
        np.matmul(frames[at : at + step], basis, out=both[at : at + step])
    np.square(both, out=both)
    power = both[:, :8] + both[:, 8:]
    strongest = power[:, :4].max(axis=1) + power[:, 4:].max(axis=1)
    return energy, strongest / np.maximum(energy, 1.0)


def _frames(sound: NDArray[np.int16], done: int) -> list[tuple[int, int, float]]:
    """Return (number, key, level) of the frames that begin in the first ``done`` samples and hold a key."""
    looks = sound[:done].reshape(-1, _STRIDE)[:, (_STRIDE - _LOOK) // 2 : (_STRIDE + _LOOK) // 2]
    energy, share = _shares(looks.astype(np.float32), _LOOK_BASIS)
    likely = (energy > _LOOK * _SOFT**2) & (share > _LIKELY)
    if not likely.any():
        return []
    # Each look stands for the frames that touch it and one more on either side.
    near = likely.repeat(_STRIDE // HOP)
    wide = near.copy()
    for step in (1, 2, 3):
        wide[step:] |= near[:-step]
        wide[:-step] |= near[step:]
    at = np.flatnonzero(wide)
    every = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
    frames = every[at].astype(np.float32)
    energy, share = _shares(frames, _FRAME_BASIS)
    likelier = (energy > FRAME * _SOFT**2) & (share > _LIKELIER)
    at, frames, energy = at[likelier], frames[likelier], energy[likelier]
    if not len(at):
        return []
    key, level = _keys(frames, energy)
    held = np.flatnonzero(key >= 0)
    return list(zip(at[held].tolist(), key[held].tolist(), level[held].tolist(), strict=True))


def _keys(
    frames: NDArray[np.float32], energy: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which key each frame holds, int64[n], -1 for none, and the level of the pair of tones."""
    spectrum = np.abs(np.fft.rfft(frames * _HANN, _SPECTRUM, axis=1))
    row_hz, column_hz = _peak(spectrum, 640.0, 1000.0), _peak(spectrum, 1150.0, 1700.0)
    row, row_off = _nearest(row_hz, ROWS_HZ)
    column, column_off = _nearest(column_hz, COLUMNS_HZ)
    low, high, left = _fit(frames.astype(np.float64), row_hz, column_hz)
    held = (row_off < _OFF) & (column_off < _OFF)
    held &= (high < low * _HIGH_TWIST) & (low < high * _LOW_TWIST)
    held &= left < (1 - _PURE) * energy
    return np.where(held, row * 4 + column, -1), np.sqrt((low + high) / 2)


def _peak(spectrum: NDArray[np.float64], from_hz: float, to_hz: float) -> NDArray[np.float64]:
    """Return the frequency of the highest peak of each spectrum within a range, Hz."""
    width = RATE_HZ / _SPECTRUM
    first, last = int(from_hz / width), int(to_hz / width) + 1
    top = spectrum[:, first : last + 1].argmax(axis=1) + first
    each = np.arange(len(spectrum))
    before, there, after = (np.log(spectrum[each, top + step] + 1e-9) for step in (-1, 0, 1))
    bend = before - 2 * there + after
    shift = np.where(bend < -1e-9, 0.5 * (before - after) / np.where(bend < -1e-9, bend, -1.0), 0.0)
    hz: NDArray[np.float64] = (top + np.clip(shift, -1, 1)) * width
    return hz


def _nearest(
    hz: NDArray[np.float64], nominal: tuple[float, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (number of the nearest nominal frequency, how far off as a share of it)."""
    known = np.array(nominal)
    off = np.abs(hz[:, None] / known - 1)
    number = off.argmin(axis=1)
    return number, off[np.arange(len(hz)), number]


def _fit(
    frames: NDArray[np.float64], row_hz: NDArray[np.float64], column_hz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit two sinusoids to each frame: (amplitude squared of the row, of the column, energy left over)."""
    n = np.arange(FRAME) - (FRAME - 1) / 2
    angles = [2 * np.pi * hz[:, None] * n / RATE_HZ for hz in (row_hz, column_hz)]
    waves = np.stack([wave(angle) for angle in angles for wave in (np.cos, np.sin)], axis=1)
    products = waves @ waves.transpose(0, 2, 1)
    along = np.einsum("ikj,ij->ik", waves, frames)
    parts = np.linalg.solve(products, along[:, :, None])[:, :, 0]
    left = np.einsum("ij,ij->i", frames, frames) - np.einsum("ik,ik->i", parts, along)
    squares = parts**2
    return squares[:, 0] + squares[:, 1], squares[:, 2] + squares[:, 3], left


def _pressed(found: list[tuple[int, int, float]]) -> list[Tone]:
    """Join frames that follow one another to presses."""
    held: list[Tone] = []
    run: list[tuple[int, int, float]] = []

    def close() -> None:
        if len(run) >= _LEAST:
            level = sorted(level for _, _, level in run)[len(run) // 2]
            held.append(Tone(run[0][0] * HOP, run[-1][0] * HOP + FRAME, KEYS[run[0][1]], level))
        run.clear()

    for frame in found:
        if run and (frame[1] != run[-1][1] or frame[0] - run[-1][0] > _HOLE + 1):
            close()
        run.append(frame)
    close()
    return held
