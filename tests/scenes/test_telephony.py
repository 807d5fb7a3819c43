"""What telephones do to a recorder, from frames to the WAV (C3, C6, C8-C11, C14-C16)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scenery import GATEWAY, PHONE, Line, Outcome, Scene, rtp, sdp, tone

Play = Callable[..., Outcome]
BOTH = ("caller", "callee")


def open_call(line: Line, **answer: Any) -> None:
    """INVITE at 0, 180, answered at 1 s."""
    line.invite(0)
    line.progress(0.2)
    line.answer(1, **answer)


def test_a_plain_call(scene: Scene, line: Line, play: Play) -> None:
    open_call(line)
    scene.talk(line.says(), 1, 5)
    scene.talk(line.replies(), 1, 5)
    line.bye(5)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["duration_s"], heard.call["ended_by"]) == (
        "recorded",
        4.0,
        "caller",
    )
    assert heard.call["recording"]["duration_s"] == 4.0
    assert heard.heard(0.05, 3.9) == BOTH


def test_sides_follow_roles_not_arrival(scene: Scene, line: Line, play: Play) -> None:
    """C16: the callee's media comes first, and its phone hangs up."""
    open_call(line)
    scene.talk(line.replies(), 1, 5)
    scene.talk(line.says(), 2, 5)
    line.bye(5, by="callee")
    heard = play(scene)
    assert heard.heard(0.05, 0.95) == ("silence", "callee")
    assert heard.heard(1.05, 3.9) == BOTH
    assert heard.call["ended_by"] == "callee"


def test_a_hold_of_an_hour(scene: Scene, line: Line, play: Play) -> None:
    """C8: longer than any time-out; no media at all meanwhile; the silence is in the recording."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    scene.talk(mine, 1, 4)
    scene.talk(theirs, 1, 4)
    line.reinvite(4, sdp(PHONE, 4000, mode="sendonly"), sdp(GATEWAY, 20000, mode="recvonly"))
    line.reinvite(3604, sdp(PHONE, 4000), sdp(GATEWAY, 20000), cseq=3)
    mine.ts += 7 * 8000  # a clock of its own while it was silent
    scene.talk(mine, 3605, 3608)
    scene.talk(theirs, 3605, 3608)
    line.bye(3608)
    heard = play(scene)
    assert heard.call["recording"]["duration_s"] == pytest.approx(3607, abs=0.03)
    assert [hold["by"] for hold in heard.call["holds"]] == ["caller"]
    assert heard.heard(0.05, 2.9) == BOTH
    assert heard.heard(3.1, 3603.9) == ("silence", "silence")
    assert heard.heard(3604.05, 3606.9) == BOTH


def test_silence_without_hold_is_the_end(scene: Scene, line: Line, play: Play) -> None:
    """A BYE that never came: the call ends with its media."""
    open_call(line)
    scene.talk(line.says(), 1, 5)
    scene.talk(line.replies(), 1, 5)
    later = Line(scene, call_id="call-2@phone", caller_media=(PHONE, 4100), callee_media=(GATEWAY, 20100))
    later.invite(600)
    later.progress(601, "486 Busy Here")
    heard = play(scene)
    call = heard.calls[0]
    assert (call["ended_by"], call["verdict"]) == ("timeout", "recorded")
    assert call["duration_s"] == pytest.approx(4, abs=0.05)
    assert heard.heard(0.05, 3.9, call) == BOTH


@pytest.mark.parametrize("gap", [0.5, 3.0, 20.0])
def test_addresses_used_again(scene: Scene, line: Line, play: Play, gap: float) -> None:
    """C10, C11: the next call has the same ports and even the same SSRCs."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    scene.talk(mine, 1, 4)
    scene.talk(theirs, 1, 4)
    line.bye(4)
    later = Line(scene, call_id="call-2@phone", tags=("from-2", "to-2"), caller="102")
    later.invite(4 + gap)
    later.answer(5 + gap)
    scene.talk(later.says(1100), 5 + gap, 8 + gap)
    scene.talk(later.replies(1400), 5 + gap, 8 + gap)
    later.bye(8 + gap)
    heard = play(scene)
    first, second = sorted(heard.calls, key=lambda call: str(call["started_at"]))
    assert heard.heard(0.05, 2.9, first) == BOTH
    assert heard.heard(0.05, 2.9, second) == ("1100 Hz", "1400 Hz")
    assert first["recording"]["duration_s"] == second["recording"]["duration_s"] == 3.0


