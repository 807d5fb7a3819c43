"""The desk as a command sets it up: whose time, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bystander.config import load
from bystander.desks import desk_of, with_desk, write_new
from bystander.errors import UserError
from bystander.retention import clock
from bystander.vault import OpenVault
from tests.bureau import Bureau

YEAR_NS = 365 * 86_400 * 10**9


def test_r13_the_desks_time_is_the_later_of_the_clock_and_trusted_time(configured: Bureau) -> None:
    config = load(None)
    vault = OpenVault.open(config)
    assert vault is not None
    now = clock.Reading.now()

    async def times(index: Any) -> list[int]:
        found = []
        for shift_ns in (-YEAR_NS, YEAR_NS):
            await clock.confirm(index, clock.Reading(now.wall_ns + shift_ns, now.boot_ns, "x"))
            found.append((await desk_of(config, vault, index, "user:t")).now_ns - now.wall_ns)
        return found

    try:
        behind, ahead = configured.kit.using(times)
    finally:
        vault.close()
    assert 0 <= behind < YEAR_NS // 2 and ahead == YEAR_NS


def test_without_a_vault_there_is_no_desk(configured: Bureau) -> None:
    path = configured.kit.folder / "bystander.toml"
    path.write_text(path.read_text().partition("[vault]")[0])

    async def nothing(_desk: Any) -> None: ...

    with pytest.raises(UserError, match=r"no \[vault\]"):
        with_desk(load(None), nothing)


def test_what_is_written_is_private(tmp_path: Path) -> None:
    write_new(tmp_path / "form.pdf", b"%PDF")
    assert (tmp_path / "form.pdf").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserError, match="cannot write"):
        write_new(tmp_path / "form.pdf" / "x.pdf", b"")
