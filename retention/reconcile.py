"""Files, rows, keys and holds against each other, in all directions (C20, C22). Finding mends nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bystander.retention.erasure import Cause, Eraser
from bystander.retention.removal import recording_of
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring
from bystander.storage.wholefile import sync_folder

#: A recorder at work writes the files, then the key, then the row: younger things may be in between.
SETTLED_NS: Final = 600 * 1_000_000_000
_SPOOL: Final = ("signalling.", "lock")
_ID: Final = re.compile(r"\d{8}-\d{6}-[a-z2-7]{6}")

Kind = Literal[
    "file-without-row", "row-without-file", "key-without-row", "row-without-key", "hold-without-row",
    "leftover", "foreign-file",
]  # fmt: skip
#: What `mend` can do nothing about: a person must.
UNMENDABLE: Final = frozenset({"row-without-key", "hold-without-row", "foreign-file"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that lacks its counterpart. ``files`` are relative to the folder of recordings."""

    kind: Kind
    id: str
    files: list[str] = field(default_factory=list)
    held: bool = False

    def __str__(self) -> str:
        files = ", ".join(self.files)
        return {
            "file-without-row": f"{files}: no call in the index has this file",
            "row-without-file": f"{self.id}: its file is missing: {files}",
            "key-without-row": f"{self.id}: a key without a call in the index",
            "row-without-key": f"{self.id}: its key is missing: nobody can open the recording",
            "hold-without-row": f"{self.id}: held, but there is no such call in the index, nor in progress",
            "leftover": f"{files}: half written, by a recorder that was killed",
            "foreign-file": f"{files}: not named as the recorder names its files; whoever put it there knows",
        }[self.kind]

    @property
    def mendable(self) -> bool:
        """Whether `mend` puts it right; what is held it never touches."""
        return not self.held and self.kind not in UNMENDABLE


@dataclass(frozen=True, slots=True)
class _Row:
    wav: str | None
    evidence: str | None
    sealed: bool

    @property
    def files(self) -> list[str]:
        return [path for path in (self.wav, self.evidence) if path]


async def find(
    index: Index, keyring: Keyring | None, root: Path, now_ns: int, in_progress: Collection[str] = ()
) -> list[Finding]:
    """Return what lacks its counterpart, by id. What is younger than ten minutes, or of a call in progress
    or being erased, is left out."""
    # Files and keys first: a row that appears meanwhile is no fault, and one that goes takes its files along.
    databases = tuple(str(one.path) for one in (index, keyring) if one is not None)
    files = await asyncio.to_thread(_files, root, now_ns - SETTLED_NS, databases)
    keys = await asyncio.to_thread(keyring.added_ns) if keyring is not None else {}
    rows = await _rows(index)
    held = {row[0] for row in await index.rows("SELECT DISTINCT id FROM held WHERE released_ns IS NULL")}
    skip = {row[0] for row in await index.rows("SELECT id FROM erasing")} | set(in_progress)
    settled = {name for name, added_ns in keys.items() if added_ns < now_ns - SETTLED_NS}
    found = [
        *_of_files(files, rows, held),
        *await asyncio.to_thread(lambda: list(_of_rows(root, rows, keyring, keys.keys(), held))),
        *(
            Finding("key-without-row", name, [], name in held)
            for name in settled - rows.keys() - files.keys()
        ),
        *(Finding("hold-without-row", name, [], True) for name in held - rows.keys() - keys.keys()),
    ]
    found = [finding for finding in found if finding.id not in skip]
    if found:
        found = await _still_so(index, found)
    return sorted(found, key=lambda finding: (finding.id, finding.kind))


async def mend(eraser: Eraser, findings: list[Finding], actor: str, now_ns: int) -> dict[str, int]:
    """Put findings right, but not those that are held: stray files and keys are destroyed, a call whose audio
    is missing says so. Returns how many of each kind were. Raises ErasureProblem, OSError."""
    findings = [finding for finding in findings if finding.mendable]
    known = {row[0] for row in await eraser.index.rows("SELECT id FROM calls")}
    strays: dict[str, list[str]] = {}
    done: dict[str, int] = {}
    for finding in findings:
        if finding.kind == "row-without-file":
            await _note_loss(eraser.index, eraser.root, finding)
        elif finding.kind == "leftover" or finding.id in known:
            # The call has its own files; these are not they.
            await asyncio.to_thread(_unlink, eraser.root, finding.files)
        else:
            strays.setdefault(finding.id, []).extend(finding.files)
        done[finding.kind] = done.get(finding.kind, 0) + 1
    if strays:
        cause = Cause("mend", actor, "belongs to no call")
        await eraser.erase(list(strays), cause, now_ns, strays=strays)
    if done:
        facts = {"mended": done, "recordings": sorted({finding.id for finding in findings})}
        await asyncio.to_thread(eraser.record.append, "mend", actor, facts)
    return done


