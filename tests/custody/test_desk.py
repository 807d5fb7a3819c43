"""The desk: whose time it is, how acts are refused, and what text is taken."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.custody.desk import CustodyProblem, Desk, Refused, day, is_worded, worded
from bystander.retention.erasure import Cause
from tests.bureau import Bureau
from tests.vaultkit import name_of


def test_the_day_is_the_offices(bureau: Bureau) -> None:
    bureau.now_ns = 1_788_300_000_000_000_000 - 3_600_000_000_000 * 1  # 2026-09-01T21:00:00Z
    assert bureau.at(_today) == date(2026, 9, 1)
    bureau.now_ns += 3_600_000_000_000
    assert bureau.at(_today) == date(2026, 9, 2)


async def _today(desk: Desk) -> date:
    return desk.today


def test_an_act_that_is_refused_is_journalled(bureau: Bureau) -> None:
    async def work(desk: Desk) -> None:
        desk.refuse("listen", "no-case", "no case", recording="r", person=None)

    with pytest.raises(Refused, match="no case") as told:
        bureau.at(work)
    assert told.value.code == "no-case"
    assert bureau.journal("refused") == [{"what": "listen", "why": "no-case", "recording": "r"}]


def test_what_is_no_text_is_no_reason_for_no_entry(bureau: Bureau) -> None:
    async def work(desk: Desk) -> None:
        desk.refuse("listen", "x", "x", case="\udce9\udcff")

    with pytest.raises(Refused):
        bureau.at(work)
    assert bureau.journal("refused")[0]["case"] == "??"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/", "%", "2026*", "' OR 1=1 --", "\x1b[2J", "\udce9", "a\nb"]
)
def test_a_hostile_name_finds_nothing(bureau: Bureau, name: str) -> None:
    async def work(desk: Desk) -> Any:
        return await desk.recording("listen", name)

    with pytest.raises(Refused) as told:
        bureau.at(work)
    assert told.value.code == "unknown"
    assert bureau.journal("refused") == [{"what": "listen", "why": "unknown"}]


def test_a_recording_is_found_by_its_beginning_and_an_erased_one_is_told(bureau: Bureau) -> None:
    name = name_of(1)
    assert bureau.at(lambda desk: desk.recording("listen", name[:-6])).id == name
    bureau.kit.erasing(lambda one: one.erase([name], Cause("request", "t", "r", "g"), bureau.now_ns))
    with pytest.raises(Refused, match="nothing of it is left"):
        bureau.at(lambda desk: desk.recording("listen", name))


@given(st.text(max_size=30))
def test_text_that_is_taken_says_something_and_hides_nothing(text: str) -> None:
    if not is_worded(text):
        with pytest.raises(CustodyProblem):
            worded(text, "it")
        return
    taken = worded(text, "it")
    assert any(character.isalnum() for character in taken) and taken in text
    assert not set(taken) & {"\x1b", "\r", "\x00", "\x9b", "\u202e", "\u2066"}
    taken.encode()


@given(st.dates())
def test_dates_are_kept_as_they_are_written(when: date) -> None:
    assert day(f" {when.isoformat()} ", "it") == when.isoformat()


@pytest.mark.parametrize("text", ["", "2026-13-01", "1.9.2026", "tomorrow", "2026-09-01T10:00"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(CustodyProblem, match="write it as 2026-11-23"):
        day(text, "it")
