"""Persons' keys at the terminal: read when they are needed and not before, and taken care of."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bystander.cli import main
from bystander.commands import PLACES
from bystander.errors import UserError
from bystander.storage.agefile import SealProblem
from bystander.storage.identity import recipient_text
from bystander.unlocking import unlocking, with_care
from tests.bureau import Bureau


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


@pytest.mark.usefixtures("signals")
def test_told_to_end_is_as_interrupted_unless_it_is_to_outlive_the_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with_care()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_r7_no_other_program_of_the_account_reads_what_is_opened() -> None:
    """What the kernel refuses to a program of the same account, it gives to root: only the mark is looked at,
    and that the files of the process are not the account's any more.
    """
    code = (
        "import ctypes, sys; from bystander.unlocking import with_care; "
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

    # Each loaded beforehand: one that is loaded meanwhile would keep what stands in for it.
    for name in sorted(
        {(place if isinstance(place, str) else place[0]).partition(":")[0] for place in PLACES.values()}
    ):
        module = import_module(f"bystander.{name}")
        if hasattr(module, "with_care"):
            monkeypatch.setattr(module, "with_care", taken)
    with pytest.raises(Taken):
        main(list(command))
