"""Is the vault whole? Every file against its digest, every row against its files and its key, the journal's
chain, the keys, and the unused bytes of the databases. Nothing is changed, and nothing is opened but where an
identity is given."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bystander.custody.agreement import disagreements
from bystander.custody.journal import Entry, Head, Journal, JournalProblem
from bystander.retention import reconcile
from bystander.storage.agefile import Identity, SealProblem
from bystander.storage.digest import expression
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring
from bystander.storage.opening import open_recording
from bystander.storage.schema import LISTING, listing
from bystander.storage.signing import RecorderKey, SigningProblem, read_public
from bystander.storage.sqlitepages import strays_apart

_TABLES: Final = (
    *("calls", "coverage", "holds", "held", "plans", "erasing", "clock", "persons"),
    *("protocols", "disclosures", "disclosed", "restricted"),
)
_KEY: Final = {
    "calls": "id", "coverage": "number", "holds": "number", "held": "id", "plans": "plan", "erasing": "id",
    "clock": "one", "persons": "number", "protocols": "number", "disclosures": "number",
    "disclosed": "id", "restricted": "id",
}  # fmt: skip
_PIECE: Final = 1 << 20
#: More faults of one kind than this are counted, not listed.
_LISTED: Final = 100


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a vault are. ``vault`` parts are None where recordings are not sealed."""

    config: Path
    index: Path
    recordings: Path
    spool: Path
    keyring: Path | None = None
    journal: Path | None = None
    keys: Path | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """What was found, and how much was looked at."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def add(self, where: object, what: object) -> None:
        """Note a fault."""
        self.faults.append(Fault(str(where), str(what)))


#: (bytes looked at, bytes in all)
Progress = Callable[[int, int], None]


async def verify(
    places: Places,
    index: Index,
    now_ns: int,
    *,
    in_progress: Collection[str] = (),
    known: Head | None = None,
    vault_keys: list[Identity] | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Look at the whole vault. ``in_progress`` are ids of calls that are not filed yet.

    With ``vault_keys`` (storage/opening.py) every recording is opened, too, in memory, and what is inside is
    compared with its digest.
    """
    report = Report()
    keyring = Keyring.open(places.keyring, read_only=True) if places.keyring is not None else None
    try:
        await asyncio.to_thread(_permissions, places, report)
        await _databases(places, index, keyring, report)
        await _counterparts(places, index, keyring, now_ns, in_progress, report)
        await _files(places, index, keyring, vault_keys, report, progress)
        if places.journal is not None and places.keys is not None:
            entries = await asyncio.to_thread(_journal, places, keyring, known, report)
            for line in await _disagreements(index, places.journal, entries):
                report.add(places.index, line)
        for plan, cause in await index.rows("SELECT plan, cause FROM plans"):
            report.notes.append(f"erasure {plan} ({cause}) is not finished; the next sweep goes on with it")
    finally:
        if keyring is not None:
            keyring.close()
    return report


def _permissions(places: Places, report: Report) -> None:
    """Nobody but the recorder's account reads any of it (R7)."""
    tops = [places.index, places.config, places.recordings, places.spool]
    tops += [path for path in (places.keyring, places.journal, places.keys) if path is not None]
    count = 0
    for top in tops:
        for path in _below(top):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                continue
            count += 1
            if stat.S_IMODE(mode) & 0o077:
                report.add(path, f"others may reach it (mode {stat.S_IMODE(mode):04o}); chmod go= it")
    report.checked["permissions"] = count


def _below(top: Path) -> Iterator[Path]:
    yield top
    if top.is_dir():
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                yield Path(folder, name)


async def _databases(places: Places, index: Index, keyring: Keyring | None, report: Report) -> None:
    for (said,) in await index.rows("PRAGMA integrity_check"):
        if said != "ok":
            report.add(places.index, said)
    if await index.rows(LISTING) != listing():
        report.add(places.index, "its tables are not as they were made")
    for table in _TABLES:
        rows = await index.rows(
            f"SELECT {_KEY[table]} FROM {table} WHERE digest IS NOT {expression(table)} LIMIT {_LISTED}"
        )
        for (name,) in rows:
            report.add(places.index, f"the row {name!r} of {table} is not as it was written")
    (count,) = (await index.rows("SELECT count(*) FROM calls"))[0]
    report.checked["calls"] = count
    if keyring is not None:
        for fault in await asyncio.to_thread(keyring.faults):
            report.add(keyring.path, fault)
    for path in (places.index, *([keyring.path] if keyring is not None else [])):
        await asyncio.to_thread(_unused, path, places.spool, report)


def _unused(path: Path, spool: Path, report: Report) -> None:
    """Look at the bytes that no record uses. They are zero when the last who wrote has ended in good order.

    While a recorder is at work, or after it was killed, they cannot be judged: the next that ends puts them
    right.
    """
    log = path.with_name(path.name + "-wal")
    if (log.exists() and log.stat().st_size) or any(spool.glob("signalling.*")):
        return
    for stray in strays_apart(path):
        report.add(path, f"byte {stray.offset}: {stray.what} is not as SQLite and the scrub leave it")


async def _counterparts(
    places: Places,
    index: Index,
    keyring: Keyring | None,
    now_ns: int,
    in_progress: Collection[str],
    report: Report,
) -> None:
    for finding in await reconcile.find(index, keyring, places.recordings, now_ns, in_progress):
        report.add(finding.id, str(finding).removeprefix(f"{finding.id}: "))
    if keyring is None:
        return
    await _copies(index, keyring, report)
    fingerprints = await asyncio.to_thread(keyring.fingerprints)
    for name, wanted in await index.rows("SELECT id, key_sha256 FROM calls WHERE sealed"):
        if name in fingerprints and fingerprints[name] != wanted:
            report.add(keyring.path, f"the key of {name} is not the one that it was sealed with")
    report.checked["keys"] = len(fingerprints)


