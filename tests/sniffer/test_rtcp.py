"""RTCP: every kind of packet, whole, compound, padded, cut short, encrypted; against TShark too."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.rtcp import (
    APP,
    BLOCKS,
    BYE,
    PSFB,
    RR,
    RTPFB,
    SDES,
    SR,
    XR,
    ReportBlock,
    SenderReport,
    parse_rtcp,
)
from bystander.sniffer.rtp import looks_like_rtcp
from tests.sniffer import rtcpmade as made

DATA = Path(__file__).parents[1] / "data"
A, B = 0x11111111, 0x22222222
WHOLE = (
    made.sender_report(A, 0x1234 << 32, 99, 500, 80_000, (made.report_block(B, 5, 12, 70_001, 33, 7, 8),))
    + made.description(A, b"anna@10.0.0.1")
    + made.extended_report(A, made.voip_metrics(B, loss=3, r=88, mos_lq=42, round_trip_ms=31))
    + made.bye(A)
)


def test_a_compound_packet() -> None:
    """RFC 3550 §6.1, RFC 3611 §4.7."""
    found = parse_rtcp(WHOLE)
    assert (found.ssrc, found.types, found.problem) == (A, [SR, SDES, XR, BYE], None)
    assert found.senders == [SenderReport(A, 0x1234 << 32, 99, 500, 80_000)]
    assert found.blocks == [ReportBlock(A, B, 5, 12, 70_001, 33, 7, 8)]
    assert found.cnames == {A: b"anna@10.0.0.1"}
    assert found.left == [A]
    (metrics,) = found.metrics
    assert (metrics.ssrc, metrics.loss, metrics.r, metrics.mos_lq, metrics.mos_cq) == (B, 3, 88, 42, 41)
    assert (metrics.round_trip_ms, metrics.signal_dbm, metrics.noise_dbm, metrics.gmin) == (31, -20, -60, 16)
    assert (metrics.buffer_ms, metrics.buffer_most_ms, metrics.buffer_limit_ms) == (40, 60, 200)


@pytest.mark.parametrize("lost", [0, 1, 0x7FFFFF, -1, -0x800000])
def test_cumulative_loss_is_signed(lost: int) -> None:
    """§6.4.1: more copies than losses make it negative."""
    (block,) = parse_rtcp(made.receiver_report(A, made.report_block(B, lost=lost))).blocks
    assert block.lost == lost


def test_a_receiver_that_sends_nothing_reports_on_several() -> None:
    blocks = [made.report_block(ssrc, jitter=ssrc) for ssrc in range(31)]
    found = parse_rtcp(made.receiver_report(A, *blocks))
    assert [(block.reporter, block.ssrc) for block in found.blocks] == [(A, ssrc) for ssrc in range(31)]


def test_what_is_only_recognised() -> None:
    """Feedback (RFC 4585), APP, other extended reports: stepped over, whatever is in them."""
    rle = struct.pack("!BBHIHHHH", 1, 0, 3, B, 1, 100, 0xFFFF, 0)
    raw = (
        made.receiver_report(A)
        + made.packet(APP, struct.pack("!I", A) + b"namedata", 3)
        + made.packet(RTPFB, struct.pack("!IIHH", A, B, 7, 0), 1)
        + made.packet(PSFB, struct.pack("!II", A, B), 1)
        + made.extended_report(A, rle, struct.pack("!BBHQ", 4, 0, 2, 5))
    )
    found = parse_rtcp(raw)
    assert (found.types, found.problem) == ([RR, APP, RTPFB, PSFB, XR], None)
    assert [BLOCKS[kind] for kind in found.extended] == ["loss-rle", "receiver-reference-time"]


def test_reduced_size() -> None:
    """RFC 5506: feedback or BYE alone, without a report before it."""
    assert parse_rtcp(made.packet(PSFB, struct.pack("!II", A, B), 1)).types == [PSFB]
    assert parse_rtcp(made.bye(A, B)).left == [A, B]


def test_padding_is_of_the_last_packet_only() -> None:
    padded = made.receiver_report(A, made.report_block(B, lost=4)) + made.packet(
        BYE, struct.pack("!I", A), 1, padding=8
    )
    found = parse_rtcp(padded)
    assert (found.left, found.problem) == ([A], None)
    assert parse_rtcp(made.packet(RR, struct.pack("!I", A), padding=8) + made.bye(A)).problem == "padding"
    nonsense = bytearray(padded)
    nonsense[-1] = 200
    assert parse_rtcp(bytes(nonsense)).problem == "padding"


def test_several_chunks_and_items() -> None:
    def chunk(ssrc: int, *items: tuple[int, bytes]) -> bytes:
        body = struct.pack("!I", ssrc) + b"".join(bytes([kind, len(text)]) + text for kind, text in items)
        return body + bytes(4 - len(body) % 4)

    raw = made.packet(
        SDES, chunk(A, (2, b"Anna"), (1, b"a@x")) + chunk(B, (1, b"b@yyyyy"), (6, b"phone")) + chunk(7), 3
    )
    assert parse_rtcp(raw).cnames == {A: b"a@x", B: b"b@yyyyy"}


@given(st.integers(0, len(WHOLE)))
def test_cut_short_it_keeps_what_came_before(length: int) -> None:
    found = parse_rtcp(WHOLE[:length])
    edges = [0, 52, 76, 120, 128]
    assert edges[-1] == len(WHOLE)
    assert found.problem == (None if length in edges else "truncated")
    assert bool(found.senders) == (length >= 28)
    assert bool(found.blocks) == (length >= 52)
    assert bool(found.left) == (length >= 128)


@given(st.binary(min_size=14, max_size=80))
def test_srtcp_is_not_believed(secret: bytes) -> None:
    """RFC 3711 §3.4: header and SSRC of the first packet in clear, then cipher text, index and tag."""
    clear = made.sender_report(A, 1, 2)[:8]
    after = b"\x00" + secret if secret[0] >> 6 == 2 else secret
    found = parse_rtcp(clear + bytes(20) + after)
    assert found.ssrc == A
    assert found.problem == "tail"


@given(st.binary(max_size=200))
def test_anything_at_all(raw: bytes) -> None:
    found = parse_rtcp(raw)
    assert len(found.types) <= 32
    assert found.problem is None or isinstance(found.problem, str)


@given(st.data())
def test_spoiled_packets(data: st.DataObject) -> None:
    raw = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    parse_rtcp(bytes(raw))


FIELDS = (
    "rtcp.pt", "rtcp.senderssrc", "rtcp.timestamp.ntp.msw", "rtcp.timestamp.rtp", "rtcp.sender.packetcount",
    "rtcp.ssrc.identifier", "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr", "rtcp.ssrc.ext_high",
    "rtcp.ssrc.jitter", "rtcp.ssrc.lsr", "rtcp.ssrc.dlsr", "rtcp.sdes.text",
)  # fmt: skip


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not there")
@pytest.mark.parametrize("name", ["pcma", "hold", "relayed", "ipv6"])
def test_as_tshark_reads_it(name: str) -> None:
    """Telephones' and rtpengine's own reports, field by field."""
    capture = DATA / f"{name}.pcap"
    command = [
        "tshark",
        "-r",
        str(capture),
        "-Y",
        "rtcp && !icmp && !icmpv6",
        "-T",
        "fields",
        "-E",
        "occurrence=a",
    ]
    for field in FIELDS:
        command += ["-e", field]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]
    ours = []
    with open_captures([capture]) as source:
        parser = FrameParser()
        for block in source.blocks():
            for datagrams in parser.parse(block).datagrams:
                ours += [
                    (int(datagrams.time_ns[i]), parse_rtcp(datagrams.payload(i)))
                    for i in looks_like_rtcp(datagrams).nonzero()[0].tolist()
                ]
    assert len(ours) == len(theirs) > 0
    for (_, mine), other in zip(sorted(ours, key=lambda pair: pair[0]), theirs, strict=True):
        assert mine.problem is None
        assert [int(kind) for kind in other["rtcp.pt"].split(",")] == mine.types
        if other["rtcp.senderssrc"]:
            assert int(other["rtcp.senderssrc"].split(",")[0], 0) == mine.ssrc
        for sender in mine.senders:
            said = [int(other[field], 0) for field in FIELDS[2:5]]
            assert [sender.ntp >> 32, sender.rtp, sender.packets] == said
        heads = [int(name, 0) for name in other["rtcp.ssrc.identifier"].split(",") if name]
        assert heads[: len(mine.blocks)] == [block.ssrc for block in mine.blocks]
        assert set(mine.cnames) | set(mine.left) <= set(heads)
        for at, block in enumerate(mine.blocks):
            said = [int(other[field].split(",")[at], 0) for field in FIELDS[6:12]]
            assert [block.fraction, block.lost, block.highest, block.jitter, block.lsr, block.dlsr] == said
        for cname in mine.cnames.values():
            assert cname.decode() in other["rtcp.sdes.text"].split(",")
