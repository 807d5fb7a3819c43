"""Restriction and objection (R18): kept, and used by nobody."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.custody import rights
from bystander.custody.desk import CustodyProblem, Desk, Refused
from bystander.retention import holds
from bystander.retention.erasure import Cause
from bystander.retention.holds import HeldProblem
from tests.bureau import Bureau
from tests.vaultkit import name_of

ONE, TWO, THREE = (name_of(number) for number in (1, 2, 3))


def restrict(bureau: Bureau, *names: str, cause: str = "restriction") -> list[str]:
    return bureau.at(lambda desk: rights.restrict(desk, names, cause, "wniosek z 1 września"))


def lift(bureau: Bureau, *names: str) -> list[str]:
    return bureau.at(lambda desk: rights.unrestrict(desk, names, "rozpatrzono"))


def restricted(bureau: Bureau) -> list[str]:
    return [one.recording for one in bureau.at(lambda desk: rights.restrictions(desk.index))]


def held(bureau: Bureau) -> dict[str, int]:
    every = bureau.at(lambda desk: holds.holds(desk.index))
    return {one.case: one.active for one in every}


def erase(bureau: Bureau, name: str) -> Any:
    bureau.kit.erasing(lambda one: one.erase([name], Cause("request", "t", "r", "art. 17"), bureau.now_ns))


def test_r18_restricted_is_kept_until_it_is_lifted(bureau: Bureau) -> None:
    assert restrict(bureau, ONE, TWO, ONE) == [ONE, TWO]
    assert restrict(bureau, ONE) == []
    assert held(bureau) == {"ograniczenie przetwarzania (art. 18 RODO)": 2}
    with pytest.raises(HeldProblem, match="ograniczenie"):
        erase(bureau, ONE)
    assert lift(bureau, ONE, THREE) == [ONE]
    assert restricted(bureau) == [TWO]
    erase(bureau, ONE)
    with pytest.raises(CustodyProblem, match="none of them"):
        lift(bureau, THREE)
    assert [facts["recordings"] for facts in bureau.journal("restriction")] == [[ONE, TWO]]
    assert bureau.journal("unrestricted") == [{"count": 1, "recordings": [ONE]}]


def test_r18_an_objection_is_of_its_own(bureau: Bureau) -> None:
    restrict(bureau, ONE, cause="objection")
    restrict(bureau, TWO)
    assert held(bureau) == {"sprzeciw (art. 21 RODO)": 1, "ograniczenie przetwarzania (art. 18 RODO)": 1}
    assert lift(bureau, ONE, TWO) == [ONE, TWO]
    assert held(bureau) == {} and restricted(bureau) == []


def test_r18_a_restriction_that_was_lifted_half_way_is_lifted_by_the_next(bureau: Bureau) -> None:
    """Killed when the hold was released and the row still there; or somebody released the hold by hand."""
    restrict(bureau, ONE)
    case = rights.CASES["restriction"]
    bureau.at(lambda desk: holds.release(desk.index, case, "r", "t", 1))
    with pytest.raises(Refused, match="restricted"):
        bureau.at(lambda desk: desk.refuse_restricted("listen", [ONE]))
    assert lift(bureau, ONE) == [ONE]
    assert restricted(bureau) == []


def test_r10_nothing_of_a_restriction_is_left_when_the_recording_is_erased(bureau: Bureau) -> None:
    restrict(bureau, ONE)
    bureau.at(lambda desk: holds.release(desk.index, rights.CASES["restriction"], "r", "t", 1))
    erase(bureau, ONE)
    assert restricted(bureau) == []


def test_what_is_being_erased_is_not_restricted(bureau: Bureau) -> None:
    erase(bureau, ONE)
    with pytest.raises(Refused) as told:
        restrict(bureau, TWO, ONE)
    assert told.value.code == "erased" and restricted(bureau) == [] and held(bureau) == {}


def test_a_reason_is_needed(bureau: Bureau) -> None:
    for reason in ("", " ", "\x1b[2J"):
        with pytest.raises(CustodyProblem):
            bureau.at(lambda desk, why=reason: rights.restrict(desk, [ONE], "restriction", why))

    async def lifted(desk: Desk) -> None:
        await rights.unrestrict(desk, [ONE], "")

    restrict(bureau, ONE)
    with pytest.raises(CustodyProblem, match="reason"):
        bureau.at(lifted)
    assert restricted(bureau) == [ONE]
