"""C16: calls of an hour whose telephones' clocks drift apart, holds of an hour, counters that wrap.

Every packet has a payload of its own, so that where it lies in the recording can be told to the sample; where
it belongs is when it was sent. Made by the array and put through `extract`, from capture file to WAV.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bystander.codecs.g711 import PCMA, table
from bystander.extract import extract
from bystander.storage.entry import time_ns
from tests.scenes.scenery import START_NS, Line, Scene, sdp

S = 1_000_000_000
FRAME = 14 + 20 + 8 + 12 + 160
#: What is asked for: sides and length within 20 ms.
NEAR_S = 0.020

Ints = NDArray[np.int64]


@dataclass
class Side:
    """One telephone's stream: its clock's error, and when its packets were sent, s from the scene's start."""

    src: tuple[str, int]
    dst: tuple[str, int]
    ppm: float
    sent: NDArray[np.float64]
    ts: Ints
    seed: int
    delay_s: float = 0.005
    jitter_s: float = 0.002

    @property
    def payload(self) -> NDArray[np.uint8]:
        """uint8[n, 160], different in every packet; of half of all values, or it would be ciphertext."""
        return np.random.default_rng(self.seed).integers(0, 128, (len(self.sent), 160), dtype=np.uint8)

    def captured(self) -> tuple[Ints, NDArray[np.uint8]]:
        """When each frame is captured, ns, and the frames, uint8[n, FRAME]."""
        late = np.random.default_rng(self.seed + 1).exponential(self.jitter_s, len(self.sent))
        at = START_NS + ((self.sent + self.delay_s + np.minimum(late, 0.015)) * S).astype(np.int64)
        head = Scene()
        head.send(0, self.src, self.dst, bytes(172))
        frames = np.tile(np.frombuffer(head.frames[0][1], np.uint8), (len(at), 1))
        frames[:, 42:44] = (0x80, PCMA)
        frames[:, 44:46] = _bytes_of(65_000 + np.arange(len(at)), 2)
        frames[:, 46:50] = _bytes_of(self.ts, 4)
        frames[:, 50:54] = _bytes_of(np.full(len(at), 0x1000 + self.seed), 4)
        frames[:, 54:] = self.payload
        frames[:, 40:42] = 0  # no UDP checksum
        return at, frames


def _bytes_of(values: Ints, width: int) -> NDArray[np.uint8]:
    return values.astype(f">u{8}").view(np.uint8).reshape(-1, 8)[:, 8 - width :]


def talking(begin: float, end: float, ppm: float) -> NDArray[np.float64]:
    """When a telephone with that clock sends its packets of 20 ms."""
    step = 0.02 / (1 + ppm * 1e-6)
    times: NDArray[np.float64] = begin + np.arange(int((end - begin) / step)) * step
    return times


def stamps(sent: NDArray[np.float64], ppm: float, first: int = 2**32 - 40_000) -> Ints:
    """RTP timestamps by the sender's clock, whenever it sends; they wrap within seconds."""
    ticks: Ints = np.rint((sent - sent[0]) * 8000 * (1 + ppm * 1e-6)).astype(np.int64)
    return (first + ticks) % 2**32


