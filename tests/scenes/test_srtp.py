"""Calls in SRTP whose keys stand in their signalling (RFC 4568), from frames to the WAV."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scenery import GATEWAY, PHONE, Endpoint, Line, Outcome, Scene, Talk, rtp, sdp, tone

from benchmarks.voices import bank
from bystander.sniffer.crypto import SUITES
from tests.srtpref import Sender, secret_of

Play = Callable[..., Outcome]
BOTH = ("caller", "callee")
CM80, CM32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
#: AES-192 depends on the installed libsrtp (sniffer/test_srtp.py).
SPOKEN = [name for name, suite in SUITES.items() if suite.supported and "192" not in name]


def key(suite: str = CM80, seed: int = 1, **more: Any) -> Sender:
    return Sender(suite, secret_of(suite, seed), **more)


def secure(endpoint: Endpoint, *senders: Sender, profile: str = "RTP/SAVP", more: str = "") -> str:
    """A description whose party sends under one of some keys."""
    lines = [f"a=crypto:{tag} {sender.crypto}" for tag, sender in enumerate(senders, 1)]
    return sdp(*endpoint, profile=profile, more="\n".join([*lines, more]).strip())


def say(scene: Scene, talk: Talk, sender: Sender | None, begin: float, end: float) -> None:
    """Say a tone under a key; without one, in clear."""
    at = begin
    while at < end - 1e-9:
        packet = rtp(talk.seq, talk.ts, talk.ssrc, tone(talk.hz, round(at * 8000), 160, talk.law), talk.pt)
        scene.send(at, talk.src, talk.dst, sender.protect(packet) if sender else packet)
        talk.seq += 1
        talk.ts += 160
        at += 0.02


@dataclass
class Keys:
    caller: Sender
    callee: Sender


@pytest.fixture
def keys() -> Keys:
    return Keys(key(seed=1), key(seed=2))


def open_call(line: Line, keys: Keys) -> None:
    line.invite(0, secure(line.caller_media, keys.caller))
    line.answer(1, secure(line.callee_media, keys.callee))


def streams(outcome: Outcome, name: str) -> list[Any]:
    return [stream.get(name) for stream in outcome.call["streams"]]


def silent_or_right(outcome: Outcome) -> None:
    """No loud noise: at any moment a channel is silent or the tone of its party."""
    audio = outcome.audio()
    for side, hz in ((0, 500), (1, 800)):
        samples = audio[:, side].astype(np.float64)
        for at in range(0, len(samples) - 399, 400):
            block = samples[at : at + 400]
            if np.abs(block).max() >= 50:
                spectrum = np.abs(np.fft.rfft(block * np.hanning(400)))
                near = spectrum[hz // 20 - 8 : hz // 20 + 9].sum()
                assert near > 0.8 * spectrum.sum(), (side, at / 8000)


@pytest.mark.parametrize("mki", [b"", b"\1"])
@pytest.mark.parametrize("suite", SPOKEN)
def test_a_call_in_every_suite(scene: Scene, line: Line, play: Play, suite: str, mki: bytes) -> None:
    """The sequence numbers of the scene wrap after 36 packets, and with them the roll-over counter."""
    keys = Keys(key(suite, 1, mki=mki), key(suite, 2, mki=mki))
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 4)
    say(scene, line.replies(), keys.callee, 1, 4)
    line.bye(4)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["duration_s"]) == ("recorded", 3.0)
    assert heard.heard(0.05, 2.9) == BOTH
    assert streams(heard, "srtp") == streams(heard, "decrypted") == [True, True]
    assert streams(heard, "encryption") == ["sdes", "sdes"]
    assert streams(heard, "srtp_auth_failures") == [0, 0]
    assert streams(heard, "packets") == [150, 150]
    assert streams(heard, "codec") == ["PCMA", "PCMA"]
    assert all(jitter < 0.5 for jitter in streams(heard, "jitter_ms"))


def test_as_a_plain_call_would_be(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """The same packets in clear make the same samples, at the same times."""
    plain = Scene()
    other = Line(plain)
    other.invite(0)
    other.answer(1)
    open_call(line, keys)
    for stage, sender in ((scene, keys), (plain, Keys(None, None))):  # type: ignore[arg-type]
        say(stage, line.says(), sender.caller, 1, 4)
        say(stage, line.replies(), sender.callee, 1.3, 3)
        say(stage, line.replies(seq=65_900, ts=0x1000), sender.callee, 3.5, 4)
    line.bye(4)
    other.bye(4)
    recorded = play(scene)
    samples, call = recorded.audio(), recorded.call
    expected = play(plain)
    assert np.array_equal(samples, expected.audio())
    assert call["recording"]["starts_at"] == expected.call["recording"]["starts_at"]
    for mine, theirs in zip(call["streams"], expected.call["streams"], strict=True):
        told = ("packets", "lost", "duplicates", "reordered", "jitter_ms", "first_at", "last_at")
        assert [mine[name] for name in told] == [theirs[name] for name in told]


def test_keys_are_told_to_nobody(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 2)
    line.bye(2)
    heard = play(scene)
    written = json.dumps(heard.result) + (heard.folder / "calls.json").read_text()
    for sender in (keys.caller, keys.callee):
        assert sender.crypto.split("inline:")[1].split("|")[0] not in written


def test_several_lines_are_offered_and_one_is_taken(scene: Scene, line: Line, play: Play) -> None:
    offered = [key("AES_256_CM_HMAC_SHA1_80", 1), key(CM80, 2), key(CM32, 3)]
    taken = key(CM32, 4)
    line.invite(0, secure(line.caller_media, *offered))
    line.answer(1, secure(line.callee_media, taken).replace("a=crypto:1 ", "a=crypto:3 "))
    say(scene, line.says(), offered[2], 1, 3)
    say(scene, line.replies(), taken, 1, 3)
    line.bye(3)
    assert play(scene).heard(0.05, 1.9) == BOTH


def test_with_the_wrong_key_nothing_is_heard(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    open_call(line, keys)
    say(scene, line.says(), key(seed=8), 1, 3)
    say(scene, line.replies(), key(seed=9), 1, 3)
    line.bye(3)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("encrypted", None)
    assert streams(heard, "decrypted") == [False, False]
    assert streams(heard, "srtp_auth_failures") == [100, 100]


def test_packets_that_do_not_authenticate_are_silence(
    scene: Scene, line: Line, play: Play, keys: Keys
) -> None:
    open_call(line, keys)
    talk = line.says()
    say(scene, talk, keys.caller, 1, 2)
    say(scene, talk, key(seed=7), 2, 2.4)
    keys.caller.protect(rtp(talk.seq - 1, talk.ts, talk.ssrc, b""))
    say(scene, talk, keys.caller, 2.4, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    heard = play(scene)
    assert heard.heard(0.05, 0.95) == BOTH
    assert heard.heard(1.05, 1.35) == ("silence", "callee")
    assert heard.heard(1.45, 1.9) == BOTH
    assert streams(heard, "srtp_auth_failures") == [0, 20]
    assert streams(heard, "decrypted") == [True, True]


@pytest.mark.parametrize("suite", ["F8_128_HMAC_SHA1_80", "SEED_CTR_128_HMAC_SHA1_80"])
def test_suites_that_are_only_recognised(
    scene: Scene, line: Line, play: Play, keys: Keys, suite: str
) -> None:
    for body, send in ((line.caller_media, line.invite), (line.callee_media, line.answer)):
        send(1 if send == line.answer else 0, secure(body, keys.caller).replace(CM80, suite))
    say(scene, line.says(), keys.caller, 1, 2)
    line.bye(2)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("encrypted", None)
    assert streams(heard, "encryption") == ["sdes"]
    assert streams(heard, "decrypted") == [False]


@pytest.mark.parametrize(
    ("profile", "more", "kind"),
    [
        ("UDP/TLS/RTP/SAVP", "a=setup:actpass\na=fingerprint:sha-256 AB:CD", "dtls"),
        ("UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 AB:CD", "dtls"),
        ("RTP/SAVP", "a=key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyON", "mikey"),
        ("RTP/SAVP", "a=zrtp-hash:1.10 fe30efd02423cb054e50efd0248742ac7a52c8f9", "zrtp"),
        ("RTP/SAVP", "", "unknown"),
    ],
)
def test_keys_that_are_not_in_the_signalling(
    scene: Scene, line: Line, play: Play, keys: Keys, profile: str, more: str, kind: str
) -> None:
    line.invite(0, sdp(*line.caller_media, profile=profile, more=more))
    line.answer(1, sdp(*line.callee_media, profile=profile, more=more))
    say(scene, line.says(), keys.caller, 1, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    heard = play(scene)
    assert (heard.call["verdict"], heard.call["recording"]) == ("encrypted", None)
    assert streams(heard, "encryption") == [kind, kind]
    assert streams(heard, "decrypted") == [False, False]
    assert all(jitter < 0.5 for jitter in streams(heard, "jitter_ms"))


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize(
    "offer",
    [
        lambda line, sender: secure(line.caller_media, sender, profile="RTP/AVP"),
        lambda line, sender: sdp(
            *line.caller_media, more=f"a=tcap:1 RTP/SAVP\na=acap:1 crypto:1 {sender.crypto}\na=pcfg:1 t=1 a=1"
        ),
        lambda line, sender: (
            secure(line.caller_media, sender) + sdp(*line.caller_media).partition("t=0 0\r\n")[2]
        ),
    ],
    ids=["best effort", "capability", "two media"],
)
def test_srtp_that_is_only_offered(
    scene: Scene, line: Line, play: Play, keys: Keys, offer: Callable[..., str], taken: bool
) -> None:
    """RTP/AVP with keys, as telephones do it; RFC 5939; two media of which one is taken."""
    line.invite(0, offer(line, keys.caller))
    line.answer(1, secure(line.callee_media, keys.callee) if taken else sdp(*line.callee_media))
    say(scene, line.says(), keys.caller if taken else None, 1, 3)
    say(scene, line.replies(), keys.callee if taken else None, 1, 3)
    line.bye(3)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 1.9) == BOTH
    assert streams(heard, "srtp") == [taken, taken]


@pytest.mark.parametrize("flags", [{"encrypted": False}, {"authenticated": False}])
def test_session_parameters(scene: Scene, line: Line, play: Play, flags: dict[str, bool]) -> None:
    keys = Keys(key(seed=1, **flags), key(seed=2, **flags))
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    assert play(scene).heard(0.05, 1.9) == BOTH


def test_without_authentication_noise_is_told_from_speech(scene: Scene, line: Line, play: Play) -> None:
    """Joined in mid-call: the roll-over counter is not known, and only the noise says that 0 is wrong."""
    keys = Keys(key(seed=1, authenticated=False, roc=3), key(seed=2, authenticated=False))
    open_call(line, keys)
    say(scene, line.says(seq=100), keys.caller, 1, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    heard = play(scene)
    assert heard.heard(0.05, 1.9) == ("silence", "callee")
    assert sorted(streams(heard, "decrypted")) == [False, True]


def test_c6_early_media_of_two_forks(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """Both rang with keys and announcements of their own; the second took the call."""
    first, second = key(seed=5), key(CM32, seed=6)
    elsewhere = ("10.0.0.9", 21000)
    line.invite(0, secure(line.caller_media, keys.caller))
    line.tags = ("from-1", "to-1")
    line.progress(0.5, "183 Session Progress", secure(line.callee_media, first))
    line.tags = ("from-1", "to-2")
    line.progress(1.5, "183 Session Progress", secure(elsewhere, second))
    say(scene, line.replies(ssrc=0x31), first, 0.52, 1.5)
    other = Talk(elsewhere, line.caller_media, 800, 0x32)
    say(scene, other, second, 1.52, 4)
    line.answer(2, secure(elsewhere, second))
    say(scene, Talk(line.caller_media, elsewhere, 500, 0x33), keys.caller, 2, 4)
    line.bye(4)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert streams(heard, "decrypted") == [True, True, True]
    assert heard.heard(0.05, 0.9) == ("silence", "callee")
    assert heard.heard(1.55, 3.4) == BOTH


def test_c6_media_before_its_keys(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """The answer comes two seconds late, the offer one: what came before was kept whole."""
    say(scene, line.says(), keys.caller, 1, 6)
    say(scene, line.replies(), keys.callee, 1, 6)
    line.invite(2, secure(line.caller_media, keys.caller))
    line.answer(3, secure(line.callee_media, keys.callee))
    line.bye(6)
    heard = play(scene)
    assert streams(heard, "decrypted") == [True, True]
    assert streams(heard, "srtp_auth_failures") == [0, 0]
    assert heard.call["recording"]["duration_s"] == pytest.approx(5.0, abs=0.05)
    assert heard.heard(0.05, 4.9) == BOTH


def test_c6_plain_media_of_an_odd_length_before_its_description(scene: Scene, line: Line, play: Play) -> None:
    """Payloads of 22 ms look as if they had a tag; they have none."""
    talk, reply = line.says(), line.replies()
    talk.ptime_ms = reply.ptime_ms = 22
    scene.talk(talk, 1, 6)
    scene.talk(reply, 1, 6)
    line.invite(2)
    line.answer(3)
    line.bye(6)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert streams(heard, "srtp") == [False, False]
    assert heard.heard(0.05, 4.9) == BOTH


def test_a_new_key_by_reinvite(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """The caller's key changes, in use a moment before the re-INVITE that names it; the callee's stays."""
    new = key("AEAD_AES_256_GCM", 5)
    open_call(line, keys)
    line.reinvite(3, secure(line.caller_media, new), secure(line.callee_media, keys.callee))
    talk = line.says()
    say(scene, talk, keys.caller, 1, 2.98)
    new.protect(rtp(talk.seq - 60_000, 0, talk.ssrc, b""))
    new._last.clear()
    say(scene, talk, new, 2.98, 5)
    say(scene, line.replies(), keys.callee, 1, 5)
    line.bye(5)
    heard = play(scene)
    assert streams(heard, "srtp_auth_failures") == [0, 0]
    assert heard.heard(0.05, 3.9) == BOTH


def in_three_parts(
    scene: Scene, line: Line, play: Play, keys: Keys, secured: tuple[bool, bool, bool]
) -> None:
    """Both talk for six seconds, each two seconds of them secured or not, and all of it is heard."""
    for talk, sender in ((line.says(), keys.caller), (line.replies(), keys.callee)):
        for part, (from_s, secure_now) in enumerate(zip((1, 3.06, 5.06), secured, strict=True)):
            say(scene, talk, sender if secure_now else None, from_s, 3 + 2 * part)
            talk.ts += 480
    line.bye(7)
    heard = play(scene)
    assert heard.heard(0.05, 1.95) == heard.heard(2.15, 3.9) == heard.heard(4.15, 5.9) == BOTH
    silent_or_right(heard)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_plain_becomes_srtp_and_plain_again(
    scene: Scene, line: Line, play: Play, keys: Keys, by: str
) -> None:
    line.invite(0)
    line.answer(1)
    ends = (line.caller_media, line.callee_media)
    ours, theirs = ends if by == "caller" else ends[::-1]
    own, other = (keys.caller, keys.callee) if by == "caller" else (keys.callee, keys.caller)
    line.reinvite(3, secure(ours, own), secure(theirs, other), cseq=2, by=by)
    line.reinvite(5, sdp(*ours), sdp(*theirs), cseq=3, by=by)
    in_three_parts(scene, line, play, keys, secured=(False, True, False))


def test_srtp_becomes_plain_and_srtp_again(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """Two seconds in clear between: neither part lays its silence over the other."""
    open_call(line, keys)
    line.reinvite(3, sdp(*line.caller_media), sdp(*line.callee_media), cseq=2)
    line.reinvite(
        5, secure(line.caller_media, keys.caller), secure(line.callee_media, keys.callee), cseq=3, by="callee"
    )
    in_three_parts(scene, line, play, keys, secured=(True, False, True))


def test_a_refused_reinvite_leaves_the_call_protected(
    scene: Scene, line: Line, play: Play, keys: Keys
) -> None:
    open_call(line, keys)
    line.message(3, "INVITE sip:x@x SIP/2.0", "2 INVITE", sdp(*line.caller_media))
    line.message(3.1, "SIP/2.0 488 Not Acceptable Here", "2 INVITE", by="callee")
    say(scene, line.says(), keys.caller, 1, 5)
    say(scene, line.replies(), keys.callee, 1, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.heard(0.05, 3.9) == BOTH
    assert streams(heard, "srtp_auth_failures") == [0, 0]


def test_c11_a_new_ssrc_begins_at_counter_0(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 3)
    say(scene, line.says(ssrc=0x77, seq=40_000), keys.caller, 3, 5)
    say(scene, line.replies(), keys.callee, 1, 5)
    line.bye(5)
    heard = play(scene)
    assert streams(heard, "decrypted") == [True, True, True]
    assert heard.heard(0.05, 3.9) == BOTH


def test_c6_joined_in_mid_call(scene: Scene, line: Line, play: Play) -> None:
    """The capture begins hours into the call; a session refresh tells the keys, packets the counter."""
    keys = Keys(key(seed=1, roc=17), key("AEAD_AES_128_GCM", seed=2, roc=16))
    line.reinvite(3, secure(line.caller_media, keys.caller), secure(line.callee_media, keys.callee))
    say(scene, line.says(), keys.caller, 1, 5)
    say(scene, line.replies(seq=9), keys.callee, 1, 5)
    line.bye(5)
    heard = play(scene)
    assert heard.call["verdict"] == "partial"
    assert streams(heard, "srtp_auth_failures") == [0, 0]
    assert heard.heard(0.05, 3.9) == BOTH


def test_c13_mirrored_twice(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    scene.frames += [(at + 0.0003, frame) for at, frame in scene.frames]
    heard = play(scene)
    assert streams(heard, "duplicates") == [100, 100]
    assert streams(heard, "srtp_auth_failures") == [0, 0]
    assert heard.heard(0.05, 1.9) == BOTH


def test_c15_digits_and_comfort_noise(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    open_call(line, keys)
    talk = line.says()
    say(scene, talk, keys.caller, 1, 2)
    for n, body in enumerate([b"\5\x0a\0\xa0", b"\5\x0a\1\x40", b"\5\x8a\1\xe0", b"\5\x8a\1\xe0"]):
        packet = rtp(talk.seq, talk.ts, talk.ssrc, body, 101)
        scene.send(2 + n / 50, talk.src, talk.dst, keys.caller.protect(packet))
        talk.seq += 1
    talk.ts += 640
    say(scene, talk, keys.caller, 2.08, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    heard = play(scene)
    assert [(press["digit"], press["by"]) for press in heard.call["dtmf"]] == [("5", "caller")]
    assert heard.heard(1.1, 1.9) == BOTH


@pytest.mark.parametrize("second", ["plain", "other keys"])
def test_c7_through_a_proxy(scene: Scene, play: Play, keys: Keys, second: str) -> None:
    """One Call-ID on two hops: the first in SRTP, the second in clear or with keys of its own."""
    proxy = "10.0.0.5"
    near = Line(scene, callee_sip=(proxy, 5060), callee_media=(proxy, 30_000))
    far = Line(
        scene, caller_sip=(proxy, 5060), callee_sip=(GATEWAY, 5060), caller_media=(proxy, 30_002),
        callee_media=(GATEWAY, 20_000),
    )  # fmt: skip
    relayed = Keys(key(CM32, 11), key(CM32, 12)) if second == "other keys" else None
    near.invite(0, secure(near.caller_media, keys.caller))
    far.invite(0.05, secure(far.caller_media, relayed.caller) if relayed else sdp(*far.caller_media))
    far.answer(1, secure(far.callee_media, relayed.callee) if relayed else sdp(*far.callee_media))
    near.answer(1.05, secure(near.callee_media, keys.callee))
    for hop, senders in ((near, keys), (far, relayed)):
        say(scene, hop.says(ssrc=0x51), senders.caller if senders else None, 1.1, 4)
        say(scene, hop.replies(ssrc=0x52), senders.callee if senders else None, 1.1, 4)
    near.bye(4)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert len(heard.call["streams"]) == 4
    assert sorted(streams(heard, "srtp")) == [bool(relayed), bool(relayed), True, True]
    assert {s["decrypted"] for s in heard.call["streams"] if s["srtp"]} == {True}
    assert heard.heard(0.2, 2.9) == BOTH


@pytest.mark.parametrize("second", ["plain", "other keys"])
def test_c7_through_a_back_to_back_user_agent(scene: Scene, play: Play, keys: Keys, second: str) -> None:
    """Call-IDs of their own and keys of their own: that it is one call is told by what was opened."""
    exchange = "10.0.0.5"
    near = Line(scene, callee_sip=(exchange, 5060), callee_media=(exchange, 30_000))
    far = Line(
        scene, call_id="leg-2", caller_sip=(exchange, 5060), callee_sip=(GATEWAY, 5060),
        tags=("from-2", "to-2"), caller_media=(exchange, 30_002), callee_media=(GATEWAY, 20_000),
    )  # fmt: skip
    relayed = Keys(key(CM32, 11), key(CM32, 12)) if second == "other keys" else None
    near.invite(0, secure(near.caller_media, keys.caller))
    far.invite(0.05, secure(far.caller_media, relayed.caller) if relayed else sdp(*far.caller_media))
    far.answer(1, secure(far.callee_media, relayed.callee) if relayed else sdp(*far.callee_media))
    near.answer(1.05, secure(near.callee_media, keys.callee))
    said = bank(8).tobytes()
    for number, (hop, senders) in enumerate(((near, keys), (far, relayed))):
        for side, (talk, begin) in enumerate(((hop.says(), 0), (hop.replies(), 100_000))):
            sender = (senders.caller if side == 0 else senders.callee) if senders else None
            for n in range(200):
                payload = said[begin + 160 * n : begin + 160 * n + 160]
                packet = rtp(40_000 + number + n, 160 * n, talk.ssrc + number, payload)
                scene.send(1.1 + n / 50, talk.src, talk.dst, sender.protect(packet) if sender else packet)
    far.bye(5.1)
    near.bye(5.12)
    heard = play(scene)
    assert heard.call["linked_call_ids"] == ["leg-2"]
    assert len(heard.call["streams"]) == 4
    assert heard.call["verdict"] == "recorded"


def test_other_codecs_take_their_way(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """G.722 under SRTP, before its description and after."""
    line.caller_media, line.callee_media = (PHONE, 4000), (GATEWAY, 20000)
    payload = bytes(range(160))
    for talk, sender in ((line.says(), keys.caller), (line.replies(), keys.callee)):
        for n in range(150):
            packet = rtp(talk.seq + n, talk.ts + 160 * n, talk.ssrc, payload, 9)
            scene.send(0.5 + n / 50, talk.src, talk.dst, sender.protect(packet))
    line.invite(
        0.9, sdp(*line.caller_media, types="9", profile="RTP/SAVP", more=f"a=crypto:1 {keys.caller.crypto}")
    )
    line.answer(
        1, sdp(*line.callee_media, types="9", profile="RTP/SAVP", more=f"a=crypto:1 {keys.callee.crypto}")
    )
    line.bye(3.5)
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert streams(heard, "codec") == ["G722", "G722"]
    assert (heard.call["recording"]["sample_rate"], streams(heard, "decrypted")) == (16_000, [True, True])


def test_retransmitted_and_late_invites(scene: Scene, line: Line, play: Play, keys: Keys) -> None:
    """C3: the same INVITE three times, the last after the answer; the keys stay what they are."""
    for at in (0, 0.5, 1.6):
        line.invite(at, secure(line.caller_media, keys.caller))
    line.answer(1, secure(line.callee_media, keys.callee))
    line.answer(1.5, secure(line.callee_media, keys.callee))
    say(scene, line.says(), keys.caller, 1, 3)
    say(scene, line.replies(), keys.callee, 1, 3)
    line.bye(3)
    heard = play(scene)
    assert heard.heard(0.05, 1.9) == BOTH
    assert streams(heard, "srtp_auth_failures") == [0, 0]
