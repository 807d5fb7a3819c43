"""From frames to UDP datagrams, whole blocks at a time.

Every frame of a block is brought into one layout, 56 bytes that start 14 bytes before its IP header, by one
fixed-width gather; VLAN tags only move the place a frame is gathered from. In that layout IPv4 without
options, UDP and the fixed RTP header stand at constant offsets, so every field is one strided view. What
does not fit (IPv6, IP options, fragments, TCP) is split off by mask: IPv6 has a layout of its own, the rest
goes frame by frame through :mod:`bystander.sniffer.oddframes`. What is in tunnels becomes a block of its own,
the same bytes with other offsets, and is parsed once more (:mod:`bystander.sniffer.tunnels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer import tunnels
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
from bystander.sniffer.encapsulations import Kind
from bystander.sniffer.fragments import Fragment
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
    LINKTYPES_READ,
    PAD,
    Frames,
)
from bystander.sniffer.oddframes import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    add_odd_frames,
    ip_packet,
)
from bystander.sniffer.realm import SHIFT, WAY, apart
from bystander.sniffer.separation import Separation
from bystander.sniffer.tcpwatch import TcpWatch

#: 802.1Q, 802.1ad and the tag of older QinQ switches.
ETHERTYPES_VLAN = (0x8100, 0x88A8, 0x9100)
MAX_VLAN_TAGS = 4


class FrameParser:
    """Parses blocks of frames; remembers only which TCP flows carry SIP.

    TCP frames are split off by array (`tcpwatch.py`): only those of connections that may carry SIP are worth
    an object each. ``watch_tcp`` adds a connection to the known ones. ``separate`` says by what networks with
    one address plan are told apart, ``vlan_groups`` which VLANs are one (`separation.py`).
    """

    def __init__(self, separate: Iterable[str] = (), vlan_groups: Iterable[Sequence[int]] = ()) -> None:
        self.tcp = TcpWatch()
        self._separation = Separation(separate, vlan_groups) if separate else None
        self._inside: list[Frames] = []

    def parse(self, frames: Frames) -> Parsed:
        """Split a block into datagrams, fragments and TCP segments; never raises on what was captured."""
        parsed = Parsed()
        if self._separation is not None:
            self._separation.turn()
        self._parse_layers(parsed, frames)
        if parsed.tunnels:
            parsed.datagrams = tunnels.in_order(parsed.datagrams)
            parsed.fragments.sort(key=lambda fragment: fragment.time_ns)
            parsed.segments.sort(key=lambda segment: segment.time_ns)
        return parsed

    def reassembled(self, parsed: Parsed, fragment: Fragment, payload: bytes) -> None:
        """Parse what was put together of fragments, the last of which is given: what it holds is added."""
        version, src, dst = fragment.key[1:4]
        assert isinstance(src, bytes) and isinstance(dst, bytes)
        packet = ip_packet(src, dst, fragment.protocol, payload)
        one = np.ones(1, np.int64)
        size = one * len(packet)
        self._parse_layers(
            parsed,
            Frames(
                np.frombuffer(packet + bytes(PAD), np.uint8),
                one * 0,
                size,
                size,
                one * fragment.time_ns,
                LINKTYPE_IPV4 if version == 4 else LINKTYPE_IPV6,
                tunnel=one * fragment.tunnel if fragment.tunnel else None,
            ),
        )

    def _parse_layers(self, parsed: Parsed, frames: Frames) -> None:
        """Parse a block, then all that was in its tunnels as one, and so on.

        By layers, so that frames of many kinds nested in many ways cost two blocks a layer, not one each.
        """
        self._inside = []
        self._parse(parsed, frames)
        while self._inside:
            layer, self._inside = tunnels.joined(self._inside), []
            for each in layer:
                self._parse(parsed, each)

    def _parse(self, parsed: Parsed, frames: Frames) -> None:
        if not len(frames):
            return
        if frames.linktype not in LINKTYPES_READ:
            parsed.bad["link-type"] += len(frames)
            return
        if frames.linktype in tunnels.LINKTYPES:
            kind = np.full(len(frames), tunnels.LINKTYPES[frames.linktype], np.uint8)
            self._open(
                parsed, frames, np.arange(len(frames)), kind, frames.offset, frames.offset + frames.captured
            )
            return
        rows, l3 = _normalise(frames)
        if self._separation is not None:
            frames = self._separation.tagged(frames, l3)
        plain = (rows["type_version"] & np.uint32(0xFFFFFF)) == 0x450008
        end = frames.offset + frames.captured
        whole = end - l3 >= 28
        unfragmented = (rows["fragment"] & 0x3FFF) == 0
        plain &= whole & unfragmented
        udp = plain & (rows["protocol"] == PROTOCOL_UDP)
        opened = self._open_udp(parsed, frames, rows, l3, end, udp)
        if udp.all():
            self._add_v4(parsed, frames, rows, l3, end)
            return
        if udp.any():
            at = np.flatnonzero(udp)
            self._add_v4(parsed, frames, pick(rows, at), l3[at], end[at], at)
        rest = ~udp
        if opened is not None:
            rest[opened] = False
        tcp = plain & (rows["protocol"] == PROTOCOL_TCP)
        if tcp.any():
            rest &= ~tcp
            at = np.flatnonzero(tcp)
            at = at[self.tcp.interesting(frames, pick(rows, at), l3[at], end[at])]
            rest[at] = True
        if rest.any():
            rest[self._open_others(parsed, frames, rows, l3, end, np.flatnonzero(rest))] = False
        v6 = (rows["ethertype"] == ETHERTYPE_IPV6) & rest
        if v6.any():
            at = np.flatnonzero(v6)
            rest[at[_add_v6(parsed, frames, l3[at], end[at], at, self.tcp)]] = False
        rest &= (rows["ethertype"] == ETHERTYPE_IPV4) | (rows["ethertype"] == ETHERTYPE_IPV6)
        if rest.any():
            add_odd_frames(parsed, frames, np.flatnonzero(rest), l3, rows["ethertype"])

    def _open_udp(
        self,
        parsed: Parsed,
        frames: Frames,
        rows: NDArray[np.void],
        l3: NDArray[np.int64],
        end: NDArray[np.int64],
        udp: NDArray[np.bool_],
    ) -> NDArray[np.int64] | None:
        """Open what goes to the port of a tunnel and is one; return which, no longer marked in ``udp``."""
        kind = tunnels.BY_RAW_PORT.take(rows["raw_dport"], mode="clip")
        if not kind.any():
            return None
        at = np.flatnonzero(udp & (kind != 0))
        if not len(at):
            return None
        opened = at[self._open(parsed, frames, at, kind[at], l3[at] + 28, end[at], sure=False)]
        udp[opened] = False
        return opened

    def _open_others(
        self,
        parsed: Parsed,
        frames: Frames,
        rows: NDArray[np.void],
        l3: NDArray[np.int64],
        end: NDArray[np.int64],
        which: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Open tunnels in frames that are not plain UDP; return which are dealt with."""
        kind, at, by_udp = tunnels.carriers(frames.data, pick(rows, which), l3[which], end[which])
        done = [which[:0]]
        for some, sure in (((kind != 0) & by_udp, False), ((kind != 0) & ~by_udp, True)):
            if some.any():
                these = which[some]
                done.append(
                    these[self._open(parsed, frames, these, kind[some], at[some], end[these], sure=sure)]
                )
        return np.concatenate(done)

    def _open(
        self,
        parsed: Parsed,
        frames: Frames,
        which: NDArray[np.int64],
        kind: NDArray[np.uint8],
        at: NDArray[np.int64],
        end: NDArray[np.int64],
        *,
        sure: bool = True,
    ) -> NDArray[np.bool_]:
        """Note what the tunnels of some frames carry; tell which of them were tunnels (all if ``sure``)."""
        way = np.zeros(len(which), np.int64) if frames.tunnel is None else frames.tunnel[which]
        outcome, inner, path = tunnels.peel(frames.data, kind, at, end, way & WAY, sure)
        found = outcome != Kind.REFUSED
        if sure and not found.all():
            parsed.bad["tunnel-header"] += int(np.count_nonzero(~found))
        deep = found & tunnels.too_deep(path)
        if deep.any():
            parsed.bad["tunnel-depth"] += int(np.count_nonzero(deep))
            outcome[deep] = Kind.NOTHING
        data = frames.data
        if int(inner.max(initial=0)) + PAD > len(data):
            # Only the last frames of a buffer are so near its end.
            data = np.concatenate([data, np.zeros(PAD, np.uint8)])
        for carried, linktype in ((Kind.ETHERNET, LINKTYPE_ETHERNET), (Kind.IP, LINKTYPE_RAW)):
            mine = np.flatnonzero(outcome == carried)
            if not len(mine):
                continue
            frame, start = which[mine], inner[mine]
            skipped = start - frames.offset[frame]
            parsed.count_tunnels(path[mine])
            realm = way[mine] >> SHIFT
            if self._separation is not None:
                realm = self._separation.inside(frames.data, kind[mine], at[mine], realm)
            self._inside.append(
                Frames(
                    data,
                    start,
                    end[mine] - start,
                    frames.length[frame] - skipped,
                    frames.time_ns[frame],
                    linktype,
                    tunnel=path[mine] | realm << SHIFT,
                )
            )
        return np.ones(len(found), bool) if sure else found

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
        times, way = frames.time_ns, frames.tunnel
        if at is not None:
            times, way = times[at], None if way is None else way[at]
        flow = apart(flow, way)
        add_datagrams(parsed, Datagrams(frames.data, rows, flow, l3 + 28, end - l3 - 28, times, way))


