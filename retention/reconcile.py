"""Files, rows and keys against each other, in all directions (C20, C22). Finding mends nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bystander.retention.erasure import Cause, Eraser
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring

#: A recorder at work writes the files, then the key, then the row: younger things may be in between.
SETTLED_NS: Final = 600 * 1_000_000_000
_ENDINGS: Final = (".wav", ".flac", ".pcap", ".age", ".part")

Kind = Literal["file-without-row", "row-without-file", "key-without-row", "row-without-key", "leftover"]


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
            "leftover": f"{files}: half written, by a recorder that was killed",
        }[self.kind]


async def find(
    index: Index, keyring: Keyring | None, root: Path, now_ns: int, in_progress: Collection[str] = ()
) -> list[Finding]:
    """Return what lacks its counterpart, by id. What is younger than ten minutes, or of a call in progress
    or being erased, is left out."""
    # Files and keys first: a row that appears meanwhile is no fault, and one that goes takes its files along.
    files = await asyncio.to_thread(_files, root, now_ns - SETTLED_NS)
    keys = await asyncio.to_thread(keyring.added_ns) if keyring is not None else {}
    rows = {
        row[0]: row[1:]
        for row in await index.rows("SELECT id, wav_path, evidence_path, sealed FROM calls ORDER BY id")
    }
    held = {row[0] for row in await index.rows("SELECT DISTINCT id FROM held WHERE released_ns IS NULL")}
    skip = {row[0] for row in await index.rows("SELECT id FROM erasing")} | set(in_progress)
    found: list[Finding] = []
    for name, paths in files.items():
        named = set(rows[name][:2]) if name in rows else set()
        parts = [path for path in paths if path.endswith(".part")]
        strays = [path for path in paths if path not in named and not path.endswith(".part")]
        if parts and name not in skip:
            found.append(Finding("leftover", name, parts, name in held))
        if strays and name not in skip:
            found.append(Finding("file-without-row", name, strays, name in held))
    for name, (wav, evidence, sealed) in rows.items():
        if name in skip:
            continue
        missing = [path for path in (wav, evidence) if path and not (root / path).is_file()]
        if missing:
            found.append(Finding("row-without-file", name, missing, name in held))
        if sealed and keyring is not None and name not in keys and keyring.get(name) is None:
            found.append(Finding("row-without-key", name, [], name in held))
    for name, added_ns in keys.items():
        if name not in rows and name not in skip and added_ns < now_ns - SETTLED_NS and name not in files:
            found.append(Finding("key-without-row", name, [], name in held))
    if found:
        # A call that was erased while we looked has neither.
        gone = {finding.id for finding in found} - {
            row[0] for row in await index.rows("SELECT id FROM calls")
        }
        found = [finding for finding in found if finding.kind != "row-without-file" or finding.id not in gone]
    return sorted(found, key=lambda finding: (finding.id, finding.kind))


async def mend(eraser: Eraser, findings: list[Finding], actor: str, now_ns: int) -> dict[str, int]:
    """Put findings right, but not those that are held: stray files and keys are destroyed, a call whose audio
    is missing says so. Returns how many of each kind were."""
    done: dict[str, int] = {}
    strays = {
        finding.id: finding.files
        for finding in findings
        if finding.kind in ("file-without-row", "key-without-row") and not finding.held
    }
    known = {row[0] for row in await eraser.index.rows("SELECT id FROM calls")}
    for finding in findings:
        if finding.held:
            continue
        if finding.kind == "leftover" or (finding.kind == "file-without-row" and finding.id in known):
            # The call has its own files; these are not they.
            for path in finding.files:
                (eraser.root / path).unlink(missing_ok=True)
        elif finding.kind == "row-without-file":
            await _note_loss(eraser.index, finding)
        elif finding.kind == "row-without-key":
            continue
        done[finding.kind] = done.get(finding.kind, 0) + 1
    erase = [name for name in strays if name not in known]
    if erase:
        await eraser.erase(erase, Cause("mend", actor, "belongs to no call"), now_ns, strays=strays)
    if done:
        names = sorted({finding.id for finding in findings if not finding.held})
        await asyncio.to_thread(eraser.record.append, "mend", actor, {"recordings": names, "mended": done})
    return done


async def _note_loss(index: Index, finding: Finding) -> None:
    """Say in a call's row that its files are lost: it was recorded, and the recording is not there (C22)."""
    async with index.transaction() as connection:
        rows = await connection.execute_fetchall(
            "SELECT wav_path, evidence_path, call FROM calls WHERE id = ?", [finding.id]
        )
        for wav, evidence, text in rows:
            call = json.loads(text)
            if wav in finding.files:
                call |= {"recording": None, "lost": True}
                await connection.execute(
                    "UPDATE calls SET wav_path = NULL, audio_bytes = 0, wav_sha256 = NULL, "
                    "wav_sealed_sha256 = NULL, wav_sealed_bytes = 0, call = ? WHERE id = ?",
                    [json.dumps(call, ensure_ascii=False, separators=(",", ":")), finding.id],
                )
            if evidence in finding.files:
                await connection.execute(
                    "UPDATE calls SET evidence_path = NULL, evidence_sha256 = NULL, "
                    "evidence_sealed_sha256 = NULL, evidence_sealed_bytes = 0 WHERE id = ?",
                    [finding.id],
                )
        await connection.execute(refresh("calls", "id = ?"), [finding.id])


def _files(root: Path, settled_ns: int) -> dict[str, list[str]]:
    """Return the files below the root that are old enough to be settled, by recording."""
    found: dict[str, list[str]] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - there may be millions
            try:
                if os.stat(path).st_mtime_ns > settled_ns:  # noqa: PTH116
                    continue
            except FileNotFoundError:
                continue
            recording = name.lstrip(".").split(".", 1)[0]
            found.setdefault(recording, []).append(os.path.relpath(path, root))
    return {name: sorted(paths) for name, paths in sorted(found.items())}
