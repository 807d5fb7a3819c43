"""Opening a sealed recording with an authorised person's identity: person -> vault -> recording -> file."""

from __future__ import annotations

import io
from pathlib import Path

from bystander.storage.agefile import Identity, SealProblem, identity_of, open_bytes, open_to
from bystander.storage.identity import recipient_text
from bystander.storage.keyring import Keyring


def vault_identities(keyring: Keyring, identity: Identity) -> list[Identity]:
    """Return the vault's private keys that a person may use, the newest first. Raises SealProblem."""
    holder = recipient_text(identity)
    found = [
        identity_of(open_bytes(copy.sealed, identity, "the copy of the vault's key").decode("ascii"))
        for copy in keyring.copies()
        if copy.holder_recipient == holder
    ]
    if not found:
        raise SealProblem(
            "this identity has no copy of the vault's key: its person is not authorised to listen"
        )
    return found


def recording_identity(keyring: Keyring, vault: list[Identity], recording: str) -> Identity:
    """Return the key of one recording. Raises SealProblem."""
    sealed = keyring.get(recording)
    if sealed is None:
        raise SealProblem(f"{recording}: its key is destroyed: the recording was erased")
    for number, key in enumerate(vault, 1):
        try:
            return identity_of(open_bytes(sealed, key, f"{recording}: its key").decode("ascii"))
        except SealProblem:
            if number == len(vault):
                raise
    raise SealProblem(f"{recording}: no key of the vault was given")


def open_recording(keyring: Keyring, vault: list[Identity], recording: str, path: Path) -> bytes:
    """Return what a sealed file of a recording holds, in memory. Raises SealProblem."""
    key = recording_identity(keyring, vault, recording)
    if path.exists() and not path.is_file():
        # A pipe in its place would be waited for.
        raise SealProblem(f"{path}: not a file")
    content = io.BytesIO()
    try:
        open_to(path, key, content)
    except OSError as error:
        raise SealProblem(f"{path}: cannot read the sealed file: {error.strerror}") from None
    return content.getvalue()
