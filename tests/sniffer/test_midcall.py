"""Calls whose beginning was not seen (C6)."""

from __future__ import annotations

from typing import Any

from bystander.sniffer.calls import CallTable

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def test_c6_start_in_mid_call_with_a_session_refresh(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.request(30, "INVITE", 4, kit.sdp("10.0.0.1", 4000), dialog=True),
        scene.response(30.1, 200, 4, kit.sdp("10.0.0.2", 5000)),
        scene.request(60, "BYE", 5, dialog=True),
    ]
    call = kit.one(kit.play([*messages, *scene.media(0, 60)], 70))
    assert (call.state, call.ended_by) == ("answered", "caller")
    assert kit.voices(call) == {A: "caller", B: "callee"}
    assert call.started_ns == call.answered_ns == kit.at_ns(0)


def test_c6_only_the_end_was_seen(kit: Any) -> None:
    scene = kit.Scene()
    messages = scene.normal()[-2:]
    old, others = kit.stream(A, B, 0, 5), kit.stream(("10.0.0.7", 1), B, 0, 12)
    call = kit.one(kit.play([*messages, *scene.media(0, 12), old, others], 20))
    assert (call.state, call.ended_by, call.answered_ns) == ("answered", "caller", kit.at_ns(0))
    assert kit.voices(call) == {A: "caller", B: "callee"}


def test_c6_only_the_end_was_seen_and_the_media_is_ambiguous(kit: Any) -> None:
    scene = kit.Scene()
    call = kit.one(kit.play([*scene.normal()[-2:], *scene.media(0, 12), *scene.media(1, 12)], 20))
    assert call.streams == []


def test_a_bye_alone_is_no_call(kit: Any) -> None:
    table = CallTable()
    assert kit.run(table, [kit.Scene().request(1, "BYE", 2, dialog=True)], 20) == []
    assert table.counters["byes-without-call"] == 1
