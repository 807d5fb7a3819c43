"""What the commands share that act on recordings: the vault opened, a person asked, the answer shown."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bystander.errors import UserError
from bystander.lang import t
from bystander.output import console, print_json

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.retention.erasure import Eraser
    from bystander.vault import OpenVault

_T = TypeVar("_T")
#: Recordings in one entry of the journal.
_IN_ENTRY = 1000

Recordings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RECORDING...]", help="Ids, their beginnings, or SIP Call-IDs."),
]
Reason = Annotated[str, typer.Option(metavar="REASON", help="Why; it is written down.")]
By = Annotated[str | None, typer.Option(metavar="WHO", help="On whose order; else who runs this.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def with_eraser(settings: Config, work: Callable[[Eraser], Awaitable[_T]], *, writes: bool = True) -> _T:
    """Do some work with the index, the keyring and the journal open. Raises UserError."""
    from bystander.forgetting import forget
    from bystander.retention.erasure import Eraser
    from bystander.storage.index import Index
    from bystander.sweeping import NoJournal
    from bystander.vault import opened, tidy

    async def go(vault: OpenVault | None) -> _T:
        async with await Index.open(settings.recording.index, read_only=not writes) as index:
            eraser = Eraser(
                index,
                None if vault is None else vault.keyring,
                settings.recording.directory,
                NoJournal() if vault is None else vault.journal,
                partial(forget, settings.recording.spool),
            )
            return await work(eraser)

    if not settings.recording.index.exists():
        raise UserError(f"{settings.recording.index}: there is no index yet; `bystander run` makes it")
    try:
        with opened(settings) as vault:
            import asyncio

            return asyncio.run(go(vault))
    finally:
        if writes:
            tidy(settings)


def journal_of(eraser: Eraser, act: str, recordings: Sequence[str], facts: dict[str, Any]) -> None:
    """Journal an act on recordings, by whoever is at the command line; long lists in several entries."""
    for at in range(0, len(recordings), _IN_ENTRY):
        part = list(recordings[at : at + _IN_ENTRY])
        eraser.record.append(act, who(), {**facts, "count": len(part), "recordings": part})


def load(config: Any) -> Config:
    """Read the configuration. Raises UserError."""
    from bystander.config import load as read

    return read(config)


def who() -> str:
    """Return who acts, as the journal names them."""
    from bystander.actor import actor

    return actor()


def need_text(**options: str) -> None:
    """Refuse options that say nothing. Raises UserError."""
    for name, value in options.items():
        if not value.strip():
            raise UserError(f"--{name} is empty; say it in words")


def confirm(question: str) -> None:
    """Ask before what cannot be undone. Raises UserError unless the answer is yes."""
    if not sys.stdin.isatty():
        raise UserError("this cannot be undone, and there is no terminal to ask at; give --yes")
    if not _agreed(question):
        raise UserError("not confirmed; nothing was done")


def say(facts: Any, text: str, *, json: bool) -> None:
    """Show what was done."""
    if json:
        print_json(facts)
    else:
        console().print(text)


def _agreed(question: str) -> bool:
    """Ask until it is a yes or a no, in either language; an empty line is a no. Raises typer.Abort."""
    while True:
        sys.stderr.write(f"{question} {t('[y/N]')}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise typer.Abort
        answer = line.strip().lower()
        if answer in ("y", "yes", "t", "tak"):
            return True
        if answer in ("", "n", "no", "nie"):
            return False
