"""What ends a call and what does not, and calls that come again under one Call-ID (C6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scenery import Line, Outcome, Scene

Play = Callable[..., Outcome]
BOTH = ("caller", "callee")


def talk(scene: Scene, line: Line, begin: float, end: float) -> None:
    scene.talk(line.says(), begin, end)
    scene.talk(line.replies(), begin, end)


@pytest.mark.parametrize("status", ["401 Unauthorized", "407 Proxy Authentication Required"])
def test_c6_a_bye_that_is_challenged_ends_nothing_yet(
    scene: Scene, line: Line, play: Play, status: str
) -> None:
    """The proxy asks for a password; the telephone takes its time, and both are still heard."""
    line.invite(0)
    line.answer(1)
    talk(scene, line, 1, 6)
    line.message(4, "BYE sip:x@x SIP/2.0", "2 BYE")
    line.message(4.01, f"SIP/2.0 {status}", "2 BYE", by="callee")
    line.bye(6, cseq=3)
    heard = play(scene)
    assert (heard.call["ended_by"], heard.call["duration_s"]) == ("caller", 5.0)
    assert heard.heard(0.05, 4.9) == BOTH


def test_c6_a_bye_of_another_dialog_ends_nothing(scene: Scene, line: Line, play: Play) -> None:
    """Anybody can send a BYE with the right Call-ID; the telephone refuses it, and the call goes on."""
    line.invite(0)
    line.answer(1)
    talk(scene, line, 1, 6)
    forged = Line(scene, tags=("from-1", "guessed"), caller_sip=("10.9.9.9", 5060))
    forged.message(3, "BYE sip:x@x SIP/2.0", "2 BYE")
    forged.message(3.01, "SIP/2.0 481 Call/Transaction Does Not Exist", "2 BYE", by="callee")
    line.bye(6)
    heard = play(scene)
    assert heard.call["duration_s"] == 5.0
    assert heard.heard(0.05, 4.9) == BOTH


def test_c6_a_bye_with_tags_that_were_not_seen_counts_when_it_is_accepted(
    scene: Scene, line: Line, play: Play
) -> None:
    """A proxy that takes liberties with tags: the other side agrees to the end of the call."""
    line.invite(0)
    line.answer(1)
    talk(scene, line, 1, 5)
    line.tags = ("from-1", "another")
    line.bye(5)
    heard = play(scene)
    assert heard.call["ended_by"] == "caller"
    assert heard.call["duration_s"] == pytest.approx(4.01)


def test_c6_the_next_telephone_is_tried_with_the_same_call_id_and_number(scene: Scene, play: Play) -> None:
    """Ten seconds after the first one failed: only the branch of the INVITE is new."""
    first = Line(scene, callee="200", callee_sip=("10.1.0.20", 5060), tags=("from-1", "to-1"))
    first.message(0, "INVITE sip:200@x SIP/2.0", "1 INVITE", to_tag=False, branch="one")
    first.message(0.2, "SIP/2.0 180 Ringing", "1 INVITE", by="callee", branch="one")
    first.message(20, "SIP/2.0 480 Temporarily Unavailable", "1 INVITE", by="callee", branch="one")
    first.message(20.01, "ACK sip:x@x SIP/2.0", "1 ACK", branch="one")
    other = Line(scene, "other@phone")
    for second in range(20, 30):  # something every now and then: the capture's clock goes on
        other.message(second + 0.5, "OPTIONS sip:x@x SIP/2.0", f"{second} OPTIONS", to_tag=False)
    # What the first one sends late is no call.
    first.message(28.9, "INVITE sip:200@x SIP/2.0", "1 INVITE", to_tag=False, branch="one")
    then = Line(scene, callee="201", callee_sip=("10.1.0.21", 5060), tags=("from-1", "to-2"))
    then.invite(30)
    then.answer(31)
    talk(scene, then, 31, 34)
    then.bye(34)
    heard = play(scene)
    assert [(call["callee"], call["state"]) for call in heard.calls] == [
        ("200", "unanswered"), ("201", "answered")
    ]  # fmt: skip
    assert heard.heard(0.05, 2.9, heard.calls[1]) == BOTH
    assert not heard.result["unclaimed_streams"]
