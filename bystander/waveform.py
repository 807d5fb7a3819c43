"""A call's audio as a small picture of characters: the caller above the line, the callee below it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Braille cells have two columns of four dots. The bits of a column, from its lowest dot up and from its
# highest down.
_UP = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
_DOWN = tuple(tuple(reversed(column)) for column in _UP)
_DOTS = 4
# The RMS that fills the height: loud speech on a telephone line. Height goes with the square root of the
# RMS, which shows the shape of speech and still lifts a quiet side above the line. Below the floor is the
# noise of the line.
_FULL_RMS = 10 ** (-14 / 20)
_FLOOR_RMS = 10 ** (-54 / 20)
_COLUMN_FRAMES = 4096


def waveform(samples: NDArray[np.int16], width: int, rows: int = 1) -> str:
    """Draw audio, int16 of shape (n, 2), as 2 * `rows` lines of `width` characters: caller above, callee
    below."""
    edges = np.linspace(0, len(samples), 2 * width + 1).astype(int)
    parts = (samples[first:last] for first, last in pairwise(edges))
    return "\n".join(draw(np.stack([_power(part) for part in parts]), rows))


def waveform_of(path: Path, width: int, rows: int = 1) -> str:
    """Draw a WAV of one or two channels.

    However long it is, a bounded part of it is read: of each column, its first half second. Raises OSError,
    or soundfile's LibsndfileError.
    """
    import soundfile

    with soundfile.SoundFile(path) as file:
        edges = np.linspace(0, file.frames, 2 * width + 1).astype(int)
        powers = []
        for first, last in pairwise(edges):
            file.seek(int(first))
            part = file.read(min(int(last - first), _COLUMN_FRAMES), dtype="int16", always_2d=True)
            powers.append(_power(part))
    return "\n".join(draw(np.stack(powers), rows))


def _power(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Mean square of each of two channels; full scale is 1. One channel stands for both, none for silence."""
    if not samples.size:
        return np.zeros(2)
    power: NDArray[Any] = np.mean(np.square(samples[:, :2] / 32768.0), axis=0)
    return np.broadcast_to(power, (2,))


def draw(powers: NDArray[np.float64], rows: int = 1) -> list[str]:
    """Return the lines for mean squares of shape (2 * width, 2), two columns of dots to a character."""
    rms = np.sqrt(powers)
    steps = rows * _DOTS
    heights = np.rint(steps * np.sqrt(rms / _FULL_RMS)).clip(1, steps).astype(int)
    heights[rms < _FLOOR_RMS] = 0
    above = [_line(heights[:, 0] - _DOTS * row, _UP) for row in reversed(range(rows))]
    below = [_line(heights[:, 1] - _DOTS * row, _DOWN) for row in range(rows)]
    return above + below


def _line(heights: NDArray[np.int_], dots: tuple[tuple[int, ...], ...]) -> str:
    characters = []
    for pair in heights.clip(0, _DOTS).reshape(-1, 2):
        bits = sum(sum(dots[side][: pair[side]]) for side in (0, 1))
        characters.append(chr(0x2800 + bits) if bits else " ")
    return "".join(characters)
