"""Encrypted calls tell by RTCP what clear ones do: reports, extended reports, BYE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scenery import START_NS, Endpoint, Line, Outcome, Scene
from test_srtp import CM32, CM80, key, say, secure

from tests.sniffer import rtcpmade as made
from tests.srtpref import Sender

Play = Callable[..., Outcome]
CALLER, CALLEE = 0x11111111, 0x22222222


def wall(number: int, n: int) -> int:
    """The wall clock, as NTP has it, at the report ``n`` of one telephone."""
    return round((START_NS / 1e9 + 2208988800 + 1.5 + n + number * 0.3) * 2**32)


def control(scene: Scene, line: Line, senders: tuple[Sender | None, Sender | None], *, clear: bool) -> None:
    """What two telephones say by RTCP, six seconds long and in the end."""
    ends = [(host, port + 1) for host, port in (line.caller_media, line.callee_media)]
    for number, ssrc, other in ((0, CALLER, CALLEE), (1, CALLEE, CALLER)):
        way = (ends[number], ends[1 - number])
        sender = senders[number]
        for n in range(6):
            at = 1.5 + n + number * 0.3
            last = wall(1 - number, n - (number == 0)) >> 16 & 0xFFFFFFFF
            block = made.report_block(other, 26, 3 + n, 65_500 + 50 * n, 40, last, 6553)
            raw = made.sender_report(ssrc, wall(number, n), round(at * 8000), 50 * n, 8000 * n, (block,))
            raw += made.description(ssrc, b"phone@host")
            raw += made.extended_report(ssrc, made.voip_metrics(other, loss=9, r=80))
            if n == 5:
                raw += made.bye(ssrc)
            scene.send(at, *way, sender.protect_rtcp(raw, n + 1, encrypted=not clear) if sender else raw)


def described(media: Endpoint, sender: Sender | None, more: str) -> str | None:
    """A description with a key and a session parameter; None: the usual one, without."""
    if sender is None:
        return None
    return secure(media, sender).replace(sender.crypto, f"{sender.crypto} {more}".strip())


def played(play: Play, suite: str | None, more: str = "", *, foreign: bool = False) -> Outcome:
    scene = Scene()
    line = Line(scene)
    pair = (key(suite, 1), key(suite, 2)) if suite else (None, None)
    line.invite(0, described(line.caller_media, pair[0], more))
    line.answer(1, described(line.callee_media, pair[1], more))
    say(scene, line.says(), pair[0], 1, 8)
    say(scene, line.replies(), pair[1], 1, 8)
    others = (key(suite, 8), key(suite, 9)) if suite and foreign else pair
    control(scene, line, others, clear="UNENCRYPTED_SRTCP" in more)
    line.bye(8)
    return play(scene)


def told(outcome: Outcome) -> list[Any]:
    return [stream["quality"]["rtcp"] for stream in outcome.call["streams"]]


@pytest.mark.parametrize("suite", [CM80, CM32, "AEAD_AES_256_GCM"])
@pytest.mark.parametrize("more", ["", "UNENCRYPTED_SRTCP"])
def test_as_much_as_a_clear_call(play: Play, suite: str, more: str) -> None:
    expected = told(played(play, None))
    assert [said["sender_reports"] for said in expected] == [6, 6]
    assert [said["receiver_lost"] for said in expected] == [8, 8]
    assert all(said["bye"] and said["xr"] is not None and said["round_trip_ms"] for said in expected)
    heard = played(play, suite, more)
    assert [stream["decrypted"] for stream in heard.call["streams"]] == [True, True]
    assert told(heard) == expected
    assert heard.result["counters"]["bad"] == {}


def test_what_no_key_opens_is_counted_and_not_believed(play: Play) -> None:
    heard = played(play, CM80, foreign=True)
    assert told(heard) == [None, None]
    assert heard.result["counters"]["bad"] == {"rtcp-unopened": 12}
    assert heard.call["verdict"] == "recorded"
