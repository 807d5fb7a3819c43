"""Scenes of media: what is none on its ports, keys agreed upon on the wire, relays, NAT, SSRCs."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from scenery import Line, Outcome, Scene, rtp, sdp, tone

Play = Callable[..., Outcome]
BOTH = ("caller", "callee")
FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\na=setup:actpass"


def stun() -> bytes:
    return struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)


def dtls(epoch: int) -> bytes:
    return struct.pack("!BHHIHH", 22, 0xFEFD, epoch, 0, 1, 20) + bytes(20)


def zrtp(kind: bytes) -> bytes:
    return struct.pack("!HHII", 0x1000, 9, 0x5A525450, 0xCAFE) + b"PZ\x00\x06" + kind + bytes(12)


def channel(data: bytes) -> bytes:
    return struct.pack("!HH", 0x4001, len(data)) + data


def converse(scene: Scene, line: Line, begin: float = 1, end: float = 5) -> None:
    scene.talk(line.says(), begin, end)
    scene.talk(line.replies(), begin, end)


def test_c12_stun_and_rtcp_among_the_media_change_nothing(scene: Scene, line: Line, play: Play) -> None:
    line.invite(0)
    line.answer(1)
    converse(scene, line)
    for n in range(40):
        scene.send(1 + n / 10, line.caller_media, line.callee_media, stun())
        scene.send(1.01 + n / 10, line.callee_media, line.caller_media, stun())
        scene.send(1.02 + n / 10, line.caller_media, line.callee_media, b"\x80\xc9\x00\x01\x00\x00\x00\x07")
    line.bye(5)
    heard = play(scene)
    assert [stream["packets"] for stream in heard.call["streams"]] == [200, 200]
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 3.9) == BOTH
    assert heard.result["counters"]["media_ports"] == {"stun": 80}
    assert heard.result["counters"]["rtcp"] == 40


@pytest.mark.parametrize(
    ("profile", "more"),
    [("UDP/TLS/RTP/SAVPF", FINGERPRINT), ("RTP/AVP", "")],
    ids=["announced", "unannounced"],
)
def test_c12_dtls_srtp_is_encrypted(scene: Scene, line: Line, play: Play, profile: str, more: str) -> None:
    """RFC 5764: by the descriptions, or where those are silent by the handshake on the media's ports."""
    line.invite(0, sdp(*line.caller_media, more=more, profile=profile))
    line.answer(1, sdp(*line.callee_media, more=more, profile=profile))
    scene.send(1.0, line.caller_media, line.callee_media, dtls(0))
    scene.send(1.1, line.callee_media, line.caller_media, dtls(0))
    scene.send(1.2, line.caller_media, line.callee_media, dtls(1))
    converse(scene, line, 1.3)
    line.bye(5)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("encrypted", None)
    assert all(stream["srtp"] for stream in heard.call["streams"])
    assert heard.result["counters"]["media_ports"] == {"dtls": 3}


@pytest.mark.parametrize("agreed", [True, False])
def test_c12_zrtp_is_encrypted_once_it_is_agreed(scene: Scene, line: Line, play: Play, agreed: bool) -> None:
    """RFC 6189: a telephone that says Hello to one without ZRTP goes on in clear, and is recorded."""
    line.invite(0)
    line.answer(1)
    for n in range(10):
        scene.send(1 + n / 20, line.caller_media, line.callee_media, zrtp(b"Hello   "))
    if agreed:
        scene.send(1.6, line.callee_media, line.caller_media, zrtp(b"Confirm1"))
    converse(scene, line)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == ("encrypted" if agreed else "recorded")
    if not agreed:
        assert heard.heard(0.05, 3.9) == BOTH


def test_media_inside_turn_channels_is_recorded(scene: Scene, line: Line, play: Play) -> None:
    """RFC 8656: the telephone's media goes through a relay, whose address its description names."""
    relay, turn = ("198.51.100.7", 49160), ("198.51.100.7", 3478)
    host = f"a=candidate:1 1 UDP 2130706431 {line.caller_media[0]} {line.caller_media[1]} typ host"
    line.invite(0, sdp(*relay, more=host))
    line.answer(1)
    mine, theirs = line.says(), line.replies()
    for n in range(200):
        at, ts = 1 + n * 0.02, n * 160
        said = rtp(n, ts, mine.ssrc, tone(mine.hz, round(at * 8000), 160))
        heard = rtp(n, ts, theirs.ssrc, tone(theirs.hz, round(at * 8000), 160))
        scene.send(at, line.caller_media, turn, channel(said))
        scene.send(at, turn, line.caller_media, channel(heard))
    line.bye(5)
    outcome = play(scene)
    assert outcome.call["verdict"] == "recorded"
    assert outcome.heard(0.05, 3.9) == BOTH
    assert outcome.result["counters"]["media_ports"] == {"channel-data": 400}