def test_addresses_used_again_in_the_other_direction(scene: Scene, line: Line, play: Play) -> None:
    """C10: the gateway calls back on the same ports at once; sides are roles."""
    open_call(line)
    scene.talk(line.says(), 1, 4)
    scene.talk(line.replies(), 1, 4)
    line.bye(4)
    back = Line(
        scene, "call-2@gw", "+48221234567", "101", (GATEWAY, 5060), (PHONE, 5060), (GATEWAY, 20000),
        (PHONE, 4000),
        ("x", "y"),
    )  # fmt: skip
    back.invite(4.6)
    back.answer(5)
    scene.talk(back.says(1100), 5, 8)
    scene.talk(back.replies(1400), 5, 8)
    back.bye(8)
    heard = play(scene)
    second = next(call for call in heard.calls if call["call_id"] == "call-2@gw")
    assert heard.heard(0.05, 2.9, second) == ("1100 Hz", "1400 Hz")


@pytest.mark.parametrize("gap", [0.02, 0.1, 0.25])
def test_c10_ports_and_ssrcs_that_go_on_in_the_next_call(
    scene: Scene, line: Line, play: Play, gap: float
) -> None:
    """Without a pause: what comes after both ends were named anew is the next call's, and that alone."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    for talk in (mine, theirs):
        scene.talk(talk, 1, 4)
    line.bye(4)
    again = Line(scene, "call-2@phone", tags=("from-2", "to-2"))
    again.invite(4 + gap / 2)
    again.answer(4 + gap)
    for talk, before, after in ((mine, 900, 1100), (theirs, 1800, 1400)):
        talk.hz = before  # trails on after the first call
        scene.talk(talk, 4, 4 + gap)
        talk.hz = after
        scene.talk(talk, 4 + gap, 8)
    again.bye(8)
    heard = play(scene)
    first, second = sorted(heard.calls, key=lambda call: str(call["started_at"]))
    assert heard.heard(0.05, 2.9, first) == BOTH
    assert heard.heard(0.05, 3.7, second) == ("1100 Hz", "1400 Hz")
    assert [call["verdict"] for call in (first, second)] == ["recorded", "recorded"]
    assert [stream["packets"] for stream in second["streams"]] == [round((4 - gap) * 50)] * 2


def test_c10_a_second_call_to_one_of_its_ends_takes_no_stream(scene: Scene, line: Line, play: Play) -> None:
    """The telephone is called by another gateway at once; what trails from the first is not heard there."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    for talk in (mine, theirs):
        scene.talk(talk, 1, 4)
    line.bye(4)
    again = Line(
        scene, "call-2@gw", "103", "101", ("10.0.0.9", 5060), (PHONE, 5060), ("10.0.0.9", 20000),
        (PHONE, 4000), ("x", "y"),
    )  # fmt: skip
    again.invite(4.02)
    again.answer(4.1)
    theirs.hz = 900
    scene.talk(theirs, 4, 4.3)
    scene.talk(again.says(1100, ssrc=5), 4.1, 8)
    scene.talk(again.replies(1400, ssrc=6), 4.1, 8)
    again.bye(8)
    heard = play(scene)
    second = next(call for call in heard.calls if call["call_id"] == "call-2@gw")
    assert heard.heard(0.05, 3.7, second) == ("1100 Hz", "1400 Hz")
    assert len(second["streams"]) == 2


