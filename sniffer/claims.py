"""Whose stream is it? Claims on endpoints, each with a range of time (C9, C10, C11).

A session description says where a party *receives* (RFC 4566 section 5.14, RFC 3264 section 5.1). By
symmetric RTP (RFC 4961) it nearly always sends from there too. So a claim on an endpoint speaks for a stream
in two ways: a stream sent *to* the caller's endpoint is said by the callee, and a stream *from* it by the
caller. Where both ends of a stream say the same, there is no doubt.

Addresses are reused seconds later, and several calls may name the same one at the same time (a call on hold,
a fork, a proxy). Therefore a claim holds from its offer until the end of its call, and speaks only for
streams whose *first* packet is in that range. Of several claims, in this order:

1. both ends agree;
2. the stream began while the claim was held, not a little before (media may overtake its description);
3. the address stood in the description, rather than being inferred (NAT, ICE, symmetry);
4. the address has not been given up by a later offer;
5. the claim is the most recent.

Cost: endpoints are looked up in dicts; a stream costs the number of claims at its two endpoints, which is one
or two, and a claim the number of streams at its endpoint. Nothing here is done per packet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from bystander.sniffer.address import Endpoint
from bystander.sniffer.dialogs import Party, other
from bystander.sniffer.sdp import Format

#: How an endpoint became known: it stands in a description, or beside it, or was learned from a stream.
STATED: Final = 2
BESIDE: Final = 1
LEARNED: Final = 0

#: A stream that has been silent for longer than this is not taken for one that goes on.
_ALIVE_NS: Final = 1_000_000_000
#: Claims one call may hold. A call with more media changes than this loses the oldest claim on an endpoint
#: where there is no media, but none of its first ones, which are those of its first offer and answer.
MAX_CLAIMS_PER_CALL: Final = 128
_FIRST_CLAIMS: Final = 16
#: Claims on one endpoint: a flood of INVITEs that all name it must not make every look-up long. The oldest
#: goes that no stream has borne out, and of those first one whose call was not answered.
MAX_CLAIMS_PER_ENDPOINT: Final = 64


class StreamLike(Protocol):
    """What claims need to know of an RTP stream; ``last_ns`` and ``packets`` keep up with it."""

    @property
    def id(self) -> int: ...
    @property
    def src(self) -> Endpoint: ...
    @property
    def dst(self) -> Endpoint: ...
    @property
    def ssrc(self) -> int: ...
    @property
    def first_ns(self) -> int: ...
    @property
    def last_ns(self) -> int: ...
    @property
    def packets(self) -> int: ...
    @property
    def payload_types(self) -> list[int]: ...


@dataclass(slots=True, eq=False)
class Claim:
    """One party of one call receives at one endpoint, from ``from_ns`` until ``to_ns`` (None: still).

    ``reach_ns`` is the earliest start of a stream that the claim may still speak for, a little before
    ``from_ns``, or long before it when the capture began in mid-call. ``borne_out``: a stream was its call's.
    """

    call: Hashable
    party: Party
    endpoint: Endpoint
    kind: str
    from_ns: int
    reach_ns: int
    to_ns: int | None = None
    certainty: int = STATED
    given_up: bool = False
    borne_out: bool = False
    dialog: str = ""
    hop: Hashable = None
    formats: dict[int, Format] = field(default_factory=dict)

    def holds(self, stream: StreamLike) -> int:
        """Return 2 if the stream began in the claim's range, 1 if a little before it, else 0."""
        first_ns = stream.first_ns
        if self.to_ns is not None and first_ns >= self.to_ns:
            return 0
        if first_ns >= self.from_ns:
            return 2
        # Media that overtook its description goes on after it; what had stopped before is someone else's.
        return 1 if first_ns >= self.reach_ns and stream.last_ns >= self.from_ns - _ALIVE_NS else 0


class Match(NamedTuple):
    """The best answer for one stream and one call; matches compare by the rule in the module's heading."""

    both_ends: bool
    in_time: int
    certainty: int
    current: bool
    from_ns: int
    order: int
    call: Hashable
    by: Party
    kind: str
    to: Claim | None
    source: Claim | None


