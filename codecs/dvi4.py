"""DVI4 (RFC 3551 §4.5.1): IMA ADPCM, four bits a sample, each packet complete in itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.decoder import NOTHING, Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, whole

_HEADER_BYTES = 4


class Dvi4Decoder:
    """FFmpeg's decoder for WAV files, whose blocks have the other byte order and the other nibble first."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._blocks = FfmpegDecoder(
            ("adpcm_ima_wav",), rate_hz, whole, options={"bits_per_coded_sample": "4"}
        )

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the samples of one RTP payload, int16[n], two a byte."""
        coded = np.frombuffer(payload, np.uint8)[_HEADER_BYTES:]
        if not len(coded):
            return NOTHING
        # The block form wants groups of four bytes; what is filled up is cut off again.
        swapped = ((coded << 4) | (coded >> 4)).tobytes() + bytes(-len(coded) % 4)
        head = bytes((payload[1], payload[0], payload[2], 0))
        # The block's header is itself a sample; DVI4's is only where the prediction begins.
        return self._blocks.decode(head + swapped)[1 : 1 + 2 * len(coded)]


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder for the clock that SDP gives."""
    return Dvi4Decoder(parameters.clock_hz) if 4000 <= parameters.clock_hz <= 48_000 else None
