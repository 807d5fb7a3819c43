"""The ladder of a call."""

from __future__ import annotations

from typing import Any

from bystander.render import ladder_table
from bystander.sniffer.ladder import Ladder, ladder


def drawn_lines(drawn: Ladder) -> list[str]:
    return [line.plain for line in ladder_table(drawn, 100)]


def test_columns_and_arrows(kit: Any) -> None:
    drawn = ladder(kit.Scene().normal())
    assert drawn.columns == ["10.0.0.1:5060", "10.0.0.2:5060"]
    assert [(a.source, a.target, a.label, a.kind) for a in drawn.arrows] == [
        (0, 1, "INVITE", "request"),
        (1, 0, "100 Trying", "provisional"),
        (1, 0, "180 Ringing", "provisional"),
        (1, 0, "200 OK", "success"),
        (0, 1, "ACK", "request"),
        (0, 1, "BYE", "request"),
        (1, 0, "200 OK", "success"),
    ]
    assert drawn.arrows[0].note == "audio 10.0.0.1:4000 PCMA, TELEPHONE-EVENT"
    assert [a.offset_ms for a in drawn.arrows][:4] == [0, 100, 500, 2000]


def test_a_proxy_is_a_column_between(kit: Any) -> None:
    scene = kit.Scene()
    proxy = ("10.0.0.9", 5060)
    messages = [
        scene.invite(hop=(scene.caller, proxy)),
        scene.invite(1, hop=(proxy, scene.callee), branch="d"),
    ]
    drawn = ladder([*messages, scene.response(2, 486, hop=(scene.callee, proxy))])
    assert drawn.columns == ["10.0.0.1:5060", "10.0.0.9:5060", "10.0.0.2:5060"]
    assert [(a.source, a.target) for a in drawn.arrows] == [(0, 1), (1, 2), (2, 1)]
    assert drawn.arrows[-1].kind == "failure"


def test_retransmissions_are_one_arrow(kit: Any) -> None:
    scene = kit.Scene()
    drawn = ladder([scene.invite(), scene.invite(0.5), scene.invite(1.5), scene.answer(2)])
    assert [(a.label, a.repeats) for a in drawn.arrows] == [("INVITE", 2), ("200 OK", 0)]
    assert "INVITE ×3" in drawn_lines(drawn)[1]


def test_changing_ports_are_one_column_but_one_machine_is_two(kit: Any) -> None:
    moving = [kit.Scene(caller=("10.0.0.1", port)).invite(port / 100) for port in (1, 2)]
    assert ladder(moving).columns == ["10.0.0.1", "10.0.0.2:5060"]
    local = kit.Scene(caller=("::1", 5060), callee=("::1", 5080))
    assert ladder(local.normal()).columns == ["[::1]:5060", "[::1]:5080"]


def test_lines(kit: Any) -> None:
    lines = drawn_lines(ladder(kit.Scene().normal()))
    assert lines[0].split() == ["10.0.0.1:5060", "10.0.0.2:5060"]
    arrows = [line for line in lines[1:] if line[:10].strip()]
    assert len(arrows) == 7
    assert arrows[0].startswith("    0.000")
    assert "▶" in arrows[0]
    assert "◀" in arrows[1]
    assert {line.rfind("│") for line in arrows if "◀" in line} == {arrows[1].rfind("│")}


def test_nothing_to_draw() -> None:
    assert ladder([]).columns == []
    assert drawn_lines(ladder([])) == [""]
