"""A channel with parts of it silenced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.g711 import SILENCE
from bystander.codecs.timeline import Channel


class SilencedChannel(Channel):
    """What another channel says, but for some spans of samples (first, behind the last), which are silent."""

    def __init__(self, channel: Channel, spans: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._channel = channel
        self._spans = sorted(spans)

    def laws(self) -> dict[int, int]:
        """Return how many samples there are of each law."""
        return self._channel.laws()

    def read(self, start: int, raw: NDArray[np.uint8]) -> int | NDArray[np.int16]:
        """Read the samples from ``start`` on, as :meth:`Channel.read` does."""
        found = self._channel.read(start, raw)
        for first, last in self._spans:
            part = slice(max(first - start, 0), max(last - start, 0))
            if isinstance(found, int):
                raw[part] = SILENCE[found]
            else:
                found[part] = 0
        return found
