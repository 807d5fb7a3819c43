"""Custody and retention where the disk is full: one clear line, nothing half done, and all well with room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.roomtoact import LEAST_BYTES
from tests.bureau import Bureau, write_keys
from tests.vaultkit import name_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which takes root")
FULL = "No space left on device"
ONE = name_of(1)
WHY = ["--case", "K 1", "--purpose", "security", "--justification", "j"]
ACTS = [
    ["persons", "add", "--name", "Jan", "--post", "p", "--authorisation", "9", "--role", "administrator"],
    ["persons", "renew", "1", "--valid-until", "2099-01-01"],
    ["persons", "revoke", "2", "--reason", "r", "--yes"],
    ["persons", "rotate", "--identity", "Anna.txt", "--yes"],
    ["listen", ONE, *WHY, "--identity", "Anna.txt", "--player", "cat > /dev/null"],
    ["disclose", "request", ONE, "--applicant", "X", "--ground", "g", "--case", "K", "--purpose", "security"],
    ["disclose", "decide", "1", "--by", "P", "--consent"],
    ["export", "1", "--to", "out", "--identity", "Anna.txt"],
    ["rights", "restrict", "+48600000003", "--reason", "r"],
    ["rights", "unrestrict", "+48600000003", "--reason", "r"],
    ["hold", "add", name_of(3), "--case", "K", "--reason", "r"],
    ["hold", "release", "K", "--reason", "r"],
    ["retention", "confirm-clock", "--yes"],
    ["retention", "sweep", "--yes"],
    ["erase", name_of(2), "--reason", "K 2", "--ground", "g", "--yes"],
    ["journal", "export", "-o", "vault/journal.json"],
    ["supervise"],
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Where the vault is going to be."""
    folder = tmp_path / "vault"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def office(small_disk: Path, configured: Bureau) -> Bureau:
    assert configured.kit.folder == small_disk
    write_keys("Anna", "Ewa")
    return configured


def fill(folder: Path, left_kib: int) -> None:
    """Leave so much of the disk, to the page."""
    disk = os.statvfs(folder)
    with (folder / "fill").open("wb") as file:
        file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - (left_kib << 10))))


def faults() -> list[str]:
    """What `verify` finds, but of modes and of the file that fills the disk."""
    from bystander.commands_verify import faults_of
    from bystander.config import load

    return [line for line in faults_of(load(None), None) if "/fill" not in line]


@pytest.mark.parametrize("left_kib", [0, 100])
def test_one_clear_line_nothing_half_done_and_all_well_with_room(
    office: Bureau, small_disk: Path, left_kib: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(faults())
    fill(small_disk, left_kib)
    refused = []
    for act in ACTS:
        status = main(act)
        told = capsys.readouterr()
        assert status in (0, 1), act
        if status:
            refused.append(act)
            assert told.err.count("\n") == 1 and told.err.startswith("bystander: "), told.err
            assert "internal error" not in told.err and "I/O" not in told.err, told.err
        shutil.rmtree("out", ignore_errors=True)
    # Those that begin something are not begun; those that erase or only look may find room enough.
    assert len(refused) >= 12
    (small_disk / "fill").unlink()
    # Acts that are done tidy up behind them: there may be less to find.
    assert set(faults()) <= before
    for act in refused:
        assert main(act) == 0, (act, capsys.readouterr().err)
    assert set(faults()) <= before


def test_the_line_in_both_languages(
    office: Bureau, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(small_disk, 0)
    assert main(["persons", "list"]) == 1
    assert capsys.readouterr().err == f"bystander: {small_disk}: {FULL}; make room on that disk\n"
    assert main(["persons", "list", "--lang", "pl"]) == 1
    assert capsys.readouterr().err == (
        f"bystander: {small_disk}: brak miejsca na dysku; zrób miejsce na tym dysku\n"
    )


def test_a_listening_that_has_begun_is_written_down_to_its_end(office: Bureau, small_disk: Path) -> None:
    """The disk fills while somebody listens: what was heard is still in the journal."""
    left = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    assert left > LEAST_BYTES
    player = f"cat > /dev/null; head -c {left - (LEAST_BYTES // 2)} /dev/zero > {small_disk}/fill"
    assert main(["listen", ONE, *WHY, "--identity", "Anna.txt", "--player", player]) == 0
    ends: list[dict[str, Any]] = office.journal("listened")
    assert len(ends) == 1
