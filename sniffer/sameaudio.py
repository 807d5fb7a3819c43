"""Are two streams the same audio, relayed? A B2BUA gives each leg its own SSRC and passes the payload on.

Each stream is reduced to a few dozen prints: hashes of stretches of its last seconds, chosen by what is in
them, so that the same audio yields the same prints wherever a packet or the end falls. Two streams that have
prints in common carry the same audio; looking prints up in a dict finds them without comparing every stream
with every other. Silence is left out: it is the same in every call.
"""

from __future__ import annotations

from typing import Final

import numpy as np

#: Bytes of a stretch: 8 samples, 1 ms. Speech in G.711 does not repeat 8 varied bytes by chance.
_STRETCH: Final = 8
#: One stretch in so many is chosen: two seconds of speech give some sixty prints.
_ONE_IN_BITS: Final = 8
_VARIED: Final = 5
_MOST: Final = 64
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


def prints(audio: bytes) -> frozenset[int]:
    """Return the prints of a stretch of G.711 as it was sent; at most 64, none of silence."""
    if len(audio) < _STRETCH:
        return frozenset()
    words = np.ndarray((len(audio) - _STRETCH + 1,), "<u8", audio, 0, (1,))
    mixed = words * _MULTIPLIER
    chosen = np.flatnonzero(mixed >> np.uint64(64 - _ONE_IN_BITS) == 0).tolist()
    found = set()
    for at in chosen:
        if len(set(audio[at : at + _STRETCH])) >= _VARIED:
            found.add(int(words[at]))
            if len(found) == _MOST:
                break
    return frozenset(found)
