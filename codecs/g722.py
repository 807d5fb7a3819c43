"""G.722: 16 kHz audio whose RTP clock is 8000 by an error of long standing (RFC 3551 §4.5.2)."""

from __future__ import annotations

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, whole


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder of G.722 at 64 kbit/s."""
    return FfmpegDecoder(("g722",), 16000, whole) if parameters.channels == 1 else None
