"""A call as it is handed out."""

from __future__ import annotations

from typing import Any

import pytest

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_normal_call(kit: Any, by: str) -> None:
    scene = kit.Scene()
    call = kit.one(kit.play([*scene.normal(by=by), *scene.media()], 15.0, close=False))
    assert (call.state, call.final_status, call.ended_by) == ("answered", 200, by)
    assert (call.caller, call.callee, call.caller_name) == ("101", "102", "Alice")
    assert call.started_ns == kit.at_ns(0)
    assert call.answered_ns == kit.at_ns(2)
    assert call.ended_ns == kit.at_ns(12)
    assert kit.voices(call) == {A: "caller", B: "callee"}
    assert call.media_expected
    assert not call.holds
    assert len(call.messages) == 7
    assert call.streams[0].formats[8].encoding == "PCMA"
    assert call.streams[0].formats[101].encoding == "TELEPHONE-EVENT"


@pytest.mark.parametrize("events", [[], [180]])
def test_the_capture_ends_before_the_answer(kit: Any, events: list[int]) -> None:
    scene = kit.Scene()
    call = kit.one(kit.play([scene.invite(), *(scene.response(1, status) for status in events)], 5))
    assert (call.state, call.ended_by, call.ended_ns) == ("incomplete", "capture-end", kit.at_ns(5))


def test_the_capture_ends_during_the_call(kit: Any) -> None:
    scene = kit.Scene()
    call = kit.one(kit.play([*scene.normal(bye=None), *scene.media()], 20.0))
    assert (call.state, call.ended_by, call.ended_ns) == ("answered", "capture-end", kit.at_ns(20))


def test_c6_answer_and_ack_were_lost(kit: Any) -> None:
    scene = kit.Scene()
    messages = [scene.invite(), scene.response(0.5, 180), scene.request(12, "BYE", 2, dialog=True)]
    call = kit.one(kit.play([*messages, *scene.media()], 15))
    assert (call.state, call.answered_ns, call.ended_ns) == ("answered", kit.at_ns(2.1), kit.at_ns(12))
