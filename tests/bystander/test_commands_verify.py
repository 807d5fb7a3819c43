"""`journal show` at the command line, for people."""

from __future__ import annotations

import re

import pytest

from bystander.cli import main
from bystander.config import load
from bystander.vault import OpenVault
from tests.bureau import Bureau


def test_r16_the_journal_stands_in_columns_and_shows_what_is_known(
    configured: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = OpenVault.open(load(None))
    assert vault is not None
    try:
        vault.journal.append("start", "recorder", {"interface": None, "live": False})
        vault.journal.append(
            "disclosure-requested", "user:t", {"disclosure": 1, "recordings": ["a", "b", "c"]}
        )
    finally:
        vault.close()
    assert main(["journal", "show", "--limit", "2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.search(r" start +live false$", first)
    assert second.endswith(" disclosure-requested disclosure 1  recordings a and 2 more")
    assert first.index("live") == second.index("disclosure 1")
