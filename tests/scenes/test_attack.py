"""Floods, with one call in the midst of them: it is recorded whole, and everything is bounded."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from scenery import Line, Outcome, Scene, rtp, sdp

from benchmarks.attack import FLOODS
from bystander.extract import extract
from bystander.pipeline import PipelineSettings

Play = Callable[..., Outcome]
QUIET = b"\xd5" * 160


def call(line: Line) -> None:
    line.invite(1)
    line.answer(1.5)
    line.scene.talk(line.says(), 1.5, 6)
    line.scene.talk(line.replies(), 1.5, 6)
    line.bye(6)


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("target", ["the call's port", "elsewhere"])
def test_ssrcs(scene: Scene, line: Line, play: Play, each: int, target: str) -> None:
    """C11: thousands of SSRCs, more than a block's share; the call's streams are among them all the same."""
    call(line)
    port = line.callee_media if target == "the call's port" else ("10.0.0.9", 9000)
    for number in range(8000):
        for again in range(each):
            packet = rtp(again, again * 160, 0x40000000 + number, QUIET)
            scene.send(number / 1000 + 0.02 * again, ("10.7.0.1", 6000), port, packet)
    heard = play(scene)
    assert heard.heard(1.05, 4.4) == ("caller", "callee")
    assert heard.call["duration_s"] == 4.5
    assert len(heard.call["streams"]) <= 258


def test_a_full_table_of_streams(
    scene: Scene, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that fell silent make room before the call that comes last is refused."""
    monkeypatch.setattr("bystander.extract.PipelineSettings", partial(PipelineSettings, max_streams=64))
    files = []
    for second in range(20):
        part = Scene()
        for number in range(10):
            for again in range(2):
                packet = rtp(again, again * 160, 1000 * second + number, QUIET)
                part.send(second + number / 20 + again / 50, ("10.7.0.1", 6000), ("10.0.0.9", 9000), packet)
        files.append(tmp_path / f"{second:02}.pcap")
        files[-1].write_bytes(part.pcap())
    line.invite(20)
    line.answer(20.5)
    scene.talk(line.says(), 20.5, 24)
    scene.talk(line.replies(), 20.5, 24)
    line.bye(24)
    (tmp_path / "last.pcap").write_bytes(scene.pcap())
    heard = Outcome(extract([*files, tmp_path / "last.pcap"], tmp_path / "out"), tmp_path / "out")
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 3.4) == ("caller", "callee")


def test_requests_in_the_dialog(scene: Scene, line: Line, play: Play) -> None:
    """Somebody who knows the tags sends re-INVITEs that name other addresses, before the media and after."""
    call(line)
    for number in range(2000):
        body = sdp("10.7.0.1", 6000 + 2 * number)
        at = max(0.9 + number / 400, 1.52)
        line.message(at, "INVITE sip:x@x SIP/2.0", f"{20 + number} INVITE", body)
    heard = play(scene)
    assert heard.heard(0.05, 4.4) == ("caller", "callee")


@pytest.mark.parametrize("flood", FLOODS.values(), ids=list(FLOODS))
def test_floods_of_every_kind(
    scene: Scene, line: Line, play: Play, flood: Callable[[int, random.Random], bytes]
) -> None:
    """`python -m benchmarks attack` has the same at length, with what they cost in memory."""
    call(line)
    rng = random.Random(7)
    scene.frames += [(0.5 + number / 400, flood(number, rng)) for number in range(2400)]
    outcome = play(scene)
    (ours,) = (one for one in outcome.calls if one["call_id"] == line.call_id)
    assert ours["verdict"] == "recorded"
    assert outcome.heard(0.05, 4.4, ours) == ("caller", "callee")


@pytest.mark.parametrize("before", [True, False])
def test_c10_strangers_who_claim_the_calls_media(scene: Scene, line: Line, play: Play, before: bool) -> None:
    """Offers from elsewhere that name the addresses of a call in progress take nothing away from it."""
    call(line)
    for number in range(300):
        body = sdp(*(line.caller_media if number & 1 else line.callee_media))
        stranger = Line(
            scene, f"stranger-{number}@x", caller_sip=("10.7.0.1", 5060), tags=(f"s{number}", "t")
        )
        stranger.invite((0.1 if before else 2.0) + number / 1000, body)
    outcome = play(scene)
    (ours,) = (one for one in outcome.calls if one["call_id"] == line.call_id)
    assert ours["verdict"] == "recorded"
    assert outcome.heard(0.05, 4.4, ours) == ("caller", "callee")
