"""One list of keys, without doubles."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.digits import MAX_PRESSES, Mask, Pressed, by_info, hidden_of, masked, merged, to_silence
from bystander.sniffer.infodigits import InfoPress

MS = 1_000_000


def press(at_ms: int, digit: str, method: Any = "rfc4733", by: str = "caller", **more: Any) -> Pressed:
    return Pressed(at_ms * MS, digit, by, method, **more)


def told(found: list[Pressed]) -> list[tuple[int, str, str, str]]:
    return [(p.at_ns // MS, p.digit, p.by, p.method) for p in found]


def test_c15_a_press_told_three_ways_is_one_by_the_best_witness() -> None:
    tone = [press(1010, "5", "inband", duration_ms=90, level=4000)]
    info = [press(1150, "5", "info", duration_ms=160)]
    event = [press(1000, "5", duration_ms=100)]
    for sources in ([tone, info, event], [event, tone, info]):
        (found,) = merged(sources)
        assert (found.at_ns, found.method, found.duration_ms) == (1000 * MS, "rfc4733", 100)
    (found,) = merged([tone, [press(1150, "5", "info")]])
    assert (found.at_ns, found.method, found.duration_ms) == (1150 * MS, "info", 90)


def test_c13_a_press_seen_on_two_hops_is_one() -> None:
    assert told(merged([[press(1000, "5"), press(1300, "5")], [press(1004, "5"), press(1304, "5")]])) == [
        (1000, "5", "caller", "rfc4733"), (1300, "5", "caller", "rfc4733")
    ]  # fmt: skip


def test_the_same_key_again_and_again_is_matched_one_to_one() -> None:
    """INFO comes late: the second press's event is nearer to the first one's INFO than its own."""
    events = [press(1000 + 300 * n, "5") for n in range(4)]
    infos = [press(1240 + 300 * n, "5", "info") for n in range(4)]
    assert len(merged([events, infos])) == 4
    # One event was lost altogether: INFO knows of it.
    assert len(merged([events[1:], infos])) == 4


def test_other_keys_sides_and_times_are_presses_of_their_own() -> None:
    one = [press(1000, "5")]
    for other in (press(1010, "6", "inband"), press(4100, "5", "info"), press(1010, "5", by="callee"),
                  press(1500, "5", "inband")):  # fmt: skip
        assert len(merged([one, [other]])) == 2


def test_an_echo_of_a_key_is_no_press_of_the_other_side() -> None:
    tone = [press(1000, "5", "inband", level=4000)]
    echo = [press(1060, "5", "inband", by="callee", level=600)]
    assert told(merged([tone, echo])) == [(1000, "5", "caller", "inband")]
    assert told(merged([[press(1000, "5")], echo])) == [(1000, "5", "caller", "rfc4733")]
    loud = [press(1060, "5", "inband", by="callee", level=3900)]
    assert len(merged([tone, loud])) == 2
    # An echo comes behind what it is of.
    before = [press(800, "5", "inband", by="callee", level=600)]
    assert len(merged([tone, before])) == 2


def test_infos_of_two_legs_are_two_sources() -> None:
    one, two = InfoPress(1000 * MS, "5", "caller", 100, 0), InfoPress(1010 * MS, "5", "caller", 100, 1)
    assert len(merged(by_info([one, two]))) == 1
    assert len(merged(by_info([one, two._replace(leg=0)]))) == 2


def test_a_key_hidden_before_a_restart_is_the_press_that_an_event_tells_of() -> None:
    assert told(merged([[press(1000, "5")], [press(1100, "x", "info")]])) == [
        (1000, "5", "caller", "rfc4733")
    ]


def test_a_flood_is_bounded() -> None:
    many = [press(n * 1000, "5") for n in range(MAX_PRESSES + 50)]
    assert len(merged([many, [press(n * 1000 + 500, "6") for n in range(MAX_PRESSES)]])) == MAX_PRESSES


@pytest.mark.parametrize(
    ("shown", "caller", "callee"),
    [(None, "12345", "9#"), (0, "xxxxx", "xx"), (2, "12xxx", "9#"), (9, "12345", "9#")],
)
def test_masks(shown: int | None, caller: str, callee: str) -> None:
    presses = [press(1000 * n, digit) for n, digit in enumerate("12345")]
    presses += [press(1000 * n + 10_000, digit, by="callee") for n, digit in enumerate("9#")]
    seen = masked(presses, Mask(shown))
    assert "".join(p.digit for p in seen if p.by == "caller") == caller
    assert "".join(p.digit for p in seen if p.by == "callee") == callee
    assert [p.at_ns for p in seen] == [p.at_ns for p in presses]
    assert len(hidden_of(presses, Mask(shown))) == (caller + callee).count("x")
    assert Mask(shown).hides == (shown is not None)


def test_what_must_not_be_heard_is_each_tone_of_a_hidden_key_echoes_too() -> None:
    event, tone = press(1000, "5", duration_ms=100), press(1200, "5", "inband", duration_ms=80, level=900)
    echo, other = press(1230, "5", "inband", by="callee", level=90), press(9000, "7", "inband", level=900)
    presses = merged([[event], [tone, other], [echo]])
    assert to_silence(presses, [tone, other, echo], Mask(0)) == [presses[0], other, tone, other, echo]
    assert to_silence(presses, [tone, other, echo], Mask(1)) == [other, other]
    assert to_silence(presses, [tone, other, echo], Mask()) == []
