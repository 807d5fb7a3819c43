"""Legs of one call with Call-IDs of their own: what a back-to-back user agent makes of a call (C7).

Two legs are one call when they carry the same media: both session descriptions name both ends of one stream
(direct media), or when what either party says on one leg is heard on the other too (relayed media). One side
alone is not enough: all calls on hold hear the same music; nor is audio alone: an agent leaves the number of
at least one party as it was. The legs must also have begun within seconds of each other, overlap, and not
have been signalled over the same hop in the same direction, because those are
neighbours on a trunk, or phones that use one port for all calls. A leg that began later (who waited in a
queue is put through, an exchange transfers a call) is with somebody else: it stays a call, and is related.

The first leg leads: its parties, state and times are the call's, because the first leg is the one the caller
dialled. Where the agent calls both sides itself, the roles of the second leg may be swapped; the media tells.

Audio is compared by its prints (see `sameaudio.py`), noted for each stream when it falls silent at the end of
its call: a dict finds the legs that share prints, whatever the number of calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from bystander.sniffer.claims import Match
from bystander.sniffer.dialogs import Party, other
from bystander.sniffer.leg import ClaimedStream, Leg
from bystander.sniffer.partyname import party_key
from bystander.sniffer.transfers import relate

#: Prints that two streams must have in common to be the same audio.
MIN_COMMON: Final = 4
#: Streams that may share one print; more is a tone or a melody, which proves nothing.
MAX_SHARING: Final = 8
#: Legs with a party in common that are looked at one by one.
MAX_LOOKED_AT: Final = 64


class Linker:
    """Which legs in the table belong together, and the prints of their audio."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._by_name: dict[str, dict[Leg, None]] = {}
        self._names: dict[Leg, set[str]] = {}
        self._noted: dict[int, list[tuple[Leg, ClaimedStream]]] = {}
        self._prints: dict[Leg, list[frozenset[int]]] = {}
        # For each pair of legs: who on the one was heard as whom on the other.
        self._heard: dict[tuple[Leg, Leg], set[tuple[str, str]]] = {}

    def add(self, leg: Leg) -> None:
        """Take a leg whose parties are known, or have become known."""
        names = {party_key(leg.caller), party_key(leg.callee)} - {""}
        for name in names:
            self._by_name.setdefault(name, {})[leg] = None
        self._names.setdefault(leg, set()).update(names)

    def may_link(self, leg: Leg) -> bool:
        """Tell whether there is another leg that audio could prove to be of the same call."""
        for name in self._names.get(leg, ()):
            for number, other_leg in enumerate(self._by_name[name]):
                # A city calls one number: among so many there may be one, and audio tells at less cost.
                if number >= MAX_LOOKED_AT or _beside(leg, other_leg):
                    return True
        return False

    def note(self, leg: Leg, claimed: ClaimedStream, prints: frozenset[int]) -> None:
        """Take the prints of a stream of a leg, and link the leg with those that carry the same audio."""
        common: Counter[tuple[Leg, str]] = Counter()
        for number in prints:
            sharing = self._noted.setdefault(number, [])
            if len(sharing) >= MAX_SHARING:
                continue
            for partner, theirs in sharing:
                if partner is not leg:
                    common[partner, theirs.by] += 1
            sharing.append((leg, claimed))
        self._prints.setdefault(leg, []).append(prints)
        for (partner, by), count in common.items():
            if count >= MIN_COMMON and _beside(leg, partner) and self._agree(leg, partner):
                heard = self._heard.setdefault((leg, partner), set())
                heard.add((claimed.by, by))
                self._heard.setdefault((partner, leg), set()).add((by, claimed.by))
                for swapped in (False, True):
                    if {("caller", _as("caller", swapped)), ("callee", _as("callee", swapped))} <= heard:
                        if self._plausible(leg, partner):
                            self._link(leg, partner, swapped)
                        else:
                            relate(leg, partner, "other-leg")

    def remove(self, leg: Leg) -> None:
        """Forget a leg that was handed out."""
        self.part(leg)
        for name in self._names.pop(leg, ()):
            self._by_name[name].pop(leg, None)
            if not self._by_name[name]:
                del self._by_name[name]
        for prints in self._prints.pop(leg, []):
            for number in prints:
                left = [entry for entry in self._noted.get(number, []) if entry[0] is not leg]
                if left:
                    self._noted[number] = left
                else:
                    self._noted.pop(number, None)
        for pair in [pair for pair in self._heard if leg in pair]:
            del self._heard[pair]

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

    def group(self, leg: Leg) -> list[Leg]:
        """Return all legs of the call that a leg belongs to, itself included, the first one first."""
        found, todo = {leg}, [leg]
        while todo:
            for partner in todo.pop().links:
                if partner not in found:
                    found.add(partner)
                    todo.append(partner)
        return sorted(found, key=lambda member: (member.started_ns, member.call_id))

    def roles(self, first: Leg, leg: Leg) -> Iterator[ClaimedStream]:
        """Yield the streams of a leg with their roles as the first leg sees them."""
        swapped = self.turned(first, leg)
        for claimed in leg.streams.values():
            if swapped:
                claimed.by = other(claimed.by)
            yield claimed

    def turned(self, first: Leg, leg: Leg) -> bool:
        """Tell whether the caller of a leg is the callee of the first one."""
        return leg is not first and self._swapped(first, leg)

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

    def _agree(self, one: Leg, two: Leg) -> bool:
        """Tell whether two legs have a party in common, prefixes of exchange and country aside."""
        return bool(self._names.get(one, set()) & self._names.get(two, set()))

    def _plausible(self, one: Leg, two: Leg) -> bool:
        return abs(one.started_ns - two.started_ns) <= self._window_ns and _beside(one, two)

    def _link(self, one: Leg, two: Leg, swapped: bool) -> None:
        one.links[two] = swapped
        two.links[one] = swapped


def _beside(one: Leg, two: Leg) -> bool:
    """Tell whether two legs may belong together: at one time, and not two calls on one hop."""
    if one is two or _hop(one) == _hop(two):
        return False
    return one.started_ns <= two.last_activity_ns() and two.started_ns <= one.last_activity_ns()


def _hop(leg: Leg) -> tuple[object, object]:
    (src, src_port), (dst, dst_port) = leg.first_hop
    # On one machine only the ports tell who is who.
    return ((src, src_port), (dst, dst_port)) if src == dst else (src, dst)


def _as(party: Party, swapped: bool) -> Party:
    return other(party) if swapped else party
