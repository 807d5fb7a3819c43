"""Copies to hand over: WAVs, a manifest, checksums that `sha256sum` alone can check, and the recorder's
signature.

A folder appears whole or not at all. `SHA256SUMS` names every file but itself and its signature; the
signature (Ed25519, RFC 8032) is over its bytes, so that it covers all of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bystander.custody.desk import CustodyProblem
from bystander.storage.agefile import SealProblem, seal_stream
from bystander.storage.signing import RecorderKey, verify
from bystander.storage.wav import sync_folder, write_file

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
SIGNATURE: Final = "SHA256SUMS.sig"
PUBLIC: Final = "recorder.pub"
README: Final = "README.txt"
_PIECE: Final = 1 << 20
_INSTRUCTIONS: Final = """\
Sprawdzenie / How to check
==========================
Linux, macOS:      sha256sum -c SHA256SUMS      (macOS: shasum -a 256 -c SHA256SUMS)
Windows:           certutil -hashfile NAGRANIE.wav SHA256, i porównać z / and compare with SHA256SUMS
Bystander:         bystander verify-export FOLDER --key KLUCZ

SHA256SUMS.sig to podpis Ed25519 (szesnastkowo) pliku SHA256SUMS; klucz publiczny rejestratora: recorder.pub.
SHA256SUMS.sig is the Ed25519 signature (hex) of SHA256SUMS; recorder.pub is the recorder's public key.
Ask the office for that key by another way, and compare: {key}
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """One recording to be handed over: its file's name, its WAV, and what the manifest says of it."""

    name: str
    wav: bytes
    about: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the WAV, hex."""
        return hashlib.sha256(self.wav).hexdigest()


def write_export(
    folder: Path,
    copies: Sequence[Copy],
    about: Mapping[str, Any],
    more: Mapping[str, bytes],
    key: RecorderKey,
    seal_to: str | None = None,
) -> str:
    """Write a folder to hand over; return the SHA-256 of its manifest. Raises CustodyProblem.

    ``more`` are other files, by name (the handover protocol). ``seal_to`` seals recordings to an age
    recipient.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CustodyProblem(f"{folder}: there is something in it; choose a folder that is new or empty")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".bystander-export-", dir=folder.parent))
    except OSError as error:
        raise CustodyProblem(
            f"{folder}: cannot write there: {error.strerror}; choose another folder"
        ) from None
    try:
        digest = _fill(unfinished, copies, about, more, key, seal_to)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError):
            raise CustodyProblem(f"{folder}: cannot write the copies: {error.strerror or error}") from None
        if isinstance(error, SealProblem):
            raise CustodyProblem(str(error)) from None
        raise
    return digest


def _fill(
    folder: Path,
    copies: Sequence[Copy],
    about: Mapping[str, Any],
    more: Mapping[str, bytes],
    key: RecorderKey,
    seal_to: str | None,
) -> str:
    recordings = []
    for copy in copies:
        name = copy.name + (".age" if seal_to else "")
        if seal_to:
            seal_stream([copy.wav], folder / name, seal_to)
        else:
            write_file(folder / name, [copy.wav], durable=True)
        recordings.append({"file": name, "sha256": copy.sha256, "size_bytes": len(copy.wav), **copy.about})
    manifest = json.dumps(
        {**about, "recorder_key": key.public_hex, "recordings": recordings}, ensure_ascii=False, indent=1
    )
    files = {
        MANIFEST: (manifest + "\n").encode(),
        README: _INSTRUCTIONS.format(key=key.public_hex).encode(),
        **more,
    }
    for name, content in files.items():
        write_file(folder / name, [content], durable=True)
    sums = "".join(f"{_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())).encode()
    write_file(folder / SUMS, [sums], durable=True)
    write_file(folder / SIGNATURE, [f"{key.sign(sums).hex()}\n".encode()], durable=True)
    write_file(folder / PUBLIC, [f"{key.public_hex}\n".encode()], durable=True)
    return hashlib.sha256(files[MANIFEST]).hexdigest()


def verify_export(folder: Path, key_hex: str | None = None) -> list[str]:
    """Return what is wrong with a folder that was handed over, a line each; nothing when it is whole.

    ``key_hex`` is the recorder's public key, as the office gave it by another way; without it the signature
    says only that folder and key belong together. Raises CustodyProblem for a folder that is none.
    """
    sums, signature, public = (_read(folder / name) for name in (SUMS, SIGNATURE, PUBLIC))
    known = public.decode("ascii", "replace").strip()
    faults = []
    if key_hex is not None and key_hex.strip().lower() != known:
        faults.append(f"{PUBLIC}: not the key that you gave")
    if not verify(key_hex.strip() if key_hex else known, sums, _unhex(signature)):
        faults.append(f"{SIGNATURE}: not that key's signature of {SUMS}")
    named = {}
    for number, line in enumerate(sums.decode("utf-8", "replace").splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or "/" in name:
            faults.append(f"{SUMS}:{number}: not a line of checksums")
            continue
        named[name] = digest
    for name, digest in named.items():
        try:
            if _digest(folder / name) != digest:
                faults.append(f"{name}: was changed (SHA-256)")
        except FileNotFoundError:
            faults.append(f"{name}: is missing")
        except OSError as error:
            faults.append(f"{name}: cannot be read: {error.strerror}")
    known_names = {*named, SUMS, SIGNATURE, PUBLIC}
    strange = sorted(path.name for path in folder.iterdir() if path.name not in known_names)
    return faults + [f"{name}: does not belong here; {SUMS} does not name it" for name in strange]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CustodyProblem(
            f"{path}: cannot read: {error.strerror}; is this the folder that was handed over?"
        ) from None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _unhex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        return b""
