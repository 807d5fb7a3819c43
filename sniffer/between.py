"""What there is between two hosts: streams that no call claims, and calls (C6, C9).

Guesses at whose media it is go by hosts. Whoever floods the wire with calls, or with streams that are
nobody's, must not make each guess a walk through all of them.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from bystander.sniffer.claims import StreamLike
from bystander.sniffer.leg import Leg
from bystander.sniffer.natguess import waits_for_media

#: Among more streams between two hosts than this nobody guesses: as many as a large trunk has.
MOST_GUESSED: Final = 2048
_NONE: Final[dict[Any, Any]] = {}
_Hosts = frozenset[str]


class Unclaimed(dict[int, StreamLike]):
    """Streams that wait for a claim, by id in the order in which they came, and by hosts."""

    def __init__(self) -> None:
        super().__init__()
        self._between: dict[_Hosts, dict[int, StreamLike]] = {}

    def put(self, stream: StreamLike) -> None:
        """Add a stream."""
        self[stream.id] = stream
        self._between.setdefault(_hosts(stream), {})[stream.id] = stream

    def drop(self, stream: StreamLike) -> None:
        """Take a stream out, if it is there."""
        if self.pop(stream.id, None) is not None:
            _out(self._between, _hosts(stream), stream.id)

    def between(self, one: str, two: str) -> list[StreamLike]:
        """Return the streams from either host to the other, the oldest first; none if there are too many."""
        there = self._between.get(frozenset((one, two)), _NONE)
        return list(there.values()) if len(there) <= MOST_GUESSED else []


class LegsBetween:
    """Legs by the hosts that signalled at both their ends."""

    def __init__(self) -> None:
        self._between: dict[_Hosts, dict[Leg, None]] = {}
        self._where: dict[Leg, tuple[str, str]] = {}

    def put(self, leg: Leg) -> None:
        """Add a leg, or take note of where it is by now."""
        hosts = (leg.caller_host, leg.callee_host)
        if self._where.get(leg) != hosts:
            self.drop(leg)
            self._where[leg] = hosts
            self._between.setdefault(frozenset(hosts), {})[leg] = None

    def drop(self, leg: Leg) -> None:
        """Take a leg out, if it is there."""
        hosts = self._where.pop(leg, None)
        if hosts is not None:
            _out(self._between, frozenset(hosts), leg)

    def waiting(self, one: str, two: str) -> list[Leg]:
        """Return the legs between two hosts that wait for media: the newest two of them at most."""
        there = reversed(self._between.get(frozenset((one, two)), _NONE))
        return list(itertools.islice(filter(waits_for_media, there), 2))


def _hosts(stream: StreamLike) -> _Hosts:
    return frozenset((stream.src[0], stream.dst[0]))


def _out(table: dict[_Hosts, dict[Any, Any]], hosts: _Hosts, member: object) -> None:
    there = table[hosts]
    del there[member]
    if not there:
        del table[hosts]
