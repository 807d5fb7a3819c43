"""The commands about the vault itself: `init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bystander.commands_record import Json
from bystander.lang import t
from bystander.output import console, paragraph, print_json
from bystander.unlocking import PassphraseFile, passphrase_of, with_care


def init(
    vault: Annotated[Path, typer.Argument(metavar="VAULT", help="The folder to make the vault in.")],
    first_person: Annotated[str, typer.Option(metavar="NAME", help="The first authorised person.")],
    post: Annotated[str, typer.Option(metavar="POST", help="That person's post.")],
    authorisation: Annotated[
        str, typer.Option(metavar="NUMBER", help="The number of that person's authorisation.")
    ],
    identity_out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where that person's key goes; not into the vault.")
    ],
    passphrase_file: PassphraseFile = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The office's time zone; else the machine's.")
    ] = None,
    json: Json = False,
) -> int:
    """Make a vault, with its first authorised person.

    Configuration, keys, index and journal; whole, or not at all.
    """
    from bystander.config import settings
    from bystander.init import FirstPerson
    from bystander.init import init as make

    with_care()
    if timezone is not None:
        settings(office={"timezone": timezone})
    passphrase = passphrase_of(passphrase_file, new=True)
    made = make(
        vault, FirstPerson(first_person, post, authorisation), identity_out, passphrase, timezone=timezone
    )
    if json:
        print_json(made)
        return 0
    screen = console()
    screen.print(f"{t('vault'):<10} {made['vault']}", soft_wrap=True)
    screen.print(f"{t('record'):<10} bystander run -c {made['configuration']}", soft_wrap=True)
    screen.print(f"{t('identity'):<10} {made['identity']}", soft_wrap=True)
    what_next = t(
        "Give the identity to its person, to be kept apart from this machine, and a copy into a safe. It is "
        "the only one so far: without it and its passphrase nobody can ever listen to a recording."
    )
    screen.print(paragraph(screen, what_next))
    return 0
