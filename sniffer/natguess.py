"""Media of a call whose descriptions fit nothing on the wire: both ends are behind NAT that maps ports (C9),
or the descriptions themselves were cut off or lost (C18).

What is left to go by is the hosts that signalled. They are enough where there is but one answered call
between two hosts that has no media, and but one stream each way that no call claims and that began with it. A
guess that could be someone else's voice is not made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bystander.sniffer.claims import StreamLike
from bystander.sniffer.dialogs import Party
from bystander.sniffer.leg import Leg

#: Media begins so close to the answer.
_WITHIN_NS: Final = 5_000_000_000


def waits_for_media(leg: Leg) -> bool:
    """Tell whether a call was answered, may have audio by its descriptions, and has none."""
    answered = leg.session.answered_ns is not None and leg.media.audio_possible
    return answered and not leg.streams and leg.caller_host != leg.callee_host


def media_between(
    hosts: tuple[str, str], legs: Iterable[Leg], unclaimed: Iterable[StreamLike]
) -> tuple[Leg, list[tuple[StreamLike, Party]]] | None:
    """Return the one call that waits for media between two hosts, and its streams; None if in doubt."""
    pair = set(hosts)
    waiting: Sequence[Leg] = [leg for leg in legs if {leg.caller_host, leg.callee_host} == pair]
    if len(waiting) != 1:
        return None
    (leg,) = waiting
    answered_ns = leg.session.answered_ns
    if answered_ns is None:
        return None
    over_ns = leg.session.decided_ns
    found: list[tuple[StreamLike, Party]] = []
    for stream in unclaimed:
        if {stream.src[0], stream.dst[0]} != pair:
            continue
        if stream.last_ns < leg.started_ns or (over_ns is not None and stream.first_ns > over_ns):
            continue
        if abs(stream.first_ns - answered_ns) > _WITHIN_NS:
            return None
        by: Party = "caller" if stream.src[0] == leg.caller_host else "callee"
        if any(by == speaker for _, speaker in found):
            return None
        found.append((stream, by))
    return (leg, found) if found else None
