"""Descriptions of protection that are wrong or at odds, and what else is heard while a call is held."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scenery import Line, Outcome, Scene, Talk, sdp
from test_srtp import key, say, secure

from tests.srtpref import Sender

Play = Callable[..., Outcome]
MUSIC = ("10.0.0.9", 40000)


def describe(endpoint: tuple[str, int], sender: Sender | None, mode: str = "") -> str:
    if sender is None:
        return sdp(*endpoint, mode=mode)
    return secure(endpoint, sender, more=f"a={mode}" if mode else "")


@pytest.mark.parametrize("seconds", [2, 12])
@pytest.mark.parametrize("call", ["plain", "srtp"])
@pytest.mark.parametrize("music", ["plain", "srtp"])
def test_c8_music_from_elsewhere_while_a_call_is_held(
    scene: Scene, line: Line, play: Play, call: str, music: str, seconds: int
) -> None:
    """The stream that pauses goes on afterwards; its silence lies over nobody's music, however short."""
    ours, theirs = (key(seed=1), key(seed=2)) if call == "srtp" else (None, None)
    played = key(seed=5) if music == "srtp" else None
    line.invite(0, describe(line.caller_media, ours))
    line.answer(1, describe(line.callee_media, theirs))
    one, two = line.says(), line.replies()
    say(scene, one, ours, 1, 3)
    say(scene, two, theirs, 1, 3)
    answer = describe(line.callee_media, played and (theirs or key(seed=6)), "recvonly")
    line.reinvite(3, describe(MUSIC, played, "sendonly"), answer)
    say(scene, Talk(MUSIC, line.callee_media, 1500, 0x77), played, 3.1, 2.9 + seconds)
    back = 3 + seconds
    line.reinvite(back, describe(line.caller_media, ours), describe(line.callee_media, theirs), cseq=3)
    for stream in (one, two):
        stream.ts += round((seconds + 0.1) * 8000)
    say(scene, one, ours, back + 0.1, back + 2)
    say(scene, two, theirs, back + 0.1, back + 2)
    line.bye(back + 2)
    heard = play(scene)
    assert heard.heard(0.05, 1.9) == ("caller", "callee")
    assert heard.heard(2.25, seconds + 1.75) == ("1500 Hz", "silence")
    assert heard.heard(seconds + 2.2, seconds + 3.9) == ("caller", "callee")
    assert heard.call["verdict"] == "recorded"
    srtp = {stream["ssrc"]: stream["srtp"] for stream in heard.call["streams"]}
    assert srtp["0x00000077"] is (music == "srtp")
    assert srtp["0x11111111"] is (call == "srtp")


def test_srtp_that_is_demanded_and_answered_as_plain(scene: Scene, line: Line, play: Play) -> None:
    """RTP/SAVP answered by RTP/AVP is taken for plain; who sends SRTP all the same is not heard as noise."""
    ours = key(seed=1)
    line.invite(0, secure(line.caller_media, ours))
    line.answer(1)
    say(scene, line.says(), ours, 1, 4)
    say(scene, line.replies(), None, 1, 4)
    line.bye(4)
    heard = play(scene)
    assert heard.heard(0.05, 2.9) == ("silence", "callee")
    assert heard.call["verdict"] == "one-way"
    assert {stream["by"]: stream["srtp"] for stream in heard.call["streams"]} == {
        "caller": True, "callee": False
    }  # fmt: skip


@pytest.mark.parametrize(("both", "verdict"), [(True, "encrypted"), (False, "one-way")])
def test_ciphertext_that_descriptions_call_plain_is_not_heard(
    scene: Scene, line: Line, play: Play, both: bool, verdict: str
) -> None:
    line.invite(0)
    line.answer(1)
    say(scene, line.says(), key(seed=1), 1, 4)
    say(scene, line.replies(), key(seed=2) if both else None, 1, 4)
    line.bye(4)
    heard = play(scene)
    assert heard.call["verdict"] == verdict
    told = {stream["by"]: (stream["srtp"], stream.get("decrypted")) for stream in heard.call["streams"]}
    assert told["caller"] == (True, False)
    if not both:
        assert heard.heard(0.05, 2.9) == ("silence", "callee")
        assert told["callee"] == (False, None)
