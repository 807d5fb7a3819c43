"""`verify`: is the vault whole? And `journal`: who did what with it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.commands_record import ConfigFile, Json
from bystander.errors import UserError
from bystander.lang import t, told
from bystander.output import console, plain, print_json, progress
from bystander.unlocking import PassphraseFile, passphrase_of, with_care

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.custody.journal import Entry, Head, Journal
    from bystander.custody.verify import Report

journal = typer.Typer(name="journal", help="Who did what with the recordings, when.")

#: What `verify` looked at.
_LOOKED_AT = {
    "permissions": "{count} {count:permission|permissions}",
    "calls": "{count} {count:call|calls}",
    "keys": "{count} {count:key|keys}",
    "files": "{count} {count:file|files}",
    "entries": "{count} {count:entry|entries}",
}

KnownHead = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="SEQ:HASH|FILE",
        help="A head of the journal noted elsewhere; it must be part of it.",
    ),
]


def verify(
    identity: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also open every recording with this person's key.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    head: KnownHead = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Check every file, row, key and entry; change nothing.

    Exit status 1 at any fault.
    """
    from bystander.config import load

    settings = load(config)
    keys = _vault_keys(settings, identity, passphrase_file) if identity is not None else None
    known = _head(head)
    with progress(t("verifying"), hidden=json, of_bytes=True) as shown:
        report = _look(settings, config, known, keys, shown or _unseen)
    if json:
        faults = [{"where": fault.where, "what": fault.what} for fault in report.faults]
        print_json({"ok": not faults, "faults": faults, "notes": report.notes, "checked": report.checked})
        return 1 if faults else 0
    screen = console()
    for fault in report.faults:
        screen.print(plain(f"{fault.where}: {told(fault.what)}"), style="red", soft_wrap=True)
    for note in report.notes:
        screen.print(plain(told(note)), style="yellow", soft_wrap=True)
    looked = ", ".join(t(_LOOKED_AT[what], count=count) for what, count in report.checked.items())
    count = len(report.faults)
    found = t("{number} {number:fault|faults}", number=count) if count else t("whole")
    screen.print(f"{found} ({looked})")
    return 1 if count else 0


def faults_of(settings: Config, config: Path | None, shown: Any = None) -> list[str]:
    """Return what `verify` finds wrong, a line each, for a report. ``shown`` is a progress bar."""
    return [str(fault) for fault in _look(settings, config, None, None, shown or _unseen).faults]


def _look(settings: Config, config: Path | None, known: Head | None, keys: Any, shown: Any) -> Report:
    from bystander.config import path_of
    from bystander.custody.verify import Places
    from bystander.custody.verify import verify as look
    from bystander.inprogress import calls_in_progress
    from bystander.storage.index import Index

    vault, recording = settings.vault, settings.recording
    places = Places(
        config=path_of(config).absolute(),
        index=recording.index,
        recordings=recording.directory,
        spool=recording.spool,
        keyring=None if vault is None else vault.keyring,
        journal=None if vault is None else vault.journal,
        keys=None if vault is None else vault.keys,
    )
    going = {call.id for call in calls_in_progress(settings)}

    async def work() -> Report:
        async with await Index.open(recording.index, read_only=True) as index:
            return await look(
                places, index, time.time_ns(), in_progress=going, known=known, vault_keys=keys, progress=shown
            )

    import asyncio

    return asyncio.run(work())


