"""Speech-like audio in bulk, different for every stream, to prove a recording the right one.

One long bank of syllables (gliding harmonics under an envelope, with noise and pauses) is encoded once to
each law of G.711. Every stream reads it from a place of its own; the noise never repeats, so 20 ms tell which
stream they are from and where in it. The coder is written from ITU-T G.711, apart from the one under test.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CLOCK_HZ = 8000
#: Samples of the bank (524 s) before it repeats.
LENGTH = 1 << 22
#: The longest payload that may be cut from any place: 60 ms.
LONGEST = 480
#: Static payload types of RFC 3551.
PCMU, PCMA = 0, 8
_GOLDEN = 0.6180339887498949


@lru_cache(maxsize=2)
def levels(payload_type: int) -> NDArray[np.int16]:
    """int16[256]: the sample each code stands for (ITU-T G.711, tables 1a to 2b)."""
    code = np.arange(256, dtype=np.int32)
    if payload_type == PCMA:
        code = code ^ 0x55
        exponent, mantissa = (code >> 4) & 7, code & 15
        size = np.where(
            exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0)
        )
        return np.where(code & 0x80, size, -size).astype(np.int16)
    code = ~code & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def encode(samples: NDArray[np.int16], payload_type: int) -> NDArray[np.uint8]:
    """The code with the nearest level for each sample."""
    table = levels(payload_type).astype(np.int32)
    order = np.argsort(table, kind="stable")
    middles = (table[order][1:] + table[order][:-1]) / 2
    every = np.searchsorted(middles, np.arange(-32768, 32768)).astype(np.int64)
    return order[every].astype(np.uint8)[samples.astype(np.int32) + 32768]


def _speech(seed: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(800, 2800, size=LENGTH // 800)
    count = int(np.searchsorted(np.cumsum(lengths), LENGTH)) + 1
    lengths = lengths[:count]
    start = np.cumsum(lengths) - lengths
    syllable = np.repeat(np.arange(count), lengths)[:LENGTH]
    place = (np.arange(LENGTH) - start[syllable]) / lengths[syllable]
    pitch = rng.uniform(90, 240, count)[syllable] * (1 + 0.2 * rng.uniform(-1, 1, count)[syllable] * place)
    phase = np.cumsum(2 * np.pi * pitch / CLOCK_HZ)
    voiced = np.zeros(LENGTH, dtype=np.float32)
    for harmonic in (1, 2, 4, 9):
        weight = rng.uniform(0.1, 1.0, count).astype(np.float32)[syllable]
        voiced += weight * np.sin(harmonic * phase).astype(np.float32)
    loudness = rng.uniform(1200, 6000, count) * (rng.random(count) > 0.2)
    envelope = (loudness[syllable] * np.sin(np.pi * place) ** 2).astype(np.float32)
    hiss = rng.standard_normal(LENGTH, dtype=np.float32)
    spoken: NDArray[np.float32] = envelope * (voiced + 0.15 * hiss) + 60 * hiss
    return np.asarray(spoken.clip(-32000, 32000), dtype=np.int16)


@lru_cache(maxsize=4)
def bank(payload_type: int, seed: int = 1) -> NDArray[np.uint8]:
    """uint8[LENGTH + LONGEST]: the bank in one law, its beginning repeated behind its end."""
    codes = encode(_speech(seed), payload_type)
    return np.concatenate([codes, codes[:LONGEST]])


def place_of(stream: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in the bank each stream begins: spread by the golden ratio, so that no two come close."""
    return ((stream * _GOLDEN % 1.0) * LENGTH).astype(np.int64)


def expected(stream: int, payload_type: int, samples: int, seed: int = 1) -> NDArray[np.int16]:
    """int16[samples]: what a listener of this stream would hear if nothing were lost."""
    first = int(place_of(np.array([stream], dtype=np.int64))[0])
    codes = bank(payload_type, seed)[:LENGTH][(first + np.arange(samples)) % LENGTH]
    heard: NDArray[np.int16] = levels(payload_type)[codes]
    return heard
