"""Which unknown flows are RTP streams: those with a second packet that agrees with the first.

A quarter of all random bytes begin like RTP version 2. A flow is let in when two packets of one SSRC have
sequence numbers close together but not equal, or at once when SDP has announced it. First packets wait
here meanwhile, whole; there are never more than ``MAX_WAITING`` of them, and the oldest go first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import Datagrams, pick, synthetic
from bystander.sniffer.rtp import RtpPackets

MAX_WAITING: Final = 4096
#: Unknown flows looked at per block; a flood of them waits for the next block.
MAX_PER_BLOCK: Final = 1024
#: Sequence numbers of two packets of one stream lie within this of each other.
_NEAR = 100
_WAIT_NS = 30_000_000_000
#: Neither end of an RTP stream has a well-known port; DNS, NTP and SNMP have one.
_LOWEST_PORT = 1024

#: Packets of one flow in one block that are compared with each other.
_MAX_COMPARED = 8
#: Packets held of one flow, and the largest worth holding: no audio that telephones send is longer.
_MAX_HELD = 4
_MAX_BYTES = 4096


@dataclass(slots=True)
class _Waiting:
    """Packets of a flow that do not agree with each other yet, and their sequence numbers."""

    src: Endpoint
    dst: Endpoint
    packets: list[Datagrams]
    numbers: list[int]
    last_ns: int


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
    ) -> Iterator[tuple[int, list[Datagrams]]]:
        """Yield (first packet of a flow to let in, earlier packets of it that waited here)."""
        rows = pick(datagrams.rows, packets.which[strange])
        strange = strange[(rows["sport"] >= _LOWEST_PORT) & (rows["dport"] >= _LOWEST_PORT)]
        keys, first, inverse, counts = np.unique(
            packets.key[strange], return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        if len(order) > MAX_PER_BLOCK:
            # Where somebody speaks there are many packets in a block; a flood has few of each.
            self.overflow += len(order) - MAX_PER_BLOCK
            order = np.lexsort((first, -counts))[:MAX_PER_BLOCK]
        for i in order.tolist():
            members = strange[inverse == i] if counts[i] > 1 else strange[first[i] : first[i] + 1]
            found = self._judge_one(int(keys[i]), datagrams, packets, members)
            if found is not None:
                yield found

    def take_expected(self) -> list[tuple[Endpoint, Endpoint, list[Datagrams]]]:
        """Remove and return the waiting packets of flows that SDP has announced by now."""
        if self._expected is None:
            return []
        found = [key for key, held in self._waiting.items() if self._expected(held.src, held.dst)]
        taken = [self._waiting.pop(key) for key in found]
        return [(held.src, held.dst, held.packets) for held in taken]

    def _judge_one(
        self, key: int, datagrams: Datagrams, packets: RtpPackets, members: NDArray[np.int64]
    ) -> tuple[int, list[Datagrams]] | None:
        first = int(members[0])
        waiting = self._waiting.get(key)
        if waiting is not None and int(packets.time_ns[first]) - waiting.last_ns >= _WAIT_NS:
            del self._waiting[key]
            waiting = None
        numbers = [] if waiting is None else waiting.numbers.copy()
        earlier = [] if waiting is None else waiting.packets
        for seq in packets.seq[members[:_MAX_COMPARED]].tolist():
            if any(_agree(number, seq) for number in numbers):
                self._waiting.pop(key, None)
                return first, earlier
            numbers.append(seq)
        if waiting is None:
            src, dst = datagrams.endpoints(int(packets.which[first]))
            if self._expected is not None and self._expected(src, dst):
                return first, earlier
            waiting = _Waiting(src, dst, [], [], 0)
        elif self._expected is not None and self._expected(waiting.src, waiting.dst):
            del self._waiting[key]
            return first, earlier
        self._hold(key, waiting, datagrams, packets, members)
        return None

    def _hold(
        self,
        key: int,
        waiting: _Waiting,
        datagrams: Datagrams,
        packets: RtpPackets,
        members: NDArray[np.int64],
    ) -> None:
        for member in members[-_MAX_HELD:].tolist():
            which = int(packets.which[member])
            if datagrams.size[which] > _MAX_BYTES:
                continue
            waiting.last_ns = int(packets.time_ns[member])
            packet = synthetic(
                waiting.src, waiting.dst, datagrams.payload(which), waiting.last_ns, datagrams.way(which)
            )
            waiting.packets.append(packet)
            waiting.numbers.append(int(packets.seq[member]))
        del waiting.packets[:-_MAX_HELD], waiting.numbers[:-_MAX_HELD]
        if waiting.packets and key not in self._waiting:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
                self.overflow += 1
            self._waiting[key] = waiting


def _agree(a: int, b: int) -> bool:
    """Tell whether two sequence numbers can belong to neighbours in one stream; a copy proves nothing."""
    step = (b - a + 32768) % 65536 - 32768
    return step != 0 and abs(step) <= _NEAR
