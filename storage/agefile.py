"""Sealing and opening by the age format (https://age-encryption.org/v1): a published format that other
programs open, too.

Sealing streams: what is sealed is never held whole, and the digests of the plain and of the sealed bytes are
taken on the way. A sealed file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyrage

from bystander.storage.wholefile import whole_file

#: Identities are opaque; the library names their class only at run time.
Identity = Any
_HEADER: Final = b"age-encryption.org/v1\n"


class SealProblem(Exception):  # noqa: N818  (what a person is told)
    """Something sealed cannot be opened, or a key is no key. The message is one clear line."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was sealed and what came of it: SHA-256 in hex, sizes in bytes."""

    sha256: str
    size_bytes: int
    sealed_sha256: str
    sealed_bytes: int


def seal_stream(
    parts: Iterable[bytes | memoryview], target: Path, recipient: str, *, durable: bool = True
) -> Sealed:
    """Seal ``parts`` to a recipient ("age1...") as the file ``target`` (0600), whole or not at all.

    Raises OSError (then there is no file), SealProblem for a recipient that is none, and whatever ``parts``
    raises.
    """
    to = recipient_of(recipient)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    reader = _Reader(iter(parts))
    with whole_file(target, durable=durable) as descriptor:
        writer = _Writer(descriptor)
        try:
            pyrage.encrypt_io(reader, writer, [to])
        except Exception:
            # The library wraps what the reader or the disk raised in an error of its own.
            if error := reader.error or writer.error:
                raise error from None
            raise
    return Sealed(reader.digest.hexdigest(), reader.size, writer.digest.hexdigest(), writer.size)


def seal_bytes(content: bytes, recipient: str) -> bytes:
    """Return ``content`` sealed to a recipient. Raises SealProblem for a recipient that is none."""
    sealed: bytes = pyrage.encrypt(content, [recipient_of(recipient)])
    return sealed


def open_bytes(sealed: bytes, identity: Identity, what: str) -> bytes:
    """Return what was sealed. Raises SealProblem, which calls the thing ``what``."""
    try:
        content: bytes = pyrage.decrypt(sealed, [identity])
    except pyrage.DecryptError as error:
        raise SealProblem(f"{what}: {_why(error)}") from None
    return content


def open_to(path: Path, identity: Identity, target: io.RawIOBase | io.BufferedIOBase) -> None:
    """Open a sealed file and write what was sealed to ``target``. Raises SealProblem, OSError.

    What a damaged file holds before its damage has been written by then: judge by the error, not the bytes.
    """
    with path.open("rb") as file:
        try:
            pyrage.decrypt_io(file, target, [identity])
        except pyrage.DecryptError as error:
            raise SealProblem(f"{path}: {_why(error)}") from None
        except OSError as error:
            if error.errno is not None:
                raise
            # What the library finds wrong behind the header reaches us as an error of reading.
            raise SealProblem(f"{path}: {_why(error)}") from None


def recipient_of(text: str) -> Any:
    """Return the library's object for a recipient's text. Raises SealProblem."""
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise SealProblem(f"{text.strip()[:20]!r}: not an age recipient; it begins with age1") from None


def identity_of(text: str) -> Identity:
    """Return the library's object for an identity's text. Raises SealProblem, which does not repeat it."""
    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError:
        raise SealProblem("not an age identity; its line begins with AGE-SECRET-KEY-1") from None


def is_sealed(content: bytes) -> bool:
    """Return whether bytes begin as an age file does."""
    return content.startswith(_HEADER)


def _why(error: Exception) -> str:
    if "No matching keys" in str(error):
        return "sealed to another key than this one"
    return "damaged or cut short: it does not open"


class _Reader(io.RawIOBase):
    """The parts as a file; digests and counts what is read."""

    def __init__(self, parts: Iterator[bytes | memoryview]) -> None:
        self._parts = parts
        self._left = memoryview(b"")
        self.digest = hashlib.sha256()
        self.size = 0
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            try:
                part = next(self._parts, None)
            except BaseException as error:
                self.error = error
                raise
            if part is None:
                return b""
            self._left = memoryview(part).cast("B")
            self.digest.update(self._left)
            self.size += len(self._left)
        taken, self._left = (
            (self._left, memoryview(b"")) if size < 0 else (self._left[:size], self._left[size:])
        )
        return bytes(taken)


class _Writer(io.RawIOBase):
    """A descriptor as a file; digests and counts what is written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.digest = hashlib.sha256()
        self.size = 0
        self.error: BaseException | None = None

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        total = len(left)
        self.digest.update(left)
        self.size += total
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self.error = error
            raise
        return total
