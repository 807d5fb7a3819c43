"""What came as HEP, on its way into the pipeline: from the listener, or seen on the mirrored wire itself."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from bystander.sniffer.address import Endpoint
from bystander.sniffer.hep import MAGIC, RTP, SIP, HepPacket, parse_hep


class Fed(Protocol):
    """The pipeline, as far as it is fed here."""

    counters: Counter[str]
    bad: Counter[str]

    def feed_apart(self, time_ns: int, src: Endpoint, dst: Endpoint, transport_name: str, raw: bytes) -> None:
        """Take one message or media packet that did not come in a frame."""


def feed_hep(pipeline: Fed, packet: HepPacket, now_ns: int) -> None:
    """Take one packet: SIP joins the dialogs, RTP the streams, at the time when its sender saw it."""
    if packet.kind not in (SIP, RTP) or packet.payload.startswith(MAGIC):
        pipeline.counters["hep-other"] += 1
        return
    pipeline.counters["hep"] += 1
    seen_ns = packet.seen_ns(now_ns)
    if seen_ns != packet.time_ns:
        pipeline.counters["hep-clock"] += 1
    pipeline.feed_apart(seen_ns, packet.src, packet.dst, packet.transport, packet.payload)


def feed_hep_of_wire(pipeline: Fed, raw: bytes, time_ns: int) -> None:
    """Take a datagram of the wire that begins like HEP: copies on their way to somebody else."""
    packet = parse_hep(raw)
    if isinstance(packet, str):
        pipeline.bad[packet] += 1
    else:
        feed_hep(pipeline, packet, time_ns)
