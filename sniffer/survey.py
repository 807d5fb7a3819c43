"""What a mirror shows of itself before anything is understood: addresses, tags, cut frames, checksums.

For whoever asks what is wrong with a mirror, not for recording. Counting goes by array, checksums of UDP by
sample; every table is bounded.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import gather
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, Frames
from bystander.sniffer.parse import ETHERTYPES_VLAN, MAX_VLAN_TAGS

ETHERTYPE_NAMES: Final = {0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP"}
#: An Ethernet frame of the usual 1,500 bytes, its header and two tags: longer ones were put together by the
#: network card or the kernel (GRO, LRO), or are jumbo frames.
LONGEST_USUAL: Final = 1522
#: UDP checksums looked at in one block of frames.
_SAMPLE: Final = 48
_MAX_STATIONS: Final = 4096
_MAX_STACKS: Final = 256
_MAX_SENDERS: Final = 1024
_UDP: Final = 17


class Survey:
    """Counts over all frames fed.

    ``vlans`` has tag stacks, outer first. ``casts`` has destinations by kind; ``stations`` are the unicast
    addresses among them. ``udp_bad_from`` has the senders of wrong UDP checksums. An all-zero UDP checksum
    means that there is none (RFC 768), and is not counted.
    """

    def __init__(self) -> None:
        self.frames = self.bytes = self.truncated = self.longer = self.backwards = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.casts: Counter[str] = Counter()
        self.stations: set[int] = set()
        self.ethertypes: Counter[str] = Counter()
        self.vlans: Counter[tuple[int, ...]] = Counter()
        self.ip_checked = self.ip_bad = self.udp_checked = self.udp_bad = 0
        self.udp_bad_from: Counter[str] = Counter()

    @property
    def seconds(self) -> float:
        """From the first frame to the last, by the capture clock."""
        if self.first_ns is None or self.last_ns is None:
            return 0.0
        return max(0, self.last_ns - self.first_ns) / 1e9

    def feed(self, frames: Frames) -> None:
        """Take one block of frames; never raises on what was captured."""
        if not len(frames):
            return
        self.frames += len(frames)
        self.bytes += int(frames.length.sum())
        self.truncated += int(np.count_nonzero(frames.captured < frames.length))
        self.longer += int(np.count_nonzero(frames.length > LONGEST_USUAL))
        self._times(frames.time_ns)
        if frames.linktype == LINKTYPE_ETHERNET:
            self._destinations(frames)
            kind, at = self._untag(frames, frames.offset + 12, frames.vlan)
        elif frames.linktype == LINKTYPE_LINUX_SLL:
            kind, at = self._untag(frames, frames.offset + 14, None)
        else:
            return
        values, counts = np.unique(kind, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.ethertypes[ETHERTYPE_NAMES.get(value, "other")] += count
        self._checksums(frames, np.flatnonzero(kind == 0x0800), at)

    def _times(self, time_ns: NDArray[np.int64]) -> None:
        self.backwards += int(np.count_nonzero(np.diff(time_ns) < 0))
        if self.first_ns is None:
            self.first_ns = int(time_ns[0])
        elif self.last_ns is not None and int(time_ns[0]) < self.last_ns:
            self.backwards += 1
        self.last_ns = int(time_ns[-1])

    def _destinations(self, frames: Frames) -> None:
        """Tell unicast from broadcast: a port that is no mirror shows little but the latter (C25)."""
        low = gather(frames.data, frames.offset, 8).view("<u8") & np.uint64(0xFFFF_FFFF_FFFF)
        everybody = low == np.uint64(0xFFFF_FFFF_FFFF)
        group = (low & np.uint64(1)).astype(bool) & ~everybody
        self.casts["broadcast"] += int(np.count_nonzero(everybody))
        self.casts["multicast"] += int(np.count_nonzero(group))
        single = low[~everybody & ~group]
        self.casts["unicast"] += len(single)
        if len(single) and len(self.stations) < _MAX_STATIONS:
            self.stations.update(np.unique(single)[:_MAX_STATIONS].tolist())

    def _untag(
        self, frames: Frames, at: NDArray[np.int64], outer: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Walk VLAN tags: (ethertype int64[n], where the header behind it begins int64[n]).

        ``at`` is where the first ethertype stands; ``outer`` has the tags that the kernel took off
        (-1: none).
        """
        stack = [outer] if outer is not None and bool((outer >= 0).any()) else []
        at = at.copy()
        kind = _be16(frames.data, at)
        for _ in range(MAX_VLAN_TAGS):
            tagged = np.isin(kind, ETHERTYPES_VLAN)
            if not tagged.any():
                break
            stack.append(np.where(tagged, _be16(frames.data, at + 2) & 0x0FFF, -1))
            at += 4 * tagged
            kind = _be16(frames.data, at)
        if stack:
            self._count_stacks(np.stack(stack, axis=1))
        else:
            self.vlans[()] += len(kind)
        return kind, at + 2

    def _count_stacks(self, stacks: NDArray[np.int64]) -> None:
        found, counts = np.unique(stacks, axis=0, return_counts=True)
        for row, count in zip(found.tolist(), counts.tolist(), strict=True):
            tags = tuple(tag for tag in row if tag >= 0)
            if tags in self.vlans or len(self.vlans) < _MAX_STACKS:
                self.vlans[tags] += count

    def _checksums(self, frames: Frames, v4: NDArray[np.int64], at: NDArray[np.int64]) -> None:
        """Check the headers of IPv4 without options, and the UDP checksums of some datagrams."""
        data, l3 = frames.data, at[v4]
        end = frames.offset[v4] + frames.captured[v4]
        whole = (end - l3 >= 28) & (data[np.minimum(l3, len(data) - 1)] == 0x45)
        l3, end = l3[whole], end[whole]
        if not len(l3):
            return
        words = gather(data, l3, 20).view(">u2").reshape(-1, 10).astype(np.uint32)
        total = words.sum(axis=1)
        total = (total & 0xFFFF) + (total >> 16)
        bad = ((total & 0xFFFF) + (total >> 16)) != 0xFFFF
        self.ip_checked += len(l3)
        self.ip_bad += int(np.count_nonzero(bad))
        plain = (words[:, 3] & 0x3FFF) == 0  # fragments have no UDP header of their own
        udp = np.flatnonzero((data[l3 + 9] == _UDP) & plain & ~bad)
        for number in udp[:: max(1, len(udp) // _SAMPLE)].tolist():
            self._udp(data, int(l3[number]), int(end[number]))

    def _udp(self, data: NDArray[np.uint8], l3: int, end: int) -> None:
        length = int(data[l3 + 24]) << 8 | int(data[l3 + 25])
        start = l3 + 20
        if length < 8 or start + length > end or not data[start + 6 : start + 8].any():
            return
        body = data[start : start + length]
        if length & 1:
            body = np.append(body, np.uint8(0))
        addresses = data[l3 + 12 : l3 + 20]
        total = int(body.view(">u2").sum(dtype=np.uint64)) if body.flags.c_contiguous else 0
        total += int(addresses.view(">u2").sum(dtype=np.uint64)) + _UDP + length
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        self.udp_checked += 1
        if total != 0xFFFF:
            self.udp_bad += 1
            sender = str(ipaddress.IPv4Address(addresses[:4].tobytes()))
            if sender in self.udp_bad_from or len(self.udp_bad_from) < _MAX_SENDERS:
                self.udp_bad_from[sender] += 1


def _be16(data: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read 16-bit numbers, int64[n]."""
    last = len(data) - 2
    where = np.minimum(at, last)
    high: NDArray[np.int64] = data[where].astype(np.int64) << 8
    low: NDArray[np.int64] = data[where + 1].astype(np.int64)
    return high | low
