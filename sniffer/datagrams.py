"""UDP datagrams by the array, and the numbers by which their flows are told apart."""

from __future__ import annotations

import ipaddress
import secrets
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.fragments import Fragment
from bystander.sniffer.realm import apart, realm_at, within
from bystander.sniffer.tcp import Segment

V4_WIDTH = 56  # 14 link + 20 IPv4 + 8 UDP + 12 RTP, and 2 to spare
V6_WIDTH = 76  # 14 link + 40 IPv6 + 8 UDP + 12 RTP, and 2 to spare

_RTP_FIELDS = {
    "first": ("u1", 0),
    "marker_pt": ("u1", 1),
    "seq": (">u2", 2),
    "ts": (">u4", 4),
    "ssrc": (">u4", 8),
}


def _layout(width: int, payload: int, fields: dict[str, tuple[str, int]]) -> np.dtype[np.void]:
    """Build the dtype of a gathered row whose UDP payload starts at byte ``payload``."""
    fields = fields | {name: (kind, payload + at) for name, (kind, at) in _RTP_FIELDS.items()}
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [at for _, at in fields.values()],
            "itemsize": width,
        }
    )


ROW_V4 = _layout(
    V4_WIDTH,
    42,
    {
        "ethertype": (">u2", 12),
        "type_version": ("<u4", 12),  # ethertype, version/IHL and TOS, for one comparison
        "version_ihl": ("u1", 14),
        "total_length": (">u2", 16),
        "fragment": (">u2", 20),
        "protocol": ("u1", 23),
        "addresses": ("<u8", 26),
        "ports": ("<u4", 34),
        "sport": (">u2", 34),
        "dport": (">u2", 36),
        "raw_dport": ("<u2", 36),
        "udp_length": (">u2", 38),
        "head": ("<u4", 42),
    },
)
ROW_V6 = _layout(
    V6_WIDTH,
    62,
    {
        "version": ("u1", 14),
        "next_header": ("u1", 20),
        "a": ("<u8", 22),
        "b": ("<u8", 30),
        "c": ("<u8", 38),
        "d": ("<u8", 46),
        "ports": ("<u4", 54),
        "sport": (">u2", 54),
        "dport": (">u2", 56),
        "udp_length": (">u2", 58),
        "head": ("<u4", 62),
    },
)

# Flows are identified by a keyed 64-bit hash; the keys are drawn per process, so nobody on the wire can aim
# for a collision.
_K1, _K2, _K3, _K4 = (np.uint64(secrets.randbits(64) | 1) for _ in range(4))
_S31 = np.uint64(31)
_S29 = np.uint64(29)


def mix_flow(addresses: NDArray[np.uint64], ports: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Hash address pairs and port pairs, both as they stand in the packet, to flow numbers (uint64[n])."""
    flow = addresses * _K1
    flow ^= flow >> _S31
    flow += ports
    flow *= _K2
    flow ^= flow >> _S29
    return flow


def fold_v6(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """Fold both IPv6 addresses of each row into the place that the IPv4 address pair takes in a hash."""
    folded = rows["a"] * _K3
    folded ^= folded >> _S29
    for part in ("b", "c", "d"):
        folded += rows[part]
        folded *= _K4
        folded ^= folded >> _S31
    return folded


def gather(data: NDArray[np.uint8], at: NDArray[np.int64], width: int) -> NDArray[np.void]:
    """Copy ``width`` bytes from each offset ``at`` of ``data``: void[n] of that width.

    A void view with a stride of one byte makes numpy copy each row with one memcpy, a tenth of the cost of
    an index matrix. Every offset must leave ``width`` bytes behind it.
    """
    view = np.ndarray((len(data) - width + 1,), dtype=f"V{width}", buffer=data.data, strides=(1,))
    return view[at]


def pick(rows: NDArray[np.void], at: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the rows at some places. Taken as plain bytes, a tenth of what numpy asks for a structure."""
    return rows.view(f"V{rows.dtype.itemsize}")[at].view(rows.dtype)


@dataclass(slots=True)
class Datagrams:
    """UDP payloads of one block, as arrays of one length n.

    ``rows``     structured[n], with ``sport``, ``dport``, ``head`` (first four payload bytes) and, where
                 the payload has 12 bytes, of RTP ``first``, ``marker_pt``, ``seq``, ``ts``, ``ssrc``
    ``flow``     uint64[n], one number per source, destination and ports
    ``offset``   int64[n], where the payload starts in ``data``
    ``size``     int64[n], its captured bytes
    ``tunnel``   int64[n], the way through tunnels to each (:mod:`bystander.sniffer.tunnels`), and above it
                 the realm of each (:mod:`bystander.sniffer.realm`); None: bare
    """

    data: NDArray[np.uint8]
    rows: NDArray[np.void]
    flow: NDArray[np.uint64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    tunnel: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offset)

    def payload(self, i: int) -> bytes:
        """Return the payload of datagram ``i``."""
        start = int(self.offset[i])
        return self.data[start : start + int(self.size[i])].tobytes()

    def way(self, i: int) -> int:
        """Return the way through tunnels to datagram ``i``, and the realm; 0 for none."""
        return 0 if self.tunnel is None else int(self.tunnel[i])

    def endpoints(self, i: int) -> tuple[Endpoint, Endpoint]:
        """Return source and destination of datagram ``i``."""
        row = self.rows[i]
        raw = row.tobytes()
        if self.rows.dtype.itemsize == V4_WIDTH:
            src, dst = ".".join(map(str, raw[26:30])), ".".join(map(str, raw[30:34]))
        else:
            src, dst = str(ipaddress.IPv6Address(raw[22:38])), str(ipaddress.IPv6Address(raw[38:54]))
        realm = realm_at(self.way(i))
        return (within(src, realm), int(row["sport"])), (within(dst, realm), int(row["dport"]))


@dataclass(slots=True)
class Parsed:
    """What a block of frames held: datagrams by the array, fragments and TCP segments one by one."""

    datagrams: list[Datagrams] = field(default_factory=list)
    fragments: list[Fragment] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)
    #: Frames inside tunnels, by the way to them.
    tunnels: Counter[int] = field(default_factory=Counter)

    def count_tunnels(self, path: NDArray[np.int64]) -> None:
        """Count frames by the way through tunnels to them (int64[n], at least one)."""
        first = int(path[0])
        if not path.all():
            path = path[path != 0]  # a header that is not noted: PPP's, a link's
            if len(path):
                self.count_tunnels(path)
        elif (path == first).all():
            self.tunnels[first] += len(path)
        else:
            for way, count in zip(*np.unique(path, return_counts=True), strict=True):
                self.tunnels[int(way)] += int(count)


