"""G.723.1 (RFC 3551 §4.5.3): frames of 30 ms whose lowest two bits say how long they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, Frame

#: 6.3 kbit/s, 5.3 kbit/s, a noise description, and a frame that says there is none.
FRAME_BYTES: Final = (24, 20, 4, 1)
FRAME_SAMPLES: Final = 240


def frames(payload: bytes) -> Iterator[Frame]:
    """Cut a payload into frames; one that is cut short ends it."""
    at = 0
    while at < len(payload):
        size = FRAME_BYTES[payload[at] & 3]
        if at + size > len(payload):
            return
        yield payload[at : at + size]
        at += size


def open_decoder(_: Parameters) -> Decoder | None:
    """Return a decoder of both rates, which may change from frame to frame."""
    return FfmpegDecoder(("g723_1",), 8000, frames, frame_samples=FRAME_SAMPLES)
