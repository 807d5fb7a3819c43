"""Senders that begin to count anew in mid-call (C14): no word is taken for a copy, or laid over another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scenery import Line, Outcome, Scene

Play = Callable[..., Outcome]
BOTH = ("caller", "callee")


@pytest.mark.parametrize("ts", [None, 0], ids=["timestamps go on", "timestamps too"])
@pytest.mark.parametrize("to", [0, 120])
def test_c14_numbers_begin_again_in_the_first_seconds(
    scene: Scene, line: Line, play: Play, to: int, ts: int | None
) -> None:
    """The exchange puts another source behind one SSRC: numbers fall back to some that were just used."""
    line.invite(0)
    line.answer(1)
    mine = line.says(seq=100, ts=40_000)
    scene.talk(mine, 1, 4)
    mine.seq = to
    mine.ts = mine.ts if ts is None else ts
    scene.talk(mine, 4, 8)
    scene.talk(line.replies(), 1, 8)
    line.bye(8)
    heard = play(scene)
    assert heard.heard(0.05, 2.95) == BOTH
    # Where timestamps begin again as well, two packets must have come before it is believed.
    assert heard.heard(3.05, 6.9) == BOTH
    said = next(stream for stream in heard.call["streams"] if stream["by"] == "caller")
    assert said["packets"] >= 348
    assert said["lost"] == 0


def test_c14_the_same_prompt_again_and_again(scene: Scene, line: Line, play: Play) -> None:
    """Two seconds played four times, packet by packet the same, as test tools and prompts do."""
    line.invite(0)
    line.answer(1)
    theirs = line.replies()
    for at in (1, 3, 5, 7):
        theirs.seq, theirs.ts = 10, 1000
        scene.talk(theirs, at, at + 2)
    scene.talk(line.says(), 1, 9)
    line.bye(9)
    heard = play(scene)
    for at in (0, 2, 4, 6):
        assert heard.heard(at + 0.1, at + 1.95) == BOTH


@pytest.mark.parametrize("back", [80, 700, 3000, 7900])
def test_c14_timestamps_that_step_back_lay_nothing_over_what_was_said(
    scene: Scene, line: Line, play: Play, back: int
) -> None:
    """By less than a second, the sequence going on: what was said before stays whole."""
    line.invite(0)
    line.answer(1)
    mine = line.says(seq=20_000, ts=50_000)
    scene.talk(mine, 1, 3)
    mine.ts -= back
    scene.talk(mine, 3, 6)
    scene.talk(line.replies(), 1, 6)
    line.bye(6)
    heard = play(scene)
    assert heard.heard(0.05, 4.9) == BOTH
    assert heard.call["recording"]["duration_s"] == 5.0
