"""What the rooms count is put together: bad input by reason, bounded tables by what they hold and gave up."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from bystander.counts import TableCount, skipped, tables
from bystander.extract import extract
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.sniffer.frames import LINKTYPE_RAW, PAD, Frames
from bystander.sniffer.realm import REALMS
from bystander.storage.spool import Spool

S = 1_000_000_000


def ip(payload: bytes, *, protocol: int = 17, fragment: int = 0) -> bytes:
    """One IPv4 packet; whoever reads it looks at no checksum."""
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0)
        + addresses
        + payload
    )


def udp(payload: bytes, ports: tuple[int, int]) -> bytes:
    return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload


def block(packets: list[bytes]) -> Frames:
    sizes = np.array([len(packet) for packet in packets], np.int64)
    return Frames(
        data=np.frombuffer(b"".join(packets) + bytes(PAD), np.uint8),
        offset=np.cumsum(sizes) - sizes,
        captured=sizes,
        length=sizes,
        time_ns=S + np.arange(len(packets), dtype=np.int64),
        linktype=LINKTYPE_RAW,
    )


def fed(folder: Path, packets: list[bytes]) -> Pipeline:
    pipeline = Pipeline(PipelineSettings(root=folder), Spool(folder / "spool"), lambda call: None)
    pipeline.feed(block(packets))
    return pipeline


def test_a_quiet_wire_skips_nothing(tmp_path: Path) -> None:
    pipeline = fed(tmp_path, [ip(udp(b"\0" * 20, (9, 9)))])
    assert skipped(pipeline) == {}
    assert set(tables(pipeline).values()) == {TableCount(0, 0)}


def test_each_room_tells_why_it_skipped(tmp_path: Path) -> None:
    padded_to_nothing = b"\xa0\x08" + bytes(10) + b"\0"  # the padding bit, and a padding of none
    no_call_id = b"OPTIONS sip:a@b SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n"
    packets = [
        ip(udp(padded_to_nothing, (4000, 4002))),
        ip(udp(no_call_id, (5060, 5060))),
        ip(bytes(16), fragment=0x2000 | 0x1FFF),
        b"\x45",
    ]
    counted = skipped(fed(tmp_path, packets))
    assert counted["rtp-header"] == 1
    assert counted["sip-without-call-id"] == 1
    assert counted["fragment-oversize"] == 1
    assert sum(counted.values()) == 4


def test_what_the_tables_hold(tmp_path: Path) -> None:
    invite = (
        b"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\n"
        b"To: <sip:bob@b>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
        b"\r\nv=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n"
    )
    rtp = b"\x80\x08" + struct.pack("!HII", 1, 160, 99) + b"\xd5" * 160
    packets = [ip(udp(invite, (5060, 5060))), ip(udp(rtp, (7000, 7002))), ip(bytes(16), fragment=0x2000)]
    held = {name: table.entries for name, table in tables(fed(tmp_path, packets)).items() if table.entries}
    claims = held.pop("claims")
    assert held == {"calls": 1, "probation": 1, "fragments": 1}
    assert claims >= 1


def test_what_a_full_table_gave_up(tmp_path: Path) -> None:
    pipeline = fed(tmp_path, [ip(udp(b"\0" * 20, (9, 9)))])
    names = {
        "calls": (pipeline.calls, "calls-evicted"),
        "claims": (pipeline.calls, "claims-dropped"),
        "fragments": (pipeline.fragments, "evicted"),
        "key-exchanges": (pipeline.media_ports, "flows-forgotten"),
        "probation": (pipeline.streams, "probation-overflow"),
        "reports": (pipeline.reports, "skipped"),
        "streams": (pipeline.streams, "streams-refused"),
        "tcp": (pipeline.tcp, "evicted"),
        "tls": (pipeline.tls, "evicted"),
        "transfers": (pipeline.calls, "transfers-evicted"),
        "unclaimed": (pipeline.calls, "streams-evicted"),
    }
    for number, (table, name) in enumerate(names.values(), 1):
        table.counters[name] += number
    assert {name: table.evicted for name, table in tables(pipeline).items()} == {
        name: number for number, name in enumerate(names, 1)
    }


def test_extract_tells_what_it_skipped_and_what_was_cut(tmp_path: Path) -> None:
    whole = ip(udp(b"\x80\x08" + bytes(200), (4000, 4002)))
    cut, broken = whole[:120], ip(udp(b"\xa0\x08" + bytes(11), (4000, 4002)))
    capture = tmp_path / "cut.pcap"
    records = [
        struct.pack("<IIII", 1, 0, len(kept), size) + kept for kept, size in ((cut, 230), (broken, 41))
    ]
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 120, LINKTYPE_RAW)
    capture.write_bytes(header + b"".join(records))
    counters = extract([capture], tmp_path / "out")["counters"]
    assert (counters["packets"], counters["truncated"], counters["evicted"]) == (2, 1, {})
    assert counters["bad"]["rtp-header"] == 1


def test_realms_are_counted_where_there_are_some(tmp_path: Path) -> None:
    pipeline = Pipeline(PipelineSettings(separate=("vlan",)), Spool(tmp_path), lambda _call: None)
    assert tables(pipeline)["realms"].entries == len(REALMS)
    assert "realms" not in tables(Pipeline(PipelineSettings(), Spool(tmp_path), lambda _call: None))
