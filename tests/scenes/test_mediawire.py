"""Scenes of media: what is none on its ports, keys agreed upon on the wire, relays, NAT, SSRCs."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from tests.scenes.scenery import START_NS, Line, Outcome, Scene, rtp, sdp, tone
from tests.sniffer import rtcpmade as made

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


def control_of(line: Line) -> tuple[tuple[str, int], tuple[str, int]]:
    """Where the caller's RTCP comes from and goes to: the ports after those of the media."""
    one, two = line.caller_media, line.callee_media
    return (one[0], one[1] + 1), (two[0], two[1] + 1)


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


def test_a_source_that_changes_its_ssrc_goes_on(scene: Scene, line: Line, play: Play) -> None:
    """C11, RFC 3550 §8.2: BYE, another SSRC, the same CNAME; the recording has no seam."""
    line.invite(0)
    line.answer(1)
    first, second = line.says(), line.says(ssrc=0x33333333, seq=7, ts=99)
    control = (
        (line.caller_media[0], line.caller_media[1] + 1),
        (line.callee_media[0], line.callee_media[1] + 1),
    )
    for at, ssrc in ((1.5, first.ssrc), (3.5, second.ssrc)):
        scene.send(at, *control, made.sender_report(ssrc, 1, 1) + made.description(ssrc, b"phone@10.1.0.1"))
    scene.send(3.001, *control, made.bye(first.ssrc))
    scene.talk(first, 1, 3)
    scene.talk(second, 3, 5)
    scene.talk(line.replies(), 1, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.heard(0.05, 3.9) == BOTH
    said = {s["ssrc"]: s for s in heard.call["streams"]}
    assert {ssrc: s["continues"] for ssrc, s in said.items()} == {
        "0x11111111": None, "0x33333333": "0x11111111", "0x22222222": None
    }  # fmt: skip
    assert said["0x11111111"]["quality"]["rtcp"]["bye"] is True
    assert said["0x33333333"]["quality"]["rtcp"]["bye"] is False
    assert said["0x22222222"]["quality"]["rtcp"] is None


def test_after_a_bye_the_same_ssrc_is_a_new_stream(scene: Scene, line: Line, play: Play) -> None:
    """C10: address and SSRC are used again within the call; both stretches are heard, nothing is lost."""
    line.invite(0)
    line.answer(1)
    mine = line.says()
    control = (
        (line.caller_media[0], line.caller_media[1] + 1),
        (line.callee_media[0], line.callee_media[1] + 1),
    )
    scene.talk(mine, 1, 3)
    scene.send(3.001, *control, made.bye(mine.ssrc))
    # Something every now and then, as on any wire: blocks of a file are long.
    mine.seq, mine.ts = 40_000, 12
    scene.talk(mine, 6, 8)
    scene.talk(line.replies(), 1, 8)
    line.bye(8)
    heard = play(scene)
    assert heard.heard(0.05, 1.9) == BOTH
    assert heard.heard(2.1, 4.9) == ("silence", "callee")
    assert heard.heard(5.05, 6.9) == BOTH
    assert sum(s["lost"] for s in heard.call["streams"]) == 0


def test_c11_one_ssrc_for_both_sides_and_both_calls(scene: Scene, line: Line, play: Play) -> None:
    """RFC 3550 §8.2: a collision. Some telephones have but one SSRC; the 5-tuple tells who speaks."""
    two = Line(
        scene,
        "call-2@phone",
        "103",
        caller_media=("10.1.0.3", 4000),
        callee_media=("10.0.0.2", 20010),
        caller_sip=("10.1.0.3", 5060),
        tags=("from-2", "to-2"),
    )
    for each, hz in ((line, (500, 800)), (two, (1100, 1500))):
        each.invite(0)
        each.answer(1)
        scene.talk(each.says(hz[0], ssrc=7), 1, 4)
        scene.talk(each.replies(hz[1], ssrc=7), 1, 4)
        each.bye(4)
    heard = play(scene)
    one, other = sorted(heard.calls, key=lambda call: call["caller"])
    assert heard.heard(0.05, 2.9, one) == BOTH
    assert heard.heard(0.05, 2.9, other) == ("1100 Hz", "1500 Hz")


def test_c23_the_receiver_has_what_the_capture_misses(scene: Scene, line: Line, play: Play) -> None:
    """Thirty packets of one side are missing; its receiver says that it lost none: a partial call."""
    line.invite(0)
    line.answer(1)
    mine = line.says(seq=100)
    scene.talk(mine, 1, 7)
    mine.seq += 30
    mine.ts += 30 * 160
    scene.talk(mine, 7.6, 15)
    scene.talk(line.replies(), 1, 15)
    back = control_of(line)[::-1]
    for at in (3.5, 8.5, 13.5):
        highest = 100 + round((at - 1) / 0.02) - 1
        about = made.report_block(mine.ssrc, 0, 0, highest, 5)
        scene.send(at, *back, made.receiver_report(0x22222222, about))
    line.bye(15)
    heard = play(scene)
    said = {s["by"]: s["quality"] for s in heard.call["streams"]}
    assert (said["caller"]["capture_lost"], said["caller"]["lost_percent"]) == (30, 0.0)
    assert said["callee"]["capture_lost"] == 0
    assert heard.call["verdict"] == "partial"


PUBLIC = ("198.51.100.1", 31000), ("203.0.113.7", 42000)


def both_are_heard(scene: Scene, line: Line, play: Play) -> None:
    """They talk until the fifth second, and each is on their own side."""
    converse(scene, line)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 3.9) == BOTH


