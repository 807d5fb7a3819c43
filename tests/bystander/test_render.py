"""Calls in the terminal: everything that matters is there, within the width, and nothing from the wire acts
on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.render import call_facts, calls_table, ladder_table, legend, streams_table
from bystander.sniffer.ladder import ladder
from bystander.sniffer.sip import Arrival

Make = Callable[..., dict[str, Any]]
WARSAW = ZoneInfo("Europe/Warsaw")


def table(calls: list[dict[str, Any]], width: int, root: Path, **options: bool) -> list[str]:
    return [line.plain for line in calls_table(calls, root, width, WARSAW, **options)]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_fits_and_shows_each_call(
    installation: Path, make_call: Make, unanswered: Make, width: int
) -> None:
    root = installation.parent / "kept"
    calls = [
        make_call(0),
        unanswered(1, caller="1" * 90, callee="2" * 90, state="unanswered", final_status=480),
    ]
    lines = table(calls, width, root)
    assert lines[0] == "Monday 2026-11-23"
    assert lines[1].startswith("↘ 21:46:00    0:20  +48600100200 → 101 ")
    assert re.search(r"  recorded +⣿{16,}$", lines[1])
    assert str(root / "2026/0.wav") in (line.strip() for line in lines[2:4])
    assert lines[-1].startswith("↘ 21:47:00          111")
    assert "… → " in lines[-1]
    assert lines[-1].endswith("unanswered 480")
    assert max(len(line) for line in lines if ".wav" not in line) <= width


def test_a_path_that_does_not_fit_is_shown_whole_on_its_own_line(installation: Path, make_call: Make) -> None:
    root = installation.parent / "kept"
    name = f"{'a-long-name-' * 8}.wav"
    (root / "2026" / "0.wav").rename(root / name)
    call = make_call(0)
    call["recording"]["path"] = name
    lines = table([call], 80, root)
    assert lines[-1] == f"  {root / name}"


def test_each_day_has_a_heading_in_the_offices_zone(unanswered: Make, tmp_path: Path) -> None:
    lines = table([unanswered(minute) for minute in (0, 180, 240)], 80, tmp_path)
    assert [line for line in lines if "day" in line] == ["Monday 2026-11-23", "Tuesday 2026-11-24"]
    assert [line[2:7] for line in lines if "day" not in line] == ["21:46", "00:46", "01:46"]


def test_ids_are_shown_for_calls_of_the_index(make_call: Make, tmp_path: Path) -> None:
    call = {"id": "20261123-204600-k3f9qa", **make_call(0)}
    lines = table([call], 80, tmp_path, ids=True)
    assert lines[1].endswith("(no file)")
    assert lines[2] == "  20261123-204600-k3f9qa"


def test_no_calls_no_table(tmp_path: Path) -> None:
    assert table([], 80, tmp_path) == []


def test_the_legend_explains_the_signs_in_use(make_call: Make) -> None:
    calls = [make_call(direction="outgoing"), make_call(direction="unknown")]
    assert legend(calls).plain == "↗ outgoing   waveform: caller above, callee below"


EVIL = "\x1b]0;owned\x07\x9b31m\u202eevil\r\n"


def test_escape_sequences_in_names_do_not_reach_the_terminal(
    make_call: Make, arrivals: list[Arrival], tmp_path: Path
) -> None:
    call = make_call(caller=EVIL, callee=EVIL, caller_name=EVIL, call_id=EVIL)
    arrivals[1].message.reason = EVIL
    lines = [
        *table([call], 120, tmp_path),
        *(line.plain for line in call_facts(call, tmp_path, WARSAW)),
        *(line.plain for line in ladder_table(ladder(arrivals), 120)),
    ]
    text = "".join(lines)
    assert "evil" in text
    assert not set(EVIL[:1] + "\x07\x9b\u202e\r\n") & set(text)


def test_the_facts_of_a_call(make_call: Make, tmp_path: Path) -> None:
    pressed = [{"at": "2026-11-23T20:46:05.000Z", "digit": "*", "by": "caller", "method": "rfc4733"}]
    call = make_call(dtmf=pressed, linked_call_ids=["other@b"]) | {
        "delete_after": "2027-02-23",
        "held_by": ["A 1"],
    }
    lines = [line.plain for line in call_facts(call, tmp_path, WARSAW, tmp_path / "0.pcap")]
    assert lines[0] == "↘ +48600100200 → 101   answered 200   recorded"
    for line in (
        "  name       Łucja",
        "  started    2026-11-23 21:46:00.000",
        "  ended      2026-11-23 21:46:22.000 by caller",
        "  duration   20.000 s",
        "  Call-ID    0@office, other@b",
        "  hold       by callee, 21:46:00.000 to the end",
        "  digits     *  by caller (rfc4733)",
        f"  recording  {tmp_path / '2026/0.wav'}",
        f"  evidence   {tmp_path / '0.pcap'}",
        "  kept until 2027-02-23",
        "  held by    A 1",
    ):
        assert line in lines


def test_the_facts_of_a_call_without_audio(unanswered: Make, tmp_path: Path) -> None:
    lines = [line.plain for line in call_facts(unanswered(0), tmp_path, WARSAW)]
    assert lines[0].rstrip() == "↘ +48600100200 → 101   busy 486"
    assert not [line for line in lines if "recording" in line or "duration" in line or "answered" in line]


def test_streams_are_aligned_under_their_heading(make_call: Make) -> None:
    stream = make_call()["streams"][0]
    heading, first, second = (
        line.plain
        for line in streams_table([stream, {**stream, "by": "callee", "packets": 1, "codec": None}])
    )
    for name, value in {
        "by": "caller",
        "from": "10.0.0.1:4000",
        "ssrc": "0x1a2b3c4d",
        "codec": "PCMA",
    }.items():
        assert heading.index(name) == first.index(value)
    assert heading.index("packets") + 7 == first.index("999") + 3 == second.index(" 1 ") + 2
    assert heading.endswith("jitter ms")
    assert first.endswith("0.2")


def test_the_ladder_has_an_arrow_for_each_message(arrivals: list[Arrival]) -> None:
    lines = [line.plain for line in ladder_table(ladder(arrivals), 80)]
    assert lines[0].split() == ["10.0.0.1:5070", "10.0.0.2:5060"]
    assert [line for line in lines if "INVITE" in line and line.rstrip().endswith("▶│")]
    assert [line for line in lines if "◀" in line and "180 Ringing" in line]
    assert [line for line in lines if "BYE ×2" in line]
    assert [line for line in lines if "audio 10.0.0.1:4000 PCMA" in line]
    assert max(map(len, lines)) <= 80


@given(width=st.integers(30, 200), text=st.text(max_size=60))
def test_a_ladder_is_drawn_at_any_width_whatever_the_messages_say(width: int, text: str) -> None:
    from bystander.sniffer.ladder import Arrow, Ladder

    arrows = [
        Arrow(0, 0.0, source, target, text, text, "request", 3) for source in range(3) for target in range(3)
    ]
    lines = [line.plain for line in ladder_table(Ladder([text, "b", "c"], arrows), width)]
    assert sum("▶" in line or "◀" in line for line in lines) >= 6
    assert not any("\n" in line or "\x1b" in line for line in lines)


@pytest.mark.parametrize(
    ("state", "at", "star_at", "line"),
    [
        ("missing", None, None, "not heard"),
        ("heard", "2026-11-23T20:46:03.120Z", None, "whole, from 21:46:03.120"),
        (
            "cut",
            "2026-11-23T20:46:03.120Z",
            "2026-11-23T20:46:07.000Z",
            "cut after 4.5 s, from 21:46:03.120; * pressed at 21:46:07.000",
        ),
    ],
)
def test_r3_whether_the_announcement_was_heard(
    installation: Path, make_call: Make, state: str, at: str | None, star_at: str | None, line: str
) -> None:
    found = {"state": state, "at": at, "heard_s": 4.5, "score": 0.9, "star_at": star_at}
    call = make_call(0) | {"announcement": found}
    shown = [one.plain for one in call_facts(call, installation.parent, WARSAW)]
    assert f"  announced  {line}" in shown
