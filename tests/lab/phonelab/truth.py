"""Ground truth of a capture, from TShark: what SIP and RTP it holds, independently of the program under
test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonelab.network import run

Endpoint = tuple[str, int]


@dataclass
class Sip:
    """One SIP message as TShark dissects it; ``media`` is the audio endpoint of its SDP."""

    time_ns: int
    src: str
    dst: str
    call_id: str
    method: str
    status: int
    cseq: str
    media: Endpoint | None
    to_tag: str
    from_tag: str


@dataclass
class Rtp:
    """One RTP stream (5-tuple and SSRC), in order of arrival; repeated sequence numbers included."""

    src: Endpoint
    dst: Endpoint
    ssrc: int
    time_ns: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    timestamp: list[int] = field(default_factory=list)
    payload_type: list[int] = field(default_factory=list)
    payload: list[bytes] = field(default_factory=list)

    def distinct(self) -> dict[int, int]:
        """Index of the first arrival by sequence number, unwrapped over 16 bits, in sequence order."""
        found: dict[int, int] = {}
        last = self.sequence[0]
        for index, sequence in enumerate(self.sequence):
            last += (sequence - last + 0x8000) % 0x10000 - 0x8000
            found.setdefault(last, index)
        return dict(sorted(found.items()))

    def audio(self, payload_type: int) -> list[tuple[int, int, bytes]]:
        """(arrival ns, timestamp, payload) of the distinct packets of one payload type, in sequence order."""
        return [
            (self.time_ns[i], self.timestamp[i], self.payload[i])
            for i in self.distinct().values()
            if self.payload_type[i] == payload_type
        ]


def _rows(path: Path, display_filter: str, *names: str) -> Iterator[list[str]]:
    """The fields of the frames that match: of several headers of a kind the innermost, of several messages
    in a frame the first."""
    always = ("frame.time_epoch", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst")
    wanted = [(name, -1 if name.startswith(("ip.", "ipv6.", "udp.")) else 0) for name in (*always, *names)]
    text = run(
        "tshark", "-n", "-r", path, "-o", "rtp.heuristic_rtp:TRUE", "-2", "-Y", display_filter,
        "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|",
        *(part for name, _ in wanted for part in ("-e", name)),
    )  # fmt: skip
    for line in text.splitlines():
        row = [cell.split("|")[which] for cell, (_, which) in zip(line.split("\t"), wanted, strict=True)]
        yield [row[0], row[1] or row[2], row[3] or row[4], *row[5:]]


def nanoseconds(epoch: str) -> int:
    whole, _, fraction = epoch.partition(".")
    return int(whole) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])


def sip_messages(path: Path) -> list[Sip]:
    """Every SIP message, in order; of several in one frame, the first."""
    names = (
        "sip.Call-ID", "sip.Method", "sip.Status-Code", "sip.CSeq.method", "sdp.connection_info.address",
        "sdp.media.port", "sip.to.tag", "sip.from.tag",
    )  # fmt: skip
    messages = []
    for time, src, dst, call_id, method, status, cseq, address, port, *tags in _rows(
        path, "sip.CSeq", *names
    ):
        media = (address, int(port)) if address and port else None
        at = nanoseconds(time)
        messages.append(Sip(at, src, dst, call_id, method, int(status or 0), cseq, media, *tags))
    return messages


def rtp_streams(path: Path) -> list[Rtp]:
    """Every RTP stream, in order of the first packet."""
    names = (
        "udp.srcport", "udp.dstport", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.payload",
        "rtpevent.event_id", "udp.payload", "srtp.enc_payload",
    )  # fmt: skip
    streams: dict[tuple[Endpoint, Endpoint, int], Rtp] = {}
    for time, src, dst, sport, dport, ssrc, seq, stamp, kind, payload, event, whole, protected in _rows(
        path, "rtp && rtp.version == 2 && !icmp && !icmpv6", *names
    ):
        key = ((src, int(sport)), (dst, int(dport)), int(ssrc, 0))
        stream = streams.setdefault(key, Rtp(*key))
        data = bytes.fromhex((payload or (whole[24:] if event or protected else "")).replace(":", ""))
        stream.time_ns.append(nanoseconds(time))
        stream.sequence.append(int(seq))
        stream.timestamp.append(int(stamp))
        stream.payload_type.append(int(kind))
        stream.payload.append(data)
    return list(streams.values())


def calls(path: Path) -> list[dict[str, Any]]:
    """The calls by Call-ID: times of INVITE, answer and BYE, and each stream with the side that spoke it.

    A stream is the callee's when it goes to an address that an INVITE's SDP names, the caller's when it
    goes to one that an answer's SDP names; so the streams of both hops of a proxied call are found (C7).
    """
    messages = sip_messages(path)
    streams = rtp_streams(path)
    found: list[dict[str, Any]] = []
    for call_id in dict.fromkeys(m.call_id for m in messages if m.cseq == "INVITE"):
        mine = [m for m in messages if m.call_id == call_id]
        first = next(m for m in mine if m.cseq == "INVITE")
        initial = [m for m in mine if m.method == "INVITE" and m.src == first.src]
        answers = [m.time_ns for m in mine if m.cseq == "INVITE" and 200 <= m.status < 300]
        byes = [m for m in mine if m.method == "BYE"]
        # After a re-INVITE from the callee the two sets would change places; the initial transaction decides.
        horizon = answers[0] + 1_000_000_000 if answers else 1 << 63
        offered = {m.media for m in mine if m.method == "INVITE" and m.media and m.time_ns < horizon}
        answered = {
            m.media for m in mine if m.status and m.cseq == "INVITE" and m.media and m.time_ns < horizon
        }
        # Addresses come again (C10): a stream is of the call in whose time it lies.
        first_ns, last_ns = mine[0].time_ns, byes[0].time_ns if byes else 1 << 63
        sides = [
            (s, "callee" if s.dst in offered else "caller")
            for s in streams
            if s.dst in offered | answered and s.time_ns[0] < last_ns and s.time_ns[-1] > first_ns
        ]
        found.append(
            {
                "call_id": call_id,
                "invited_ns": initial[0].time_ns if initial else None,
                "answered_ns": answers[0] if answers else None,
                "bye_ns": byes[0].time_ns if byes else None,
                "bye_from": byes[0].src if byes else None,
                "reinvited_ns": sorted({m.time_ns for m in mine if m.method == "INVITE" and m.to_tag}),
                "streams": [
                    {
                        "by": side,
                        "src": text(s.src),
                        "dst": text(s.dst),
                        "ssrc": f"0x{s.ssrc:08x}",
                        "payload_types": sorted(set(s.payload_type)),
                        "packets": len(s.distinct()),
                        "copies": len(s.sequence),
                        "missing": max(s.distinct()) - min(s.distinct()) + 1 - len(s.distinct()),
                        "first_ns": s.time_ns[0],
                        "last_ns": s.time_ns[-1],
                    }
                    for s, side in sides
                ],
            }
        )
    return found


def text(endpoint: Endpoint) -> str:
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
