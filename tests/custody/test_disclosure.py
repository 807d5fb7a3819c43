"""Requests, decisions, and what may be handed over (R15)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bystander.custody import disclosure, persons, protocols, rights
from bystander.custody.desk import CustodyProblem, Desk, Refused
from bystander.custody.disclosure import Request
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from tests.bureau import Bureau
from tests.vaultkit import name_of

ASKED = Request(
    "Komenda Policji", "2026-08-30", "art. 217 kpk", "Ds 1/26", "security", [name_of(1), name_of(2)]
)


def entered(bureau: Bureau, **changes: Any) -> int:
    return bureau.at(lambda desk: disclosure.request(desk, replace(ASKED, **changes))).number


def refusal(bureau: Bureau, work: Callable[[Desk], Any]) -> str:
    with pytest.raises(Refused) as told:
        bureau.at(work)
    assert bureau.refusals()[-1] == told.value.code
    return told.value.code


def test_r15_a_request_a_decision_and_what_it_is_for(bureau: Bureau) -> None:
    number = entered(bureau, recordings=[name_of(2), name_of(1), name_of(2)])
    made = bureau.at(lambda desk: disclosure.decide(desk, number, "consent", " Prezydent ", "2026-09-01"))
    assert (made.state, made.decided_by, made.decided_on) == ("consented", "Prezydent", "2026-09-01")
    found, names = bureau.at(lambda desk: disclosure.permitted(desk, number))
    assert names == list(found.recordings) == [name_of(1), name_of(2)]
    assert bureau.at(lambda desk: disclosure.permitted(desk, number, [name_of(2)]))[1] == [name_of(2)]
    assert bureau.journal("disclosure-requested")[0]["recordings"] == [name_of(2), name_of(1)]
    assert bureau.journal("disclosure-decided") == [{"disclosure": 1, "decision": "consent"}]


def test_r15_refusals_are_kept(bureau: Bureau) -> None:
    number = entered(bureau)
    bureau.at(lambda desk: disclosure.decide(desk, number, "refusal", "Prezydent", reason="brak podstawy"))
    (kept,) = bureau.at(lambda desk: disclosure.disclosures(desk.index))
    assert (kept.state, kept.decision_reason, kept.applicant) == (
        "refused",
        "brak podstawy",
        "Komenda Policji",
    )
    assert refusal(bureau, lambda desk: disclosure.permitted(desk, number)) == "no-consent"
    with pytest.raises(CustodyProblem, match="decided already"):
        bureau.at(lambda desk: disclosure.decide(desk, number, "consent", "Prezydent"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"case": ""}, "no-case"),
        ({"purpose": ""}, "no-purpose"),
        ({"purpose": "marketing"}, "wrong-purpose"),
        ({"ground": "  "}, "no-justification"),
        ({"recordings": ["20990101-000000-aaaaaa"]}, "unknown"),
    ],
)
def test_r2_r15_a_request_without_reason_is_refused(
    bureau: Bureau, changes: dict[str, Any], code: str
) -> None:
    assert refusal(bureau, lambda desk: disclosure.request(desk, replace(ASKED, **changes))) == code
    assert bureau.at(lambda desk: disclosure.disclosures(desk.index)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"applicant": ""},
        {"applicant": "\x1b[1m"},
        {"applicant": "Sąd\nwyrażam zgodę"},
        {"applicant": "x" * 401},
        {"ground": "x" * 20_001},
        {"applied_on": "then"},
        {"applied_on": "2026-09-02"},
        {"recordings": []},
    ],
)
def test_r15_a_request_names_who_when_and_what(bureau: Bureau, changes: dict[str, Any]) -> None:
    with pytest.raises(CustodyProblem):
        entered(bureau, **changes)
    assert bureau.at(lambda desk: disclosure.disclosures(desk.index)) == []


def test_r15_a_decision_names_who(bureau: Bureau) -> None:
    number = entered(bureau)
    for decision, by in (("consent", " "), ("maybe", "Prezydent")):
        with pytest.raises(CustodyProblem):
            bureau.at(lambda desk, d=decision, b=by: disclosure.decide(desk, number, d, b))
    with pytest.raises(CustodyProblem, match="no such request"):
        bureau.at(lambda desk: disclosure.decide(desk, 7, "consent", "Prezydent"))
    assert refusal(bureau, lambda desk: disclosure.permitted(desk, number)) == "no-consent"


@pytest.mark.parametrize("on", ["2026-08-31", "2026-09-02"])
def test_r15_a_decision_is_neither_older_than_its_request_nor_yet_to_come(bureau: Bureau, on: str) -> None:
    number = entered(bureau, applied_on="2026-09-01")
    with pytest.raises(CustodyProblem, match="between that of the request, 2026-09-01, and today"):
        bureau.at(lambda desk: disclosure.decide(desk, number, "consent", "Prezydent", on))
    assert refusal(bureau, lambda desk: disclosure.permitted(desk, number)) == "no-consent"


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30])
def test_a_number_that_no_row_can_have_is_a_line(bureau: Bureau, number: int) -> None:
    for act in (disclosure.disclosure, protocols.protocol, persons.person):
        with pytest.raises(CustodyProblem, match=f"^{number}: no such"):
            bureau.at(lambda desk, a=act: a(desk.index, number))


def test_r15_of_two_decisions_at_once_the_first_stands(bureau: Bureau) -> None:
    number = entered(bureau)

    async def both(desk: Desk) -> list[Any]:
        async with await Index.open(desk.index.path) as index:
            other = replace(desk, index=index)
            acts = [
                disclosure.decide(desk, number, "refusal", "Prezydent"),
                disclosure.decide(other, number, "consent", "Ktoś"),
            ]
            return await asyncio.gather(*acts, return_exceptions=True)

    done = bureau.at(both)
    assert sorted(type(one).__name__ for one in done) == ["CustodyProblem", "Disclosure"]
    (kept,) = bureau.at(lambda desk: disclosure.disclosures(desk.index))
    (first,) = [one for one in done if isinstance(one, disclosure.Disclosure)]
    assert kept.decision == first.decision
    assert len(bureau.journal("disclosure-decided")) == 1


def test_r15_r18_consent_is_for_its_calls_and_not_for_what_is_restricted_since(bureau: Bureau) -> None:
    number = entered(bureau)
    bureau.at(lambda desk: disclosure.decide(desk, number, "consent", "Prezydent"))
    assert refusal(bureau, lambda desk: disclosure.permitted(desk, number, [name_of(3)])) == "not-consented"
    bureau.at(lambda desk: rights.restrict(desk, [name_of(2)], "objection", "sprzeciw"))
    assert refusal(bureau, lambda desk: disclosure.permitted(desk, number)) == "restricted"
    assert bureau.at(lambda desk: disclosure.permitted(desk, number, [name_of(1)]))[1] == [name_of(1)]


def test_a_call_without_audio_is_told_when_it_is_asked_for(bureau: Bureau) -> None:
    async def silence(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute("UPDATE calls SET wav_path = NULL WHERE id = ?", [name_of(1)])
            await connection.execute(refresh("calls", "true"))

    bureau.kit.using(silence)
    with pytest.raises(CustodyProblem, match="no audio"):
        entered(bureau)


def test_the_form_of_what_was_erased_since_names_no_number(bureau: Bureau) -> None:
    from bystander.retention.erasure import Cause

    number = entered(bureau)
    bureau.kit.erasing(lambda one: one.erase([name_of(1)], Cause("request", "t", "r", "g"), bureau.now_ns))
    made = bureau.at(lambda desk: disclosure.form(desk, number))
    assert made.calls == (("2026-08-31", ""), ("2026-08-31", "+48600000002"))


@pytest.mark.parametrize(
    ("direction", "number"), [("incoming", "22"), ("outgoing", "33"), ("internal", "22")]
)
def test_a_call_is_known_by_the_number_outside(direction: str, number: str) -> None:
    assert disclosure.outside_number({"direction": direction, "caller": "22", "callee": "33"}) == number
