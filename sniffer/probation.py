"""Which unknown flows are RTP streams: those with a second packet that agrees with the first.

A quarter of all random bytes begin like RTP version 2. A flow is let in when two packets of one SSRC have
sequence numbers close together but not equal, or at once when SDP has announced it. First packets wait
here meanwhile, whole; there are never more than ``MAX_WAITING`` of them, and the oldest go first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.rtp import RtpPackets

MAX_WAITING: Final = 4096
#: Unknown flows looked at per block; a flood of them waits for the next block.
MAX_PER_BLOCK: Final = 1024
#: Sequence numbers of two packets of one stream lie within this of each other.
_NEAR = 100
_WAIT_NS = 30_000_000_000
#: Neither end of an RTP stream has a well-known port; DNS, NTP and SNMP have one.
_LOWEST_PORT = 1024

_Waiting = tuple[Endpoint, Endpoint, Datagrams, int, int]


class Probation:
    """First packets of flows that may be RTP."""

    def __init__(self, expected: Callable[[Endpoint, Endpoint], bool] | None = None) -> None:
        self._expected = expected
        self._waiting: dict[int, _Waiting] = {}
        self.overflow = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def judge(
        self, datagrams: Datagrams, packets: RtpPackets, strange: NDArray[np.int64]
    ) -> Iterator[tuple[int, Datagrams | None]]:
        """Yield (first packet of a flow to let in, an earlier packet of it that waited here or None)."""
        rows = datagrams.rows[packets.which[strange]]
        strange = strange[(rows["sport"] >= _LOWEST_PORT) & (rows["dport"] >= _LOWEST_PORT)]
        keys, first, inverse, counts = np.unique(
            packets.key[strange], return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        if len(order) > MAX_PER_BLOCK:
            self.overflow += len(order) - MAX_PER_BLOCK
            order = order[:MAX_PER_BLOCK]
        for i in order.tolist():
            members = strange[inverse == i] if counts[i] > 1 else strange[first[i] : first[i] + 1]
            found = self._judge_one(int(keys[i]), datagrams, packets, members)
            if found is not None:
                yield found

    def take_expected(self) -> list[tuple[Endpoint, Endpoint, Datagrams]]:
        """Remove and return the waiting packets that SDP has announced by now."""
        if self._expected is None:
            return []
        found = [key for key, (src, dst, *_) in self._waiting.items() if self._expected(src, dst)]
        return [self._waiting.pop(key)[:3] for key in found]

    def _judge_one(
        self, key: int, datagrams: Datagrams, packets: RtpPackets, members: NDArray[np.int64]
    ) -> tuple[int, Datagrams | None] | None:
        first = int(members[0])
        seq, time_ns = int(packets.seq[first]), int(packets.time_ns[first])
        waiting = self._waiting.get(key)
        if waiting is not None:
            *_, earlier, seq_then, then_ns = waiting
            if time_ns - then_ns < _WAIT_NS and _agree(seq_then, seq):
                del self._waiting[key]
                return first, earlier
        for other in members[1:8].tolist():
            if _agree(seq, int(packets.seq[other])):
                self._waiting.pop(key, None)
                return first, None
        which = int(packets.which[first])
        src, dst = datagrams.endpoints(which)
        if self._expected is not None and self._expected(src, dst):
            self._waiting.pop(key, None)
            return first, None
        if key not in self._waiting and len(self._waiting) >= MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        packet = synthetic(src, dst, datagrams.payload(which), time_ns)
        self._waiting[key] = (src, dst, packet, seq, time_ns)
        return None


def _agree(a: int, b: int) -> bool:
    """Tell whether two sequence numbers can belong to neighbours in one stream; a copy proves nothing."""
    step = (b - a + 32768) % 65536 - 32768
    return step != 0 and abs(step) <= _NEAR
