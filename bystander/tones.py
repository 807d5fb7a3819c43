"""Keys in the audio of a call that is being written: found, and silenced where they are to be masked.

Only the two tones of a key are looked for; nothing else is computed of what is said (R19). It is done where
recordings are made, beside capture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bystander.codecs.dtmf import RATE_HZ, ToneFinder
from bystander.codecs.g711 import decode
from bystander.codecs.silenced import SilencedChannel
from bystander.codecs.timeline import BLOCK, Channel
from bystander.digits import InBand, Pressed

#: Beyond its ends a key is silenced for so long: a gateway lets through the first moment of a tone before it
#: has known it for one, and INFO comes when it likes.
_MARGIN_NS = 80_000_000
_INFO_MARGIN_NS = 500_000_000


def sides_to_search(inband: InBand, streams: Iterable[tuple[str, bool]]) -> set[str]:
    """Return the sides whose audio is searched for keys.

    ``streams`` are, for each stream, its side and whether its receiver takes telephone events: then keys are
    sent as such.
    """
    if inband == "never":
        return set()
    return {side for side, events in streams if inband == "always" or not events}


def keys_in(channel: Channel, by: str, length: int, rate_hz: int, starts_ns: int) -> list[Pressed]:
    """Return the keys held in ``length`` samples of a channel, whose sample 0 is at ``starts_ns``."""
    finder = ToneFinder(rate_hz)
    raw = np.empty(BLOCK, np.uint8)
    for start in range(0, length, BLOCK):
        part = raw[: min(BLOCK, length - start)]
        found = channel.read(start, part)
        finder.feed(decode(part, found) if isinstance(found, int) else found)
    return [
        Pressed(
            at_ns=starts_ns + tone.start * 1_000_000_000 // RATE_HZ,
            digit=tone.key,
            by=by,
            method="inband",
            duration_ms=(tone.end - tone.start) * 1000 // RATE_HZ,
            level=tone.level,
        )
        for tone in finder.finish()
    ]


def silenced(
    channel: Channel, presses: Sequence[Pressed], length: int, rate_hz: int, starts_ns: int
) -> Channel:
    """Return a channel that is silent while the given keys were held."""
    if not presses:
        return channel
    spans = []
    for press in presses:
        margin_ns = _INFO_MARGIN_NS if press.method == "info" else _MARGIN_NS
        first = (press.at_ns - margin_ns - starts_ns) * rate_hz // 1_000_000_000
        last = (press.end_ns + margin_ns - starts_ns) * rate_hz // 1_000_000_000
        if last > 0 and first < length:
            spans.append((max(first, 0), min(last, length)))
    return SilencedChannel(channel, spans)
