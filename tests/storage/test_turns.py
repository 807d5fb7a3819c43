"""A folder's lock: one at a time, the others wait, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bystander.storage.turns import turn_at


def test_one_at_a_time_each_after_the_other(tmp_path: Path) -> None:
    inside: list[int] = []
    seen: list[int] = []

    async def act(number: int) -> None:
        async with turn_at(tmp_path):
            inside.append(number)
            for _ in range(5):
                await asyncio.sleep(0)
                seen.append(len(inside))
            inside.remove(number)

    async def all_of_them() -> None:
        await asyncio.gather(*(act(number) for number in range(4)))

    asyncio.run(all_of_them())
    assert seen == [1] * 20


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bystander.storage.turns.PATIENCE_S", 0.1)

    async def act() -> None:
        async with turn_at(tmp_path):
            with pytest.raises(BlockingIOError):
                async with turn_at(tmp_path):
                    pytest.fail("two at once")
        async with turn_at(tmp_path):
            pass

    asyncio.run(act())


def test_a_turn_that_fails_is_over(tmp_path: Path) -> None:
    async def act() -> None:
        with pytest.raises(ZeroDivisionError):
            async with turn_at(tmp_path):
                raise ZeroDivisionError
        async with turn_at(tmp_path):
            pass

    asyncio.run(act())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async def act() -> None:
        async with turn_at(tmp_path / "none"):
            pytest.fail("there is nothing to lock")

    with pytest.raises(FileNotFoundError):
        asyncio.run(act())
