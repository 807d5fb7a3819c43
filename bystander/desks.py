"""The desk of custody, set up for a command or for the recorder: the vault opened, whose time it is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bystander.errors import UserError
from bystander.lang import t
from bystander.output import warn

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.custody.desk import Desk
    from bystander.custody.printing import Office
    from bystander.storage.index import Index
    from bystander.vault import OpenVault

_T = TypeVar("_T")


def with_desk(settings: Config, work: Callable[[Desk], Awaitable[_T]], *, begins: bool = True) -> _T:
    """Do an act of custody with index, keyring and journal open. Raises UserError, also where an act that
    ``begins`` has no room.
    """
    from bystander.actor import actor
    from bystander.custody.persons import lapse
    from bystander.roomtoact import need_room
    from bystander.storage.index import Index
    from bystander.vault import need, opened, tidy

    if not settings.recording.index.exists():
        raise UserError(f"{settings.recording.index}: there is no index yet; `bystander init` makes it")

    if begins:
        need_room(settings)

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
        time.time_ns,
    )


def office_of(settings: Config) -> Office:
    """Return the office as the forms name it."""
    from bystander.custody.printing import Office

    office = settings.office
    return Office(office.name, office.address, office.president, office.dpo, office.ordinance)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that others may not read, in place of an earlier one. Raises UserError."""
    from bystander.storage.wholefile import write_file

    try:
        write_file(path, [content])
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}; choose another name") from None
