"""HEP, the Homer encapsulation: copies of SIP and RTP that a proxy sends, with their addresses and times.

Version 3 is a list of chunks (vendor, type, length, value); those of other vendors and of unknown types are
passed over. Versions 1 and 2 are a fixed header. Nothing here trusts a length, a compressed size or a clock.
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Final

from bystander.sniffer.address import Endpoint

#: Protocol types (chunk 0x000b) that are taken; all others are counted.
SIP: Final = 1
RTP: Final = 4
RTCP: Final = 5
#: The first bytes of a packet of version 3.
MAGIC: Final = b"HEP3"
#: A sender whose clock is further from ours than this is not believed: media is timed by ours.
MAX_SKEW_NS: Final = 2_000_000_000

_MAX_PAYLOAD: Final = 1 << 17
#: What is small when packed is not large unpacked: SIP packs to a fifth.
_LEAST_PAYLOAD: Final = 8192
_MAX_RATIO: Final = 16
_V3_HEADER: Final = 6
_CHUNK_HEADER: Final = 6
_FAMILY, _PROTOCOL, _SRC_V4, _DST_V4, _SRC_V6, _DST_V6, _SPORT, _DPORT = range(1, 9)
_SECONDS, _MICROSECONDS, _TYPE, _CAPTURE_ID, _AUTH_KEY = 9, 10, 11, 12, 14
_PAYLOAD, _COMPRESSED, _CORRELATION = 15, 16, 17
#: Of the numbers among the chunks, how many bytes they have.
_NUMBERS: Final = {
    _FAMILY: 1, _PROTOCOL: 1, _SPORT: 2, _DPORT: 2, _SECONDS: 4, _MICROSECONDS: 4, _TYPE: 1, _CAPTURE_ID: 4
}  # fmt: skip
#: By IP protocol; 22 is what senders write for TLS and WebSocket, which have no number.
_TRANSPORTS: Final = {17: "udp", 6: "tcp", 132: "sctp", 22: "tls"}


@dataclass(frozen=True, slots=True)
class HepPacket:
    """What one HEP packet carries.

    ``kind``        SIP, RTP, RTCP or another protocol type
    ``time_ns``     when the sender saw it, UTC; 0 where it does not say (version 1)
    ``transport``   udp, tcp, tls, sctp
    ``capture_id``  the number of the sender; ``correlation_id`` usually a Call-ID
    """

    kind: int
    src: Endpoint
    dst: Endpoint
    transport: str
    time_ns: int
    payload: bytes
    capture_id: int = 0
    correlation_id: str = ""

    def seen_ns(self, now_ns: int) -> int:
        """Return its time, or ``now_ns`` if the sender's clock is not to be believed."""
        return self.time_ns if abs(self.time_ns - now_ns) <= MAX_SKEW_NS else now_ns


def parse_hep(data: bytes, auth_key: str | None = None) -> HepPacket | str:
    """Read one packet of any version; return why it is none where it is not.

    With ``auth_key`` only packets that bear this key are taken, so none of versions 1 and 2.
    """
    if data[:4] == MAGIC:
        return _version_3(data, auth_key)
    if data[:1] in (b"\x01", b"\x02"):
        return "hep-unauthorised" if auth_key else _version_1_2(data)
    return "not-hep"