def test_c9_behind_nat_whatever_the_port_is_mapped_to(scene: Scene, line: Line, play: Play) -> None:
    """The caller's description names a private address; its media comes from a public one, another port."""
    line.caller_sip = (PUBLIC[0][0], 5060)
    line.invite(0, sdp("192.168.1.5", 4000))
    line.answer(1)
    line.caller_media = PUBLIC[0]
    both_are_heard(scene, line, play)


def test_c9_both_behind_nat_that_keeps_ports(scene: Scene, line: Line, play: Play) -> None:
    line.caller_sip, line.callee_sip = (PUBLIC[0][0], 5060), (PUBLIC[1][0], 5060)
    line.invite(0, sdp("192.168.1.5", 31000))
    line.answer(1, sdp("10.77.0.9", 42000))
    line.caller_media, line.callee_media = PUBLIC
    both_are_heard(scene, line, play)


def test_c9_both_behind_nat_that_maps_ports(scene: Scene, line: Line, play: Play) -> None:
    """Nothing that was said fits; the hosts that signalled do, and there is but one stream each way."""
    line.caller_sip, line.callee_sip = (PUBLIC[0][0], 5060), (PUBLIC[1][0], 5060)
    line.invite(0, sdp("192.168.1.5", 4000))
    line.answer(1, sdp("10.77.0.9", 4000))
    line.caller_media, line.callee_media = PUBLIC
    both_are_heard(scene, line, play)


def test_c9_two_calls_behind_the_same_nat_are_not_guessed_at(scene: Scene, line: Line, play: Play) -> None:
    """Two streams each way between the same hosts: whose is whose nobody can tell, so nobody's they are."""
    two = Line(scene, "call-2@phone", "103", tags=("from-2", "to-2"))
    for n, each in enumerate((line, two)):
        each.caller_sip, each.callee_sip = (PUBLIC[0][0], 5060 + n), (PUBLIC[1][0], 5060)
        each.invite(0.1 * n, sdp("192.168.1.5", 4000 + 10 * n))
        each.answer(1 + 0.1 * n, sdp("10.77.0.9", 4000 + 10 * n))
        each.caller_media = (PUBLIC[0][0], 31000 + 100 * n)
        each.callee_media = (PUBLIC[1][0], 42000 + 100 * n)
        scene.talk(each.says(500, ssrc=1 + n), 1.2, 5)
        scene.talk(each.replies(800, ssrc=11 + n), 1.2, 5)
        each.bye(5 + 0.1 * n)
    heard = play(scene)
    assert [call["verdict"] for call in heard.calls] == ["no-media", "no-media"]
    assert len(heard.result["unclaimed_streams"]) == 4


@pytest.mark.parametrize("kind", ["srflx", "relay", "prflx"])
def test_c9_ice_finds_a_way_that_the_description_does_not_name_first(
    scene: Scene, line: Line, play: Play, kind: str
) -> None:
    """RFC 8839: media goes between candidates; the default address is never used."""

    def offer(default: str, way: tuple[str, int]) -> str:
        return sdp(
            default,
            4000,
            more=f"a=ice-lite\na=rtcp-mux\na=candidate:1 1 UDP 2130706431 {default} 4000 typ host\n"
            f"a=candidate:2 1 UDP 1694498815 {way[0]} {way[1]} typ {kind} raddr {default} rport 4000",
        )

    line.invite(0, offer("192.168.1.5", PUBLIC[0]))
    line.answer(1, offer("10.77.0.9", PUBLIC[1]))
    line.caller_media, line.callee_media = PUBLIC
    for n in range(5):
        scene.send(1 + n / 50, *PUBLIC, stun())
    converse(scene, line)
    scene.send(3, *PUBLIC, made.sender_report(0x11111111, 1, 1))
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 3.9) == BOTH
    said = {stream["by"]: stream["quality"]["rtcp"] for stream in heard.call["streams"]}
    assert said["caller"]["sender_reports"] == 1  # rtcp-mux (RFC 5761)


def test_c18_descriptions_that_the_snap_length_cut_off(scene: Scene, line: Line, play: Play) -> None:
    """Signalling of which only the headers were captured, media whole: the hosts tell whose it is."""
    line.invite(0)
    line.answer(1)
    signalling = {frame for _, frame in scene.frames}
    converse(scene, line)
    line.bye(5)
    shortest = min(frame.find(b"v=0") for frame in signalling if b"v=0" in frame)
    heard = play(scene, snap=shortest)
    assert heard.result["counters"]["truncated"] == 2
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 3.9) == BOTH