def _add_v6(
    parsed: Parsed,
    frames: Frames,
    l3: NDArray[np.int64],
    end: NDArray[np.int64],
    at: NDArray[np.int64],
    tcp: TcpWatch,
) -> NDArray[np.int64]:
    """Add IPv6 UDP datagrams without extension headers; return which of the given frames are dealt with.

    TCP of no interest is, too: it is left out.
    """
    head = gather(frames.data, np.minimum(l3, len(frames.data) - V6_WIDTH + 14), V6_WIDTH - 14)
    rows = np.zeros((len(l3), V6_WIDTH), np.uint8)
    rows[:, 14:] = head.view(np.uint8).reshape(-1, V6_WIDTH - 14)
    typed = rows.reshape(-1).view(ROW_V6)
    plain = (typed["version"] >> 4 == 6) & (end - l3 >= 48)
    taken = np.flatnonzero(plain & (typed["next_header"] == PROTOCOL_UDP))
    others = np.flatnonzero(plain & (typed["next_header"] == PROTOCOL_TCP) & (end - l3 >= 60))
    if len(others):
        others = others[~tcp.interesting(frames, typed[others], l3[others], end[others])]
    if len(taken):
        typed = typed[taken]
        flow = mix_flow(fold_v6(typed), typed["ports"])
        start, time_ns = l3[taken] + 48, frames.time_ns[at[taken]]
        way = None if frames.tunnel is None else frames.tunnel[at[taken]]
        flow = apart(flow, way)
        add_datagrams(parsed, Datagrams(frames.data, typed, flow, start, end[taken] - start, time_ns, way))
    return np.concatenate([taken, others])


def _normalise(frames: Frames) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Gather every frame so that its IP header starts at byte 14: (ROW_V4[n], IP offsets int64[n])."""
    data, link = frames.data, frames.linktype
    if link in (LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL):
        # A Linux cooked header is 16 bytes and ends, like Ethernet's, with the ethertype.
        start = frames.offset if link == LINKTYPE_ETHERNET else frames.offset + 2
        return _untag(data, gather(data, start, V4_WIDTH).view(ROW_V4), start + 14)
    skip = {LINKTYPE_NULL: 4, LINKTYPE_LOOP: 4, LINKTYPE_LINUX_SLL2: 20}.get(link, 0)
    l3 = frames.offset + skip
    if frames.tunnel is not None and int(l3.min()) >= 14:
        # What is in a tunnel has other headers before it: one gather, and the type written over them.
        rows = gather(data, l3 - 14, V4_WIDTH).view(ROW_V4)
        rows["ethertype"] = _TYPE_OF_VERSION[rows["version_ihl"] >> 4]
        return rows, l3
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


_TYPE_OF_VERSION = np.zeros(16, np.uint16)
_TYPE_OF_VERSION[[4, 6]] = [ETHERTYPE_IPV4, ETHERTYPE_IPV6]

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
