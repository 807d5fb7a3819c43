"""Signalling and media that come as HEP make calls, as if they had been on the wire."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bystander.finished import FinishedCall
from bystander.hepinput import feed_hep
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.sniffer.frames import LINKTYPE_RAW, PAD, Frames
from bystander.sniffer.hep import HepPacket, parse_hep
from bystander.sniffer.sip import Arrival
from bystander.storage.spool import Spool

S = 1_000_000_000
T0 = 1_795_464_000 * S
PHONE, PROXY = ("10.0.0.1", 5060), ("10.0.0.2", 5060)


def hep(time_ns: int, src: tuple[str, int], dst: tuple[str, int], payload: bytes, kind: int = 1) -> bytes:
    chunks = [
        (2, bytes([6 if kind == 1 else 17])),
        (3, ipaddress.ip_address(src[0]).packed),
        (4, ipaddress.ip_address(dst[0]).packed),
        (7, src[1].to_bytes(2)),
        (8, dst[1].to_bytes(2)),
        (9, (time_ns // S).to_bytes(4)),
        (10, (time_ns % S // 1000).to_bytes(4)),
        (11, bytes([kind])),
        (15, payload),
    ]
    body = b"".join(struct.pack("!HHH", 0, number, 6 + len(value)) + value for number, value in chunks)
    return b"HEP3" + (6 + len(body)).to_bytes(2) + body


def message(start: str, cseq: str, body: str = "") -> bytes:
    lines = [start, "Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKx"]
    lines += ["From: <sip:a@b>;tag=1", "To: <sip:c@b>;tag=2"]
    lines += ["Call-ID: one@phone", f"CSeq: {cseq}", *(["Content-Type: application/sdp"] if body else [])]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()


def sdp(host: str, port: int) -> str:
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


def call() -> list[bytes]:
    """A call of two seconds: its signalling over TCP, its media as RTP."""
    packets = [
        hep(T0, PHONE, PROXY, message("INVITE sip:c@b SIP/2.0", "1 INVITE", sdp("10.0.0.1", 4000))),
        hep(T0 + S, PROXY, PHONE, message("SIP/2.0 200 OK", "1 INVITE", sdp("10.0.0.2", 5000))),
    ]
    for n in range(100):
        rtp = struct.pack("!BBHII", 0x80, 8, n, 160 * n, 7) + b"\xd5" * 160
        packets.append(hep(T0 + S + n * 20_000_000, ("10.0.0.1", 4000), ("10.0.0.2", 5000), rtp, 4))
    packets.append(hep(T0 + 3 * S, PHONE, PROXY, message("BYE sip:c@b SIP/2.0", "2 BYE")))
    packets.append(hep(T0 + 3 * S, PHONE, PROXY, b"{}", 5))
    return packets


def run(folder: Path, feed: Callable[[Pipeline], None]) -> tuple[dict[str, Any], list[Arrival], Pipeline]:
    finished: list[FinishedCall] = []
    arrivals: list[Arrival] = []
    pipeline = Pipeline(
        PipelineSettings(root=folder),
        Spool(folder / "spool"),
        lambda done: finished.append(done) if isinstance(done, FinishedCall) else None,
        arrivals.append,
    )
    feed(pipeline)
    pipeline.close()
    (only,) = finished
    facts = {"state": only.call.state, "transport": only.call.transport, "streams": only.streams}
    return facts, arrivals, pipeline


def check(facts: dict[str, Any], arrivals: list[Arrival]) -> None:
    assert (facts["state"], facts["transport"]) == ("answered", "tcp")
    assert [(s["by"], s["packets"], s["lost"]) for s in facts["streams"]] == [("caller", 100, 0)]
    assert [arrival.time_ns for arrival in arrivals] == [T0, T0 + S, T0 + 3 * S]


def test_from_a_listener(tmp_path: Path) -> None:
    def feed(pipeline: Pipeline) -> None:
        for raw in call():
            packet = parse_hep(raw)
            assert isinstance(packet, HepPacket)
            feed_hep(pipeline, packet, packet.time_ns + S)

    facts, arrivals, pipeline = run(tmp_path, feed)
    check(facts, arrivals)
    assert (pipeline.counters["hep"], pipeline.counters["hep-other"]) == (103, 1)


def test_seen_on_the_wire_on_its_way_to_somebody_else(tmp_path: Path) -> None:
    packets = [parse_hep(each) for each in call()]
    moments = [packet.time_ns for packet in packets if isinstance(packet, HepPacket)]
    raw = [
        struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(each), 1, 0, 64, 17, 0)
        + bytes([192, 0, 2, 1, 192, 0, 2, 2])
        + struct.pack("!HHHH", 40000, 9060, 8 + len(each), 0)
        + each
        for each in [*call(), b"HEP3 and then nothing", hep(T0, PHONE, PROXY, call()[0])]
    ]
    size = np.array([len(each) for each in raw], np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(PAD), np.uint8)
    times = np.array([*moments, T0 + 3 * S, T0 + 3 * S], np.int64) + 1_000_000
    frames = Frames(data, np.cumsum(size) - size, size, size, times, LINKTYPE_RAW)
    facts, arrivals, pipeline = run(tmp_path, lambda pipeline: pipeline.feed(frames))
    check(facts, arrivals)
    assert pipeline.bad == {"hep-cut-short": 1}
    assert pipeline.counters["hep-other"] == 2


def test_c13_what_the_mirror_sees_as_well_counts_once(tmp_path: Path) -> None:
    """The proxy's copy and the mirrored message bear times a little apart."""

    def feed(pipeline: Pipeline) -> None:
        for raw in call():
            packet = parse_hep(raw)
            assert isinstance(packet, HepPacket)
            for later_ns in (0, 7_000_000):
                moved = replace(packet, time_ns=packet.time_ns + later_ns)
                feed_hep(pipeline, moved, packet.time_ns)

    facts, _, pipeline = run(tmp_path, feed)
    assert [(s["packets"], s["duplicates"]) for s in facts["streams"]] == [(100, 100)]
    assert pipeline.calls.counters["sip-mirrored-twice"] == 3


def test_c18_a_proxy_whose_clock_is_wrong_does_not_part_signalling_and_media(tmp_path: Path) -> None:
    def feed(pipeline: Pipeline) -> None:
        for raw in call():
            packet = parse_hep(raw)
            assert isinstance(packet, HepPacket)
            feed_hep(pipeline, replace(packet, time_ns=packet.time_ns - 3600 * S), packet.time_ns)

    facts, arrivals, pipeline = run(tmp_path, feed)
    check(facts, arrivals)
    assert pipeline.counters["hep-clock"] == 103
