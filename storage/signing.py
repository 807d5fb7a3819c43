"""The recorder's own key: it signs the journal's entries and head (R10, R16), Ed25519 (RFC 8032).

The private half lies beside the vault, readable by the recorder's account alone. It opens no recording.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Self

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

PRIVATE: Final = "recorder.key"
PUBLIC: Final = "recorder.pub"


class SigningProblem(Exception):  # noqa: N818  (what a person is told)
    """The recorder's key cannot be used. The message is one clear line."""


class RecorderKey:
    """The recorder's signing key, made once by ``bystander init``."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make a key and write both halves (0600), hex, to ``folder``. Raises OSError, or if there is one."""
        key = cls(SigningKey.generate())
        for name, content in ((PRIVATE, bytes(key._key)), (PUBLIC, bytes(key._key.verify_key))):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(folder / name, flags, 0o600), "w", encoding="ascii") as file:
                file.write(content.hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
        return key

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the key that :meth:`create` wrote. Raises SigningProblem."""
        path = folder / PRIVATE
        return cls(SigningKey(_read(path, "the recorder's key")))

    @property
    def public_hex(self) -> str:
        """The public half, 64 hexadecimal digits."""
        return bytes(self._key.verify_key).hex()

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(message).signature


def read_public(folder: Path) -> str:
    """Return the public half from its file, hex. Raises SigningProblem."""
    return _read(folder / PUBLIC, "the recorder's public key").hex()


def verify(public_hex: str, message: bytes, signature: bytes) -> bool:
    """Return whether a signature is that key's over that message."""
    try:
        VerifyKey(bytes.fromhex(public_hex)).verify(message, signature)
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def _read(path: Path, what: str) -> bytes:
    try:
        text = path.read_text(encoding="ascii")
        content = bytes.fromhex(text)
    except OSError as error:
        raise SigningProblem(
            f"{path}: cannot read {what}: {error.strerror}; put it back from a copy"
        ) from None
    except ValueError:
        raise SigningProblem(f"{path}: {what} is damaged; put it back from a copy") from None
    if len(content) != 32 or text != content.hex() + "\n":
        raise SigningProblem(f"{path}: {what} is damaged; put it back from a copy")
    return content
