"""From frames to UDP datagrams, whole blocks at a time.

Every frame of a block is brought into one layout, 56 bytes that start 14 bytes before its IP header, by one
fixed-width gather; VLAN tags only move the place a frame is gathered from. In that layout IPv4 without
options, UDP and the fixed RTP header stand at constant offsets, so every field is one strided view. What
does not fit (IPv6, IP options, fragments, TCP) is split off by mask: IPv6 has a layout of its own, the rest
goes frame by frame through :mod:`bystander.sniffer.oddframes`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import (
    ROW_V4,
    ROW_V6,
    V4_WIDTH,
    V6_WIDTH,
    Datagrams,
    Parsed,
    add_datagrams,
    fold_v6,
    gather,
    mix_flow,
    pick,
)
from bystander.sniffer.frames import (
    LINKTYPE_ETHERNET,
    LINKTYPE_IPV4,
    LINKTYPE_IPV6,
    LINKTYPE_LINUX_SLL,
    LINKTYPE_LINUX_SLL2,
    LINKTYPE_LOOP,
    LINKTYPE_NULL,
    LINKTYPE_RAW,
    LINKTYPE_RAW_OLD,
    LINKTYPE_RAW_OLD_BSD,
    Frames,
)
from bystander.sniffer.oddframes import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    add_odd_frames,
)
from bystander.sniffer.tcpwatch import TcpWatch

#: 802.1Q, 802.1ad and the tag of older QinQ switches.
ETHERTYPES_VLAN = (0x8100, 0x88A8, 0x9100)
MAX_VLAN_TAGS = 4


class FrameParser:
    """Parses blocks of frames; remembers only which TCP flows carry SIP.

    TCP frames are split off by array (`tcpwatch.py`): only those of connections that may carry SIP are worth
    an object each. ``watch_tcp`` adds a connection to the known ones.
    """

    def __init__(self) -> None:
        self.tcp = TcpWatch()

    def parse(self, frames: Frames) -> Parsed:
        """Split a block into datagrams, fragments and TCP segments; never raises on what was captured."""
        parsed = Parsed()
        if not len(frames):
            return parsed
        rows, l3 = _normalise(frames)
        plain = (rows["type_version"] & np.uint32(0xFFFFFF)) == 0x450008
        end = frames.offset + frames.captured
        whole = end - l3 >= 28
        unfragmented = (rows["fragment"] & 0x3FFF) == 0
        plain &= whole & unfragmented
        udp = plain & (rows["protocol"] == PROTOCOL_UDP)
        if udp.all():
            self._add_v4(parsed, frames, rows, l3, end)
            return parsed
        if udp.any():
            at = np.flatnonzero(udp)
            self._add_v4(parsed, frames, pick(rows, at), l3[at], end[at], at)
        rest = ~udp
        tcp = plain & (rows["protocol"] == PROTOCOL_TCP)
        if tcp.any():
            rest &= ~tcp
            at = np.flatnonzero(tcp)
            at = at[self.tcp.interesting(frames, pick(rows, at), l3[at], end[at])]
            rest[at] = True
        v6 = (rows["ethertype"] == ETHERTYPE_IPV6) & rest
        if v6.any():
            at = np.flatnonzero(v6)
            rest[at[_add_v6(parsed, frames, l3[at], end[at], at)]] = False
        rest &= (rows["ethertype"] == ETHERTYPE_IPV4) | (rows["ethertype"] == ETHERTYPE_IPV6)
        if rest.any():
            add_odd_frames(parsed, frames, np.flatnonzero(rest), l3, rows["ethertype"])
        return parsed

    def watch_tcp(self, src: Endpoint, dst: Endpoint) -> None:
        """Let every segment between two endpoints through from now on: the connection carries SIP."""
        self.tcp.add(src, dst)

    def _add_v4(
        self,
        parsed: Parsed,
        frames: Frames,
        rows: NDArray[np.void],
        l3: NDArray[np.int64],
        end: NDArray[np.int64],
        at: NDArray[np.int64] | None = None,
    ) -> None:
        flow = mix_flow(rows["addresses"], rows["ports"])
        times = frames.time_ns if at is None else frames.time_ns[at]
        add_datagrams(parsed, Datagrams(frames.data, rows, flow, l3 + 28, end - l3 - 28, times))


def _add_v6(
    parsed: Parsed, frames: Frames, l3: NDArray[np.int64], end: NDArray[np.int64], at: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Add IPv6 UDP datagrams without extension headers; return which of the given frames they were."""
    head = gather(frames.data, np.minimum(l3, len(frames.data) - V6_WIDTH + 14), V6_WIDTH - 14)
    rows = np.zeros((len(l3), V6_WIDTH), np.uint8)
    rows[:, 14:] = head.view(np.uint8).reshape(-1, V6_WIDTH - 14)
    typed = rows.reshape(-1).view(ROW_V6)
    taken = np.flatnonzero(
        (typed["next_header"] == PROTOCOL_UDP) & (typed["version"] >> 4 == 6) & (end - l3 >= 48)
    )
    if len(taken):
        typed = typed[taken]
        flow = mix_flow(fold_v6(typed), typed["ports"])
        start = l3[taken] + 48
        add_datagrams(
            parsed, Datagrams(frames.data, typed, flow, start, end[taken] - start, frames.time_ns[at[taken]])
        )
    return taken


