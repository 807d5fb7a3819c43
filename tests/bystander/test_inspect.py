"""The second opinion: what TShark says of a call's signalling beside what we say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bystander.errors import UserError
from bystander.inspect import evidence_messages, inspect_evidence
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.evidence import evidence_pcap
from bystander.sniffer.sip import Arrival

tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not there")


@pytest.fixture(params=["udp", "tcp"])
def evidence(request: pytest.FixtureRequest, arrivals: list[Arrival], tmp_path: Path) -> Path:
    for arrival in arrivals:
        arrival.transport = request.param
    path = tmp_path / "evidence.pcap"
    path.write_bytes(evidence_pcap(arrivals))
    return path


def test_evidence_reads_back_as_it_was(evidence: Path, arrivals: list[Arrival]) -> None:
    found = evidence_messages(evidence)
    assert [(one.time_ns, one.src, one.dst, one.transport, one.raw) for one in found] == [
        (one.time_ns, one.src, one.dst, one.transport, one.raw) for one in arrivals
    ]


@tshark
def test_tshark_agrees_about_a_plain_call(evidence: Path) -> None:
    report = inspect_evidence(evidence)
    assert [message["tshark"] for message in report["messages"]] == [
        "INVITE, CSeq 1, media on port 4000",
        "180 (INVITE), CSeq 1",
        "200 (INVITE), CSeq 1, media on port 4000",
        "ACK, CSeq 1",
        "BYE, CSeq 2",
        "BYE, CSeq 2",
        "200 (BYE), CSeq 2",
    ]
    assert report["agrees"] is True
    assert report["tshark_version"].startswith("TShark")
    assert report["messages"][1]["src"] == "10.0.0.2:5060"
    assert report["messages"][1]["offset_s"] == pytest.approx(0.001)


@tshark
def test_c5_a_difference_is_named(arrivals: list[Arrival], tmp_path: Path) -> None:
    # TShark drops the body of a message whose Content-Length is followed by a blank; phones send that, and
    # it counts.
    lengths = arrivals[0].raw.split(b"Content-Length: ")
    raw = lengths[0] + b"Content-Length: " + lengths[1].replace(b"\r\n", b" \r\n", 1)
    arrivals[0] = Arrival(
        arrivals[0].time_ns, arrivals[0].src, arrivals[0].dst, "udp", arrivals[0].message, raw
    )
    path = tmp_path / "evidence.pcap"
    path.write_bytes(evidence_pcap(arrivals))
    report = inspect_evidence(path)
    assert report["agrees"] is False
    assert report["messages"][0]["differences"] == ["media ports: Bystander [4000], TShark []"]
    assert not any(message["differences"] for message in report["messages"][1:])


def test_without_tshark_there_is_one_clear_line(evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match=r"^tshark is not installed; `apt install tshark`"):
        inspect_evidence(evidence)


def test_missing_evidence_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file"):
        evidence_messages(tmp_path / "gone.pcap")