def capture(path: Path, scene: Scene, sides: list[Side]) -> None:
    """Write the signalling of a scene and the media of the sides as a capture file."""
    times, rows = zip(*(side.captured() for side in sides), strict=True)
    at, frames = np.concatenate(times), np.concatenate(rows)
    order = np.argsort(at, kind="stable")
    at, frames = at[order], frames[order]
    records = np.empty((len(at), 16 + FRAME), np.uint8)
    head = np.stack((at // S, at % S // 1000, np.full(len(at), FRAME), np.full(len(at), FRAME)), axis=1)
    records[:, :16] = head.astype("<u4").view(np.uint8).reshape(-1, 16)
    records[:, 16:] = frames
    plain = sorted(scene.frames, key=lambda item: item[0])
    with path.open("wb") as file:
        file.write(Scene().pcap())
        cut = 0
        for when, frame in plain:
            upto = int(np.searchsorted(at, START_NS + round(when * S)))
            file.write(records[cut:upto].data)
            cut = upto
            file.write(Scene([(when, frame)]).pcap()[24:])
        file.write(records[cut:].data)


def sent_as_recorded(audio: NDArray[np.int16], starts_s: float, side: Side, number: int) -> float:
    """How much later than it was sent a packet lies in a channel of the recording, s."""
    wanted = table(PCMA)[side.payload[number]].astype(np.int16)
    expected = round((side.sent[number] - starts_s) * 8000)
    low = max(0, expected - 4000)
    part = audio[low : expected + 4000]
    windows = np.lib.stride_tricks.sliding_window_view(part, 40)
    found = np.flatnonzero((windows == wanted[60:100]).all(axis=1))
    assert len(found) == 1, f"packet {number} was found {len(found)} times"
    return float(low + found[0] - 60) / 8000 + starts_s - side.sent[number]


def recorded(tmp_path: Path, scene: Scene, sides: list[Side]) -> tuple[dict[str, Any], list[Any], float]:
    """Extract; return the call, its two channels, and when the recording starts, s from the scene's start."""
    capture(tmp_path / "long.pcap", scene, sides)
    (call,) = extract([tmp_path / "long.pcap"], tmp_path / "out")["calls"]
    audio, rate = soundfile.read(tmp_path / "out" / call["recording"]["path"], dtype="int16")
    assert rate == 8000
    starts_s = (time_ns(call["recording"]["starts_at"]) - START_NS) / S
    return call, [audio[:, 0], audio[:, 1]], starts_s


def check(
    call: dict[str, Any], channels: list[Any], starts_s: float, sides: list[Side], length_s: float
) -> None:
    """Both sides lie within 20 ms of when they spoke, and of each other, to the end; so is the length."""
    assert call["recording"]["duration_s"] == pytest.approx(length_s, abs=NEAR_S)
    assert call["verdict"] == "recorded"
    for share in (0.001, 0.25, 0.5, 0.75, 0.999):
        errors = [
            sent_as_recorded(channel, starts_s, side, int(len(side.sent) * share))
            for channel, side in zip(channels, sides, strict=True)
        ]
        assert all(abs(error) < NEAR_S for error in errors), (share, errors)
        assert abs(errors[0] - errors[1]) < NEAR_S, (share, errors)


@pytest.mark.parametrize(("caller_ppm", "callee_ppm"), [(50.0, -50.0), (-130.0, 120.0)])
def test_c16_an_hour_of_clocks_that_drift_apart(tmp_path: Path, caller_ppm: float, callee_ppm: float) -> None:
    """100 ppm is 360 ms in an hour; sequence numbers wrap twice, timestamps once (C14)."""
    scene = Scene()
    line = Line(scene)
    line.invite(0)
    line.answer(1)
    line.bye(3601)
    sides = []
    for seed, (src, dst, ppm) in enumerate(
        [
            (line.caller_media, line.callee_media, caller_ppm),
            (line.callee_media, line.caller_media, callee_ppm),
        ]
    ):
        sent = talking(1.0 + 0.4 * seed, 3600.9, ppm)
        sides.append(Side(src, dst, ppm, sent, stamps(sent, ppm), seed))
    call, channels, starts_s = recorded(tmp_path, scene, sides)
    check(call, channels, starts_s, sides, 3600.0)
    said = {stream["by"]: stream for stream in call["streams"]}
    for by, side in zip(("caller", "callee"), sides, strict=True):
        assert said[by]["lost"] == 0
        assert said[by]["packets"] == len(side.sent)
        assert said[by]["quality"]["clock_drift_ppm"] == pytest.approx(side.ppm, abs=1.0)


@pytest.mark.parametrize("counts", ["on", "not", "anew"])
def test_c8_c16_a_hold_of_an_hour_between_drifting_clocks(tmp_path: Path, counts: str) -> None:
    """Timestamps that go on through the hold are 360 ms off by its end; others stand still, or begin anew."""
    scene = Scene()
    line = Line(scene)
    line.invite(0)
    line.answer(1)
    hold = (sdp(*line.caller_media, mode="sendonly"), sdp(*line.callee_media, mode="recvonly"))
    line.reinvite(21, *hold)
    line.reinvite(3621, sdp(*line.caller_media), sdp(*line.callee_media), cseq=3)
    line.bye(3641)
    sides = []
    for seed, (src, dst, ppm) in enumerate(
        [(line.caller_media, line.callee_media, 100.0), (line.callee_media, line.caller_media, -100.0)]
    ):
        before, after = talking(1, 21, ppm), talking(3621.1, 3640.9, ppm)
        sent = np.concatenate([before, after])
        ts = stamps(sent, ppm)
        if counts == "not":
            ts[len(before) :] = stamps(after, ppm, int(ts[len(before) - 1]) + 160)
        elif counts == "anew":
            ts[len(before) :] = stamps(after, ppm, 77_777)
        sides.append(Side(src, dst, ppm, sent, ts, seed))
    call, channels, starts_s = recorded(tmp_path, scene, sides)
    check(call, channels, starts_s, sides, 3640.0)
    assert [hold["by"] for hold in call["holds"]] == ["caller"]
