"""Calls that come through the tunnels of a remote mirror, whole, from frames to the WAV."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from scenery import Line, Outcome, Scene

from benchmarks.headers import ethernet, ipv4

Play = Callable[..., Outcome]
Wrap = Callable[[bytes], bytes]
SWITCH, RECORDER = "192.0.2.1", "192.0.2.9"


def ip_in(frame: bytes, protocol: int) -> bytes:
    return ethernet(SWITCH, RECORDER) + ipv4(SWITCH, RECORDER, len(frame), protocol=protocol) + frame


def erspan(frame: bytes) -> bytes:
    return ip_in(struct.pack("!HHIII", 0x1000, 0x88BE, 1, 0x10050000, 0) + frame, 47)


def vxlan(frame: bytes) -> bytes:
    inside = struct.pack("!BxxxI", 0x08, 42 << 8) + frame
    return ip_in(struct.pack("!HHHH", 50000, 4789, 8 + len(inside), 0) + inside, 17)


def call(scene: Scene, line: Line) -> None:
    line.invite(0)
    line.answer(1)
    scene.talk(line.says(), 1, 9)
    scene.talk(line.replies(), 1, 9)
    line.bye(9)


@pytest.mark.parametrize(("wrap", "name"), [(erspan, "gre/erspan"), (vxlan, "vxlan")])
def test_a_call_all_in_a_tunnel(scene: Scene, line: Line, play: Play, wrap: Wrap, name: str) -> None:
    call(scene, line)
    scene.frames = [(at, wrap(frame)) for at, frame in scene.frames]
    heard = play(scene)
    assert heard.call["verdict"] == "recorded"
    assert heard.heard(0.05, 7.9) == ("caller", "callee")
    assert [stream["tunnel"] for stream in heard.call["streams"]] == [name, name]
    assert heard.result["counters"]["tunnels"] == {name: len(scene.frames)}


def test_signalling_bare_and_media_in_a_tunnel(scene: Scene, line: Line, play: Play) -> None:
    call(scene, line)
    scene.frames = [(at, frame if b"SIP/2.0" in frame else vxlan(frame)) for at, frame in scene.frames]
    assert play(scene).heard(0.05, 7.9) == ("caller", "callee")


@pytest.mark.parametrize("first", ["bare", "tunnel"])
def test_c13_seen_bare_and_in_a_tunnel_it_is_one_call(
    scene: Scene, line: Line, play: Play, first: str
) -> None:
    """More than a thousand packets of a stream in one block: copies are near each other all the same."""
    line.invite(0)
    line.answer(1)
    scene.talk(line.says(ptime_ms=10), 1, 21)
    scene.talk(line.replies(ptime_ms=10), 1, 21)
    line.bye(21)
    late = 0.0004 if first == "bare" else -0.0004
    scene.frames += [(max(0, at + late), erspan(frame)) for at, frame in scene.frames]
    heard = play(scene)
    assert heard.heard(0.05, 19.9) == ("caller", "callee")
    streams = heard.call["streams"]
    assert [(s["packets"], s["lost"], s["duplicates"]) for s in streams] == [(2000, 0, 2000)] * 2
    assert heard.result["unclaimed_streams"] == []


def test_media_on_the_port_of_a_tunnel(scene: Scene, play: Play) -> None:
    line = Line(scene, caller_media=("10.1.0.1", 4789), callee_media=("10.0.0.2", 2152))
    call(scene, line)
    heard = play(scene)
    assert heard.heard(0.05, 7.9) == ("caller", "callee")
    assert [(s["packets"], s["tunnel"]) for s in heard.call["streams"]] == [(400, None)] * 2
