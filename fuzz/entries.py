"""The same readers for a coverage-guided fuzzer: each takes bytes, and may refuse them only as it documents.

Whatever else one raises is a finding. An entry is one function and a row of ``ENTRIES``; its corpus is
``fuzz/corpus/NAME.zip``, which `make test` replays.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from bystander.codecs.events import presses
from bystander.codecs.packets import PacketRun
from bystander.codecs.red import opened as red_opened
from bystander.sniffer.calls import CallSettings, CallTable
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.crypto import parse_crypto, usable_keys
from bystander.sniffer.datagrams import synthetic
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.fragments import Reassembler
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.hep import HepFramer, parse_hep
from bystander.sniffer.mediaports import MediaPorts
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.rtcp import parse_rtcp
from bystander.sniffer.rtp import looks_like_rtcp, looks_like_rtp
from bystander.sniffer.sdp import parse_sdp
from bystander.sniffer.separation import KINDS
from bystander.sniffer.sip import Arrival, parse_message
from bystander.sniffer.srtp import open_packets
from bystander.sniffer.streams import Stream, StreamTable
from bystander.sniffer.tcp import Segment, SipOverTcp
from bystander.sniffer.websocket import WebSocketFramer

_LINK_TYPES: Final = (1, 0, 12, 101, 108, 113, 229, 276)
_START_NS: Final = 1_795_464_000_000_000_000
_SRC, _DST = ("10.0.0.1", 5060), ("10.0.0.2", 5060)


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut bytes into pieces, each behind its length in two bytes; the last takes what is left."""
    at = 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


def joined(some: list[bytes]) -> bytes:
    """The reverse of :func:`pieces`, for seeds."""
    return b"".join(len(piece).to_bytes(2, "big") + piece for piece in some if len(piece) < 1 << 16)


def frames(data: bytes) -> None:
    """Frames of one link type through the parser, fragments through the reassembler."""
    if not data:
        return
    found = list(itertools.islice(pieces(data[1:]), 64))
    sizes = np.array([len(piece) for piece in found], np.int64)
    buffer = np.frombuffer(b"".join(found) + bytes(PAD), np.uint8)
    times = np.arange(len(found), dtype=np.int64) * 1_000_000 + _START_NS
    offset = np.cumsum(sizes) - sizes
    linktype = _LINK_TYPES[data[0] % len(_LINK_TYPES)]
    separate = KINDS if data[0] & 0x80 else ()
    parsed = FrameParser(separate).parse(Frames(buffer, offset, sizes, sizes.copy(), times, linktype))
    for datagrams in parsed.datagrams:
        for number in range(len(datagrams)):
            datagrams.endpoints(number)
            datagrams.payload(number)
    joiner = Reassembler()
    for fragment in parsed.fragments:
        joiner.feed(fragment)


def tcp(data: bytes) -> None:
    """Segments in any order through reassembly and framing: a byte of flags, two of position, the payload."""
    stream = SipOverTcp()
    for number, piece in enumerate(itertools.islice(pieces(data), 64)):
        if len(piece) < 3:
            continue
        back = bool(piece[0] & 0x80)
        src, dst = (_DST, _SRC) if back else (_SRC, _DST)
        seq = int.from_bytes(piece[1:3], "big") + 0xFFFF_F000 & 0xFFFF_FFFF
        segment = Segment(src, dst, seq, piece[0] & 0x3F, piece[3:], _START_NS + number * 50_000_000)
        for message in stream.feed(segment):
            parse_message(message[-1])
    for _ in stream.flush():
        pass


def sip(data: bytes) -> None:
    """One message, and all that is read of it later."""
    message = parse_message(data)
    if isinstance(message, str):
        return
    described = (message.from_, message.to, message.sdp, message.vias, message.branch, message.header("x"))
    assert len(described) == 6
    assert message.method is not None or 100 <= message.status < 1000


def sdp(data: bytes) -> None:
    """A session description."""
    parse_sdp(data)


