"""What the stream table is to do with a stream's packets, by what session descriptions say of them."""

from __future__ import annotations

from bystander.sniffer.address import Endpoint
from bystander.sniffer.claims import Claims, StreamLike
from bystander.sniffer.keeping import PLAIN, SEALED, WHOLE
from bystander.sniffer.leg import ClaimedStream, Leg
from bystander.sniffer.protection import PLAIN as UNPROTECTED
from bystander.sniffer.protection import Guard


def mode_of(guard: Guard) -> int:
    """Return what to do with the packets of a stream of which descriptions say so much."""
    if guard.state == UNPROTECTED:
        return PLAIN
    return WHOLE if guard.openable else SEALED


class Guards:
    """Answers for new streams, and collects what has changed for known ones until the pipeline asks."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._changed: dict[int, tuple[StreamLike, int]] = {}

    def mode(self, src: Endpoint, dst: Endpoint) -> int | None:
        """Return what to do with a new stream between two endpoints; None if no description names them."""
        modes = {
            mode_of(claim.call.media.protections.guard(claim.hop))
            for endpoint in (src, dst)
            for claim in self._claims.claiming(endpoint)
            if isinstance(claim.call, Leg)
        }
        if len(modes) > 1:
            return WHOLE
        return modes.pop() if modes else None

    def explain(self, leg: Leg, claimed: ClaimedStream) -> None:
        """Fill in what a leg's descriptions say about a stream, and note what follows for its packets."""
        leg.explain(claimed)
        mode = mode_of(claimed.guard)
        if mode != claimed.mode:
            claimed.mode = mode
            self._changed[claimed.stream.id] = (claimed.stream, mode)

    def changed(self) -> list[tuple[StreamLike, int]]:
        """Return, once, the streams that descriptions have said something of, and what to do with them."""
        if not self._changed:
            return []
        changed = list(self._changed.values())
        self._changed.clear()
        return changed
