"""The desk as a command sets it up: keys when they are needed, whose time, and how it is told to end."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.config import load
from bystander.desks import desk_of, unlocking, with_care, with_desk, write_new
from bystander.errors import UserError
from bystander.retention import clock
from bystander.storage.agefile import SealProblem
from bystander.storage.identity import recipient_text
from bystander.vault import OpenVault
from tests.bureau import Bureau

YEAR_NS = 365 * 86_400 * 10**9


@pytest.fixture
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_keys_are_read_when_they_are_needed_and_not_before(office: Bureau) -> None:
    missing, anna = unlocking([Path("missing"), Path("Anna.key")], [Path("none"), Path("right")])
    assert recipient_text(anna()) == recipient_text(office.keys["Anna"])
    with pytest.raises(SealProblem, match="missing: cannot read"):
        missing()
    with pytest.raises(UserError, match="more passphrase files than identities"):
        unlocking([Path("Anna.key")], [Path("right"), Path("right")])


def test_a_key_without_a_passphrase_asks_for_none(office: Bureau) -> None:
    (anna,) = unlocking([Path("Anna.txt")], None)
    assert recipient_text(anna()) == recipient_text(office.keys["Anna"])


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


@pytest.mark.usefixtures("signals")
def test_told_to_end_is_as_interrupted_unless_it_is_to_outlive_the_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with_care()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_what_is_written_is_private(tmp_path: Path) -> None:
    write_new(tmp_path / "form.pdf", b"%PDF")
    assert (tmp_path / "form.pdf").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserError, match="cannot write"):
        write_new(tmp_path / "form.pdf" / "x.pdf", b"")


def test_r7_no_other_program_of_the_account_reads_what_is_opened() -> None:
    """What the kernel refuses to a program of the same account, it gives to root: only the mark is looked at,
    and that the files of the process are not the account's any more.
    """
    code = (
        "import ctypes, sys; from bystander.desks import with_care; "
        "asked = ctypes.CDLL(None).prctl; print(asked(3, 0, 0, 0, 0)); with_care(); "
        "print(asked(3, 0, 0, 0, 0))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["1", "0"]


@pytest.mark.parametrize(
    "command",
    [
        ("listen", "x"),
        ("export", "1", "--to", "out"),
        ("rights", "copy", "1", "--to", "out"),
        ("persons", "add", "--name", "n", "--post", "p", "--authorisation", "1", "--recipient", "age1x"),
        ("persons", "renew", "1", "--identity", "Anna.txt"),
        ("persons", "rotate", "--yes"),
        ("verify", "--identity", "none.key"),
        ("init", "here", "--first-person", "n", "--post", "p", "--authorisation", "1", "--identity-out", "k"),
    ],
)
@pytest.mark.usefixtures("office")
def test_r7_every_command_that_opens_a_key_takes_care(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Taken(BaseException):
        """It was."""

    def taken() -> None:
        raise Taken

    for name, module in list(sys.modules.items()):
        if name.startswith("bystander.") and hasattr(module, "with_care"):
            monkeypatch.setattr(module, "with_care", taken)
    with pytest.raises(Taken):
        main(list(command))