def dialogs(data: bytes) -> None:
    """Messages one after another through the table of calls, both ways, until it is closed."""
    table = CallTable(CallSettings())
    now_ns = _START_NS
    handed_out = []
    for piece in itertools.islice(pieces(data), 48):
        if len(piece) < 2:
            continue
        now_ns += (piece[0] >> 1) ** 3 * 1_000_000
        message = parse_message(piece[1:])
        if isinstance(message, str):
            continue
        src, dst = (_DST, _SRC) if piece[0] & 1 else (_SRC, _DST)
        table.feed(Arrival(now_ns, src, dst, "udp", message, piece[1:]))
        handed_out += table.advance(now_ns)
    handed_out += table.close(now_ns)
    for call in handed_out:
        assert call.started_ns <= call.ended_ns


class _Forgets:
    """Takes media and keeps nothing but kept packets."""

    def __init__(self) -> None:
        self.runs: list[PacketRun] = []

    def audio(self, stream: Stream, position: int, law: int, samples: np.ndarray[Any, Any]) -> None:
        """Audio is not what is looked at."""

    def packets(self, stream: Stream, run: PacketRun) -> None:  # noqa: ARG002
        self.runs.append(run)


def rtp(data: bytes) -> None:
    """Datagrams to media ports: RTP through the stream table, its events read, the rest told apart."""
    sink, ports = _Forgets(), MediaPorts()
    table = StreamTable(sink, capacity=64, expected=lambda _src, _dst: True)
    for number, piece in enumerate(itertools.islice(pieces(data), 64)):
        datagram = synthetic(("10.0.0.1", 4000), ("10.0.0.2", 4002), piece, _START_NS + number * 20_000_000)
        looks_like_rtcp(datagram)
        ports.observe(datagram)
        table.feed(datagram, np.flatnonzero(looks_like_rtp(datagram)))
    for stream in list(table):
        table.end(stream)
        assert stream.packets > 0
    for run in sink.runs:
        presses(run, dict.fromkeys(range(128), 8000))
        red_opened(run, 8000)


def rtcp(data: bytes) -> None:
    """A compound RTCP packet."""
    parse_rtcp(data)


def hep(data: bytes) -> None:
    """A HEP packet, and the same bytes as a connection that comes in pieces."""
    parse_hep(data)
    framer = HepFramer(Counter())
    for at in range(0, len(data), 97):
        for packet in framer.feed(data[at : at + 97]):
            parse_hep(packet)
    assert len(framer) <= 1 << 17


def websocket(data: bytes) -> None:
    """A connection from its beginning or its middle; an empty piece is a loss."""
    framer = WebSocketFramer(Counter(), in_step=bool(data[:1] and data[0] & 1))
    for piece in pieces(data[1:]):
        for message in framer.feed(piece) if piece else [framer.gap() or b""]:
            parse_message(message)


def srtp(data: bytes) -> None:
    """The value of an a=crypto, a line feed, and packets to open with what it says."""
    value, _, rest = data.partition(b"\n")
    crypto = parse_crypto(value.decode("utf-8", "replace"))
    packets = [piece for piece in itertools.islice(pieces(rest), 32) if len(piece) >= 12]
    if crypto is None or not packets:
        return
    count = np.arange(len(packets), dtype=np.int64)
    sizes = np.array([len(packet) for packet in packets], np.int32)
    run = PacketRun(
        count, count.astype(np.uint32), count.astype(np.uint8), count, sizes,
        np.frombuffer(b"".join(packets), np.uint8),
    )  # fmt: skip
    opened = open_packets(run, 1, usable_keys(crypto, 0))
    assert len(opened.run) + opened.failures == len(packets)


_scratch: list[Path] = []


def capture(data: bytes) -> None:
    """A capture file (pcap, pcapng), which may only be refused by CaptureError."""
    if not _scratch:
        folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
        _scratch.append(Path(tempfile.mkdtemp(prefix="bystander-fuzz-", dir=folder), "case"))
    path = _scratch[0]
    path.write_bytes(data)
    try:
        with open_captures([path]) as source:
            for block in source.blocks():
                assert len(block) == 0 or int((block.offset + block.captured).max()) <= len(block.data)
    except CaptureError:
        pass


Entry = Callable[[bytes], None]
#: The reader of each name; `pcap` and `pcapng` are one reader, with corpora of their own.
ENTRIES: Final[dict[str, Entry]] = {
    "frames": frames,
    "tcp": tcp,
    "sip": sip,
    "sdp": sdp,
    "dialogs": dialogs,
    "rtp": rtp,
    "rtcp": rtcp,
    "hep": hep,
    "websocket": websocket,
    "srtp": srtp,
    "pcap": capture,
    "pcapng": capture,
}