class Claims:
    """All claims and all streams, by endpoint."""

    def __init__(
        self,
        counters: Counter[str] | None = None,
        answered: Callable[[Hashable], bool] = lambda _call: False,
    ) -> None:
        self._answered = answered
        self._claims: dict[Endpoint, list[Claim]] = {}
        self._by_call: dict[Hashable, list[Claim]] = {}
        self._streams: dict[Endpoint, dict[int, StreamLike]] = {}
        self.counters: Counter[str] = Counter() if counters is None else counters

    def __len__(self) -> int:
        return sum(map(len, self._by_call.values()))

    # -- claims -----------------------------------------------------------------------------------------

    def add(self, claim: Claim) -> Claim:
        """Register a claim, or refresh the one that says the same; return the one that is kept.

        A claim that had ended is opened again where it stands: an early dialog that wins after all.
        """
        held = self._by_call.setdefault(claim.call, [])
        for known in self._claims.get(claim.endpoint, ()):
            if known.call is claim.call and known.party == claim.party and known.kind == claim.kind:
                known.formats.update(claim.formats)
                known.certainty = max(known.certainty, claim.certainty)
                known.given_up = False
                known.to_ns = None
                known.dialog = claim.dialog or known.dialog
                return known
        if len(held) >= MAX_CLAIMS_PER_CALL:
            self.counters["claims-dropped"] += 1
            silent = (old for old in held[_FIRST_CLAIMS:] if old.endpoint not in self._streams)
            self.remove(next(silent, held[0]))
        at = self._claims.setdefault(claim.endpoint, [])
        if len(at) >= MAX_CLAIMS_PER_ENDPOINT:
            self.counters["claims-dropped"] += 1
            self.remove(min(at, key=lambda old: (old.borne_out, self._answered(old.call))))
            at = self._claims.setdefault(claim.endpoint, [])
        held.append(claim)
        at.append(claim)
        return claim

    def remove(self, claim: Claim) -> None:
        """Forget a claim, as if it had never been made."""
        held = self._by_call.get(claim.call, [])
        if claim in held:
            held.remove(claim)
            at = self._claims[claim.endpoint]
            at.remove(claim)
            if not at:
                del self._claims[claim.endpoint]

    def of(self, call: Hashable) -> list[Claim]:
        """Return the claims of a call, oldest first."""
        return self._by_call.get(call, [])

    def announced(self, endpoint: Endpoint) -> bool:
        """Return whether anyone claims an endpoint, or did in a call that lingers.

        A block's signalling is read before its media, so a claim may be over by the time its media is seen.
        """
        return bool(self._claims.get(endpoint))

    def claiming(self, endpoint: Endpoint) -> list[Claim]:
        """Return the claims on an endpoint."""
        return self._claims.get(endpoint, [])

    def format_of(self, stream: StreamLike, pt: int) -> Format | None:
        """Return what a payload type means on the way of a stream, as its receiver says, else its sender."""
        for endpoint in (stream.dst, stream.src):
            for claim in reversed(self._claims.get(endpoint, ())):
                if pt in claim.formats:
                    return claim.formats[pt]
        return None

    def speaks(self, call: Hashable, endpoint: Endpoint) -> bool:
        """Return whether a call has a claim on an endpoint, whoever's."""
        return any(claim.call is call for claim in self._claims.get(endpoint, ()))

    def close(self, call: Hashable, at_ns: int) -> None:
        """End all claims of a call: what begins later is not its media (C10)."""
        for claim in self.of(call):
            if claim.to_ns is None or claim.to_ns > at_ns:
                claim.to_ns = at_ns

    def forget(self, call: Hashable) -> None:
        """Drop all claims of a call that was handed out."""
        for claim in list(self.of(call)):
            self.remove(claim)
        self._by_call.pop(call, None)

    # -- streams ----------------------------------------------------------------------------------------

    def watch(self, stream: StreamLike) -> None:
        """Remember a stream, so that later claims on its endpoints find it."""
        self._streams.setdefault(stream.src, {})[stream.id] = stream
        self._streams.setdefault(stream.dst, {})[stream.id] = stream

    def unwatch(self, stream: StreamLike) -> None:
        """Forget a stream."""
        for endpoint in (stream.src, stream.dst):
            at = self._streams.get(endpoint)
            if at is not None:
                at.pop(stream.id, None)
                if not at:
                    del self._streams[endpoint]

    def at(self, endpoint: Endpoint) -> list[StreamLike]:
        """Return the streams that come from or go to an endpoint."""
        return list(self._streams.get(endpoint, {}).values())

    # -- resolution -------------------------------------------------------------------------------------

    def matches(self, stream: StreamLike) -> list[Match]:
        """Return what each call has to say about a stream, best first."""
        to = self._claims.get(stream.dst)
        source = self._claims.get(stream.src)
        if to is None and source is None:
            return []
        best: dict[Hashable, Match] = {}
        for match in self._pairs(stream, to or [], source or []):
            known = best.get(match.call)
            if known is None or match[:6] > known[:6]:
                best[match.call] = match
        return sorted(best.values(), key=lambda match: match[:6], reverse=True)

    def _pairs(self, stream: StreamLike, to: list[Claim], source: list[Claim]) -> Iterator[Match]:
        types = set(stream.payload_types)
        for claim in to:
            in_time = claim.holds(stream)
            if in_time:
                yield _match(other(claim.party), in_time, types, claim, None)
                for back in source:
                    if back.call is claim.call and back.party != claim.party and back.kind == claim.kind:
                        also = back.holds(stream)
                        if also:
                            yield _match(back.party, max(in_time, also), types, claim, back)
        for claim in source:
            in_time = claim.holds(stream)
            if in_time:
                yield _match(claim.party, in_time, types, None, claim)


def _match(by: Party, in_time: int, types: set[int], to: Claim | None, source: Claim | None) -> Match:
    claims = [claim for claim in (to, source) if claim is not None]
    newest = max(claims, key=lambda claim: claim.from_ns)
    # Audio and video may share a port (BUNDLE): then the payload types decide.
    explained = any(not types.isdisjoint(claim.formats) for claim in claims)
    return Match(
        both_ends=len(claims) == 2,
        in_time=in_time,
        certainty=sum(claim.certainty for claim in claims) * 2 + explained,
        current=not any(claim.given_up for claim in claims),
        from_ns=newest.from_ns,
        order=1 if to is not None else 0,
        call=newest.call,
        by=by,
        kind=newest.kind,
        to=to,
        source=source,
    )
