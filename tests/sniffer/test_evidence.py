"""The evidence of a call, read back by TShark."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.evidence import checksum, evidence_pcap
from bystander.sniffer.sip import Arrival

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
V4 = {"caller": ("10.0.0.1", 5060), "callee": ("10.0.0.2", 5080)}
V6 = {"caller": ("2001:db8::1", 5060), "callee": ("2001:db8::2", 5080)}


def read(pcap: bytes, path: Path, *fields: str) -> list[list[str]]:
    path.write_bytes(pcap)
    checks = ["ip.check_checksum", "udp.check_checksum", "tcp.check_checksum"]
    command = ["tshark", "-r", str(path), "-T", "fields"]
    command += [word for name in checks for word in ("-o", f"{name}:TRUE")]
    command += [word for name in fields for word in ("-e", name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@needs_tshark
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("ends", [V4, V6])
def test_tshark_reads_every_message(
    kit: Any, tmp_path: Path, ends: dict[str, tuple[str, int]], transport: str
) -> None:
    scene = kit.Scene(transport=transport, **ends)
    messages = scene.normal()
    status = [f"{name}.checksum.status" for name in ("ip", "udp", "tcp")]
    pcap = evidence_pcap(messages)
    rows = read(
        pcap,
        tmp_path / "call.pcap",
        "sip.Call-ID",
        "sip.Method",
        "sip.Status-Code",
        "frame.time_epoch",
        *status,
    )
    assert len(rows) == len(messages)
    for row, arrival in zip(rows, messages, strict=True):
        call_id, method, code, time, *good = row
        assert call_id == scene.call_id
        assert method == (arrival.message.method or "")
        assert code == (str(arrival.message.status) if arrival.message.status else "")
        assert round(float(time) * 1e6) == arrival.time_ns // 1000
        assert set(good) - {""} == {"1"}
    bad = read(pcap, tmp_path / "call.pcap", "_ws.malformed", "tcp.analysis.flags")
    assert all(not any(row) for row in bad)


@needs_tshark
def test_a_long_message_over_tcp_is_followed(kit: Any, tmp_path: Path) -> None:
    scene = kit.Scene(transport="tcp")
    body = kit.sdp("10.0.0.1", 4000) + b"a=x:" + b"y" * 70_000 + b"\r\n"
    pcap = evidence_pcap([scene.request(0, "INVITE", 1, body), scene.response(1, 200)])
    rows = read(pcap, tmp_path / "long.pcap", "sip.Call-ID", "sip.Content-Length", "ip.checksum.status")
    assert [row[0] for row in rows if row[0]] == [scene.call_id] * 2
    assert str(len(body)) in [row[1] for row in rows]
    assert {row[2] for row in rows} == {"1"}


@needs_tshark
def test_odd_endpoints_still_give_a_frame(kit: Any, tmp_path: Path) -> None:
    good = kit.Scene().invite()
    odd = [
        Arrival(good.time_ns, ("host.example", 5060), ("10.0.0.2", 5060), "udp", good.message, good.raw),
        Arrival(good.time_ns, ("::1", 5060), ("10.0.0.2", 5060), "ws", good.message, good.raw),
    ]
    rows = read(evidence_pcap(odd), tmp_path / "odd.pcap", "sip.Call-ID", "ip.src")
    assert rows == [[good.message.call_id, "0.0.0.0"]] * 2


def test_no_messages_make_an_empty_capture() -> None:
    assert evidence_pcap([]) == struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 101)


def test_a_datagram_that_fits_nowhere_is_cut(kit: Any) -> None:
    good = kit.Scene().invite()
    huge = Arrival(good.time_ns, good.src, good.dst, "udp", good.message, b"x" * 100_000)
    captured, length = struct.unpack_from("<II", evidence_pcap([huge]), 24 + 8)
    assert captured == length == 20 + 8 + 65_495


@given(st.binary(min_size=2, max_size=99))
def test_a_checksum_makes_its_data_sum_to_nothing(data: bytes) -> None:
    """RFC 1071: data with its own checksum has the checksum 0."""
    data += b"\0" * (len(data) % 2)
    assert checksum(data + checksum(data).to_bytes(2)) == 0