def flow_of(src: Endpoint, dst: Endpoint) -> int:
    """Return the flow number that parsing gives to datagrams from ``src`` to ``dst``, realms aside."""
    raw = ipaddress.ip_address(src[0]).packed + ipaddress.ip_address(dst[0]).packed
    ports = np.frombuffer(src[1].to_bytes(2, "big") + dst[1].to_bytes(2, "big"), "<u4")
    if len(raw) == 8:
        return int(mix_flow(np.frombuffer(raw, "<u8"), ports)[0])
    row = np.zeros(1, ROW_V6)
    row["a"], row["b"], row["c"], row["d"] = np.frombuffer(raw, "<u8")
    return int(mix_flow(fold_v6(row), ports)[0])


def synthetic(src: Endpoint, dst: Endpoint, payload: bytes, time_ns: int, tunnel: int = 0) -> Datagrams:
    """Build a block of one datagram, for payloads that did not arrive as one frame (fragments, tunnels)."""
    v6 = ":" in src[0]
    head = 62 if v6 else 42
    data = np.zeros(head + len(payload) + V6_WIDTH, np.uint8)
    addresses = ipaddress.ip_address(src[0]).packed + ipaddress.ip_address(dst[0]).packed
    ports = src[1].to_bytes(2, "big") + dst[1].to_bytes(2, "big")
    before = 22 if v6 else 26
    data[before : before + len(addresses) + 4] = np.frombuffer(addresses + ports, np.uint8)
    data[head : head + len(payload)] = np.frombuffer(payload, np.uint8)
    rows = gather(data, np.zeros(1, np.int64), V6_WIDTH if v6 else V4_WIDTH).view(ROW_V6 if v6 else ROW_V4)
    folded = fold_v6(rows) if v6 else rows["addresses"]
    one = np.ones(1, np.int64)
    way = one * tunnel if tunnel else None
    flow = apart(mix_flow(folded, rows["ports"]), way)
    return Datagrams(data, rows, flow, one * head, one * len(payload), one * time_ns, way)


def add_datagrams(parsed: Parsed, found: Datagrams) -> None:
    """Check UDP lengths, clip payloads to them, and keep what is sound."""
    length = found.rows["udp_length"].astype(np.int64) - 8
    cut = length > found.size
    if cut.any():
        # The snap length cut these: what was captured is still worth having (C18).
        parsed.bad["udp-cut-short"] += int(np.count_nonzero(cut))
        length = np.minimum(length, found.size)
    bad = length < 0
    found.size = length
    if bad.any():
        parsed.bad["udp-length"] += int(np.count_nonzero(bad))
        keep = np.flatnonzero(~bad)
        found = Datagrams(
            found.data,
            pick(found.rows, keep),
            found.flow[keep],
            found.offset[keep],
            length[keep],
            found.time_ns[keep],
            None if found.tunnel is None else found.tunnel[keep],
        )
    if len(found):
        parsed.datagrams.append(found)
