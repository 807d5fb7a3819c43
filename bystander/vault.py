"""The vault of a configuration, opened: its keyring, its journal, and its public key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bystander.config import Config
from bystander.custody.journal import Journal, JournalProblem
from bystander.errors import UserError
from bystander.storage.keyring import Keyring, KeyringProblem
from bystander.storage.rekeyed import renew_fingerprints
from bystander.storage.schema import IndexProblem
from bystander.storage.scrub import ScrubProblem, scrub
from bystander.storage.signing import RecorderKey, SigningProblem
from bystander.storage.wholefile import sync_folder, write_file

RECIPIENT: Final = "vault.pub"
_NEXT: Final = "vault.pub.next"


@dataclass(slots=True)
class OpenVault:
    """What the recorder and the commands need of a vault. None of it can open a recording."""

    keyring: Keyring
    journal: Journal
    recipient: str

    @classmethod
    def open(cls, config: Config) -> OpenVault | None:
        """Open the vault of a configuration; None where recordings are not sealed. Raises UserError."""
        if config.vault is None:
            return None
        try:
            journal = Journal.open(config.vault.journal, RecorderKey.load(config.vault.keys))
            keyring = Keyring.open(config.vault.keyring)
            known = keyring.recipient
            finish_rotation(config, keyring)
            recipient = read_recipient(config.vault.keys)
        except (IndexProblem, JournalProblem, KeyringProblem, SigningProblem) as problem:
            raise UserError(str(problem)) from None
        if recipient != known:
            keyring.close()
            raise UserError(
                f"{config.vault.keys / RECIPIENT}: not the public key of {config.vault.keyring}; "
                "one of them was changed: put it back"
            )
        return cls(keyring, journal, recipient)

    def close(self) -> None:
        """Close the keyring."""
        self.keyring.close()


@contextmanager
def opened(config: Config) -> Iterator[OpenVault | None]:
    """Open the vault of a configuration for as long as it is needed."""
    vault = OpenVault.open(config)
    try:
        yield vault
    finally:
        if vault is not None:
            vault.close()


def tidy(config: Config) -> None:
    """Leave index and keyring without leftovers of what was deleted; call it when both are closed.

    Whatever hinders it is left to the next who writes: the recorder, most likely, is running.
    """
    files = [config.recording.index, *([config.vault.keyring] if config.vault is not None else [])]
    for path in files:
        try:
            if path.exists():
                scrub(path)
        except ScrubProblem:
            continue


def need(vault: OpenVault | None) -> OpenVault:
    """Return the vault, or raise UserError for a configuration without one."""
    if vault is None:
        raise UserError("this configuration has no [vault]; make one with `bystander init`, or give -c FILE")
    return vault


def read_recipient(keys: Path) -> str:
    """Return the vault's public key. Raises UserError."""
    path = keys / RECIPIENT
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "damaged"
        raise UserError(f"{path}: cannot read the vault's public key: {why}; put it back") from None


def announce_rotation(keys: Path, recipient: str) -> None:
    """Write the vault's next public key beside the present one, before the keyring changes to it."""
    write_file(keys / _NEXT, [f"{recipient}\n".encode("ascii")], durable=True)


def finish_rotation(config: Config, keyring: Keyring) -> None:
    """Do what is left of a rotation that was cut short after the keyring had changed. Raises UserError,
    IndexProblem, KeyringProblem.
    """
    index = config.recording.index
    if config.vault is not None:
        before = partial(renew_fingerprints, index, keyring) if index.exists() else lambda: None
        settle_rotation(config.vault.keys, keyring.recipient, before)


def settle_rotation(keys: Path, known: str, before: Callable[[], object] = lambda: None) -> None:
    """Put the next public key in its place if the keyring has changed to it: a rotation is done, or was cut
    short. ``before`` is done first, again if need be: as long as there is a next key, it is not known whether
    it was.
    """
    following = keys / _NEXT
    try:
        if following.read_text(encoding="ascii").strip() == known:
            before()
            following.rename(keys / RECIPIENT)
            sync_folder(keys)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "damaged"
        raise UserError(f"{following}: cannot be put in its place: {why}") from None


def fingerprint_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex: the configuration's, for the journal. Raises UserError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot read the configuration: {error.strerror}") from None
