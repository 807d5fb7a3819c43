"""Opus (RFC 6716, RFC 7587): always a clock of 48000; one packet is one frame to the decoder.

What is sent as stereo is mixed down: a recording has one channel for each party.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, Frame

RATE_HZ: Final = 48000
#: Samples of a frame by configuration number (RFC 6716 §3.1): SILK, hybrid, CELT.
_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
#: No packet lasts longer than 120 ms (§3.2.5).
_LONGEST: Final = 5760


def samples_of(payload: bytes) -> int:
    """Return how many samples a packet lasts, at 48 kHz; 0 if it is none (RFC 6716 §3)."""
    if not payload:
        return 0
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        frame = _SILK[config & 3]
    elif config < 16:
        frame = _HYBRID[config & 1]
    else:
        frame = _CELT[config & 3]
    if code < 3:
        return frame * (1, 2, 2)[code]
    lasts = frame * (payload[1] & 0x3F) if len(payload) > 1 else 0
    return lasts if lasts <= _LONGEST else 0


def frames(payload: bytes) -> Iterator[Frame]:
    """Take a packet whole; one without audio (a frame of nothing, sent in a pause) is silence."""
    if len(payload) == 1 and payload[0] & 3 == 0:
        yield samples_of(payload)
    elif payload:
        yield payload


def open_decoder(_: Parameters) -> Decoder | None:
    """Return a decoder of mono and stereo, at all bandwidths."""
    return FfmpegDecoder(("libopus", "opus"), RATE_HZ, frames, channels=2)
