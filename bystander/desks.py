"""The desk of custody, set up for a command: the vault opened, and persons' keys asked for."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bystander.errors import UserError

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.custody.desk import Desk
    from bystander.custody.persons import Unlock
    from bystander.custody.printing import Office
    from bystander.storage.agefile import Identity

_T = TypeVar("_T")

Identities = Annotated[
    list[Path] | None,
    typer.Option("--identity", metavar="FILE", help="The file with your key; twice for two persons."),
]
PassphraseFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Its first line is the passphrase; one for each identity."
    ),
]


def with_desk(settings: Config, work: Callable[[Desk], Awaitable[_T]]) -> _T:
    """Do an act of custody with index, keyring and journal open. Raises UserError."""
    from bystander.actor import actor
    from bystander.custody.desk import Desk, Rules
    from bystander.storage.index import Index
    from bystander.vault import need, opened, tidy

    if not settings.recording.index.exists():
        raise UserError(f"{settings.recording.index}: there is no index yet; `bystander init` makes it")

    async def go() -> _T:
        async with await Index.open(settings.recording.index) as index:
            return await work(
                Desk(
                    index,
                    vault.keyring,
                    vault.journal,
                    settings.recording.directory,
                    settings.zone(),
                    actor(),
                    time.time_ns(),
                    Rules(settings.custody.two_persons, settings.custody.protocol_days),
                )
            )

    try:
        with opened(settings) as found:
            vault = need(found)
            return asyncio.run(go())
    finally:
        tidy(settings)


def unlocking(identities: Sequence[Path] | None, passphrases: Sequence[Path] | None) -> list[Unlock]:
    """Return what gives the keys in some identity files, when they are needed and not before."""
    files = list(passphrases or ())
    if len(files) > len(identities or ()):
        raise UserError("more passphrase files than identities; give --identity for each")
    pairs = [(file, files[at] if at < len(files) else None) for at, file in enumerate(identities or ())]
    return [_unlock(identity, passphrase) for identity, passphrase in pairs]


def _unlock(identity: Path, passphrase: Path | None) -> Unlock:
    def unlock() -> Identity:
        from bystander.storage.identity import read_identity

        return read_identity(identity, passphrase_for(identity, passphrase))

    return unlock


def passphrase_for(identity: Path, file: Path | None) -> str:
    """Return the passphrase of an identity, from a file's first line or asked for."""
    from bystander.commands_vault import passphrase_of

    if file is not None or not sys.stdin.isatty():
        return passphrase_of(file)
    return getpass.getpass(f"Passphrase of {identity.name}: ")


def office_of(settings: Config) -> Office:
    """Return the office as the forms name it."""
    from bystander.custody.printing import Office

    office = settings.office
    return Office(office.name, office.address, office.president, office.dpo)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that others may not read, in place of an earlier one. Raises UserError."""
    from bystander.storage.wav import write_file

    try:
        write_file(path, [content])
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}; choose another name") from None


def no_cores() -> None:
    """Keep what is opened in memory out of core dumps."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