async def _copies(index: Index, keyring: Keyring, report: Report) -> None:
    """Nobody has a copy of the vault's key but listeners; those who lapsed lose it at the next act."""
    newest = {
        recipient: (number, role, revoked_ns)
        for number, role, recipient, revoked_ns in await index.rows(
            "SELECT number, role, recipient, revoked_ns FROM persons ORDER BY number"
        )
    }
    for copy in await asyncio.to_thread(keyring.copies) if newest else ():
        number, role, revoked_ns = newest.get(copy.holder_recipient, (None, None, None))
        if number is None:
            report.add(keyring.path, "somebody who is not in the register has a copy of the vault's key")
        elif role != "listener" or revoked_ns is not None:
            what = role if revoked_ns is None else "revoked"
            report.add(keyring.path, f"person {number} is {what}, and has a copy of the vault's key")


async def _files(
    places: Places,
    index: Index,
    keyring: Keyring | None,
    vault_keys: list[Identity] | None,
    report: Report,
    progress: Progress,
) -> None:
    rows = await index.rows(
        "SELECT id, sealed, wav_path, wav_sha256, wav_sealed_sha256, wav_sealed_bytes, evidence_path, "
        "evidence_sha256, evidence_sealed_sha256, evidence_sealed_bytes, call ->> '$.recording.sha256' "
        "FROM calls"
    )
    every = sum(row[5] + row[9] for row in rows)
    done = 0
    for name, sealed, wav, plain, digest, size, evidence, e_plain, e_digest, e_size, written in rows:
        for path, inside, outside, length in (
            (wav, plain, digest, size),
            (evidence, e_plain, e_digest, e_size),
        ):
            if path is None:
                continue
            wanted = outside if sealed else (written if path == wav else None)
            fault = await asyncio.to_thread(
                _check, places.recordings / path, wanted, length if sealed else None
            )
            if fault is None and sealed and vault_keys is not None and keyring is not None:
                fault = await asyncio.to_thread(
                    _open, keyring, vault_keys, name, places.recordings / path, inside
                )
            # A missing file is told of elsewhere, and one of a call erased meanwhile is no fault.
            if fault is not None and await index.rows("SELECT 1 FROM calls WHERE id = ?", [name]):
                report.add(places.recordings / path, fault)
            done += length
            report.checked["files"] = report.checked.get("files", 0) + 1
        progress(done, every)


def _check(path: Path, wanted: str | None, size: int | None) -> str | None:
    """Return what is wrong with a file, or None."""
    try:
        if path.exists() and not path.is_file():
            return "is not a file"
        with path.open("rb") as file:
            if size is not None and os.fstat(file.fileno()).st_size != size:
                return f"has {os.fstat(file.fileno()).st_size} bytes, not {size}"
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return (
        "is not as it was written (SHA-256)" if wanted is not None and digest.hexdigest() != wanted else None
    )


def _open(
    keyring: Keyring, vault_keys: list[Identity], name: str, path: Path, wanted: str | None
) -> str | None:
    try:
        content = open_recording(keyring, vault_keys, name, path)
    except SealProblem as problem:
        return str(problem).removeprefix(f"{path}: ")
    if wanted is not None and hashlib.sha256(content).hexdigest() != wanted:
        return "what is sealed in it is not what was recorded (SHA-256)"
    return None


async def _disagreements(index: Index, journal: Path, entries: list[Entry]) -> list[str]:
    """Return where index and journal disagree, if they do so while nobody writes."""
    lines = await disagreements(index, entries)
    for _ in range(3 if lines else 0):
        fresh = await asyncio.to_thread(lambda: list(Journal.open(journal).entries()))
        if len(fresh) == len(entries):
            break
        entries = fresh
        lines = await disagreements(index, entries)
    return lines


def _journal(places: Places, keyring: Keyring | None, known: Head | None, report: Report) -> list[Entry]:
    """Look at the journal, the keys and the configuration; return the entries."""
    assert places.journal is not None and places.keys is not None
    try:
        public = read_public(places.keys)
        if RecorderKey.load(places.keys).public_hex != public:
            report.add(places.keys, "recorder.key and recorder.pub are not two halves of one key")
    except SigningProblem as problem:
        report.add(places.keys, str(problem).removeprefix(f"{places.keys}: "))
        return []
    try:
        journal = Journal.open(places.journal)
        entries: list[Entry] = []
        for fault in journal.verify(public, known, entries.append):
            report.add(places.journal.parent, fault)
    except JournalProblem as problem:
        report.add(places.journal, problem)
        return []
    report.checked["entries"] = len(entries)
    begun: dict[str, Any] = next((entry.facts for entry in entries if entry.act == "init"), {})
    if begun.get("recorder_key") != public:
        report.add(places.keys / "recorder.pub", "not the key that the journal begins with")
    try:
        vault_key = (places.keys / "vault.pub").read_bytes().decode("ascii", "replace")
    except OSError as error:
        report.add(places.keys / "vault.pub", f"cannot be read: {error.strerror}")
    else:
        if vault_key != f"{keyring.recipient if keyring is not None else ''}\n":
            report.add(places.keys / "vault.pub", "not the public key of the keyring")
    config = next((entry.facts for entry in reversed(entries) if entry.act == "configuration"), {})
    try:
        digest = hashlib.sha256(places.config.read_bytes()).hexdigest()
    except OSError as error:
        report.add(places.config, f"cannot be read: {error.strerror}")
        return entries
    if config.get("sha256") != digest:
        report.add(
            places.config,
            "not as the recorder last read it; if it was changed on purpose, start the recorder anew",
        )
    return entries
