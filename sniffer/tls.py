"""SIP over TLS: which connections there are, and what is made of them once somebody has opened them.

Without its keys a TLS connection tells nothing but that it is there, and that is counted. With a key log (the
format of NSS: one line for each secret, with the client's random of the handshake it belongs to) TShark opens
the records; see `bystander/tshark.py`. This module does no I/O: it chooses the connections, writes their
segments as capture records for TShark, and cuts what comes back into SIP messages.

Segments are written anew behind plain IP headers, whatever tunnel or VLAN they came in.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.evidence import tcp_packet
from bystander.sniffer.frames import LINKTYPE_RAW
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.streamframing import StreamFramer
from bystander.sniffer.tcp import Segment, TimedMessage

#: SIP over TLS (RFC 3261 section 19.1.2).
TLS_PORTS: Final = (5061,)
MAX_CONNECTIONS: Final = 4096
#: A record header: handshake, alert, change of cipher or data, of version 3.x (RFC 8446 section 5.1).
_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
_HELLO = re.compile(rb"\x16\x03[\x00-\x04]..\x01", re.DOTALL)
#: Where the client's random stands in a record with a ClientHello.
_RANDOM_AT: Final = 11
_LINE = re.compile(rb"[A-Z][A-Z0-9_]{3,40} ([0-9A-Fa-f]{64}) [0-9A-Fa-f]{64,128}\s*\Z")
_MAX_DIRECTIONS: Final = 8192

_Pair: TypeAlias = frozenset[Endpoint]
_Way: TypeAlias = tuple[Endpoint, Endpoint]


def client_randoms(lines: Iterable[bytes]) -> set[bytes]:
    """Return the client randoms (32 bytes each) that a key log has secrets for, other lines aside."""
    found = (_LINE.match(line) for line in lines)
    return {bytes.fromhex(line[1].decode("ascii")) for line in found if line is not None}


def random_heads(randoms: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return the first eight bytes of client randoms as `TcpWatch` compares them."""
    return np.frombuffer(b"".join(random[:8] for random in randoms), "<u8").astype(np.uint64)


class TlsConnections:
    """The TLS connections that may carry SIP: those on ``ports``, and those that ``randoms`` have keys for.

    ``take(segment)`` is called with each segment of theirs, when given. The one silent for longest is
    forgotten beyond MAX_CONNECTIONS. ``counters``: connections (seen), read (opened, see `opened`), evicted.
    """

    def __init__(
        self,
        ports: Iterable[int] = TLS_PORTS,
        randoms: Iterable[bytes] = (),
        take: Callable[[Segment], None] | None = None,
    ) -> None:
        self.ports = frozenset(ports)
        self.randoms = frozenset(randoms)
        self.take = take
        self.counters: Counter[str] = Counter()
        #: Ports on which a connection was found: those of the servers.
        self.server_ports: set[int] = set()
        self._known: dict[_Pair, bool] = {}  # whether it was opened; the one silent for longest first
        #: Where connections are, if anywhere: TShark, which opens them, is not told of realms.
        self._realms: dict[_Pair, str] = {}

    def __len__(self) -> int:
        """Return how many connections are remembered."""
        return len(self._known)

    @property
    def unread(self) -> int:
        """Connections that were seen and not read."""
        return max(0, self.counters["connections"] - self.counters["read"])

    def feed(self, segment: Segment) -> bool:
        """Take a segment of any connection; return whether it is of one of these."""
        pair = _pair(segment.src, segment.dst)
        read = self._known.pop(pair, None)
        if read is None:
            port = self._server_port(segment)
            if not port:
                return False
            read = False
            self.counters["connections"] += 1
            self.server_ports.add(port)
            if len(self._known) >= MAX_CONNECTIONS:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._realms.pop(oldest, None)
                self.counters["evicted"] += 1
        self._known[pair] = read
        if realm := realm_of(segment.src[0]):
            self._realms[pair] = realm
        else:
            self._realms.pop(pair, None)
        if self.take is not None:
            self.take(segment)
        return True

    def opened(self, src: Endpoint, dst: Endpoint) -> _Way:
        """Take note that data of a connection could be read; return its ends, in the realm that it is in."""
        pair = _pair(src, dst)
        if not self._known.get(pair, True):
            self._known[pair] = True
            self.counters["read"] += 1
        realm = self._realms.get(pair, "")
        return (within(src[0], realm), src[1]), (within(dst[0], realm), dst[1])

    def _server_port(self, segment: Segment) -> int:
        """Return the server's port if a connection begins to show with this segment, else 0."""
        payload = segment.payload
        if not payload or _RECORD.match(payload) is None:
            return 0
        if segment.dst[1] in self.ports:
            return segment.dst[1]
        if segment.src[1] in self.ports:
            return segment.src[1]
        if self.randoms and _HELLO.match(payload):
            return segment.dst[1] if payload[_RANDOM_AT : _RANDOM_AT + 32] in self.randoms else 0
        return 0