def test_two_calls_at_once_with_the_same_ssrc(scene: Scene, line: Line, play: Play) -> None:
    """C11."""
    other = Line(
        scene, "call-2@phone", caller_sip=("10.1.0.2", 5060), caller_media=("10.1.0.2", 4000),
        callee_media=(GATEWAY, 20002)
    )  # fmt: skip
    for one, said in ((line, (500, 800)), (other, (1100, 1400))):
        open_call(one)
        scene.talk(one.says(said[0], ssrc=7), 1, 4)
        scene.talk(one.replies(said[1], ssrc=7), 1, 4)
        one.bye(4)
    heard = play(scene)
    by_id = {call["call_id"]: call for call in heard.calls}
    assert heard.heard(0.05, 2.9, by_id["call-1@phone"]) == BOTH
    assert heard.heard(0.05, 2.9, by_id["call-2@phone"]) == ("1100 Hz", "1400 Hz")


def test_nat(scene: Scene, line: Line, play: Play) -> None:
    """C9: the description says a private address, media comes from a public one and another port."""
    line.caller_sip = ("203.0.113.5", 40000)
    line.invite(0, sdp("192.168.1.10", 4000))
    line.answer(1)
    public = ("203.0.113.5", 61234)
    scene.talk(line.says(src=public), 1, 5)
    scene.talk(line.replies(dst=public), 1.1, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.15, 3.9) == BOTH
    assert not heard.result["unclaimed_streams"]


def test_c9_an_address_that_is_not_its_party_s(scene: Scene, line: Line, play: Play) -> None:
    """Offer in the 200, answer in the ACK, both naming one host; the callee's media comes from another."""
    line.message(0, f"INVITE sip:{line.callee}@x SIP/2.0", "1 INVITE", to_tag=False)
    line.message(1, "SIP/2.0 200 OK", "1 INVITE", sdp(PHONE, 4376), by="callee")
    line.message(1.01, "ACK sip:x@x SIP/2.0", "1 ACK", sdp(PHONE, 4374), branch="ack")
    scene.talk(line.says(src=(PHONE, 4374), dst=(GATEWAY, 4376)), 1.1, 5)
    scene.talk(line.replies(src=(GATEWAY, 4376), dst=(PHONE, 4376)), 1.1, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.2, 3.9) == BOTH


