"""Whose media is it: each stream belongs to the call with the best claim, or waits for one.

What is claimed on which grounds is `claims.py`; here streams move from one call to another as more is known,
and are given, where no claim tells, to the one call that they can belong to (C6, C9).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Final

from bystander.sniffer.address import Endpoint
from bystander.sniffer.between import LegsBetween, Unclaimed
from bystander.sniffer.callfacts import CallSettings
from bystander.sniffer.claims import LEARNED, Claim, Claims, Match, StreamLike
from bystander.sniffer.crypto import SrtpKey
from bystander.sniffer.dialogs import Party
from bystander.sniffer.guarding import Guards
from bystander.sniffer.leg import ClaimedStream, Leg
from bystander.sniffer.linking import Linker
from bystander.sniffer.midcall import ending_media, ends_of
from bystander.sniffer.natguess import media_between, waits_for_media
from bystander.sniffer.sdp import SIDE_ENCODINGS, STATIC_FORMATS
from bystander.sniffer.takeover import taken_over

#: Streams that one call may have, four times as many if both their ends are known to be the call's: a flood
#: of SSRCs to a telephone's port is not all its caller's.
MAX_STREAMS_PER_CALL: Final = 256


def _is_answered(leg: Hashable) -> bool:
    return isinstance(leg, Leg) and leg.session.answered_ns is not None


class StreamOwners:
    """Streams and the legs that own them; streams that no leg has claimed wait, and expire.

    ``guards`` is what is to be done with the packets of streams, by what is said of their protection.
    """

    def __init__(self, settings: CallSettings, counters: Counter[str], linker: Linker) -> None:
        self._settings = settings
        self._counters = counters
        self._linker = linker
        self.claims = Claims(counters, _is_answered)
        self.guards = Guards(self.claims)
        self._owners: dict[int, Leg] = {}
        self._unclaimed = Unclaimed()
        self._legs_between = LegsBetween()
        self._expired: list[StreamLike] = []
        self._taken_over: list[StreamLike] = []

    def __len__(self) -> int:
        """Return how many streams wait for a claim."""
        return len(self._unclaimed)

    def put(self, leg: Leg) -> None:
        """Take note of a leg, and of the hosts it is between by now."""
        self._legs_between.put(leg)

    def expects(self, src: Endpoint, dst: Endpoint) -> bool:
        """Return whether a session description has announced media at one of two endpoints."""
        return self.claims.announced(src) or self.claims.announced(dst)

    def clock_of(self, stream: StreamLike, pt: int) -> int | None:
        """Return the RTP clock of a payload type that is audio of its own, in Hz; None if it is not known."""
        known = self.claims.format_of(stream, pt) or STATIC_FORMATS.get(pt)
        return known.clock_hz if known is not None and known.encoding not in SIDE_ENCODINGS else None

    def started(self, stream: StreamLike) -> None:
        """Take a new stream, whether or not a description has announced it."""
        if len(self._unclaimed) >= self._settings.max_unclaimed:
            oldest = next(iter(self._unclaimed.values()))
            self._drop(oldest)
            self._expired.append(oldest)
            self._counters["streams-evicted"] += 1
        self.claims.watch(stream)
        self._unclaimed.put(stream)
        self._assign(stream)

    def may_be_relayed(self, stream: StreamLike) -> bool:
        """Return whether the audio of a claimed stream could link its call with another."""
        leg = self._owners.get(stream.id)
        return leg is not None and self._linker.may_link(leg)

    def keys_of(self, stream: StreamLike) -> list[SrtpKey]:
        """Return the keys with which a claimed stream may be protected."""
        leg = self._owners.get(stream.id)
        return [] if leg is None else leg.streams[stream.id].keys

    def began_ns(self, stream: StreamLike) -> int | None:
        """Return when the call that has claimed a stream began; None if none has."""
        leg = self._owners.get(stream.id)
        return None if leg is None else leg.started_ns

    def heard(self, stream: StreamLike, prints: frozenset[int]) -> None:
        """Take the prints of a claimed stream that is over: legs with the same audio are one call."""
        leg = self._owners.get(stream.id)
        claimed = leg.streams.get(stream.id) if leg is not None else None
        if leg is not None and claimed is not None and claimed.kind == "audio":
            self._linker.note(leg, claimed, prints)

    def ended(self, stream: StreamLike) -> None:
        """A stream will get no more packets. Its call keeps it; unclaimed, it still waits for a claim."""
        self._counters["streams-ended"] += 1
        if stream.id in self._unclaimed:
            self._assign(stream)

    def expired(self, now_ns: int) -> list[StreamLike]:
        """Return, once, the streams that no call has claimed in time; the table forgets them."""
        expired, self._expired = self._expired, []
        limit_ns = now_ns - round(self._settings.unclaimed_s * 1e9)
        waiting: dict[tuple[str, str], list[Leg]] = {}
        while self._unclaimed:
            stream = next(iter(self._unclaimed.values()))
            if stream.first_ns > limit_ns:
                break
            hosts = (stream.src[0], stream.dst[0])
            if hosts not in waiting:
                waiting[hosts] = self._legs_between.waiting(*hosts)
            if waiting[hosts] and self.adopt(hosts, waiting[hosts]):
                waiting.clear()
                continue
            self._drop(stream)
            expired.append(stream)
        self._counters["streams-unclaimed"] += len(expired)
        return expired

    def _drop(self, stream: StreamLike) -> None:
        self._unclaimed.drop(stream)
        self.claims.unwatch(stream)

    def reassign(self, leg: Leg, endpoints: Iterable[Endpoint]) -> None:
        """Ask anew whose the streams at some endpoints are: a leg's claims there have changed."""
        for endpoint in dict.fromkeys(endpoints):
            for stream in self.claims.at(endpoint):
                self._assign(stream)
                owner = self._owners.get(stream.id)
                if owner is not None and taken_over(stream, owner, leg, self.claims):
                    self._taken_over.append(stream)

    def ended_at(self, endpoint: Endpoint) -> bool:
        """Return whether a stream of a call that is over comes from an endpoint or goes there."""
        owners = (self._owners.get(stream.id) for stream in self.claims.at(endpoint))
        return any(owner is not None and owner.session.finished for owner in owners)

    def taken_over(self) -> list[StreamLike]:
        """Return, once, the streams that are over because what comes on them now is another call's."""
        taken, self._taken_over = self._taken_over, []
        return taken

    def _assign(self, stream: StreamLike) -> None:
        """Give a stream to the call with the best claim; it may move as more is known."""
        matches = self.claims.matches(stream)
        owner = self._owners.get(stream.id)
        if not matches:
            if owner is not None:  # the claim was withdrawn: a refused re-INVITE
                del owner.streams[stream.id], self._owners[stream.id]
                self._unclaimed.put(stream)
            return
        best = matches[0]
        leg = best.call
        assert isinstance(leg, Leg)
        if owner is not leg:
            if len(leg.streams) >= (4 if best.both_ends else 1) * MAX_STREAMS_PER_CALL:
                self._counters["streams-beyond-call"] += 1
                return
            if owner is not None:
                del owner.streams[stream.id]
            self._owners[stream.id] = leg
            self._unclaimed.drop(stream)
        claimed = leg.streams.get(stream.id)
        if claimed is None or claimed.by != best.by or claimed.kind != best.kind:
            claimed = leg.streams[stream.id] = ClaimedStream(stream, best.by, {}, False, best.kind)
        claimed.hop = next((claim.hop for claim in (best.to, best.source) if claim is not None), None)
        claimed.from_announced = best.source is not None
        self.guards.explain(leg, claimed)
        for claim in (best.source, best.to):
            if claim is not None:
                claim.borne_out = True
                claimed.formats.update(claim.formats)
        self._linker.shared(matches)
        if best.to is not None and best.source is None and best.in_time == 2:
            self._learn(leg, best, stream)

    def _learn(self, leg: Leg, match: Match, stream: StreamLike) -> None:
        """By symmetric RTP the sender of a stream receives where it sends from (C9): NAT, mostly."""
        if match.certainty <= LEARNED or self.claims.speaks(leg, stream.src):
            return
        self.claims.add(
            Claim(
                call=leg,
                party=match.by,
                endpoint=stream.src,
                kind=match.kind,
                from_ns=stream.first_ns,
                reach_ns=stream.first_ns - round(self._settings.early_s * 1e9),
                to_ns=leg.session.decided_ns,
                certainty=LEARNED,
                hop=None if match.to is None else match.to.hop,
            )
        )
        for back in self.claims.at(stream.src):
            if back.id != stream.id:
                self._assign(back)

    def settle_forks(self, leg: Leg, at_ns: int) -> None:
        """Phones that rang and were not answered send no more media; the one that was, does."""
        losers = leg.session.losers
        if not losers:
            return
        for claim in self.claims.of(leg):
            if claim.party == "callee" and claim.dialog:
                if claim.dialog not in losers:
                    claim.to_ns = None
                elif claim.to_ns is None:
                    claim.to_ns = at_ns

    def guess(self, leg: Leg) -> None:
        """Give a call of which only the end was seen the media that ended with it, if that is certain."""
        found = ending_media(leg, self._unclaimed.between(*ends_of(leg)))
        if found is None:
            self._counters["guesses-refused"] += 1
            return
        self._give(leg, found)

    def adopt(self, hosts: tuple[str, str], waiting: Sequence[Leg]) -> bool:
        """Give the one call between two hosts that waits for media the streams that must be its own (C9)."""
        found = media_between(hosts, waiting, self._unclaimed.between(*hosts))
        if found is not None:
            self._counters["adopted"] += len(found[1])
            self._give(*found)
        return found is not None

    def _give(self, leg: Leg, found: list[tuple[StreamLike, Party]]) -> None:
        for stream, by in found:
            self._unclaimed.drop(stream)
            self._owners[stream.id] = leg
            claimed = leg.streams[stream.id] = ClaimedStream(stream, by, {}, False)
            leg.explain(claimed)

    def adopt_for(self, leg: Leg) -> None:
        """Give a leg that waits for media what must be its own."""
        if self._unclaimed and waits_for_media(leg):
            hosts = (leg.caller_host, leg.callee_host)
            self.adopt(hosts, self._legs_between.waiting(*hosts))

    def forget(self, leg: Leg) -> None:
        """Let go of a leg that is handed out, and of its streams."""
        for claimed in leg.streams.values():
            self._owners.pop(claimed.stream.id, None)
            self.claims.unwatch(claimed.stream)
        self.claims.forget(leg)
        self._legs_between.drop(leg)