def journal_show(
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Entries since then.")] = None,
    act: Annotated[str | None, typer.Option(metavar="ACT", help="Entries of this act only.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The newest N.")] = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Show the entries of the journal, the newest last."""
    from datetime import UTC, datetime

    from bystander.moments import moment

    settings, book = _journal(config)
    zone = settings.zone()
    start = moment(since, zone, datetime.now(UTC)) if since else None
    found = [
        entry
        for entry in book.entries()
        if (act is None or entry.act == act) and (start is None or datetime.fromisoformat(entry.at) >= start)
    ]
    found = found[-limit:] if limit else found
    if json:
        print_json([_object(entry) for entry in found])
        return 0
    screen = console()
    width = max((len(entry.act) for entry in found), default=0)
    for entry in found:
        at = f"{datetime.fromisoformat(entry.at).astimezone(zone):%Y-%m-%d %H:%M:%S}"
        facts = "  ".join(
            f"{name} {_short(value)}" for name, value in entry.facts.items() if value is not None
        )
        screen.print(
            f"{entry.seq:>6}  {at}  {plain(entry.actor):<16} {plain(entry.act):<{width}} {plain(facts)}",
            soft_wrap=True,
        )
    return 0


def journal_verify(head: KnownHead = None, json: Json = False, config: ConfigFile = None) -> int:
    """Check the chain and its signatures, and print the head.

    Note the head elsewhere.
    """
    from bystander.storage.signing import read_public

    settings, book = _journal(config)
    assert settings.vault is not None
    faults = book.verify(read_public(settings.vault.keys), _head(head))
    last = book.last()
    newest = f"{last.seq}:{last.hash}" if last is not None else "0"
    if json:
        print_json({"ok": not faults, "faults": faults, "head": newest})
        return 1 if faults else 0
    screen = console()
    for fault in faults:
        screen.print(plain(told(fault)), style="red", soft_wrap=True)
    found = t("{number} {number:fault|faults}", number=len(faults))
    screen.print(found if faults else t("whole; head {head}", head=newest), soft_wrap=True)
    return 1 if faults else 0


def journal_export(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; a new file.")],
    config: ConfigFile = None,
) -> int:
    """Write the journal, its head and public key as JSON."""
    from bystander.output import json_text
    from bystander.storage.signing import read_public

    settings, book = _journal(config)
    assert settings.vault is not None
    head = book.head()
    content = {
        "recorder_key": read_public(settings.vault.keys),
        "head": {"seq": head.seq, "hash": head.hash},
        "how_to_check": "hash = SHA-256 of the entry as JSON without hash and sig, keys sorted, no spaces; "
        "prev = hash of the entry before; sig = Ed25519 by recorder_key over the 32 bytes of hash",
        "entries": [_object(entry) for entry in book.entries()],
    }
    try:
        with out.open("x", encoding="utf-8") as file:
            try:
                file.write(json_text(content) + "\n")
                file.flush()
            except OSError:
                out.unlink()
                raise
    except FileExistsError:
        raise UserError(f"{out}: there is such a file already; choose another name") from None
    except OSError as error:
        raise UserError(f"{out}: cannot write: {error.strerror}; choose another name") from None
    text = t("{number} {number:entry|entries} in {file}", number=len(content["entries"]), file=out)
    console().print(text, soft_wrap=True)
    return 0


def _vault_keys(settings: Config, identity: Path, passphrase_file: Path | None) -> list[Any]:
    from bystander.storage.identity import read_identity
    from bystander.storage.keyring import Keyring
    from bystander.storage.opening import vault_identities

    if settings.vault is None:
        raise UserError("this configuration has no [vault]: nothing is sealed, and --identity opens nothing")
    with_care()
    person = read_identity(identity, passphrase_of(passphrase_file))
    with Keyring.open(settings.vault.keyring, read_only=True) as keyring:
        return vault_identities(keyring, person)


def _journal(config: Path | None) -> tuple[Config, Journal]:
    from bystander.config import load
    from bystander.custody.journal import Journal

    settings = load(config)
    if settings.vault is None:
        raise UserError("this configuration has no [vault], and so no journal; `bystander init` makes one")
    return settings, Journal.open(settings.vault.journal)


def _head(text: str | None) -> Head | None:
    from bystander.custody.journal import Head

    if text is None:
        return None
    path = Path(text)
    said = text
    if ":" not in text and path.is_file():
        said = path.read_text(encoding="utf-8", errors="replace")
    match = re.search(r"(\d+):([0-9a-f]{64})", said)
    if match:
        return Head(int(match[1]), match[2])
    found = re.search(r'"hash":\s*"([0-9a-f]{64})".*?"seq":\s*(\d+)', said, re.DOTALL)
    if found:
        return Head(int(found[2]), found[1])
    raise UserError(f"{text}: not a head of a journal; it looks like 17:2f0c... (`bystander journal verify`)")


def _object(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq, "at": entry.at, "actor": entry.actor, "act": entry.act, "facts": entry.facts,
        "prev": entry.prev, "hash": entry.hash, "sig": entry.sig,
    }  # fmt: skip


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 2:
        return t("{listed} and {more} more", listed=value[0], more=len(value) - 1)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _unseen(_done: int, _all: int) -> None:
    """Show no progress."""
