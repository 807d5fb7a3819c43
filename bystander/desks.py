"""The desk of custody, set up for a command: the vault opened, and persons' keys asked for."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bystander.errors import UserError
from bystander.lang import t
from bystander.output import warn

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.custody.desk import Desk
    from bystander.custody.persons import Unlock
    from bystander.custody.printing import Office
    from bystander.storage.agefile import Identity
    from bystander.storage.index import Index
    from bystander.vault import OpenVault

_T = TypeVar("_T")
_PR_SET_DUMPABLE = 4

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
    from bystander.custody.persons import lapse
    from bystander.storage.index import Index
    from bystander.vault import need, opened, tidy

    if not settings.recording.index.exists():
        raise UserError(f"{settings.recording.index}: there is no index yet; `bystander init` makes it")

    async def go() -> _T:
        async with await Index.open(settings.recording.index) as index:
            desk = await desk_of(settings, vault, index, actor())
            # Whoever's authorisation ended in the night loses the key also where no recorder runs.
            await lapse(desk)
            try:
                return await work(desk)
            finally:
                if not desk.reading.is_whole:
                    warn(t("the journal is not whole; see `bystander journal verify`"))

    try:
        with opened(settings) as found:
            vault = need(found)
            import asyncio

            return asyncio.run(go())
    finally:
        tidy(settings)


async def desk_of(settings: Config, vault: OpenVault, index: Index, actor: str) -> Desk:
    """Return the desk at which somebody acts. Its time never runs behind trusted time: a clock that was set
    back gives nobody an authorisation back that is over. One set forward ends authorisations, and destroys no
    key.
    """
    from bystander.custody.desk import Desk, Rules
    from bystander.retention.clock import Reading, judge, trusted_time

    trusted = await trusted_time(index)
    steady = judge(trusted, None, Reading.now(), settings.retention.clock_bound_ns, what_next="").ok
    return Desk(
        index,
        vault.keyring,
        vault.journal,
        settings.recording.directory,
        settings.zone(),
        actor,
        max(time.time_ns(), 0 if trusted is None else trusted.wall_ns),
        Rules(settings.custody.two_persons, settings.custody.protocol_days),
        None if steady or trusted is None else trusted.wall_ns,
    )


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
    from bystander.commands_vault import passphrase_of

    if file is not None or not sys.stdin.isatty():
        return passphrase_of(file)
    return getpass.getpass(t("Passphrase of {name}: ", name=identity.name))


def office_of(settings: Config) -> Office:
    """Return the office as the forms name it."""
    from bystander.custody.printing import Office

    office = settings.office
    return Office(office.name, office.address, office.president, office.dpo, office.ordinance)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that others may not read, in place of an earlier one. Raises UserError."""
    from bystander.storage.wav import write_file

    try:
        write_file(path, [content])
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}; choose another name") from None


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
