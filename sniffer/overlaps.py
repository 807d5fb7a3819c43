"""Whether address plans overlap: the same addresses and ports in use in two networks, with nothing in common.

A packet that is mirrored on its way from one VLAN into another is seen in both, so two networks that share a
flow mostly share its datagrams. Where not one of them is the same, two pairs of hosts have the same
addresses: their calls are told apart by the network alone (:mod:`bystander.sniffer.separation`).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import V4_WIDTH, Datagrams
from bystander.sniffer.realm import REALMS, SHIFT, apart
from bystander.sniffer.rtp import looks_like_rtp
from bystander.sniffer.signalling import may_be_sip

#: Datagrams looked at together; copies are milliseconds apart, so few pairs are torn.
_TOGETHER: Final = 65_536
#: So many different datagrams in each network prove it; a few may have lost their copy.
_ENOUGH: Final = 3
#: Flows that are in several networks are looked at up to this number.
_MOST_FLOWS: Final = 256
#: A row's UDP length and checksum and the first twelve bytes behind them.
_BYTES: Final = 16

_A = np.uint64(0x9E3779B97F4A7C15)
_S32 = np.uint64(32)


class Overlaps:
    """Finds flows that two networks have, and no datagram of which is in both.

    It is fed datagrams that were parsed with everything told apart.
    """

    def __init__(self) -> None:
        self._waiting: list[NDArray[np.uint64]] = []
        self._count = 0
        #: By flow: distinct datagrams by realm, and how many were in more than one.
        self._seen: dict[int, tuple[Counter[str], Counter[str]]] = {}

    def feed(self, datagrams: Datagrams) -> None:
        """Take one block of datagrams; only RTP and SIP are looked at, as every VLAN has its own DHCP."""
        rtp = looks_like_rtp(datagrams)
        at = np.sort(np.concatenate([np.flatnonzero(rtp), may_be_sip(datagrams, np.flatnonzero(~rtp))]))
        if not len(at):
            return
        found = np.zeros((len(at), 3), np.uint64)
        found[:, 0] = apart(datagrams.flow, datagrams.tunnel)[at]  # twice is what it was
        if datagrams.tunnel is not None:
            found[:, 1] = datagrams.tunnel[at] >> SHIFT
        wide = datagrams.rows.dtype.itemsize
        start = 38 if wide == V4_WIDTH else 58
        head = datagrams.rows.view(np.uint8).reshape(-1, wide)[at, start : start + _BYTES]
        halves = np.ascontiguousarray(head).view("<u8").reshape(-1, 2)
        found[:, 2] = halves[:, 0] * _A ^ (halves[:, 1] + (halves[:, 0] >> _S32)) * _A
        self._waiting.append(found)
        self._count += len(found)
        if self._count >= _TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Look at what waits; to be called once more at the end."""
        if not self._waiting:
            return
        found = np.concatenate(self._waiting)
        self._waiting, self._count = [], 0
        found = found[np.lexsort((found[:, 1], found[:, 0]))]
        same_flow = found[1:, 0] == found[:-1, 0]
        shared = np.unique(found[1:, 0][same_flow & (found[1:, 1] != found[:-1, 1])])
        for flow in shared[:_MOST_FLOWS].tolist():
            self._look(flow, found[found[:, 0] == np.uint64(flow)])

    def _look(self, flow: int, found: NDArray[np.uint64]) -> None:
        if flow not in self._seen and len(self._seen) >= _MOST_FLOWS:
            return
        counts, common = self._seen.setdefault(flow, (Counter(), Counter()))
        seen: Counter[int] = Counter()
        for realm in np.unique(found[:, 1]).tolist():
            contents = set(found[found[:, 1] == realm, 2].tolist())
            seen.update(contents)
            counts[REALMS.name(realm)] += len(contents)
        common["all"] += sum(times > 1 for times in seen.values())

    @property
    def networks(self) -> list[str]:
        """The realms that have addresses and ports in common, and nothing else ("" is outside of any)."""
        return sorted({realm for counts in self._proven() for realm in counts})

    @property
    def flows(self) -> int:
        """How many pairs of addresses and ports they have in common."""
        return len(self._proven())

    @property
    def kinds(self) -> list[str]:
        """By what they would have to be told apart (`separation.KINDS`)."""
        return sorted({step.split()[0] for realm in self.networks for step in realm.split("/") if step})

    def _proven(self) -> list[list[str]]:
        found = []
        for counts, common in self._seen.values():
            several = [realm for realm, count in counts.items() if count >= _ENOUGH]
            if len(several) > 1 and not common["all"]:
                found.append(several)
        return found