def test_c7_legs_are_joined_although_both_are_silent_in_the_end(scene: Scene, play: Play) -> None:
    """An agent gives each leg its own Call-ID and SSRCs; nobody speaks in the last ten seconds."""
    agent = "10.0.0.50"
    near = Line(scene, caller_media=(PHONE, 4000), callee_media=(agent, 6000), callee_sip=(agent, 5060))
    far = Line(
        scene, call_id="call-2@agent", caller_media=(agent, 6002), callee_media=(GATEWAY, 20000),
        caller_sip=(agent, 5060), tags=("from-2", "to-2"),
    )  # fmt: skip
    near.invite(0)
    far.invite(0.1)
    far.answer(1)
    near.answer(1.1)
    chance = np.random.default_rng(7)
    ways = [
        ((PHONE, 4000), (agent, 6000), 1), ((agent, 6002), (GATEWAY, 20000), 2),
        ((GATEWAY, 20000), (agent, 6002), 3), ((agent, 6000), (PHONE, 4000), 4),
    ]  # fmt: skip
    for n in range(700):
        words = [chance.integers(0, 256, 160, np.uint8).tobytes() for _ in range(2)]
        said = words if n < 150 else [b"\xd5" * 160] * 2
        for number, (src, dst, ssrc) in enumerate(ways):
            payload = said[number // 2]
            scene.send(1.2 + n * 0.02 + number * 0.001, src, dst, rtp(n, n * 160, ssrc, payload))
    near.bye(15.3)
    far.bye(15.4)
    heard = play(scene)
    assert heard.call["linked_call_ids"] == ["call-2@agent"]
    assert heard.call["verdict"] == "recorded"


def test_early_media_then_another_ssrc(scene: Scene, line: Line, play: Play) -> None:
    """C6, R3: an announcement before the answer belongs to the recording, and does not move the sides."""
    line.invite(0)
    line.progress(0.5, "183 Session Progress", sdp(*line.callee_media))
    scene.talk(line.replies(1400, ssrc=9), 0.6, 3)
    line.answer(3)
    scene.talk(line.says(), 3, 6)
    scene.talk(line.replies(), 3, 6)
    line.bye(6)
    heard = play(scene)
    assert heard.heard(0.05, 2.3) == ("silence", "1400 Hz")
    assert heard.heard(2.45, 5.3) == BOTH
    assert heard.call["duration_s"] == 3.0
    assert heard.call["recording"]["duration_s"] == pytest.approx(5.4, abs=0.02)


def test_a_reinvite_moves_the_media(scene: Scene, line: Line, play: Play) -> None:
    """C6: another address and port for the callee, who keeps SSRC and counters."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    scene.talk(mine, 1, 3)
    scene.talk(theirs, 1, 3)
    moved = ("10.0.0.77", 30000)
    line.reinvite(3, sdp(*moved), sdp(PHONE, 4000), by="callee")
    mine.dst = theirs.src = moved
    scene.talk(mine, 3, 6)
    scene.talk(theirs, 3, 6)
    line.bye(6)
    heard = play(scene)
    assert heard.heard(0.05, 4.9) == BOTH
    assert len(heard.call["streams"]) == 4


def test_codec_change_on_one_ssrc(scene: Scene, line: Line, play: Play) -> None:
    """C6: A-law to µ-law in mid-call; the recording does not stumble."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    scene.talk(mine, 1, 3)
    scene.talk(theirs, 1, 6)
    mine.pt = mine.law = 0
    scene.talk(mine, 3, 6)
    line.bye(6)
    heard = play(scene)
    assert heard.heard(0.05, 4.9) == BOTH
    stream = next(stream for stream in heard.call["streams"] if stream["by"] == "caller")
    assert stream["payload_types"] == [0, 8]


@pytest.mark.parametrize("ptimes", [(20, 10), (20, 40), (10, 60), (30, 20)])
def test_packet_time_changes(scene: Scene, line: Line, play: Play, ptimes: tuple[int, int]) -> None:
    """C14: 20 ms is not assumed, nor that it stays."""
    open_call(line)
    mine, theirs = line.says(ptime_ms=ptimes[0]), line.replies()
    scene.talk(theirs, 1, 7)
    scene.talk(mine, 1, 4)
    mine.ptime_ms = ptimes[1]
    scene.talk(mine, 4, 7)
    line.bye(7)
    assert play(scene).heard(0.05, 5.9) == BOTH


def test_comfort_noise_and_silence_suppression(scene: Scene, line: Line, play: Play) -> None:
    """C15: one comfort noise packet, then nothing, then speech at its right time."""
    open_call(line)
    mine = line.says()
    scene.talk(line.replies(), 1, 8)
    scene.talk(mine, 1, 3)
    scene.send(3.0, mine.src, mine.dst, rtp(mine.seq, mine.ts, mine.ssrc, b"\x40", 13))
    mine.seq += 1
    mine.ts += 3 * 8000
    scene.talk(mine, 6, 8)
    line.bye(8)
    heard = play(scene)
    assert heard.heard(0.05, 1.95) == BOTH
    assert heard.heard(2.05, 4.95) == ("silence", "callee")
    assert heard.heard(5.05, 6.9) == BOTH
    assert heard.call["streams"][0]["lost"] == 0


def test_digits(scene: Scene, line: Line, play: Play) -> None:
    """C15: events share the sequence with audio; a press is one digit however often it is sent."""
    open_call(line)
    mine = line.says()
    scene.talk(line.replies(), 1, 6)
    scene.talk(mine, 1, 2)
    for number, digit in enumerate((4, 4, 11)):
        start, at = mine.ts, 2 + 0.4 * number
        for n in range(12):
            event = struct.pack("!BBH", digit, 0x80 * (n >= 9) | 10, min(n + 1, 10) * 160)
            scene.send(at + 0.02 * n, mine.src, mine.dst, rtp(mine.seq, start, mine.ssrc, event, 101))
            mine.seq += 1
        mine.ts += 8 * 400
    scene.talk(mine, 3.2, 6)
    line.bye(6)
    heard = play(scene)
    assert [(d["digit"], d["by"], d["method"]) for d in heard.call["dtmf"]] == [
        ("4", "caller", "rfc4733"), ("4", "caller", "rfc4733"), ("#", "caller", "rfc4733")
    ]  # fmt: skip
    assert heard.heard(0.05, 0.95) == BOTH
    assert heard.heard(2.25, 4.9) == BOTH


def test_one_way(scene: Scene, line: Line, play: Play) -> None:
    open_call(line)
    scene.talk(line.replies(), 1, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "one-way"
    assert heard.heard(0.05, 3.9) == ("silence", "callee")


def test_encrypted(scene: Scene, line: Line, play: Play) -> None:
    """SRTP on both sides: no WAV of noise."""
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"
    line.invite(0, sdp(*line.caller_media, more=key, profile="RTP/SAVP"))
    line.answer(1, sdp(*line.callee_media, more=key, profile="RTP/SAVP"))
    scene.talk(line.says(), 1, 3)
    scene.talk(line.replies(), 1, 3)
    line.bye(3)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("encrypted", None)
    assert all(stream["srtp"] for stream in heard.call["streams"])
    assert not list(heard.folder.glob("*.wav"))


def test_a_codec_that_is_not_ours(scene: Scene, line: Line, play: Play) -> None:
    """G.728 is kept and named, not decoded."""
    line.invite(0, sdp(*line.caller_media, types="15"))
    line.answer(1, sdp(*line.callee_media, types="15"))
    for n in range(100):
        for stream in (line.says(), line.replies()):
            packet = rtp(n, n * 160, stream.ssrc, bytes(20), 15)
            scene.send(1 + n * 0.02, stream.src, stream.dst, packet)
    line.bye(3)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("unsupported-codec", None)
    assert {(stream["codec"], stream["packets"]) for stream in heard.call["streams"]} == {("G728", 100)}


def test_no_media(scene: Scene, line: Line, play: Play) -> None:
    open_call(line)
    line.bye(5)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("no-media", None)
    assert heard.call["duration_s"] == 4.0


def test_start_in_mid_call(scene: Scene, line: Line, play: Play) -> None:
    """C6: only a re-INVITE tells whose media has been running all along."""
    mine, theirs = line.says(), line.replies()
    scene.talk(mine, 0, 8)
    scene.talk(theirs, 0, 8)
    line.reinvite(4, sdp(*line.caller_media), sdp(*line.callee_media))
    line.bye(8)
    heard = play(scene)
    assert (heard.call["state"], heard.call["verdict"]) == ("answered", "partial")
    assert heard.heard(0.05, 7.9) == BOTH


def test_only_the_bye_was_seen(scene: Scene, line: Line, play: Play) -> None:
    """C6: one stream each way between the hosts that signalled."""
    scene.talk(line.says(), 0, 5)
    scene.talk(line.replies(), 0, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "partial"
    assert heard.heard(0.05, 4.9) == BOTH


def test_a_phone_that_counts_milliseconds(scene: Scene, line: Line, play: Play) -> None:
    """C14: timestamps advance by 20 a packet of 160 samples."""
    open_call(line)
    scene.talk(line.replies(), 1, 6)
    mine = line.says()
    for n in range(250):
        payload = tone(mine.hz, n * 160 + 8000, 160)
        scene.send(1 + n * 0.02, mine.src, mine.dst, rtp(n, n * 20, mine.ssrc, payload))
    line.bye(6)
    assert play(scene).heard(0.05, 4.9) == BOTH


@pytest.mark.parametrize("ppm", [-200, 200])
def test_clocks_that_drift(scene: Scene, line: Line, play: Play, ppm: int) -> None:
    """C16: after a quarter of an hour the sides are still together to some tens of milliseconds."""
    open_call(line)
    mine, theirs = line.says(), line.replies()
    last = 905.0
    for stream, rate in ((mine, 1 + ppm / 1e6), (theirs, 1.0)):
        packets = int((last - 1) * 50)
        for n in range(packets):
            at = 1 + n * 0.02 / rate
            # A click every ten seconds of capture time, at the same moment on both sides.
            click = int(at / 10) != int((at + 0.02 / rate) / 10)
            payload = b"\xaa" * 160 if click else b"\xd5" * 160
            scene.send(at, stream.src, stream.dst, rtp(n, n * 160, stream.ssrc, payload))
    line.bye(last)
    heard = play(scene)
    audio = heard.audio()
    assert heard.call["recording"]["duration_s"] == pytest.approx(last - 1, abs=0.02)
    clicks = [np.flatnonzero(np.diff((np.abs(audio[:, side]) > 1000).astype(int)) == 1) for side in (0, 1)]
    assert len(clicks[0]) == len(clicks[1]) == 90
    assert np.abs(clicks[0] - clicks[1]).max() <= 480
    # The last as close as the first: it does not add up.
    assert np.abs(clicks[0] - clicks[1])[-10:].max() <= 480


def test_a_challenged_invite_is_one_call(scene: Scene, line: Line, play: Play) -> None:
    """C3: 407, then again with the same Call-ID; the 200 comes three times."""
    line.invite(0)
    line.progress(0.1, "407 Proxy Authentication Required")
    line.message(0.15, "ACK sip:x@x SIP/2.0", "1 ACK", branch="1INVITE")
    line.invite(0.3, cseq=2)
    for again in range(3):
        line.answer(1 + again * 0.5, cseq=2)
    scene.talk(line.says(), 1, 5)
    scene.talk(line.replies(), 1, 5)
    line.bye(5)
    heard = play(scene)
    assert (heard.call["state"], heard.call["verdict"]) == ("answered", "recorded")
    assert heard.heard(0.05, 3.9) == BOTH


def test_an_ssrc_swap_in_mid_call(scene: Scene, line: Line, play: Play) -> None:
    """C11, C14: the callee goes on with another SSRC and counters from nowhere; nothing is lost between."""
    open_call(line)
    scene.talk(line.says(), 1, 6)
    scene.talk(line.replies(), 1, 3)
    scene.talk(line.replies(ssrc=77, seq=3, ts=5), 3, 6)
    line.bye(6)
    assert play(scene).heard(0.05, 4.9) == BOTH


def test_a_call_id_used_again(scene: Scene, line: Line, play: Play) -> None:
    """Two calls with one Call-ID, minutes apart, are two calls."""
    open_call(line)
    scene.talk(line.says(), 1, 4)
    scene.talk(line.replies(), 1, 4)
    line.bye(4)
    again = Line(scene, tags=("from-9", "to-9"))
    again.invite(200, cseq=50)
    again.answer(201, cseq=50)
    scene.talk(again.says(1100), 201, 204)
    scene.talk(again.replies(1400), 201, 204)
    again.bye(204, cseq=51)
    heard = play(scene)
    assert len(heard.calls) == 2
    assert heard.heard(0.05, 2.9, heard.calls[1]) == ("1100 Hz", "1400 Hz")
