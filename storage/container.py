"""What a recording is before it is sealed: 16-bit WAV, FLAC, or a WAV of the G.711 bytes as they came."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import soundfile

from bystander.codecs.g711 import PCMA
from bystander.codecs.timeline import Channel, prevailing_law, render, render_law
from bystander.storage.wav import g711_header, header

Container = Literal["wav", "flac", "g711"]
#: How a recording's file ends, by container; sealed, ".age" follows.
SUFFIX: Final[dict[str, str]] = {"wav": ".wav", "flac": ".flac", "g711": ".wav"}
_ALAW, _MULAW = 6, 7
_PIECE: Final = 1 << 20

Parts = Iterator[bytes | memoryview]


def parts(
    container: Container, left: Channel, right: Channel, length: int, rate_hz: int, scratch: Path
) -> Parts:
    """Yield the bytes of a recording of ``length`` samples, piece by piece.

    ``scratch`` is a folder for the unnamed file that FLAC needs: its writer goes back to finish the header.
    """
    if container == "flac":
        return _flac(left, right, length, rate_hz, scratch)
    if container == "g711":
        return _g711(left, right, length, rate_hz)
    return _wav(left, right, length, rate_hz)


def _wav(left: Channel, right: Channel, length: int, rate_hz: int) -> Parts:
    yield header(length, rate_hz)
    for block in render(left, right, length):
        yield block.reshape(-1).data.cast("B")


def _g711(left: Channel, right: Channel, length: int, rate_hz: int) -> Parts:
    law = prevailing_law(left, right)
    yield g711_header(length, rate_hz, _ALAW if law == PCMA else _MULAW)
    for block in render_law(left, right, length, law):
        yield block.reshape(-1).data


def _flac(left: Channel, right: Channel, length: int, rate_hz: int, scratch: Path) -> Parts:
    # The file has no name: nothing is left of it when the process ends, however it ends.
    file = os.open(scratch, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    try:
        with soundfile.SoundFile(
            file, "w", rate_hz, 2, subtype="PCM_16", format="FLAC", closefd=False
        ) as flac:
            for block in render(left, right, length):
                flac.write(block)
        at = 0
        while piece := os.pread(file, _PIECE, at):
            yield piece
            at += len(piece)
    finally:
        os.close(file)