async def _rows(index: Index) -> dict[str, _Row]:
    rows = await index.rows("SELECT id, wav_path, evidence_path, sealed FROM calls ORDER BY id")
    return {name: _Row(wav, evidence, bool(sealed)) for name, wav, evidence, sealed in rows}


def _of_files(
    files: Mapping[str, list[str]], rows: Mapping[str, _Row], held: Collection[str]
) -> Iterator[Finding]:
    """Yield the files that no row names, by recording."""
    named = {path for row in rows.values() for path in row.files}
    for name, paths in files.items():
        parts = [path for path in paths if path.endswith(".part")]
        strays = [path for path in paths if path not in named and not path.endswith(".part")]
        ours = name in rows or _ID.fullmatch(name) is not None
        if parts:
            yield Finding("leftover" if ours else "foreign-file", name, parts, name in held)
        if strays:
            yield Finding("file-without-row" if ours else "foreign-file", name, strays, name in held)


def _of_rows(
    root: Path,
    rows: Mapping[str, _Row],
    keyring: Keyring | None,
    keys: Collection[str],
    held: Collection[str],
) -> Iterator[Finding]:
    """Yield the rows that lack a file or a key."""
    for name, row in rows.items():
        if missing := [path for path in row.files if not (root / path).is_file()]:
            yield Finding("row-without-file", name, missing, name in held)
        if row.sealed and keyring is not None and name not in keys and keyring.get(name) is None:
            yield Finding("row-without-key", name, [], name in held)


async def _still_so(index: Index, found: list[Finding]) -> list[Finding]:
    """Leave out what an erasure or a recorder at work has made true meanwhile."""
    erasing = {row[0] for row in await index.rows("SELECT id FROM erasing")}
    rows = await _rows(index)
    named = {path for row in rows.values() for path in row.files}
    still = []
    for finding in found:
        if finding.id in erasing:
            continue
        if finding.kind.startswith("row-") and finding.id not in rows:
            continue
        if finding.kind in ("key-without-row", "hold-without-row") and finding.id in rows:
            continue
        if finding.kind == "file-without-row" and named.issuperset(finding.files):
            continue
        still.append(finding)
    return still


async def _note_loss(index: Index, root: Path, finding: Finding) -> None:
    """Say in a call's row that its files are lost: it was recorded, and the recording is not there (C22)."""
    missing = [path for path in finding.files if not (root / path).is_file()]
    async with index.transaction() as connection:
        rows = await connection.execute_fetchall(
            "SELECT wav_path, evidence_path, call FROM calls WHERE id = ?", [finding.id]
        )
        for wav, evidence, text in rows:
            if wav in missing:
                call = json.loads(text) | {"recording": None, "lost": True}
                await connection.execute(
                    "UPDATE calls SET wav_path = NULL, audio_bytes = 0, wav_sha256 = NULL, "
                    "wav_sealed_sha256 = NULL, wav_sealed_bytes = 0, call = ? WHERE id = ?",
                    [json.dumps(call, ensure_ascii=False, separators=(",", ":")), finding.id],
                )
            if evidence in missing:
                await connection.execute(
                    "UPDATE calls SET evidence_path = NULL, evidence_sha256 = NULL, "
                    "evidence_sealed_sha256 = NULL, evidence_sealed_bytes = 0 WHERE id = ?",
                    [finding.id],
                )
        await connection.execute(refresh("calls", "id = ?"), [finding.id])


def _unlink(root: Path, files: list[str]) -> None:
    for path in files:
        (root / path).unlink(missing_ok=True)
        sync_folder((root / path).parent)


def _files(root: Path, settled_ns: int, databases: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the files below the root that are old enough to be settled, by recording.

    Without a vault the index and the spool may lie there, too.
    """
    found: dict[str, list[str]] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - there may be millions
            if path.startswith(databases) or name.endswith(".spool") or name.startswith(_SPOOL):
                continue
            try:
                if os.stat(path).st_mtime_ns > settled_ns:  # noqa: PTH116
                    continue
            except FileNotFoundError:
                continue
            found.setdefault(recording_of(name), []).append(os.path.relpath(path, root))
    return {name: sorted(paths) for name, paths in sorted(found.items())}
