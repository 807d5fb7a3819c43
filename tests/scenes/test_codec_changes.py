"""Codecs that change in mid-call on one SSRC, and pauses that are not sent: right in time and rate (C14)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from bystander.codecs.g711 import PCMA, encode
from tests.codecs.spoken import frames, likeness, speech
from tests.scenes.scenery import Line, Outcome, Scene, Talk, rtp, sdp

Play = Callable[..., Outcome]
TYPES = "8 9 96 13"
MORE = "a=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1;usedtx=1"


def payloads(codec: str, begin: float, end: float) -> tuple[int, int, list[bytes]]:
    """(payload type, ticks a packet, payloads of 20 ms) of the known speech between two times."""
    if codec == "PCMA":
        coded = encode(speech(8000, 12)[round(begin * 8000) : round(end * 8000)], PCMA)
        return 8, 160, [coded[at : at + 160].tobytes() for at in range(0, len(coded), 160)]
    if codec == "G722":
        return 9, 160, frames("g722", speech(16000, 12)[round(begin * 16000) : round(end * 16000)], 16000)
    part = speech(48000, 12)[round(begin * 48000) : round(end * 48000)]
    return 96, 960, frames("libopus", part, 48000, channels=2, bit_rate=48000)


def say(scene: Scene, stream: Talk, at: float, codec: str, begin: float, end: float) -> None:
    """Send a part of the speech, and go on counting in that codec's clock."""
    pt, ticks, made = payloads(codec, begin, end)
    for n, payload in enumerate(made[: round((end - begin) * 50)]):
        scene.send(at + n / 50, stream.src, stream.dst, rtp(stream.seq, stream.ts, stream.ssrc, payload, pt))
        stream.seq += 1
        stream.ts += ticks


@pytest.mark.parametrize(
    "order", [("PCMA", "G722", "Opus"), ("Opus", "PCMA", "G722"), ("G722", "Opus", "PCMA")]
)
def test_c14_three_codecs_on_one_ssrc(scene: Scene, line: Line, play: Play, order: tuple[str, ...]) -> None:
    """Each re-INVITE brings another codec and another clock; the speech goes on where it was."""
    description = (
        sdp(*line.caller_media, types=TYPES, more=MORE),
        sdp(*line.callee_media, types=TYPES, more=MORE),
    )
    line.invite(0, description[0])
    line.answer(1, description[1])
    mine = line.says()
    for n, codec in enumerate(order):
        if n:
            line.reinvite(1 + 2 * n - 0.1, *description, cseq=n + 1)
        say(scene, mine, 1 + 2 * n, codec, 2 * n, 2 * n + 2)
    line.bye(7)
    outcome = play(scene)
    call = outcome.call
    assert len(call["streams"]) == 1 and call["streams"][0]["lost"] == 0
    assert call["recording"]["sample_rate"] == 48000
    assert abs(call["recording"]["duration_s"] - 6) < 0.02
    heard, rate = soundfile.read(outcome.folder / call["recording"]["path"], dtype="int16", always_2d=True)
    assert rate == 48000 and not heard[:, 1].any()
    for n, codec in enumerate(order):
        # An encoder begins from silence, and its own delay is up to 10 ms.
        part = slice(round((2 * n + 0.1) * 48000), round((2 * n + 1.9) * 48000))
        like, delay = likeness(np.asarray(heard[part, 0]), speech(48000, 12)[part], 1920)
        assert like > 0.9, f"{codec}: {like:.3f}"
        assert delay < 720, f"{codec}: {delay}"


@pytest.mark.parametrize("codec", ["PCMA", "G722"])
def test_c15_pauses_that_are_not_sent_are_silence_of_their_length(
    scene: Scene, line: Line, play: Play, codec: str
) -> None:
    """Comfort noise announces a pause; then nothing comes, and timestamps run on."""
    line.invite(0, sdp(*line.caller_media, types=TYPES, more=MORE))
    line.answer(1, sdp(*line.callee_media, types=TYPES, more=MORE))
    mine = line.says()
    for n in range(4):
        at = 1 + 3 * n
        say(scene, mine, at, codec, 1.5 * n, 1.5 * n + 1.5)
        scene.send(at + 1.5, mine.src, mine.dst, rtp(mine.seq, mine.ts, mine.ssrc, bytes([0x40]), 13))
        mine.seq += 1
        mine.ts += 12_000
    line.bye(13)
    outcome = play(scene)
    call = outcome.call
    heard, rate = soundfile.read(outcome.folder / call["recording"]["path"], dtype="int16", always_2d=True)
    assert rate == (8000 if codec == "PCMA" else 16000)
    assert abs(len(heard) / rate - 12) < 0.02
    for n in range(4):
        part = np.asarray(heard[round((3 * n + 0.05) * rate) : round((3 * n + 1.45) * rate), 0])
        said = speech(rate, 12)[round((1.5 * n + 0.05) * rate) : round((1.5 * n + 1.45) * rate)]
        like, delay = likeness(part, said, rate // 50)
        assert like > 0.95 and delay < rate // 400, (n, like, delay)
        assert np.abs(heard[round((3 * n + 1.55) * rate) : round((3 * n + 2.95) * rate), 0]).max() <= 8


def test_opus_that_pauses_by_itself_and_carries_stereo(scene: Scene, line: Line, play: Play) -> None:
    """DTX: in silence Opus sends a byte now and then; both channels are mixed to one."""
    description = (
        sdp(*line.caller_media, types="96", more=MORE),
        sdp(*line.callee_media, types="96", more=MORE),
    )
    line.invite(0, description[0])
    line.answer(1, description[1])
    mine = line.says()
    quiet = np.concatenate((speech(48000, 2), np.zeros(2 * 48000, np.int16), speech(48000, 4)[2 * 48000 :]))
    made = frames(
        "libopus",
        quiet,
        48000,
        channels=2,
        bit_rate=24000,
        application="voip",
        fec="1",
        packet_loss="10",
    )
    sent = 0
    for n, payload in enumerate(made[:300]):
        pause = len(payload) <= 12
        if pause and n % 20:
            continue
        # In a pause a frame of nothing (RFC 6716 section 3.2.1) every 400 ms.
        body = bytes([payload[0] & 0xFC]) if pause else payload
        scene.send(1 + n / 50, mine.src, mine.dst, rtp(mine.seq, n * 960, mine.ssrc, body, 96))
        mine.seq += 1
        sent += 1
    assert sent < 250
    line.bye(7)
    outcome = play(scene)
    call = outcome.call
    assert (call["streams"][0]["lost"], call["recording"]["sample_rate"]) == (0, 48000)
    heard, _ = soundfile.read(outcome.folder / call["recording"]["path"], dtype="int16", always_2d=True)
    assert abs(len(heard) / 48000 - 6) < 0.02
    for part in (slice(4800, 90_000), slice(195_000, 280_000)):
        like, delay = likeness(np.asarray(heard[part, 0]), quiet[part], 1920)
        assert like > 0.8 and delay < 720
