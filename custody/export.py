"""Copies to hand over: WAVs, a manifest, checksums that `sha256sum` alone can check, and the recorder's
signature.

A folder appears whole or not at all. `SHA256SUMS` names every file but itself and its signature; the
signature (Ed25519, RFC 8032) is over its bytes, so that it covers all of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bystander.custody.desk import CustodyProblem
from bystander.storage.agefile import SealProblem, seal_stream
from bystander.storage.signing import RecorderKey, verify
from bystander.storage.wholefile import sync_folder, write_file

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
SIGNATURE: Final = "SHA256SUMS.sig"
PUBLIC: Final = "recorder.pub"
README: Final = "README.txt"
_PIECE: Final = 1 << 20
_KEY_BYTES: Final = 32
_MAX_SUMS: Final = 64 << 20
_UNFINISHED: Final = ".bystander-export-"
#: An unfinished folder that nobody has locked is left by a program that was killed, once it is so old.
_LEFT_S: Final = 60.0
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
    """One recording to be handed over: its file's name, its WAV, what the manifest says of it, and its row of
    annex 4: date, number, length.
    """

    name: str
    wav: bytes
    about: Mapping[str, Any]
    row: tuple[str, str, str] = ("", "", "")


#: Rows of annex 4: date, number, length, SHA-256 of the WAV.
Rows = Sequence[tuple[str, str, str, str]]


def write_export(
    folder: Path,
    copies: Iterable[Copy],
    about: Mapping[str, Any],
    more: Callable[[Rows], Mapping[str, bytes]],
    key: RecorderKey,
    seal_to: str | None = None,
) -> str:
    """Write a folder to hand over; return the SHA-256 of its manifest. Raises CustodyProblem, and whatever
    ``copies`` and ``more`` raise: then there is no folder.

    Copies are taken one at a time, so that one recording is in memory and not all. ``more`` gives other files
    by name (the handover protocol). ``seal_to`` seals recordings to an age recipient.
    """
    refuse_taken(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(folder.parent)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    except OSError as error:
        raise CustodyProblem(
            f"{folder}: cannot write there: {error.strerror}; choose another folder"
        ) from None
    try:
        with _locked(unfinished):
            digest = _fill(unfinished, copies, about, more, key, seal_to)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError):
            why = f"{error.strerror or error}; name a new folder on a medium with room"
            raise CustodyProblem(f"{folder}: cannot write the copies: {why}") from None
        if isinstance(error, SealProblem):
            raise CustodyProblem(str(error)) from None
        raise
    return digest


def refuse_taken(folder: Path) -> None:
    """Raise CustodyProblem unless a folder is new or empty."""
    try:
        folder.stat()
        taken = not folder.is_dir() or any(folder.iterdir())
    except FileNotFoundError:
        taken = folder.is_symlink()
    except OSError as error:
        why = error.strerror or error
        raise CustodyProblem(f"{folder}: cannot write there: {why}; choose another folder") from None
    if taken:
        raise CustodyProblem(f"{folder}: there is something in it; choose a folder that is new or empty")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the program, so that others can tell whether it is still writing there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_left(parent: Path) -> None:
    """Remove what exports that were killed have left: recordings lie open there."""
    for path in parent.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            if path.is_symlink() or time.time() - path.stat().st_mtime < _LEFT_S:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
            finally:
                os.close(descriptor)


def _fill(
    folder: Path,
    copies: Iterable[Copy],
    about: Mapping[str, Any],
    more: Callable[[Rows], Mapping[str, bytes]],
    key: RecorderKey,
    seal_to: str | None,
) -> str:
    recordings, rows = [], []
    for copy in copies:
        name = copy.name + (".age" if seal_to else "")
        digest = hashlib.sha256(copy.wav).hexdigest()
        if seal_to:
            seal_stream([copy.wav], folder / name, seal_to)
        else:
            write_file(folder / name, [copy.wav], durable=True)
        recordings.append({"file": name, "sha256": digest, "size_bytes": len(copy.wav), **copy.about})
        rows.append((*copy.row, digest))
    manifest = json.dumps(
        {**about, "recorder_key": key.public_hex, "recordings": recordings}, ensure_ascii=False, indent=1
    )
    files = {
        MANIFEST: (manifest + "\n").encode(),
        README: _INSTRUCTIONS.format(key=key.public_hex).encode(),
        **more(rows),
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
    wanted = known if key_hex is None else key_hex.strip().lower()
    if len(_unhex(wanted.encode("ascii", "replace"))) != _KEY_BYTES and key_hex is not None:
        raise CustodyProblem("--key: not a recorder's public key; it is 64 hexadecimal digits")
    if wanted != known:
        faults.append(f"{PUBLIC}: not the key that you gave")
    if not verify(wanted, sums, _unhex(signature)):
        faults.append(f"{SIGNATURE}: not that key's signature of {SUMS}")
    named = {}
    for number, line in enumerate(sums.decode("utf-8", "replace").splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or "/" in name or "\0" in name:
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
        if not path.is_file():
            path.stat()
            raise OSError(0, "not a file")
        with path.open("rb") as file:
            return file.read(_MAX_SUMS)
    except OSError as error:
        raise CustodyProblem(
            f"{path}: cannot read: {error.strerror}; is this the folder that was handed over?"
        ) from None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    # Whoever made the folder that is checked may have put a pipe or a link there.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a file")
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _unhex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        return b""
