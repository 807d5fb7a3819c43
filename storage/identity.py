"""A person's key: an age identity, protected by a passphrase, in a file that the person keeps.

The file is what ``age -p`` makes of what ``age-keygen`` prints, so both programs open what the other wrote.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyrage

from bystander.storage.agefile import Identity, SealProblem, identity_of, is_sealed

_SECRET: Final = "AGE-SECRET-KEY-1"
#: An identity file is a few hundred bytes; a larger file is something else.
_MAX_BYTES: Final = 65_536
#: So often a machine is asked whether it is too slow for a file, and so long after the last time.
_MEASUREMENTS: Final = 100
_BETWEEN_S: Final = 0.02
#: What ``age -p`` makes a passphrase cost, as a binary logarithm; and how often to try for it.
_ENOUGH_WORK: Final = 18
_ATTEMPTS: Final = 3


def new_identity() -> Identity:
    """Return a fresh key pair."""
    return pyrage.x25519.Identity.generate()


def recipient_text(identity: Identity) -> str:
    """Return the public half, "age1..."."""
    return str(identity.to_public())


def write_identity(path: Path, identity: Identity, passphrase: str) -> None:
    """Write an identity, protected by ``passphrase``, to a new file (0600). Raises OSError."""
    made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = f"# created: {made}\n# public key: {recipient_text(identity)}\n{identity}\n"
    sealed = _protected(text.encode("ascii"), passphrase)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _protected(text: bytes, passphrase: str) -> bytes:
    """Seal with a passphrase that is a second's work to try (R7).

    The library times one step of scrypt and chooses the work by that. On a busy machine that is too little,
    so the hardest of a few attempts is taken; a machine that is slow indeed stays below what is enough.
    """
    best = b""
    for _ in range(_ATTEMPTS):
        sealed = bytes(pyrage.passphrase.encrypt(text, passphrase))
        best = max(best, sealed, key=_work)
        if _work(best) >= _ENOUGH_WORK:
            break
    return best


def _work(sealed: bytes) -> int:
    """Return the work factor in the header, "-> scrypt SALT 18"; 0 where there is none."""
    stanza = sealed.split(b"\n", 2)[1:2]
    words = stanza[0].split(b" ") if stanza else []
    return int(words[3]) if words[:2] == [b"->", b"scrypt"] and words[3].isdigit() else 0


def is_protected(path: Path) -> bool:
    """Return whether a passphrase is to be asked for: not for a key that was made elsewhere and has none, nor
    for what cannot be read.
    """
    try:
        with path.open("rb") as file:
            return is_sealed(file.read(64))
    except OSError:
        return False


def read_identity(path: Path, passphrase: str) -> Identity:
    """Return the identity in a file. Raises SealProblem: no such file, not an identity, wrong passphrase."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SealProblem(
            f"{path}: cannot read the identity: {error.strerror}; give --identity FILE"
        ) from None
    if len(content) > _MAX_BYTES or not (is_sealed(content) or _SECRET.encode() in content):
        raise SealProblem(f"{path}: not an identity file; it is the one that --identity-out named")
    if is_sealed(content):
        content = _opened(path, content, passphrase)
    for line in content.decode("ascii", "replace").splitlines():
        if line.startswith(_SECRET):
            return identity_of(line)
    raise SealProblem(f"{path}: holds no identity (no line begins with {_SECRET})")


def _opened(path: Path, content: bytes, passphrase: str) -> bytes:
    """Open what a passphrase protects. Raises SealProblem.

    The library times one step of scrypt, and refuses what would then take sixteen times as long as it deems
    right. On a busy machine that step is interrupted now and then: one measurement proves nothing.
    """
    for left in range(_MEASUREMENTS - 1, -1, -1):
        try:
            return bytes(pyrage.passphrase.decrypt(content, passphrase))
        except pyrage.DecryptError as error:
            said = str(error).lower()
            if "excessive work" in said:
                if left:
                    time.sleep(_BETWEEN_S)
                    continue
                raise SealProblem(
                    f"{path}: protected by more work than this machine can do now; try again, or elsewhere"
                ) from None
            if "passphrase" in said or "no matching keys" in said:
                raise SealProblem(f"{path}: not an identity protected by a passphrase") from None
            raise SealProblem(f"{path}: the passphrase is wrong, or the file is damaged; try again") from None
    raise AssertionError
