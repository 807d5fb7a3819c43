"""Scenes: calls written packet by packet, with the twist that each test is about, put through `extract`.

What a party says is a tone of its own, so that a recording tells who is heard, on which side, and when: 500
Hz is the caller, 800 Hz the callee, any other frequency somebody who has no business there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.headers import udp_frame
from bystander.codecs.g711 import PCMA, PCMU, table

S = 1_000_000_000
START_NS = 1_795_464_000 * S
CALLER_HZ, CALLEE_HZ = 500, 800
PHONE, GATEWAY = "10.1.0.1", "10.0.0.2"

Endpoint = tuple[str, int]


def _encoder(law: int) -> np.ndarray[Any, Any]:
    """uint8[65536]: the nearest code of each 16-bit level."""
    levels = table(law).astype(np.int64)
    order = np.argsort(levels, kind="stable")
    middles = (levels[order][1:] + levels[order][:-1]) / 2
    return order[np.searchsorted(middles, np.arange(-32768, 32768))].astype(np.uint8)


_ENCODERS = {law: _encoder(law) for law in (PCMU, PCMA)}


def tone(hz: float, first: int, samples: int, law: int = PCMA) -> bytes:
    """G.711 of a tone, from sample ``first`` of it on."""
    at = np.arange(first, first + samples)
    levels = (8000 * np.sin(2 * np.pi * hz * at / 8000)).astype(np.int64)
    return _ENCODERS[law][levels + 32768].tobytes()


def rtp(seq: int, ts: int, ssrc: int, payload: bytes, pt: int = 8, marker: bool = False) -> bytes:
    """One RTP packet."""
    second = pt | (marker << 7)
    return struct.pack("!BBHII", 0x80, second, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + payload


def sdp(host: str, port: int, types: str = "8 101", mode: str = "", more: str = "", profile: str = "") -> str:
    """A session description with one audio medium."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines.append(f"m=audio {port} {profile or 'RTP/AVP'} {types}")
    if "101" in types.split():
        lines.append("a=rtpmap:101 telephone-event/8000")
    lines += [f"a={mode}"] if mode else []
    return "\r\n".join([*lines, *more.splitlines(), ""])


@dataclass
class Talk:
    """A stream of a tone: how it is packed, and where its counters stand."""

    src: Endpoint
    dst: Endpoint
    hz: float
    ssrc: int
    seq: int = 65_500
    ts: int = 0xFFFF_F000
    pt: int = 8
    law: int = PCMA
    ptime_ms: int = 20


