"""Persons' keys at the terminal: which files they are in, their passphrases, and care for what is opened."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bystander.errors import UserError
from bystander.lang import t

if TYPE_CHECKING:
    from bystander.custody.persons import Unlock
    from bystander.storage.agefile import Identity

#: prctl(2).
_PR_SET_DUMPABLE: Final = 4

PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file whose first line is the passphrase; else it is asked for."),
]
Identities = Annotated[
    list[Path] | None,
    typer.Option("--identity", metavar="FILE", help="The file with your key; twice for two persons."),
]
Proof = Annotated[
    list[Path] | None,
    typer.Option(
        "--identity",
        metavar="FILE",
        help="The file with your key, if the journal is to have proof of who did it.",
    ),
]
PassphraseFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Its first line is the passphrase; one for each identity."
    ),
]


def unlocking(identities: Sequence[Path] | None, passphrases: Sequence[Path] | None) -> list[Unlock]:
    """Return what gives the keys in some identity files, when they are needed and not before."""
    files = list(passphrases or ())
    if len(files) > len(identities or ()):
        raise UserError("more passphrase files than identities; give --identity for each")
    pairs = [(file, files[at] if at < len(files) else None) for at, file in enumerate(identities or ())]
    return [_unlock(identity, passphrase) for identity, passphrase in pairs]


def _unlock(identity: Path, passphrase: Path | None) -> Unlock:
    def unlock() -> Identity:
        from bystander.storage.agefile import SealProblem
        from bystander.storage.identity import is_protected, read_identity

        try:
            words = passphrase_for(identity, passphrase) if is_protected(identity) else ""
        except UserError as problem:
            # Refused as a wrong one is, and so journalled.
            raise SealProblem(str(problem)) from None
        return read_identity(identity, words)

    return unlock


def passphrase_for(identity: Path, file: Path | None) -> str:
    """Return the passphrase of an identity, from a file's first line or asked for."""
    if file is not None or not sys.stdin.isatty():
        return passphrase_of(file)
    return getpass.getpass(t("Passphrase of {name}: ", name=identity.name))


def passphrase_of(file: Path | None, *, new: bool = False) -> str:
    """Return a passphrase from a file's first line, or ask for it, twice for a ``new`` one."""
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UserError(f"{file}: cannot read the passphrase: {why}") from None
        if not lines or not lines[0]:
            raise UserError(f"{file}: its first line is empty; it should be the passphrase")
        return lines[0]
    if not sys.stdin.isatty():
        raise UserError("no terminal to ask for the passphrase; give --passphrase-file FILE")
    answer = getpass.getpass(t("Passphrase: "))
    if new and getpass.getpass(t("The same again: ")) != answer:
        raise UserError("the two passphrases are not the same; nothing was made")
    return answer


def with_care() -> None:
    """Keep what is opened in memory out of core dumps and from other programs of the same account, and end
    as by Ctrl-C when the terminal goes or somebody says so: what is half done is then undone, or noted.
    """
    import ctypes
    import resource
    import signal

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Nobody but root attaches to this process, or reads its /proc/PID/mem: it is about to hold keys.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Whoever started it to outlive the terminal (nohup) means it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
