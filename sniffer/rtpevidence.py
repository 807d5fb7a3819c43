"""RTP packets put into the evidence of a call, between its messages, in order of time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bystander.codecs.packets import PacketRun
from bystander.sniffer.address import Endpoint
from bystander.sniffer.evidence import udp_packet

_FILE_HEADER: Final = 24
_RECORD: Final = struct.Struct("<IIII")
#: What a packet takes beside its payload: record, IPv6, UDP and RTP headers.
RECORD_BYTES: Final = 16 + 40 + 8 + 12


@dataclass(slots=True, frozen=True)
class RtpStream:
    """Packets of one stream, and between whom they went."""

    src: Endpoint
    dst: Endpoint
    ssrc: int
    run: PacketRun


def with_rtp(pcap: bytes, streams: Sequence[RtpStream]) -> bytes:
    """Return a pcap, as `evidence.evidence_pcap` makes it, with the packets of streams in it.

    Headers are made anew: no marker, no extension, no padding.
    """
    records = list(_records(pcap))
    for stream in streams:
        records += _packets(stream)
    # Stable: messages of one moment stay in their order.
    records.sort(key=lambda record: record[0])
    return pcap[:_FILE_HEADER] + b"".join(record for _, record in records)


def _records(pcap: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield ((second, nanosecond), record) of a pcap in this machine's own writing."""
    at = _FILE_HEADER
    while at + _RECORD.size <= len(pcap):
        second, rest, length, _ = _RECORD.unpack_from(pcap, at)
        end = at + _RECORD.size + length
        yield (second, rest), pcap[at:end]
        at = end


def _packets(stream: RtpStream) -> Iterator[tuple[tuple[int, int], bytes]]:
    run = stream.run
    rows = zip(run.seq.tolist(), run.ts.tolist(), run.pt.tolist(), run.time_ns.tolist(), strict=True)
    for (seq, ts, pt, time_ns), payload in zip(rows, run.payloads(), strict=True):
        rtp = struct.pack("!BBHII", 0x80, pt & 0x7F, seq & 0xFFFF, ts, stream.ssrc) + payload
        packet = udp_packet(stream.src, stream.dst, rtp, seq)
        second, rest = divmod(time_ns, 1_000_000_000)
        second &= 0xFFFFFFFF
        yield (second, rest), _RECORD.pack(second, rest, len(packet), len(packet)) + packet
