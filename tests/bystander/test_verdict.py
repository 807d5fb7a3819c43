"""Every answered call has exactly one verdict."""

from __future__ import annotations

import itertools

import pytest

from bystander.verdict import VERDICTS, Evidence, judge


def evidence(**facts: object) -> Evidence:
    known: dict[str, object] = {
        "answered": True,
        "excluded": False,
        "sides_heard": 2,
        "encrypted": False,
        "unsupported": False,
        "capture_loss": False,
    }
    return Evidence(**(known | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({}, "recorded"),
        ({"answered": False}, None),
        ({"sides_heard": 1}, "one-way"),
        ({"sides_heard": 0}, "no-media"),
        ({"sides_heard": 0, "encrypted": True}, "encrypted"),
        ({"sides_heard": 0, "unsupported": True}, "unsupported-codec"),
        ({"sides_heard": 0, "encrypted": True, "unsupported": True}, "encrypted"),
        ({"capture_loss": True}, "partial"),
        ({"capture_loss": True, "sides_heard": 1}, "partial"),
        ({"excluded": True, "sides_heard": 0}, "excluded"),
    ],
)
def test_the_verdict(facts: dict[str, object], verdict: str | None) -> None:
    assert judge(evidence(**facts)) == verdict


def test_c22_no_answered_call_is_without_one() -> None:
    flags = ("excluded", "encrypted", "unsupported", "capture_loss")
    for values in itertools.product((False, True), repeat=len(flags)):
        for sides in (0, 1, 2):
            assert judge(evidence(sides_heard=sides, **dict(zip(flags, values, strict=True)))) in VERDICTS
