"""Calls of one case find one another, whichever was written first (C8)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bystander.cases import MAX_OF_CASE, case_of, close_both_ways, of_case, related_among
from bystander.cli import main
from bystander.storage.identity import recipient_text
from bystander.storage.index import Entry, Index
from tests.vaultkit import CONFIG, make, name_of


def call(name: str, related: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    named = [{"call_id": to, "relation": what} for to, what in (related or {}).items()]
    return {
        "call_id": name, "linked_call_ids": [], "direction": "internal", "caller": "101", "callee": "102",
        "state": "answered", "verdict": "recorded", "duration_s": 1.0, "transfers": [], "related": named,
        "started_at": "2026-11-23T20:46:00.000Z",
    } | changes  # fmt: skip


def told(into: str | None, status: int | None) -> dict[str, Any]:
    facts = {"at": "2026-11-23T20:46:05.000Z", "kind": "blind", "by": "102", "to": "103"}
    return facts | {"of": "a", "consulted": None, "into": into, "status": status}


def test_a_relation_is_noted_on_both_calls() -> None:
    before, after = call("a"), call("b", {"a": "transferred-from"})
    close_both_ways([before, after])
    assert before["related"] == [{"call_id": "b", "relation": "transferred-to"}]
    close_both_ways([before, after])
    assert len(before["related"]) == len(after["related"]) == 1


def test_a_leg_stands_for_its_call() -> None:
    before, after = call("a", linked_call_ids=["a-leg"]), call("b", {"a-leg": "replaces"})
    close_both_ways([before, after])
    assert before["related"] == [{"call_id": "b", "relation": "replaced-by"}]
    assert after["related"] == [{"call_id": "a", "relation": "replaces"}]


def test_what_was_known_last_of_a_transfer_counts_for_all() -> None:
    before = call("a", transfers=[told(None, 100)])
    after = call("b", {"a": "transferred-from"}, transfers=[told("b", 200)])
    close_both_ways([before, after])
    assert before["transfers"] == after["transfers"] == [told("b", 200)]


def test_the_index_is_asked_both_ways_and_through_others(tmp_path: Path) -> None:
    calls = [
        call("a"),
        call("b", {"a": "transferred-from"}, linked_call_ids=["b-leg"]),
        call("c", {"b-leg": "replaces", "nobody": "joins"}),
        call("d"),
        call("old", {"a": "transferred-from"}, started_at="2026-11-20T20:46:00.000Z"),
    ]

    async def work() -> tuple[list[str], list[str], list[dict[str, Any]]]:
        async with await Index.open(tmp_path / "index.sqlite") as index:
            await index.add(*(Entry(one["call_id"], one) for one in calls))
            from_a = [one["id"] for one in await of_case(index, ["a"])]
            from_c = [one["id"] for one in await of_case(index, ["c"])]
            return from_a, from_c, await case_of(index, calls[2] | {"id": "c"})

    from_a, from_c, listed = asyncio.run(work())
    assert sorted(from_a) == ["b", "c"]
    assert sorted(from_c) == ["a", "b"]
    assert {one["call_id"]: one["relation"] for one in listed} == {
        "a": "transferred-from", "b": "replaces", "nobody": "joins"
    }  # fmt: skip


def test_a_case_without_end_is_bounded(tmp_path: Path) -> None:
    calls = [call(f"{number}", {f"{number - 1}": "transferred-from"}) for number in range(MAX_OF_CASE + 20)]

    async def work() -> int:
        async with await Index.open(tmp_path / "index.sqlite") as index:
            await index.add(*(Entry(one["call_id"], one) for one in calls))
            return len(await of_case(index, ["5"]))

    assert asyncio.run(work()) == MAX_OF_CASE


def test_what_a_call_is_to_the_others() -> None:
    one = call("a", {"b": "consulted-in"})
    partners = [call("b"), call("c", {"a": "picks-up"}), call("d")]
    assert [(p["call_id"], why) for p, why in related_among(one, partners)] == [
        ("b", "consulted-in"), ("c", "picked-up-by")
    ]  # fmt: skip


def test_r18_c8_what_a_call_was_transferred_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exchange may show another number there; whoever answers the request must look."""
    kit = make(tmp_path / "vault")
    try:
        (kit.folder / "keys/vault.pub").write_text(recipient_text(kit.vault_identity) + "\n")
        (kit.folder / "bystander.toml").write_text(CONFIG)
        monkeypatch.setenv("BYSTANDER_CONFIG", str(kit.folder / "bystander.toml"))
        kit.add(1, related=[{"call_id": "call-0002@office.example", "relation": "transferred-to"}])
        kit.add(2, 3)
        assert main(["rights", "find", "+48600000001", "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert [(one["id"], one["relation"]) for one in found["case"]] == [(name_of(2), "transferred-to")]
        assert main(["rights", "find", "+48600000001"]) == 0
        shown = capsys.readouterr().out
        assert f"+ {name_of(2)}" in shown
        assert name_of(3) not in shown
    finally:
        kit.keyring.close()
