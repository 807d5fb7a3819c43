"""L16 (RFC 3551 §4.5.11): linear samples, 16 bits, high byte first, channels interleaved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.decoder import NOTHING, Decoder, Parameters


class L16Decoder:
    """``channels`` samples a frame are mixed to one."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.rate_hz = rate_hz
        self._channels = channels

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the samples of one RTP payload, int16[n]."""
        frames = len(payload) // (2 * self._channels)
        if not frames:
            return NOTHING
        samples = np.frombuffer(payload, ">i2", frames * self._channels)
        if self._channels == 1:
            return samples.astype(np.int16)
        mixed: NDArray[np.int16] = np.rint(samples.reshape(-1, self._channels).mean(axis=1)).astype(np.int16)
        return mixed


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder for the rate and the channels that SDP gives."""
    if not 4000 <= parameters.clock_hz <= 192_000 or parameters.channels > 8:
        return None
    return L16Decoder(parameters.clock_hz, max(1, parameters.channels))
