"""R11, C21: what is held is kept, whoever wants it erased."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bystander.retention import holds
from bystander.retention.erasure import Cause, Eraser
from bystander.retention.holds import HeldProblem
from bystander.storage.digest import expression
from bystander.storage.index import Entry, Index, Query
from tests.vaultkit import NOW_NS, Kit, name_of


def hold(vault: Kit, *numbers: int, case: str = "K 7/26") -> int:
    found = [(name_of(number), f"call-{number:04d}@office.example") for number in numbers]
    return vault.using(lambda index: holds.add(index, found, case, "complaint", "secretary", NOW_NS))


def cases(vault: Kit, number: int) -> list[str]:
    call = vault.using(lambda index: index.call(name_of(number)))
    assert call is not None
    held: list[str] = call["held_by"]
    return held


def test_several_holds_on_one_recording(vault: Kit) -> None:
    vault.add(1, 2, 3)
    hold(vault, 1, 2)
    second = hold(vault, 2, 3, case="II Ka 9/26")
    assert cases(vault, 2) == ["II Ka 9/26", "K 7/26"]
    released = vault.using(lambda index: holds.release(index, "K 7/26", "concluded", "secretary", NOW_NS))
    assert released == [(1, "K 7/26", [name_of(1), name_of(2)])]
    assert (cases(vault, 1), cases(vault, 2), cases(vault, 3)) == ([], ["II Ka 9/26"], ["II Ka 9/26"])
    assert vault.using(lambda index: holds.held_count(index)) == 2
    (left,) = vault.using(lambda index: holds.holds(index))
    assert (left.number, left.recordings, left.active) == (second, 2, 2)
    every = vault.using(lambda index: holds.holds(index, everything=True))
    assert [one.release_reason for one in every] == ["concluded", None]


def test_some_recordings_of_a_hold_are_released_and_then_the_rest(vault: Kit) -> None:
    vault.add(1, 2)
    number = hold(vault, 1, 2)
    for name in (name_of(1), name_of(2)):
        vault.using(lambda index, name=name: holds.release(index, str(number), "r", "w", NOW_NS, [name]))
    assert vault.using(lambda index: holds.holds(index)) == []
    with pytest.raises(HeldProblem, match="1: no active hold; `bystander hold list` shows them"):
        vault.using(lambda index: holds.release(index, str(number), "r", "w", NOW_NS))


def test_a_case_outweighs_a_number(vault: Kit) -> None:
    vault.add(1, 2)
    hold(vault, 1)
    hold(vault, 2, case="1")
    vault.using(lambda index: holds.release(index, "1", "r", "w", NOW_NS))
    assert (cases(vault, 1), cases(vault, 2)) == (["K 7/26"], [])


def test_the_same_recording_twice_in_one_act(vault: Kit) -> None:
    vault.add(1)
    hold(vault, 1, 1)
    assert cases(vault, 1) == ["K 7/26"]


def test_calls_are_found_by_case_after_the_release_too(vault: Kit) -> None:
    vault.add(1, 2)
    hold(vault, 1)
    vault.using(lambda index: holds.release(index, "K 7/26", "r", "w", NOW_NS))
    found = vault.using(lambda index: index.calls(Query(case="K 7/26")))
    assert [call["id"] for call in found] == [name_of(1)]


def test_what_is_not_held_cannot_be_released(vault: Kit) -> None:
    vault.add(1, 2)
    hold(vault, 1)
    with pytest.raises(HeldProblem, match="not held for K 7/26"):
        vault.using(lambda index: holds.release(index, "K 7/26", "r", "w", NOW_NS, [name_of(2)]))
    assert cases(vault, 1) == ["K 7/26"]


def test_a_release_is_whole_or_not_at_all_and_keeps_its_reasons(vault: Kit) -> None:
    vault.add(1, 2, 3)
    hold(vault, 1, 2)
    wanted = [name_of(1), name_of(3)]
    with pytest.raises(HeldProblem, match=f"{name_of(3)}: not held for K 7/26; nothing was released"):
        vault.using(lambda index: holds.release(index, "K 7/26", "r", "w", NOW_NS, wanted))
    assert (cases(vault, 1), cases(vault, 2)) == (["K 7/26"], ["K 7/26"])
    for number, why in ((1, "acquitted"), (2, "time-barred")):
        names = [name_of(number)]
        vault.using(
            lambda index, names=names, why=why: holds.release(index, "K 7/26", why, "w", NOW_NS, names)
        )
    (one,) = vault.using(lambda index: holds.holds(index, everything=True))
    assert (one.release_reason, one.released_ns, one.active) == ("acquitted; time-barred", NOW_NS, 0)


def test_what_is_gone_cannot_be_held(vault: Kit) -> None:
    """Nor what never was; nor, in the same act, anything else."""
    vault.add(1)
    with pytest.raises(HeldProblem, match=f"{name_of(2)}: no such recording any more"):
        hold(vault, 1, 2)
    assert cases(vault, 1) == []
    assert vault.using(lambda index: holds.holds(index, everything=True)) == []


def linked(vault: Kit, index: Index, *legs: str) -> Entry:
    """A call that turned out to have more legs, as the recorder files it."""
    made = vault._seal(1, "2026-11-30T22:59:59.999Z")
    return replace(made, call=made.call | {"linked_call_ids": list(legs)})


def test_a_hold_on_legs_in_progress_follows_them_into_the_recording(vault: Kit) -> None:
    """One leg is released before the call ends, the other is not: the recording is held."""
    legs = {"20260831-120002-legaaa": "leg-a", "20260831-120003-legbbb": "leg-b"}

    async def work(index: Index) -> list[tuple[object, ...]]:
        await holds.add(index, list(legs.items()), "K", "r", "w", NOW_NS, legs)
        await holds.release(index, "K", "r", "w", NOW_NS, [min(legs)])
        await index.add(linked(vault, index, "leg-a", "leg-b"))
        return await index.rows(f"SELECT id, released_ns, digest = {expression('held')} FROM held")

    assert vault.using(work) == [(name_of(1), None, 1)]
    assert cases(vault, 1) == ["K"]


def test_a_hold_that_comes_when_the_call_has_just_been_filed_covers_it(vault: Kit) -> None:
    """The leg was in progress when it was looked for, and is part of a recording when it is to be held."""
    leg = "20260831-120002-legaaa"

    async def work(index: Index) -> list[str]:
        await index.add(linked(vault, index, "leg-a"))
        number = await holds.add(index, [(leg, "leg-a")], "K", "r", "w", NOW_NS, [leg])
        return await holds.recordings_of(index, number)

    assert vault.using(work) == [name_of(1)]
    assert cases(vault, 1) == ["K"]


def test_a_released_hold_is_not_renewed_by_filing_the_call_again(vault: Kit) -> None:
    vault.add(1)
    hold(vault, 1)
    vault.using(lambda index: holds.release(index, "K 7/26", "r", "w", NOW_NS))
    vault.add(1)
    assert cases(vault, 1) == []


def test_every_row_carries_its_digest(vault: Kit) -> None:
    vault.add(1, 2)
    hold(vault, 1, 2)
    vault.using(lambda index: holds.release(index, "K 7/26", "r", "w", NOW_NS, [name_of(2)]))
    for table in ("holds", "held"):
        rows = vault.using(lambda index, t=table: index.rows(f"SELECT digest = {expression(t)} FROM {t}"))
        assert rows and all(row == (1,) for row in rows)


def test_c21_what_is_being_erased_can_no_longer_be_held(vault: Kit) -> None:
    """It would be a promise that nobody can keep."""
    vault.add(1, 2)

    def cut(step: str) -> None:
        if step == "keys":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.erasing(lambda eraser: eraser.erase([name_of(1)], Cause("term", "recorder"), NOW_NS), step=cut)
    with pytest.raises(HeldProblem, match=f"{name_of(1)}: being erased already; it can no longer be held"):
        hold(vault, 1, 2)
    assert cases(vault, 2) == []
    hold(vault, 2)
    vault.erasing(lambda eraser: eraser.resume())
    assert vault.ids() == [name_of(2)]


def test_c21_a_hold_and_an_erasure_at_once_never_both_win(vault: Kit) -> None:
    """Whichever comes first: either it is held and kept, or it is gone and the hold was refused."""
    vault.add(*range(40))

    async def work() -> list[object]:
        async with (
            await Index.open(vault.index_path) as one,
            await Index.open(vault.index_path) as other,
        ):
            eraser = Eraser(one, vault.keyring, vault.root, vault.journal)
            names = [name_of(number) for number in range(40)]

            async def erase() -> None:
                await eraser.erase(names, Cause("term", "recorder"), NOW_NS)

            async def add() -> None:
                for number in range(0, 40, 2):
                    found = [(name_of(number), f"call-{number:04d}@office.example")]
                    await holds.add(other, found, "K", "r", "w", NOW_NS)

            return await asyncio.gather(add(), erase(), return_exceptions=True)

    results = asyncio.run(work())
    assert all(result is None or isinstance(result, HeldProblem) for result in results), results
    held = {row[0] for row in vault.using(lambda index: index.rows("SELECT id FROM held"))}
    assert held <= set(vault.ids())
    for name in held:
        assert vault.keyring.get(name) is not None
        assert f"{name}.wav.age" in vault.files()
