"""Speex (RFC 5574): narrowband, wideband and ultra-wideband, told by the clock; frames of 20 ms."""

from __future__ import annotations

from typing import Final

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, whole

RATES_HZ: Final = (8000, 16000, 32000)


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder for the clock that SDP gives; None for a clock that Speex has not."""
    if parameters.clock_hz not in RATES_HZ:
        return None
    samples = parameters.clock_hz // 50
    return FfmpegDecoder(("speex", "libspeex"), parameters.clock_hz, whole, frame_samples=samples)
