"""What a codec's file gives to the registry: a decoder, opened from what SDP says of a payload type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True, frozen=True)
class Parameters:
    """A payload type as SDP describes it: encoding in capitals, RTP clock, channels, fmtp as written."""

    encoding: str
    clock_hz: int
    channels: int = 1
    fmtp: str = ""

    def value(self, name: str, default: str = "") -> str:
        """Return one fmtp parameter (``name=value; name=value``, names in any case)."""
        for part in self.fmtp.split(";"):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip()
        return default

    def number(self, name: str, default: int = 0) -> int:
        """Return one fmtp parameter that is a number; ``default`` if it is missing or is none."""
        text = self.value(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default


class Decoder(Protocol):
    """Decodes the packets of one stream, in their order; what it has heard shapes what comes next."""

    @property
    def rate_hz(self) -> int:
        """Samples a second of what it returns."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the samples of one RTP payload, int16[n], mono; none if it cannot be decoded."""


#: A codec's file has one: it returns None for a variant that it cannot decode.
OpenDecoder = Callable[[Parameters], Decoder | None]

NOTHING: NDArray[np.int16] = np.zeros(0, np.int16)
