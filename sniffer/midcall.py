"""Calls of which only the end was seen (C6): whose media stopped when they did?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bystander.sniffer.claims import StreamLike
from bystander.sniffer.dialogs import Party, other
from bystander.sniffer.leg import Leg

#: Media of a call that ended stops within this time of its BYE.
STOPPED_NS: Final = 1_500_000_000


def ending_media(leg: Leg, unclaimed: Iterable[StreamLike]) -> list[tuple[StreamLike, Party]] | None:
    """Return the streams of a call without any session description, and who speaks in them.

    They run between the two hosts that signalled the BYE, and stopped when it came. None when more than one
    stream each way would do, or the hosts are one: a guess that could be someone else's voice is not made.
    """
    bye = leg.evidence[0]
    source, target = ends_of(leg)
    if source == target:
        return None
    sender = leg.session.sender(bye.message)
    over_ns = leg.session.decided_ns or leg.last_ns
    found: list[tuple[StreamLike, Party]] = []
    for stream in unclaimed:
        ends = (stream.src[0], stream.dst[0])
        between = ends in ((source, target), (target, source))
        if between and stream.first_ns <= over_ns and abs(stream.last_ns - over_ns) <= STOPPED_NS:
            found.append((stream, sender if ends[0] == source else other(sender)))
    speakers = [by for _, by in found]
    return found if len(set(speakers)) == len(speakers) else None


def ends_of(leg: Leg) -> tuple[str, str]:
    """Return between which hosts the first message of a leg went, its sender first."""
    return leg.evidence[0].src[0], leg.evidence[0].dst[0]