@pytest.mark.parametrize("named", [True, False], ids=["described", "not described"])
def test_c11_music_on_hold_from_elsewhere_is_heard_from_its_first_to_its_last_moment(
    scene: Scene, line: Line, play: Play, named: bool
) -> None:
    """While the callee's own stream pauses, another server sends with another SSRC."""
    line.invite(0)
    line.answer(1)
    mine, theirs = line.says(), line.replies()
    scene.talk(mine, 1, 3)
    scene.talk(theirs, 1, 3)
    server = ("10.0.0.60", 9100) if named else line.callee_media
    line.reinvite(3, sdp(*server, mode="sendonly"), sdp(*line.caller_media, mode="recvonly"), by="callee")
    music = line.replies(1400, ssrc=0x77, src=("10.0.0.60", 9100))
    scene.talk(music, 3.1, 6)
    line.reinvite(6, sdp(*line.callee_media), sdp(*line.caller_media), cseq=3, by="callee")
    mine.ts += 3 * 8000
    theirs.ts += 3 * 8000
    scene.talk(mine, 6, 8)
    scene.talk(theirs, 6, 8)
    line.bye(8)
    heard = play(scene)
    assert heard.heard(0.05, 1.95) == BOTH
    assert heard.heard(2.0, 2.1) == ("silence", "silence")
    assert heard.heard(2.1, 5.0) == ("silence", "1400 Hz")
    assert heard.heard(5.05, 6.9) == BOTH


def test_c9_a_relay_that_changes_in_mid_call_without_a_word(scene: Scene, line: Line, play: Play) -> None:
    """The relay fails over: media goes on from and to another address, and no SIP says so."""
    line.invite(0)
    line.answer(1)
    converse(scene, line, 1, 3)
    mine, theirs = line.says(seq=200, ts=90_000), line.replies(ssrc=0x33333333)
    theirs.src = ("10.0.0.3", 20000)
    mine.dst = theirs.src
    scene.talk(mine, 3, 5)
    scene.talk(theirs, 3, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.heard(0.05, 1.9) == BOTH
    assert heard.heard(2.05, 3.9) == BOTH


def test_c13_mirrored_at_three_ports_counts_once(scene: Scene, line: Line, play: Play) -> None:
    """Each copy has another TTL and comes a moment later; RTCP is not reported twice either."""
    line.invite(0)
    line.answer(1)
    converse(scene, line, 1, 5)
    for at in (2, 4):
        scene.send(at, *control_of(line), made.sender_report(0x11111111, at << 32, 1))
    line.bye(5)
    copies = []
    for n in (1, 2):
        for at, frame in scene.frames:
            other = bytearray(frame)
            other[22] -= n  # TTL
            other[24:26] = b"\0\0"
            copies.append((at + n * 0.0004, bytes(other)))
    scene.frames += copies
    heard = play(scene)
    assert [(s["packets"], s["lost"], s["duplicates"]) for s in heard.call["streams"]] == [(200, 0, 400)] * 2
    assert heard.heard(0.05, 3.9) == BOTH
    said = {stream["by"]: stream["quality"] for stream in heard.call["streams"]}
    assert said["caller"]["rtcp"]["sender_reports"] == 2
    assert said["caller"]["mos_lq"] == 4.41


@pytest.mark.parametrize("lie", ["zero", "a day off", "standing still", "another rate", "jumping", "honest"])
def test_c16_no_sender_report_moves_a_sample(scene: Scene, line: Line, play: Play, lie: str) -> None:
    """Of many telephones' reports the times are made up: the capture's clock says what belongs where."""
    reports = Scene()
    for n in range(12):
        at = 1 + n * 0.9
        wall = START_NS / 1e9 + 2208988800 + at
        said = {
            "zero": (0, 0),
            "a day off": (wall - 86400, at * 8000),
            "standing still": (wall, 7),
            "another rate": (wall, at * 7014),
            "jumping": (wall + n % 2 * 30, at * 8000 + n % 3 * 1e6),
            "honest": (wall, at * 8000),
        }[lie]
        ntp, ticks = round(said[0] * 2**32), round(said[1]) + 0xFFFF_F000
        report = made.sender_report(0x11111111, ntp, ticks % 2**32) + made.description(0x11111111, b"a@b")
        reports.send(at, *control_of(line), report)
    line.invite(0)
    line.answer(1)
    talk = line.says()
    scene.talk(talk, 1, 5)
    talk.ts += 1_000_000  # its timestamps jump, and then its SSRC changes
    scene.talk(talk, 5, 8)
    scene.talk(line.says(ssrc=0x33333333), 8, 12)
    scene.talk(line.replies(), 1, 12)
    line.bye(12)
    alone = play(scene).audio()
    scene.frames += reports.frames
    heard = play(scene)
    said_of = {stream["ssrc"]: stream["quality"]["rtcp"] for stream in heard.call["streams"]}
    assert said_of["0x11111111"]["sender_reports"] == 12
    assert np.array_equal(heard.audio(), alone)
    assert heard.heard(0.05, 10.9) == BOTH