def _pair(src: Endpoint, dst: Endpoint) -> _Pair:
    """Return the ends of a connection as TShark sees them."""
    return frozenset(((str(src[0]), src[1]), (str(dst[0]), dst[1])))


def capture_header() -> bytes:
    """Return the header of a pcap with nanoseconds whose packets begin with the IP header."""
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, LINKTYPE_RAW)


def capture_record(segment: Segment) -> bytes:
    """Return a segment as a record of such a pcap."""
    packet = tcp_packet(segment.src, segment.dst, segment.seq, segment.flags, segment.payload)
    seconds, fraction = divmod(segment.time_ns, 1_000_000_000)
    return struct.pack("<IIII", seconds & 0xFFFFFFFF, fraction, len(packet), len(packet)) + packet


@dataclass(slots=True)
class Opened:
    """Data of a TLS connection, in the clear: what one frame completed, when, and between whom."""

    time_ns: int
    src: Endpoint
    dst: Endpoint
    data: bytes


def parse_opened(line: bytes) -> Opened | None:
    """Read a line of what TShark was asked for: time, source, port, destination, port, data in hex."""
    fields = line.rstrip(b"\r\n").split(b"\t")
    if len(fields) != 8:
        return None
    when, src4, src6, src_port, dst4, dst6, dst_port, data = fields
    try:
        seconds, _, fraction = when.partition(b".")
        time_ns = int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
        src, dst = (src4 or src6).decode("ascii"), (dst4 or dst6).decode("ascii")
        plain = bytes.fromhex(data.replace(b",", b"").replace(b":", b"").decode("ascii"))
        return Opened(time_ns, (src, int(src_port)), (dst, int(dst_port)), plain)
    except ValueError:
        return None


class OpenedStreams:
    """Cuts opened data into SIP messages: the transport is "tls", or "ws" where it is a WebSocket's.

    A direction begins afresh with a SYN, which comes without data. Where TShark was begun anew and is told
    everything again, it gives old data once more: `skip_known` drops it.
    Directions are forgotten, the one silent for longest first, beyond a bound.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self.counters = counters
        self._framers: dict[_Way, StreamFramer] = {}
        self._taken: dict[_Way, int] = {}
        self._known: dict[_Way, int] = {}
        self._latest_ns = self._again_until_ns = 0

    def skip_known(self) -> None:
        """Everything is about to be told from its beginning again."""
        self._known, self._again_until_ns = dict(self._taken), self._latest_ns

    def feed(self, opened: Opened) -> list[TimedMessage]:
        """Take data in order; return the messages that it completes."""
        way, data = (opened.src, opened.dst), opened.data
        self._latest_ns = max(self._latest_ns, opened.time_ns)
        if not data:
            if opened.time_ns > self._again_until_ns:
                self._forget(way)
            return []
        if skipped := min(self._known.get(way, 0), len(data)):
            self._known[way] -= skipped
            data = data[skipped:]
            if not data:
                return []
        framer = self._framers.pop(way, None)
        if framer is None:
            framer = StreamFramer(self.counters, in_step=True)
        self._framers[way] = framer
        self._taken[way] = self._taken.get(way, 0) + len(data)
        if len(self._framers) > _MAX_DIRECTIONS:
            self._forget(next(iter(self._framers)))
        messages = framer.feed(data)
        transport = "ws" if framer.transport == "ws" else "tls"
        return [(opened.time_ns, *way, transport, message) for message in messages]

    def _forget(self, way: _Way) -> None:
        self._framers.pop(way, None)
        self._taken.pop(way, None)
        self._known.pop(way, None)
