"""What other rows say of a call goes with it (R10, C8)."""

from __future__ import annotations

import json
from typing import Any

from bystander.retention import erasure
from bystander.retention.references import forget_in
from bystander.storage.digest import expression
from tests.vaultkit import Kit, name_of


def told(of: str, into: str | None, consulted: str | None = None) -> dict[str, Any]:
    return {
        "at": "2026-08-31T12:00:05.000Z", "kind": "blind", "by": "+48600000001", "to": "103", "of": of,
        "consulted": consulted, "into": into, "status": 200,
    }  # fmt: skip


def call_id(number: int) -> str:
    return f"call-{number:04d}@office.example"


def test_r10_c8_no_row_names_what_is_erased(vault: Kit) -> None:
    """Call-ID and parties of a transfer stand in the row of the call that it became; and not after."""
    transfer = told(call_id(1), call_id(2))
    vault.add(1, related=[{"call_id": call_id(2), "relation": "transferred-to"}], transfers=[transfer])
    other = {"call_id": call_id(3), "relation": "replaces"}
    related = [{"call_id": call_id(1), "relation": "transferred-from"}, other]
    vault.add(2, related=related, transfers=[transfer])
    own = told(call_id(3), None) | {"by": "102"}
    vault.add(3, related=[], transfers=[own])
    marks = vault.marks(1)
    cause = erasure.Cause("request", "tester", "r", "g")
    assert vault.erasing(lambda eraser: eraser.erase([name_of(1)], cause, 1_800_000_000_000_000_000)) == 1
    rows = vault.using(lambda index: index.rows("SELECT id, call FROM calls"))
    found = {recording: json.loads(text) for recording, text in rows}
    assert (found[name_of(2)]["related"], found[name_of(2)]["transfers"]) == ([other], [])
    assert found[name_of(3)]["transfers"] == [own]
    content = vault.index_path.read_bytes()
    assert not [mark for mark in marks if mark in content]
    spoilt = f"SELECT count(*) FROM calls WHERE digest != {expression('calls')}"
    assert vault.using(lambda index: index.rows(spoilt)) == [(0,)]


def test_calls_erased_together_need_no_rewriting(vault: Kit) -> None:
    vault.add(1, related=[{"call_id": call_id(2), "relation": "transferred-to"}], transfers=[])
    vault.add(2, related=[{"call_id": call_id(1), "relation": "transferred-from"}], transfers=[])
    cause = erasure.Cause("request", "tester", "r", "g")
    names = [name_of(1), name_of(2)]
    assert vault.erasing(lambda eraser: eraser.erase(names, cause, 1_800_000_000_000_000_000)) == 2
    assert vault.ids() == []


def test_a_leg_counts_and_a_stranger_does_not() -> None:
    call = {"related": [{"call_id": "leg", "relation": "joins"}], "transfers": [told("a", None, "b")]}
    assert not forget_in(call, ["other"])
    assert forget_in(call, ["leg"])
    assert call["related"] == []
    assert forget_in(call, ["b"])
    assert call["transfers"] == []
    assert not forget_in({}, ["b"])
