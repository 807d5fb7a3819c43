"""Two streams that run against each other between two hosts are never one party's, whatever SDP says (C9).

Where a session description names an address that is not its party's (a gateway that translates addresses, an
agent that gives its own for both), a stream *to* it is taken for the other party's, although it may come from
that party itself. A stream that comes *from* the address that its party announced is surely that party's; so
what comes back to that host from the same far one is the other's.
"""

from __future__ import annotations

from collections.abc import Sequence

from bystander.sniffer.dialogs import other
from bystander.sniffer.leg import ClaimedStream


def tell_apart(streams: Sequence[ClaimedStream]) -> None:
    """Give audio streams of a call that all seem to be one party's to the two, where their ways show it."""
    audio = [claimed for claimed in streams if claimed.kind == "audio"]
    if len({claimed.by for claimed in audio}) != 1:
        return
    sure = [claimed for claimed in audio if claimed.from_announced]
    for claimed in audio:
        if not claimed.from_announced and any(_against(claimed, one) for one in sure):
            claimed.by = other(claimed.by)


def _against(one: ClaimedStream, two: ClaimedStream) -> bool:
    """Tell whether two streams go to and fro between two hosts, at the same time."""
    a, b = one.stream, two.stream
    back = a.src[0] == b.dst[0] and a.dst[0] == b.src[0] and a.src[0] != a.dst[0]
    return back and a.first_ns <= b.last_ns and b.first_ns <= a.last_ns
