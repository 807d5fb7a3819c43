"""Legs of one call with Call-IDs of their own: what a back-to-back user agent makes of a call (C7).

Two legs are one call when they carry the same media: both session descriptions name both ends of one stream
(direct media), or two streams carry the same audio (relayed media; the owner of the table says how to tell).
Candidates are few: they began within seconds of each other, overlap, and were not signalled over the same
hop in the same direction, because those are neighbours on a trunk, or phones that use one port for all calls.

The first leg leads: its parties, state and times are the call's, because the first leg is the one the caller
dialled. Where the agent calls both sides itself, the roles of the second leg may be swapped; the media tells.

When a leg is about to be handed out its candidates are compared, so the price is paid once per call and not
per message, and all media is there to be compared.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Final

from bystander.sniffer.claims import Match, StreamLike
from bystander.sniffer.dialogs import other
from bystander.sniffer.leg import ClaimedStream, Leg

#: Candidates compared by their audio, nearest in time first.
MAX_COMPARED: Final = 8


class Linker:
    """The legs in the table in order of their beginning, and which of them belong together."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._by_start: list[tuple[int, int, Leg]] = []

    def add(self, leg: Leg) -> None:
        """Take a new leg."""
        insort(self._by_start, (leg.started_ns, id(leg), leg))

    def remove(self, leg: Leg) -> None:
        """Forget a leg that was handed out."""
        self.part(leg)
        where = bisect_left(self._by_start, (leg.started_ns, id(leg)))
        if where < len(self._by_start) and self._by_start[where][2] is leg:
            del self._by_start[where]

    def part(self, leg: Leg) -> None:
        """Undo a leg's links."""
        for partner in leg.links:
            partner.links.pop(leg, None)
        leg.links.clear()

    def shared(self, matches: list[Match]) -> None:
        """Link legs that both claim both ends of one stream, while both were open."""
        best = matches[0]
        if not best.both_ends or best.in_time < 2:
            return
        for match in matches[1:]:
            if match.both_ends and match.in_time == 2:
                one, two = best.call, match.call
                if isinstance(one, Leg) and isinstance(two, Leg) and self._plausible(one, two):
                    self._link(one, two, swapped=best.by != match.by)

    def group(self, leg: Leg, same_media: Callable[[StreamLike, StreamLike], bool] | None) -> list[Leg]:
        """Return all legs of the call that a leg belongs to, itself included, the first one first."""
        if same_media is not None:
            for candidate in self._candidates(leg):
                self._compare(leg, candidate, same_media)
        found, todo = {leg}, [leg]
        while todo:
            for partner in todo.pop().links:
                if partner not in found:
                    found.add(partner)
                    todo.append(partner)
        return sorted(found, key=lambda member: (member.started_ns, member.call_id))

    def roles(self, first: Leg, leg: Leg) -> Iterator[ClaimedStream]:
        """Yield the streams of a leg with their roles as the first leg sees them."""
        swapped = leg is not first and self._swapped(first, leg)
        for claimed in leg.streams.values():
            if swapped:
                claimed.by = other(claimed.by)
            yield claimed

    def _swapped(self, first: Leg, leg: Leg) -> bool:
        seen, todo = {first}, [(first, False)]
        for here, swapped in todo:
            if here is leg:
                return swapped
            for partner, turns in here.links.items():
                if partner not in seen:
                    seen.add(partner)
                    todo.append((partner, swapped != turns))
        return False

    def _candidates(self, leg: Leg) -> list[Leg]:
        if not leg.streams:
            return []
        start = leg.started_ns
        found = []
        where = bisect_left(self._by_start, (start - self._window_ns,))
        while where < len(self._by_start) and self._by_start[where][0] <= start + self._window_ns:
            candidate = self._by_start[where][2]
            where += 1
            if candidate.streams and candidate not in leg.links and self._plausible(leg, candidate):
                found.append(candidate)
        found.sort(key=lambda candidate: abs(_answered(candidate) - _answered(leg)))
        return found[:MAX_COMPARED]

    def _compare(self, leg: Leg, candidate: Leg, same: Callable[[StreamLike, StreamLike], bool]) -> None:
        for mine in leg.streams.values():
            for theirs in candidate.streams.values():
                if mine.kind == theirs.kind == "audio" and same(mine.stream, theirs.stream):
                    self._link(leg, candidate, swapped=mine.by != theirs.by)
                    return

    def _plausible(self, one: Leg, two: Leg) -> bool:
        if one is two or abs(one.started_ns - two.started_ns) > self._window_ns:
            return False
        if _hop(one) == _hop(two):
            return False
        return one.started_ns <= two.last_activity_ns() and two.started_ns <= one.last_activity_ns()

    def _link(self, one: Leg, two: Leg, swapped: bool) -> None:
        one.links[two] = swapped
        two.links[one] = swapped


def _hop(leg: Leg) -> tuple[object, object]:
    (src, src_port), (dst, dst_port) = leg.first_hop
    # On one machine only the ports tell who is who.
    return ((src, src_port), (dst, dst_port)) if src == dst else (src, dst)


def _answered(leg: Leg) -> int:
    """Return when a leg was answered: legs of one call usually are within milliseconds."""
    return leg.session.answered_ns or leg.started_ns
