"""Streams that go on as the next call's when theirs is over, with the same addresses and SSRC (C10).

Senders of one SSRC, gateways mostly, may be in their next call within moments, from and to the same ports. By
its packets that is one stream; by the signalling it is two, divided where the next call's descriptions have
named both its ends, each party its own, after the first call was over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bystander.sniffer.address import Endpoint, normalise_host
from bystander.sniffer.claims import Claim, Claims, StreamLike
from bystander.sniffer.leg import Leg
from bystander.sniffer.realm import realm_of, within

_AUDIO_PORT: Final = re.compile(rb"m=audio (\d{1,5})[ /]")
_ADDRESS: Final = re.compile(rb"c=IN IP[46] ([0-9A-Fa-f.:]{2,45})")


def audio_endpoints(raw: bytes, sender: str) -> list[Endpoint]:
    """Return where the description in a message of a host may have audio sent to, as a glance tells."""
    if b"m=audio" not in raw:
        return []
    ports = {int(port) for port in _AUDIO_PORT.findall(raw)}
    hosts = {within(normalise_host(host.decode()), realm_of(sender)) for host in _ADDRESS.findall(raw)}
    return [(host, port) for host in hosts for port in ports]


def taken_over(stream: StreamLike, owner: Leg, leg: Leg, claims: Claims) -> bool:
    """Tell whether a stream of a call that is over goes on as another call's."""
    over_ns = owner.session.decided_ns
    if owner is leg or over_ns is None or not owner.session.finished or leg.session.finished:
        return False
    since_ns = max(over_ns, stream.first_ns)
    ends = [_since(claims.claiming(endpoint), leg, since_ns) for endpoint in (stream.src, stream.dst)]
    return any(one.party != two.party and one.kind == two.kind for one in ends[0] for two in ends[1])


def _since(at: Iterable[Claim], leg: Leg, since_ns: int) -> list[Claim]:
    return [claim for claim in at if claim.call is leg and claim.from_ns >= since_ns]
