"""The protocols of listening (R14)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bystander.custody import listening, protocols
from bystander.custody.desk import CustodyProblem, Desk, Rules
from bystander.custody.listening import Ask
from bystander.custody.protocols import Protocol
from bystander.storage.index import Index
from tests.bureau import DAY_NS, Bureau
from tests.vaultkit import name_of

REST = ("location", "breach", "causes", "actions", "inquiry")


@pytest.fixture
def opened(bureau: Bureau) -> Bureau:
    """Anna has listened; protocol 1 is open."""
    asked = Ask(name_of(1), "K 7/26", "quality", "skarga", [bureau.unlock("Anna")])
    bureau.at(lambda desk: listening.begin(desk, asked))
    return bureau


def fill(bureau: Bureau, **said: str) -> Protocol:
    return bureau.at(lambda desk: protocols.fill(desk, 1, said))


def test_r14_each_listening_opens_one_and_it_is_complete_when_all_is_filled(opened: Bureau) -> None:
    made = fill(opened, parties=" Jan Kowalski, referent ")
    assert (made.fields, made.missing, made.completed_ns) == (
        {"parties": "Jan Kowalski, referent"},
        list(REST),
        None,
    )
    made = fill(opened, **dict.fromkeys(REST, "opisano"))
    assert (made.missing, made.completed_ns) == ([], opened.now_ns)
    told = [(facts["fields"], facts["complete"]) for facts in opened.journal("protocol-filled")]
    assert told == [(["parties"], False), (sorted(REST), True)]


def test_r14_what_was_signed_does_not_change(opened: Bureau) -> None:
    fill(opened, parties="a", **dict.fromkeys(REST, "b"))
    with pytest.raises(CustodyProblem, match="only the position"):
        fill(opened, causes="inne")
    with pytest.raises(CustodyProblem, match="only the position"):
        fill(opened, causes="inne", position="bez uwag")
    made = fill(opened, position="bez uwag")
    assert made.fields["position"] == "bez uwag" and made.fields["causes"] == "b"


def test_r14_a_field_filled_again_before_it_is_complete(opened: Bureau) -> None:
    fill(opened, parties="a")
    assert fill(opened, parties="b").fields["parties"] == "b"


@pytest.mark.parametrize("on", ["2026-08-31", "2020-01-01"])
def test_r14_the_position_is_of_no_day_before_the_listening(opened: Bureau, on: str) -> None:
    opened.now_ns += 2 * DAY_NS
    for said in ({"position": "bez uwag", "position_on": on}, {"position_on": on, "parties": "Jan"}):
        with pytest.raises(CustodyProblem, match="the listening was on 2026-09-01"):
            fill(opened, **said)
    assert fill(opened, parties="Jan").fields == {"parties": "Jan"}
    for day in ("2026-09-01", "2026-09-03"):
        assert fill(opened, position="bez uwag", position_on=day).fields["position_on"] == day
    assert fill(opened, position="uwagi").fields["position_on"] == "2026-09-03"


@pytest.mark.parametrize(
    "said", [{}, {"parties": " "}, {"verdict": "x"}, {"parties": "\x1b[2J"}, {"parties": "\u200b"}]
)
def test_what_says_nothing_fills_nothing(opened: Bureau, said: dict[str, str]) -> None:
    with pytest.raises(CustodyProblem):
        fill(opened, **said)
    assert opened.at(lambda desk: protocols.protocol(desk.index, 1)).fields == {}


def test_a_long_answer_may_have_lines(opened: Bureau) -> None:
    assert fill(opened, breach="raz\ndwa\n\ttrzy").fields["breach"] == "raz\ndwa\n\ttrzy"


def test_no_such_protocol(opened: Bureau) -> None:
    with pytest.raises(CustodyProblem, match="no such protocol"):
        opened.at(lambda desk: protocols.fill(desk, 2, {"parties": "a"}))


def test_r14_two_who_fill_it_at_once_lose_nothing(opened: Bureau) -> None:
    async def both(desk: Desk) -> None:
        async with await Index.open(desk.index.path) as index:
            other = replace(desk, index=index)
            await asyncio.gather(
                protocols.fill(desk, 1, {"parties": "a"}), protocols.fill(other, 1, {"location": "b"})
            )

    opened.at(both)
    assert opened.at(lambda desk: protocols.protocol(desk.index, 1)).fields == {
        "parties": "a",
        "location": "b",
    }


def test_r14_overdue_after_the_configured_days_and_not_before(opened: Bureau) -> None:
    opened.rules = Rules(protocol_days=1.5)

    async def late(desk: Desk) -> list[list[int]]:
        from bystander.custody.persons import register

        return [await protocols.overdue(desk, who) for who in await register(desk.index)]

    opened.now_ns += DAY_NS
    assert opened.at(late) == [[], []]
    opened.now_ns += DAY_NS // 2
    assert opened.at(late) == [[1], []]
    fill(opened, parties="a", **dict.fromkeys(REST, "b"))
    assert opened.at(late) == [[], []]


def test_protocols_of_a_period(opened: Bureau) -> None:
    def within(since_ns: int, until_ns: int) -> int:
        return len(
            opened.at(lambda desk: protocols.protocols(desk.index, since_ns=since_ns, until_ns=until_ns))
        )

    assert within(opened.now_ns, opened.now_ns + 1) == 1
    assert within(opened.now_ns + 1, opened.now_ns + 2) == within(0, opened.now_ns) == 0
