"""WAV files, written whole or not at all, and hashed on the way.

The container is 44 bytes that are known before the first sample is, so they are written here: libsndfile's
own writer synchronises the disk at every close and cannot hash what it writes, which together cost more than
decoding. Reading, and every other container, is soundfile's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.storage.wholefile import write_file

#: Above this a RIFF size field does not hold the size, and the file is RF64 (EBU Tech 3306).
_MAX_RIFF: Final = 0xFFFF_FFFF


def header(frames: int, rate_hz: int, channels: int = 2) -> bytes:
    """Return the header of a 16-bit PCM WAV of so many frames; RF64 where RIFF's 32 bits are not enough."""
    align = 2 * channels
    data = frames * align
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * align, align, 16)
    if data + 36 <= _MAX_RIFF:
        return struct.pack("<4sI4s", b"RIFF", data + 36, b"WAVE") + form + struct.pack("<4sI", b"data", data)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, data + 72, data, frames, 0)
    opening = struct.pack("<4sI4s", b"RF64", _MAX_RIFF, b"WAVE")
    return opening + sizes + form + struct.pack("<4sI", b"data", _MAX_RIFF)


def g711_header(frames: int, rate_hz: int, tag: int, channels: int = 2) -> bytes:
    """Return the header of a WAV of G.711 bytes; ``tag`` is WAVE_FORMAT_ALAW (6) or WAVE_FORMAT_MULAW (7)."""
    data = frames * channels
    form = struct.pack("<4sIHHIIHHH", b"fmt ", 18, tag, channels, rate_hz, rate_hz * channels, channels, 8, 0)
    fact = struct.pack("<4sII", b"fact", 4, min(frames, _MAX_RIFF))
    more = 4 + len(form) + len(fact) + 8
    if data + more <= _MAX_RIFF:
        opening = struct.pack("<4sI4s", b"RIFF", data + more + data % 2, b"WAVE")
        return opening + form + fact + struct.pack("<4sI", b"data", data)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, data + more + 36 + data % 2, data, frames, 0)
    opening = struct.pack("<4sI4s", b"RF64", _MAX_RIFF, b"WAVE")
    return opening + sizes + form + fact + struct.pack("<4sI", b"data", _MAX_RIFF)


def write_wav(
    target: Path, blocks: Iterable[NDArray[np.int16]], frames: int, rate_hz: int, *, durable: bool = False
) -> tuple[str, int]:
    """Write stereo blocks, int16[n, 2], ``frames`` in all; return (SHA-256 in hex, size in bytes).

    Raises OSError; then there is no file.
    """
    digest = hashlib.sha256()
    size = 0

    def parts() -> Iterator[bytes | memoryview]:
        nonlocal size
        samples = (block.reshape(-1).view(np.uint8).data for block in blocks)
        opening = memoryview(header(frames, rate_hz))
        for part in chain([opening], samples):
            digest.update(part)
            size += len(part)
            yield part

    write_file(target, parts(), durable=durable)
    return digest.hexdigest(), size