@dataclass
class Scene:
    """Frames as they were captured, and the signalling of one call after another."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def send(self, at: float, src: Endpoint, dst: Endpoint, payload: bytes) -> None:
        """One datagram, captured ``at`` seconds after the start of the scene."""
        self.frames.append((at, udp_frame(src, dst, payload)))

    def talk(self, stream: Talk, begin: float, end: float) -> None:
        """Say the stream's tone from ``begin`` to ``end``; it goes on from where it was."""
        samples = stream.ptime_ms * 8
        at = begin
        while at < end - 1e-9:
            payload = tone(stream.hz, round(at * 8000), samples, stream.law)
            self.send(at, stream.src, stream.dst, rtp(stream.seq, stream.ts, stream.ssrc, payload, stream.pt))
            stream.seq += 1
            stream.ts += samples
            at += stream.ptime_ms / 1000

    def pcap(self, snap: int = 262144) -> bytes:
        """The scene as a capture file (microseconds); signalling is captured up to ``snap`` bytes a frame."""
        out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)]
        for at, frame in sorted(self.frames, key=lambda item: item[0]):
            seconds, rest = divmod(START_NS + round(at * S), S)
            taken = frame[:snap] if b"SIP/2.0" in frame else frame
            out.append(struct.pack("<IIII", seconds, rest // 1000, len(taken), len(frame)) + taken)
        return b"".join(out)


@dataclass
class Line:
    """One dialog of a scene; the caller's side first wherever there are two."""

    scene: Scene
    call_id: str = "call-1@phone"
    caller: str = "101"
    callee: str = "+48221234567"
    caller_sip: Endpoint = (PHONE, 5060)
    callee_sip: Endpoint = (GATEWAY, 5060)
    caller_media: Endpoint = (PHONE, 4000)
    callee_media: Endpoint = (GATEWAY, 20000)
    tags: tuple[str, str] = ("from-1", "to-1")
    name: str = ""

    def message(
        self,
        at: float,
        start: str,
        cseq: str,
        body: str = "",
        *,
        by: str = "caller",
        asks: str = "caller",
        to_tag: bool = True,
        branch: str = "",
        kind: str = "application/sdp",
        headers: tuple[str, ...] = (),
    ) -> None:
        """One message, sent ``by`` one party in a transaction that one party ``asks``."""
        ends = (f'"{self.name}" <sip:{self.caller}@{PHONE}>', f"<sip:{self.callee}@{GATEWAY}>")
        tagged = (f"{ends[0]};tag={self.tags[0]}", ends[1] + (f";tag={self.tags[1]}" if to_tag else ""))
        ours, theirs = tagged if asks == "caller" else tagged[::-1]
        lines = [
            start,
            f"Via: SIP/2.0/UDP {PHONE};branch=z9hG4bK{branch or cseq.replace(' ', '')}{self.call_id[:12]}",
            f"From: {ours}",
            f"To: {theirs}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq}",
            *headers,
            *([f"Content-Type: {kind}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        ends_sip = (self.caller_sip, self.callee_sip)
        src, dst = ends_sip if by == "caller" else ends_sip[::-1]
        self.scene.send(at, src, dst, ("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def invite(
        self, at: float, body: str | None = None, cseq: int = 1, headers: tuple[str, ...] = ()
    ) -> None:
        offer = sdp(*self.caller_media) if body is None else body
        start = f"INVITE sip:{self.callee}@x SIP/2.0"
        self.message(at, start, f"{cseq} INVITE", offer, to_tag=False, headers=headers)

    def reinvite(self, at: float, offer: str, answer: str, cseq: int = 2, by: str = "caller") -> None:
        other = "callee" if by == "caller" else "caller"
        self.message(at, "INVITE sip:x@x SIP/2.0", f"{cseq} INVITE", offer, by=by, asks=by)
        self.message(at + 0.05, "SIP/2.0 200 OK", f"{cseq} INVITE", answer, by=other, asks=by)
        self.message(at + 0.06, "ACK sip:x@x SIP/2.0", f"{cseq} ACK", by=by, asks=by)

    def answer(self, at: float, body: str | None = None, cseq: int = 1) -> None:
        said = sdp(*self.callee_media) if body is None else body
        self.message(at, "SIP/2.0 200 OK", f"{cseq} INVITE", said, by="callee")
        self.message(at + 0.01, "ACK sip:x@x SIP/2.0", f"{cseq} ACK", branch="ack")

    def progress(self, at: float, status: str = "180 Ringing", body: str = "") -> None:
        self.message(at, f"SIP/2.0 {status}", "1 INVITE", body, by="callee")

    def bye(self, at: float, by: str = "caller", cseq: int = 9) -> None:
        other = "callee" if by == "caller" else "caller"
        self.message(at, "BYE sip:x@x SIP/2.0", f"{cseq} BYE", by=by, asks=by)
        self.message(at + 0.01, "SIP/2.0 200 OK", f"{cseq} BYE", by=other, asks=by)

    def says(self, hz: float = CALLER_HZ, ssrc: int = 0x11111111, **changes: Any) -> Talk:
        """The caller's stream."""
        return Talk(**{"src": self.caller_media, "dst": self.callee_media, "hz": hz, "ssrc": ssrc} | changes)

    def replies(self, hz: float = CALLEE_HZ, ssrc: int = 0x22222222, **changes: Any) -> Talk:
        """The callee's stream."""
        return Talk(**{"src": self.callee_media, "dst": self.caller_media, "hz": hz, "ssrc": ssrc} | changes)


class Outcome:
    """What `extract` made of a scene."""

    def __init__(self, result: dict[str, Any], folder: Path) -> None:
        self.result = result
        self.folder = folder
        self.calls: list[dict[str, Any]] = result["calls"]

    @property
    def call(self) -> dict[str, Any]:
        assert len(self.calls) == 1, [(call["call_id"], call["state"]) for call in self.calls]
        return self.calls[0]

    def audio(self, call: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """int16[n, 2]: the recording of a call."""
        chosen = call or self.call
        read, rate = soundfile.read(self.folder / chosen["recording"]["path"], dtype="int16", always_2d=True)
        assert rate == 8000
        return np.asarray(read)

    def heard(self, begin: float, end: float, call: dict[str, Any] | None = None) -> tuple[str, str]:
        """Who is heard left and right between two times of the recording, all through: see `who`."""
        part = self.audio(call)[round(begin * 8000) : round(end * 8000)]
        return who(part[:, 0]), who(part[:, 1])


def who(samples: np.ndarray[Any, Any]) -> str:
    """ "caller", "callee", "silence", "<n> Hz", or "broken" if it is not the same from beginning to end."""
    assert len(samples) >= 400
    said = set()
    for at in range(0, len(samples) - 399, 400):
        block = samples[at : at + 400].astype(np.float64)
        if np.abs(block).max() < 50:
            said.add("silence")
            continue
        spectrum = np.abs(np.fft.rfft(block * np.hanning(400)))
        peak = int(spectrum.argmax())
        clean = spectrum[max(0, peak - 2) : peak + 3].sum() > 0.9 * spectrum.sum()
        said.add({25: "caller", 40: "callee"}.get(peak, f"{peak * 20} Hz") if clean else "broken")
    return said.pop() if len(said) == 1 else f"broken: {sorted(said)}"
