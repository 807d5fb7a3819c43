"""Tunnels are peeled by the array: what frames carry is parsed again, as a block of inner frames.

The inner frames are the same bytes with other offsets, so nothing is copied, and all that comes after (IPv6,
fragments, TCP, further tunnels) is the same code. The loop is over layers, never over packets. A port proves
nothing: what came by UDP is a tunnel only if its header and the frame inside it look right, and stays a
datagram otherwise, so RTP on port 4789 is RTP.

The way through the tunnels is one number per frame: the layers' numbers in base 32, outermost first, in the
lower 40 bits; the realm is above them (:mod:`bystander.sniffer.realm`).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import Datagrams, pick
from bystander.sniffer.encapsulations import (
    ENCAPSULATIONS,
    FIRST,
    Bytes,
    Ints,
    Kind,
    head,
    is_ethernet,
    is_ip,
)
from bystander.sniffer.frames import (
    LINKTYPE_C_HDLC,
    LINKTYPE_IEEE802_11,
    LINKTYPE_MPLS,
    LINKTYPE_PPI,
    LINKTYPE_PPP,
    LINKTYPE_PPP_ETHER,
    LINKTYPE_PPP_HDLC,
    LINKTYPE_RADIOTAP,
    Frames,
)
from bystander.sniffer.realm import WAY

_BASE: Final = 32
#: Layers of tunnels in one frame; what is deeper is counted (``tunnel-depth``) and left.
MAX_LAYERS: Final = 8
#: Ways through tunnels that are counted each by itself.
MAX_WAYS: Final = 64
_TOO_DEEP: Final = _BASE**MAX_LAYERS
#: Headers read before the inner frame is parsed as a block of its own: GRE, MPLS and the like in a row.
_MAX_STEPS: Final = 4
_MAX_EXTENSIONS: Final = 8


def _table(size: int, rows: dict[int, Kind]) -> Bytes:
    table = np.zeros(size, np.uint8)
    for number, kind in rows.items():
        table[number] = kind
    return table


#: Where tunnels are found: by UDP destination port, IP protocol, Ethernet type, link type.
UDP_PORTS: Final = {
    4789: Kind.VXLAN,
    8472: Kind.VXLAN,  # Linux before the port was assigned, and container networks
    4790: Kind.VXLAN_GPE,
    6081: Kind.GENEVE,
    37008: Kind.TZSP,
    2152: Kind.GTP,
    7932: Kind.HP_ERM,
}
PROTOCOLS: Final = (4, 41, 47, 137)
ETHERTYPES: Final = {
    0x8847: Kind.MPLS,
    0x8848: Kind.MPLS,
    0x8864: Kind.PPPOE,
    0x88E7: Kind.ITAG,
    0x88E5: Kind.MACSEC,
    0x8909: Kind.CMD,
}
LINKTYPES: Final = {
    LINKTYPE_PPP: Kind.PPP,
    LINKTYPE_PPP_HDLC: Kind.PPP,
    LINKTYPE_PPP_ETHER: Kind.PPPOE,
    LINKTYPE_C_HDLC: Kind.CHDLC,
    LINKTYPE_MPLS: Kind.MPLS,
    LINKTYPE_IEEE802_11: Kind.DOT11,
    LINKTYPE_RADIOTAP: Kind.RADIOTAP,
    LINKTYPE_PPI: Kind.RADIOTAP,
}
#: By the port as it stands in the packet, read as a little-endian number: no byte has to be swapped.
BY_RAW_PORT: Final = _table(65536, {(p >> 8) | (p & 255) << 8: kind for p, kind in UDP_PORTS.items()})
#: What is no type but a length is a frame of IEEE 802.3, with 802.2 behind it.
_BY_ETHERTYPE: Final = _table(65536, ETHERTYPES | dict.fromkeys(range(1, 1501), Kind.SNAP))
_IN_V4: Final = _table(256, {4: Kind.IPIP, 41: Kind.IP6IN4, 47: Kind.GRE, 137: Kind.MPLS})
_IN_V6: Final = _table(256, {4: Kind.IP4IN6, 41: Kind.IP6IN6, 47: Kind.GRE, 137: Kind.MPLS})
_UDP: Final = 17
_IS_EXTENSION: Final = _table(256, dict.fromkeys((0, 43, 60), Kind.NOTHING)) > 0


def tunnel_name(path: int) -> str:
    """Name the layers of a way through tunnels, outermost first: ``gre/erspan``; "" for none."""
    names = []
    path &= WAY
    while path > 0:
        path, kind = divmod(path, _BASE)
        if kind in ENCAPSULATIONS:
            names.append(ENCAPSULATIONS[kind].name)
    return "/".join(reversed(names))


def tally(total: Counter[int], found: Counter[int]) -> None:
    """Add counts of frames by their way through tunnels; beyond ``MAX_WAYS`` ways all others are one, 0."""
    for way, count in found.items():
        total[way if way in total or len(total) < MAX_WAYS else 0] += count


def too_deep(path: Ints) -> NDArray[np.bool_]:
    """Tell which frames are in more tunnels than are opened (bool[n])."""
    return path >= _TOO_DEEP


def carriers(
    data: Bytes, rows: NDArray[np.void], l3: Ints, end: Ints
) -> tuple[Bytes, Ints, NDArray[np.bool_]]:
    """Look for tunnels in frames that are not plain UDP: (kind uint8[n], 0 for none; header's place; by UDP).

    ``rows`` are ROW_V4, ``l3`` says where the network header begins. Fragments are left to the reassembly.
    """
    ethertype = rows["ethertype"]
    kind = _BY_ETHERTYPE[ethertype]
    at = l3.copy()
    udp = np.zeros(len(l3), bool)
    v4 = (ethertype == 0x0800) & (rows["version_ihl"] >> 4 == 4) & (rows["fragment"] & 0x3FFF == 0)
    if v4.any():
        which = np.flatnonzero(v4)
        protocol = rows["protocol"][which]
        kind[which] = _IN_V4[protocol]
        at[which] += (rows["version_ihl"][which] & 15).astype(np.int64) * 4
        udp[which] = protocol == _UDP
    v6 = (ethertype == 0x86DD) & (rows["version_ihl"] >> 4 == 6)
    if v6.any():
        which = np.flatnonzero(v6)
        protocol, at[which] = _behind_extensions(data, l3[which], end[which])
        kind[which] = _IN_V6[protocol]
        udp[which] = protocol == _UDP
    if udp.any():
        which = np.flatnonzero(udp)
        port = head(data, at[which], 4).view("<u2")[:, 1]
        kind[which] = BY_RAW_PORT[port]
        at[which] += 8
    kind[at > end] = 0
    return kind, at, udp


def _behind_extensions(data: Bytes, l3: Ints, end: Ints) -> tuple[Bytes, Ints]:
    """Step over the extension headers of IPv6 (RFC 8200 §4): (protocol uint8[n], where it begins)."""
    protocol, at = head(data, l3, 8)[:, 6].copy(), l3 + 40
    for _ in range(_MAX_EXTENSIONS):
        which = np.flatnonzero(_IS_EXTENSION[protocol] & (at + 8 <= end))
        if not len(which):
            break
        row = head(data, at[which], 2)
        protocol[which] = row[:, 0]
        at[which] += 8 + 8 * row[:, 1].astype(np.int64)
    return protocol, at


def peel(data: Bytes, kind: Bytes, at: Ints, end: Ints, path: Ints, sure: bool) -> tuple[Bytes, Ints, Ints]:
    """Read headers until a frame or packet is reached: (outcome, its place, the way to it), each of n.

    Unless ``sure``, what is found must look like Ethernet with IP in it, or like IP.
    """
    for _ in range(_MAX_STEPS):
        todo = kind >= FIRST
        if not todo.any():
            break
        first = int(kind[0])
        if first >= FIRST and (kind == first).all():
            kind, at, path = _step(data, first, at, end, path)
            continue
        now, kind, at, path = kind, kind.copy(), at.copy(), path.copy()
        for each in np.flatnonzero(np.bincount(now[todo])).tolist():
            which = np.flatnonzero(now == each)
            kind[which], at[which], path[which] = _step(data, each, at[which], end[which], path[which])
    outcome = np.where(kind >= FIRST, np.uint8(Kind.REFUSED), kind)
    if not sure:
        fits = ((outcome == Kind.ETHERNET) & is_ethernet(data, at, end)) | (
            (outcome == Kind.IP) & is_ip(data, at, end)
        )
        outcome = np.where(fits, outcome, np.uint8(Kind.REFUSED))
    return outcome, at, path


def _step(data: Bytes, kind: int, at: Ints, end: Ints, path: Ints) -> tuple[Bytes, Ints, Ints]:
    layer = ENCAPSULATIONS[kind]
    carried, inner = layer.peel(data, at, end)
    return carried, inner, path * _BASE + kind if layer.name else path


def joined(inner: list[Frames]) -> list[Frames]:
    """Put blocks of frames in tunnels together, one of each link type."""
    data = max((each.data for each in inner), key=len)
    together = []
    for linktype in dict.fromkeys(each.linktype for each in inner):
        same = [each for each in inner if each.linktype == linktype]
        if len(same) == 1:
            same[0].data = data
            together.append(same[0])
            continue
        time_ns = np.concatenate([each.time_ns for each in same])
        order = np.argsort(time_ns, kind="stable")
        together.append(
            Frames(
                # All are the same buffer, or that buffer with padding behind it.
                data,
                np.concatenate([each.offset for each in same])[order],
                np.concatenate([each.captured for each in same])[order],
                np.concatenate([each.length for each in same])[order],
                time_ns[order],
                linktype,
                tunnel=np.concatenate([way for each in same if (way := each.tunnel) is not None])[order],
            )
        )
    return together


def in_order(found: list[Datagrams]) -> list[Datagrams]:
    """Put datagrams of one buffer, from inside and outside tunnels, together in order of time.

    A call that is mirrored twice, bare and in a tunnel, is recognised by numbers that are near each other
    (C13); one whole block after the other they would not be.
    """
    groups: dict[tuple[int, int], list[Datagrams]] = {}
    for each in found:
        groups.setdefault((id(each.data), each.rows.dtype.itemsize), []).append(each)
    return [same[0] if len(same) == 1 else _merged(same) for same in groups.values()]


def _merged(same: list[Datagrams]) -> Datagrams:
    rows = same[0].rows.dtype
    time_ns = np.concatenate([each.time_ns for each in same])
    order = np.argsort(time_ns, kind="stable")
    plain = np.concatenate([each.rows.view(f"V{rows.itemsize}") for each in same])
    bare = [np.zeros(len(each), np.int64) if each.tunnel is None else each.tunnel for each in same]
    return Datagrams(
        same[0].data,
        pick(plain.view(rows), order),
        np.concatenate([each.flow for each in same])[order],
        np.concatenate([each.offset for each in same])[order],
        np.concatenate([each.size for each in same])[order],
        time_ns[order],
        np.concatenate(bare)[order],
    )