def _version_3(data: bytes, auth_key: str | None) -> HepPacket | str:
    if len(data) < _V3_HEADER or int.from_bytes(data[4:6]) > len(data):
        return "hep-cut-short"
    end = int.from_bytes(data[4:6])
    chunks: dict[int, bytes] = {}
    at = _V3_HEADER
    while at < end:
        if at + _CHUNK_HEADER > end:
            return "hep-chunk"
        vendor, kind, size = struct.unpack_from("!HHH", data, at)
        if size < _CHUNK_HEADER or at + size > end:
            return "hep-chunk"
        if vendor == 0:
            chunks[kind] = data[at + _CHUNK_HEADER : at + size]
        at += size
    if any(kind in chunks and len(chunks[kind]) != size for kind, size in _NUMBERS.items()):
        return "hep-chunk"
    if auth_key and not hmac.compare_digest(chunks.get(_AUTH_KEY, b""), auth_key.encode()):
        return "hep-unauthorised"
    number = {kind: int.from_bytes(chunks.get(kind, b"")) for kind in _NUMBERS}
    source = chunks.get(_SRC_V4) or chunks.get(_SRC_V6) or b""
    target = chunks.get(_DST_V4) or chunks.get(_DST_V6) or b""
    if len(source) not in (4, 16) or len(source) != len(target):
        return "hep-address"
    payload = chunks.get(_PAYLOAD)
    if payload is None and _COMPRESSED in chunks:
        payload = _unpacked(chunks[_COMPRESSED])
    if payload is None:
        return "hep-payload"
    return HepPacket(
        number[_TYPE],
        (str(ipaddress.ip_address(source)), number[_SPORT]),
        (str(ipaddress.ip_address(target)), number[_DPORT]),
        _TRANSPORTS.get(number[_PROTOCOL], "udp"),
        number[_SECONDS] * 1_000_000_000 + number[_MICROSECONDS] * 1000,
        payload,
        number[_CAPTURE_ID],
        chunks.get(_CORRELATION, b"").decode("utf-8", "replace"),
    )


def _unpacked(packed: bytes) -> bytes | None:
    """Unpack zlib or gzip; None if it is neither, or larger than anything worth having."""
    try:
        unpacker = zlib.decompressobj(wbits=47)
        most = min(_MAX_PAYLOAD, _LEAST_PAYLOAD + _MAX_RATIO * len(packed))
        unpacked = unpacker.decompress(packed, most)
    except zlib.error:
        return None
    return unpacked if unpacker.eof else None


def _version_1_2(data: bytes) -> HepPacket | str:
    """Read version 1 or 2: version, length, family, protocol, ports, addresses; then in 2 the time."""
    size = {(16, 2): 4, (40, 10): 16}.get((data[1], data[2])) if len(data) >= 8 else None
    if size is None:
        return "not-hep"
    version, length, _, protocol, sport, dport = struct.unpack_from("!BBBBHH", data)
    timed = 12 if version == 2 else 0
    if len(data) < length + timed:
        return "hep-cut-short"
    time_ns = capture_id = 0
    if timed:
        # In the byte order of the sender, and those are little-endian; two bytes of padding follow.
        seconds, microseconds, capture_id = struct.unpack_from("<IIH", data, length)
        time_ns = seconds * 1_000_000_000 + microseconds * 1000
    source, target = data[8 : 8 + size], data[8 + size : 8 + 2 * size]
    return HepPacket(
        SIP,
        (str(ipaddress.ip_address(source)), sport),
        (str(ipaddress.ip_address(target)), dport),
        _TRANSPORTS.get(protocol, "udp"),
        time_ns,
        data[length + timed :],
        capture_id,
    )


class HepFramer:
    """Cuts a TCP connection into packets of version 3; finds its way again behind what is none.

    It begins with the connection and ends with it; it never holds more than one packet and what came with it.

    ``counters``: hep-resynchronised (stretches that were no HEP).
    """

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes of the connection; return the packets that they complete."""
        self._held += data
        found = []
        at = 0
        while len(self._held) - at >= _V3_HEADER:
            if self._held[at : at + 4] != MAGIC:
                self._counters["hep-resynchronised"] += 1
                begin = self._held.find(MAGIC, at)
                # Its first bytes may be the last that came.
                at = begin if begin >= 0 else len(self._held) - len(MAGIC) + 1
                if begin < 0:
                    break
                continue
            size = int.from_bytes(self._held[at + 4 : at + 6])
            if size < _V3_HEADER:
                self._counters["hep-resynchronised"] += 1
                at += len(MAGIC)
                continue
            if len(self._held) - at < size:
                break
            found.append(bytes(self._held[at : at + size]))
            at += size
        del self._held[:at]
        return found
