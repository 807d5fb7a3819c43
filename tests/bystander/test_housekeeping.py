"""The chores of the recorder, those that no other test watches."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bystander.config import settings
from bystander.housekeeping import Housekeeping

GB = 1 << 30


@pytest.mark.parametrize(("free_gb", "warned"), [(8, True), (200, False)])
def test_c19_it_warns_early_and_once_a_day(free_gb: int, warned: bool) -> None:
    """Seven gigabytes in the last week: with seven left above the reserve, it is full in seven days."""
    told: list[str] = []

    async def rows(_query: str, _values: list[Any]) -> list[tuple[int, int]]:
        return [(7 * GB, time.time_ns() - 8 * 86_400 * 1_000_000_000)]

    chores = Housekeeping(
        settings(space={"warn_days": 14}),
        None,
        SimpleNamespace(rows=rows),  # type: ignore[arg-type]
        None,
        SimpleNamespace(bytes_free=free_gb * GB, reserve_bytes=GB),  # type: ignore[arg-type]
        lambda what, text: told.append(f"{what}: {text}"),
    )
    for _ in range(3):
        asyncio.run(chores._forecast())
    wanted = ["room: at the rate of the last week the disk is full in 7.0 days; make room"]
    assert told == (wanted if warned else [])
