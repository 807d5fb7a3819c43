"""G.729 and its Annexes A and B (RFC 3551 §4.5.6): frames of 10 bytes, 10 ms each, and at the end of a
packet perhaps one of 2 bytes that describes the noise of a pause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, Frame

FRAME_BYTES: Final = 10
SID_BYTES: Final = 2
FRAME_SAMPLES: Final = 80


def frames(payload: bytes) -> Iterator[Frame]:
    """Cut a payload into frames; a noise description counts as 10 ms of silence."""
    whole = len(payload) // FRAME_BYTES * FRAME_BYTES
    for at in range(0, whole, FRAME_BYTES):
        yield payload[at : at + FRAME_BYTES]
    if len(payload) - whole == SID_BYTES:
        yield FRAME_SAMPLES


def open_decoder(_: Parameters) -> Decoder | None:
    """Return a decoder of G.729 at 8 kbit/s."""
    return FfmpegDecoder(("g729",), 8000, frames, frame_samples=FRAME_SAMPLES)
