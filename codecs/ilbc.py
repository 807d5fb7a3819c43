"""iLBC (RFC 3951, RFC 3952): frames of 38 bytes for 20 ms or of 50 bytes for 30 ms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, Frame

RATE_HZ: Final = 8000
#: By mode: bytes of a frame.
FRAME_BYTES: Final = {20: 38, 30: 50}


class IlbcDecoder:
    """Both modes: the size of a packet tells which, for what was negotiated is not always what is sent.

    ``mode`` is 20 or 30, in ms, and decides for a size that fits both or neither.
    """

    rate_hz = RATE_HZ

    def __init__(self, mode: int) -> None:
        self._mode = mode
        self._decoders = {mode: _mode_decoder(mode)}

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the samples of one RTP payload, int16[n]."""
        fitting = [mode for mode, size in FRAME_BYTES.items() if len(payload) % size == 0]
        mode = fitting[0] if len(fitting) == 1 else self._mode
        if mode not in self._decoders:
            self._decoders[mode] = _mode_decoder(mode)
        return self._decoders[mode].decode(payload)


def _mode_decoder(mode: int) -> FfmpegDecoder:
    size = FRAME_BYTES[mode]

    def frames(payload: bytes) -> Iterator[Frame]:
        for at in range(0, len(payload) - size + 1, size):
            yield payload[at : at + size]

    return FfmpegDecoder(
        ("ilbc", "libilbc"),
        RATE_HZ,
        frames,
        frame_samples=mode * RATE_HZ // 1000,
        options={"block_align": str(size)},
    )


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder for the mode of the fmtp line; 30 ms where it says none (RFC 3952 §5)."""
    return IlbcDecoder(20 if parameters.number("mode", 30) == 20 else 30)