def _normalise(frames: Frames) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Gather every frame so that its IP header starts at byte 14: (ROW_V4[n], IP offsets int64[n])."""
    data, link = frames.data, frames.linktype
    if link in (LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL):
        # A Linux cooked header is 16 bytes and ends, like Ethernet's, with the ethertype.
        start = frames.offset if link == LINKTYPE_ETHERNET else frames.offset + 2
        return _untag(data, gather(data, start, V4_WIDTH).view(ROW_V4), start + 14)
    skip = {LINKTYPE_NULL: 4, LINKTYPE_LOOP: 4, LINKTYPE_LINUX_SLL2: 20}.get(link, 0)
    l3 = frames.offset + skip
    raw = np.zeros((len(frames), V4_WIDTH), np.uint8)
    raw[:, 14:] = gather(data, l3, V4_WIDTH - 14).view(np.uint8).reshape(-1, V4_WIDTH - 14)
    if link == LINKTYPE_LINUX_SLL2:
        raw[:, 12:14] = gather(data, frames.offset, 2).view(np.uint8).reshape(-1, 2)
        return _untag(data, raw.reshape(-1).view(ROW_V4), l3)
    rows = raw.reshape(-1).view(ROW_V4)
    known = link in _IP_LINKTYPES
    version = rows["version_ihl"] >> 4
    rows["ethertype"] = (
        np.where(version == 4, ETHERTYPE_IPV4, np.where(version == 6, ETHERTYPE_IPV6, 0)) * known
    )
    return rows, l3


def _untag(
    data: NDArray[np.uint8], rows: NDArray[np.void], l3: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Gather frames with VLAN tags again, from behind their tags."""
    tagged = np.isin(rows["ethertype"], ETHERTYPES_VLAN)
    for _ in range(MAX_VLAN_TAGS):
        if not tagged.any():
            break
        at = np.flatnonzero(tagged)
        l3[at] += 4
        rows.view(f"V{V4_WIDTH}")[at] = gather(data, l3[at] - 14, V4_WIDTH)
        tagged[at] = np.isin(rows["ethertype"][at], ETHERTYPES_VLAN)
    return rows, l3


_IP_LINKTYPES = frozenset(
    {
        LINKTYPE_NULL,
        LINKTYPE_LOOP,
        LINKTYPE_RAW,
        LINKTYPE_RAW_OLD,
        LINKTYPE_RAW_OLD_BSD,
        LINKTYPE_IPV4,
        LINKTYPE_IPV6,
    }
)
