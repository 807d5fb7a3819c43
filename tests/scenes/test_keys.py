"""Keys pressed in whole calls: told by events, by INFO, by the audio, by several of them, and hidden."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bystander.codecs.dtmf import tones
from bystander.codecs.g711 import PCMA, encode
from bystander.config import settings
from bystander.storage.entry import time_ns
from tests.codecs.test_dtmf import tone
from tests.scenes.scenery import START_NS, Line, Outcome, S, Scene, Talk, rtp, sdp

Play = Callable[..., Outcome]
PLAIN = "8"  # PCMA and no telephone events


def open_call(line: Line, types: str = "8 101", more: str = "") -> None:
    line.invite(0, sdp(*line.caller_media, types=types, more=more))
    line.answer(1, sdp(*line.callee_media, types=types, more=more))


def sound(seconds: float, keys: dict[float, str], held_s: float = 0.08, level: float = 3000) -> Any:
    """Silence with keys held from the given times on, float[n]."""
    samples = np.zeros(round(seconds * 8000))
    for at, key in keys.items():
        part = tone(key, held_s, level=level)
        samples[round(at * 8000) : round(at * 8000) + len(part)] = part
    return samples


def say(scene: Scene, stream: Talk, begin: float, samples: Any) -> None:
    """Send samples as G.711, 20 ms a packet."""
    coded = encode(samples.astype(np.int16), PCMA)
    for n in range(len(coded) // 160):
        payload = coded[n * 160 : n * 160 + 160].tobytes()
        scene.send(begin + n * 0.02, stream.src, stream.dst, rtp(stream.seq, stream.ts, stream.ssrc, payload))
        stream.seq += 1
        stream.ts += 160


def event(
    scene: Scene,
    stream: Talk,
    at: float,
    code: int,
    packets: int = 5,
    pt: int = 101,
    clock: int = 8000,
    wrap: Callable[[bytes], bytes] = bytes,
) -> None:
    """A key as events: updates each 20 ms, the end three times."""
    start, step = stream.ts, clock // 50
    for n in range(packets + 3):
        ticks = min(n + 1, packets) * step
        body = wrap(struct.pack("!BBH", code, 0x80 * (n >= packets) | 10, ticks))
        scene.send(
            at + 0.02 * n, stream.src, stream.dst, rtp(stream.seq, start, stream.ssrc, body, pt, n == 0)
        )
        stream.seq += 1
    stream.ts += step * (packets + 3)


def keys(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(d["digit"], d["by"], d["method"]) for d in outcome.call["dtmf"]]


def test_keys_in_the_audio_where_no_events_were_agreed_on(scene: Scene, line: Line, play: Play) -> None:
    open_call(line, PLAIN)
    say(scene, line.says(), 1, sound(4, {0.5: "1", 1.0: "2", 1.08 + 0.06: "2", 3.0: "*"}))
    say(scene, line.replies(), 1, sound(4, {2.0: "D"}))
    line.bye(5)
    heard = play(scene)
    assert keys(heard) == [
        ("1", "caller", "inband"), ("2", "caller", "inband"), ("2", "caller", "inband"),
        ("D", "callee", "inband"), ("*", "caller", "inband"),
    ]  # fmt: skip
    first = heard.call["dtmf"][0]
    assert abs(first["duration_ms"] - 80) <= 20
    assert abs(time_ns(first["at"]) - START_NS - 1.5 * S) <= 0.02 * S


def test_the_audio_is_searched_as_the_configuration_says(scene: Scene, line: Line, play: Play) -> None:
    """R19: where events were agreed on, or nobody wants it, nothing is looked for."""
    open_call(line, "8 101")
    say(scene, line.says(), 1, sound(3, {0.5: "7"}))
    line.bye(4)
    assert keys(play(scene)) == []
    always = settings(digits={"inband": "always"})
    assert keys(play(scene, settings=always)) == [("7", "caller", "inband")]


def test_events_that_were_offered_and_not_taken_leave_tones(scene: Scene, line: Line, play: Play) -> None:
    """The caller would take events, the gateway not: the caller's keys are tones, the callee's are not."""
    line.invite(0, sdp(*line.caller_media, types="8 101"))
    line.answer(1, sdp(*line.callee_media, types="8"))
    say(scene, line.says(), 1, sound(3, {0.5: "7"}))
    say(scene, line.replies(), 1, sound(3, {1.5: "8"}))
    line.bye(4)
    assert keys(play(scene)) == [("7", "caller", "inband")]


def test_never_means_never(scene: Scene, line: Line, play: Play) -> None:
    open_call(line, PLAIN)
    say(scene, line.says(), 1, sound(3, {0.5: "7"}))
    line.bye(4)
    assert keys(play(scene, settings=settings(digits={"inband": "never"}))) == []


def test_c15_a_telephone_that_says_it_three_times_pressed_once(scene: Scene, line: Line, play: Play) -> None:
    open_call(line)
    mine, ticks = line.says(), {0.5: "4", 1.5: "4"}
    samples = sound(3, ticks)
    say(scene, mine, 1, samples[: 8000 // 2])
    for n, at in enumerate(ticks):
        # The audio goes on while the event is sent, in the same sequence.
        event(scene, Talk(mine.src, mine.dst, 0, mine.ssrc, mine.seq, mine.ts), 1 + at, 4)
        mine.seq += 8
        say(scene, mine, 1 + at, samples[round(at * 8000) : round(at * 8000) + 8000])
        line.message(1.2 + at, "INFO sip:x@x SIP/2.0", f"{3 + n} INFO", "Signal=4\r\nDuration=80\r\n",
                     kind="application/dtmf-relay")  # fmt: skip
    line.bye(4)
    heard = play(scene, settings=settings(digits={"inband": "always"}))
    assert keys(heard) == [("4", "caller", "rfc4733")] * 2
    assert heard.call["streams"][0]["lost"] == 0


def test_c7_keys_on_two_hops_are_pressed_once(scene: Scene, line: Line, play: Play) -> None:
    """A proxy relays media and events: each press is on the wire twice, some milliseconds apart."""
    open_call(line)
    mine = line.says()
    scene.talk(mine, 1, 1.5)
    event(scene, mine, 1.5, 9)
    event(scene, mine, 1.8, 9)
    scene.talk(mine, 2.2, 4)
    for at, frame in list(scene.frames):
        if at > 1 and frame[34:36] == struct.pack("!H", mine.src[1]):
            scene.frames.append((at + 0.003, frame[:50] + bytes([0x55] * 4) + frame[54:]))
    line.bye(5)
    assert keys(play(scene)) == [("9", "caller", "rfc4733")] * 2


@pytest.mark.parametrize("clock", [8000, 16000, 48000])
def test_events_of_other_clocks(scene: Scene, line: Line, play: Play, clock: int) -> None:
    open_call(line, "8 101", f"a=rtpmap:101 telephone-event/{clock}")
    mine = line.says()
    scene.talk(mine, 1, 1.5)
    event(scene, mine, 1.5, 11, packets=10, clock=clock)
    line.bye(5)
    (press,) = play(scene).call["dtmf"]
    assert (press["digit"], press["duration_ms"]) == ("#", 200)


def test_events_that_the_description_does_not_explain(scene: Scene, line: Line, play: Play) -> None:
    open_call(line, PLAIN)
    mine = line.says()
    scene.talk(mine, 1, 1.5)
    event(scene, mine, 1.5, 3, pt=96)
    scene.talk(mine, 2, 4)
    line.bye(5)
    heard = play(scene)
    assert keys(heard) == [("3", "caller", "rfc4733")]
    assert heard.call["verdict"] == "one-way"


def test_events_and_audio_in_redundant_packets(scene: Scene, line: Line, play: Play) -> None:
    """RFC 2198: audio and events wrapped in payload type 121; a third of the packets is lost, nothing is."""
    more = "a=rtpmap:121 red/8000\na=fmtp:121 8/8/101"
    open_call(line, "121 8 101", more)
    mine = line.says()
    samples = sound(3, {}) + 6000 * np.sin(2 * np.pi * 500 * np.arange(24000) / 8000)
    coded = encode(samples.astype(np.int16), PCMA)
    frames = [coded[n * 160 : n * 160 + 160].tobytes() for n in range(150)]
    for n, frame in enumerate(frames):
        before = frames[n - 1] if n else frame
        payload = struct.pack("!I", 0x88 << 24 | 160 << 10 | len(before)) + b"\x08" + before + frame
        if n % 3 != 1:
            scene.send(1 + 0.02 * n, mine.src, mine.dst, rtp(mine.seq, mine.ts, mine.ssrc, payload, 121))
        mine.seq += 1
        mine.ts += 160
    event(scene, mine, 4, 6, pt=121, wrap=lambda body: b"\x65" + body)
    line.bye(5)
    heard = play(scene)
    assert keys(heard) == [("6", "caller", "rfc4733")]
    assert heard.heard(0.1, 2.8) == ("caller", "silence")
    assert heard.call["streams"][0]["codec"] == "PCMA"


def test_flash_and_fax_tones_are_no_keys(scene: Scene, line: Line, play: Play) -> None:
    open_call(line)
    mine = line.says()
    scene.talk(mine, 1, 1.5)
    for n, code in enumerate((16, 32, 36, 70)):
        event(scene, mine, 1.5 + n * 0.4, code)
    line.bye(5)
    assert keys(play(scene)) == []


def test_masked_keys_are_hidden_in_the_list_and_silent_in_the_recording(
    scene: Scene, line: Line, play: Play
) -> None:
    """The menu's choice stays; what follows is a card number. The other side hears an echo of it."""
    open_call(line, PLAIN)
    ticks = dict(zip((0.5, 1.0, 1.5, 2.0), "1476", strict=True))
    say(scene, line.says(), 1, sound(4, ticks) + 300 * np.sin(np.arange(32000) / 3))
    say(scene, line.replies(), 1, sound(4, {at + 0.05: key for at, key in ticks.items()}, level=300))
    line.bye(5)
    heard = play(scene, settings=settings(digits={"mask": "after 1", "mask_tones": True}))
    assert keys(heard) == [("1", "caller", "inband")] + [("x", "caller", "inband")] * 3
    audio = heard.audio()
    for side in (0, 1):
        assert [held.key for held in tones(np.ascontiguousarray(audio[:, side]))] == ["1"]
    assert np.abs(audio[round(0.99 * 8000) : round(1.09 * 8000)]).max() <= 8
    # What is said between the keys is there.
    assert np.abs(audio[round(1.25 * 8000) : round(1.35 * 8000), 0]).max() > 250
    plain = play(scene, settings=settings(digits={"mask": "all"}))
    assert keys(plain) == [("x", "caller", "inband")] * 4
    assert [held.key for held in tones(np.ascontiguousarray(plain.audio()[:, 0]))] == list("1476")


def test_what_a_gateway_lets_through_before_it_knows_a_key_is_silent_too(
    scene: Scene, line: Line, play: Play
) -> None:
    """30 ms of the tone, too short to be found, and then the event."""
    open_call(line)
    mine = line.says()
    say(scene, mine, 1, sound(0.52, {0.49: "8"}, held_s=0.03))
    event(scene, mine, 1.52, 8)
    line.bye(4)
    heard = play(scene, settings=settings(digits={"mask": "all", "mask_tones": True}))
    assert keys(heard) == [("x", "caller", "rfc4733")]
    assert np.abs(heard.audio()).max() <= 8
