"""Which calls a hold covers besides those named: the case, in the index and in progress (R11, C8)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bystander.inprogress import InProgress
from bystander.selection import with_case
from bystander.storage.index import Entry, Index


def going(name: str, *related: str) -> InProgress:
    return InProgress(f"id-{name}", name, "101", "102", "internal", 1_795_464_000_000_000_000, related)


def covered(tmp_path: Path, calls: list[InProgress], start: str) -> list[str]:
    async def work() -> list[str]:
        async with await Index.open(tmp_path / "index.sqlite") as index:
            row = {
                "call_id": "over", "linked_call_ids": [], "direction": "internal", "caller": "101",
                "callee": "102", "state": "answered", "verdict": "recorded",
                "started_at": "2026-11-23T20:46:00.000Z", "transfers": [],
                "related": [{"call_id": "second", "relation": "transferred-to"}],
            }  # fmt: skip
            await index.add(Entry("id-over", row))
            return [name for name, _ in await with_case(index, calls, [(f"id-{start}", start)])]

    return asyncio.run(work())


@pytest.mark.parametrize("start", ["first", "second", "third"])
def test_calls_in_progress_lead_to_one_another(tmp_path: Path, start: str) -> None:
    """By what either says, and through others; a stranger is not covered."""
    calls = [going("first", "second"), going("second"), going("third", "second"), going("stranger")]
    everyone = {"id-first", "id-second", "id-third"}
    assert set(covered(tmp_path, calls, start)) == everyone - {f"id-{start}"}


def test_one_that_is_over_leads_to_one_in_progress(tmp_path: Path) -> None:
    assert covered(tmp_path, [going("second"), going("stranger")], "over") == ["id-second"]
