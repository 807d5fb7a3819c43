"""GSM full rate (RFC 3551 §4.5.8): frames of 33 bytes, 20 ms each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, Frame

FRAME_BYTES: Final = 33
FRAME_SAMPLES: Final = 160


def frames(payload: bytes) -> Iterator[Frame]:
    """Cut a payload into frames."""
    for at in range(0, len(payload) - FRAME_BYTES + 1, FRAME_BYTES):
        yield payload[at : at + FRAME_BYTES]


def open_decoder(_: Parameters) -> Decoder | None:
    """Return a decoder of GSM full rate."""
    return FfmpegDecoder(("gsm", "libgsm"), 8000, frames, frame_samples=FRAME_SAMPLES)
