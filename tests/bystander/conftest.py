"""Calls as the recorder describes them, and an installation with a few of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bystander.sniffer.evidence import evidence_pcap
from bystander.sniffer.sip import Arrival, Message, parse_message
from bystander.storage.index import Entry, Index
from tests.bureau import bureau, configured, office, refused, run

__all__ = ["bureau", "configured", "office", "refused", "run"]

START = datetime(2026, 11, 23, 20, 46, tzinfo=UTC)
SDP = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def make_call() -> Callable[..., dict[str, Any]]:
    """A call object: answered and recorded unless changed."""

    def make(minute: int = 0, **changes: Any) -> dict[str, Any]:
        started = START + timedelta(minutes=minute)
        stream = {
            "by": "caller",
            "src": "10.0.0.1:4000",
            "dst": "10.0.0.2:4002",
            "ssrc": "0x1a2b3c4d",
            "codec": "PCMA",
            "payload_types": [8],
            "packets": 999,
            "lost": 1,
            "duplicates": 0,
            "reordered": 2,
            "jitter_ms": 0.24,
            "first_at": _text(started),
            "last_at": _text(started),
            "srtp": False,
        }
        return {
            "call_id": f"{minute}@office",
            "linked_call_ids": [],
            "direction": "incoming",
            "caller": "+48600100200",
            "callee": "101",
            "caller_name": "Łucja",
            "state": "answered",
            "final_status": 200,
            "verdict": "recorded",
            "started_at": _text(started),
            "answered_at": _text(started + timedelta(seconds=2)),
            "ended_at": _text(started + timedelta(seconds=22)),
            "ended_by": "caller",
            "duration_s": 20.0,
            "transport": "udp",
            "dtmf": [],
            "holds": [{"by": "callee", "from": _text(started), "to": None}],
            "streams": [stream],
            "recording": {
                "path": f"2026/{minute}.wav",
                "channels": 2,
                "sample_rate": 8000,
                "duration_s": 20.0,
                "starts_at": _text(started),
                "sha256": "0" * 64,
            },
        } | changes

    return make


@pytest.fixture
def unanswered(make_call: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A call that nobody took, so without audio."""

    def make(minute: int = 0, **changes: Any) -> dict[str, Any]:
        nothing = {
            "state": "busy",
            "final_status": 486,
            "verdict": None,
            "answered_at": None,
            "recording": None,
        }
        return make_call(minute, duration_s=0.0, streams=[], holds=[], **nothing) | changes

    return make


@pytest.fixture
def arrivals() -> list[Arrival]:
    """A short call's signalling: INVITE, 180, 200, ACK, BYE, 200, the BYE seen twice."""
    here, there = ("10.0.0.1", 5070), ("10.0.0.2", 5060)
    lines = [
        *(("INVITE sip:101@b SIP/2.0", 1, "INVITE", True), ("SIP/2.0 180 Ringing", 1, "INVITE", False)),
        *(("SIP/2.0 200 OK", 1, "INVITE", False), ("ACK sip:101@b SIP/2.0", 1, "ACK", True)),
        *(("BYE sip:101@b SIP/2.0", 2, "BYE", True), ("BYE sip:101@b SIP/2.0", 2, "BYE", True)),
        ("SIP/2.0 200 OK", 2, "BYE", False),
    ]
    found = []
    for number, (line, cseq, method, forth) in enumerate(lines):
        body = SDP if method == "INVITE" and "180" not in line else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        raw = (
            f"{line}\r\nVia: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK{cseq}\r\nFrom: <sip:a@b>;tag=1\r\n"
            f"To: <sip:101@b>;tag=2\r\nCall-ID: 0@office\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        message = parse_message(raw)
        assert isinstance(message, Message)
        ends = (here, there) if forth else (there, here)
        time_ns = int(START.timestamp()) * 1_000_000_000 + number * 1_000_000
        found.append(Arrival(time_ns, *ends, "udp", message, raw))
    return found


@pytest.fixture
def installation(
    tmp_path: Path,
    make_call: Callable[..., dict[str, Any]],
    unanswered: Callable[..., dict[str, Any]],
    arrivals: list[Arrival],
) -> Path:
    """A configuration and an index of three calls: `first` (with its files), `second`, `third` (busy)."""
    config = tmp_path / "bystander.toml"
    config.write_text(
        '[office]\ntimezone = "Europe/Warsaw"\n[metrics]\nlisten = "127.0.0.1:1"\n'
        '[recording]\ndirectory = "kept"\nspool = "spool"\nindex = "kept/index.sqlite"\n'
    )
    folder = tmp_path / "kept" / "2026"
    folder.mkdir(parents=True)
    tone = (20000 * np.sin(np.arange(160_000) / 3)).astype(np.int16)
    soundfile.write(folder / "0.wav", np.stack([tone, np.zeros_like(tone)], axis=1), 8000)
    (folder / "0.pcap").write_bytes(evidence_pcap(arrivals))

    async def fill() -> None:
        async with await Index.open(tmp_path / "kept" / "index.sqlite") as index:
            await index.add(
                Entry("first", make_call(0), "2026/0.wav", "2026/0.pcap", 640_044),
                Entry("second", make_call(60, caller="102", direction="internal"), "2026/60.wav"),
                Entry("third", unanswered(24 * 60)),
            )

    asyncio.run(fill())
    return config
