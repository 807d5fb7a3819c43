"""``bystander init``: a new vault, whole or not at all, and its first person's key.

The vault's private key exists in this process alone, and only until it has been sealed to the first person.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from bystander.actor import actor
from bystander.custody.journal import JOURNAL, Journal, JournalProblem
from bystander.errors import UserError
from bystander.retention.clock import Reading, confirm
from bystander.storage.agefile import seal_bytes
from bystander.storage.digest import refresh
from bystander.storage.identity import new_identity, recipient_text, write_identity
from bystander.storage.index import Index, IndexProblem
from bystander.storage.keyring import Keyring, KeyringProblem
from bystander.storage.scrub import ScrubProblem, scrub
from bystander.storage.signing import RecorderKey
from bystander.storage.wholefile import sync_folder
from bystander.vault import RECIPIENT, fingerprint_of

MIN_PASSPHRASE: Final = 8
CONFIG: Final = "bystander.toml"
_PATHS: Final = {
    "directory": "recordings", "spool": "spool", "index": "index.sqlite",
    "keyring": "keyring.sqlite", "journal": JOURNAL, "keys": "keys",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FirstPerson:
    """The first authorised person, as the register is to name them (R13)."""

    name: str
    post: str
    authorisation: str


def init(
    vault: Path, person: FirstPerson, identity_out: Path, passphrase: str, *, timezone: str | None = None
) -> dict[str, Any]:
    """Make a vault and the first person's identity file; return what was made. Raises UserError.

    Nothing is touched where there is something already.
    """
    vault, identity_out = vault.absolute(), identity_out.absolute()
    _refuse(vault, identity_out, passphrase)
    os.umask(0o077)
    try:
        vault.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{vault.name}-", dir=vault.parent))
    except OSError as error:
        raise UserError(f"{vault}: cannot make the vault: {error.strerror}; choose another folder") from None
    identity = new_identity()
    try:
        write_identity(identity_out, identity, passphrase)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(
            f"{identity_out}: cannot write the identity: {error.strerror}; choose another file"
        ) from None
    try:
        made = asyncio.run(_fill(folder, person, recipient_text(identity), timezone))
        folder.rename(vault)
        sync_folder(vault.parent)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        identity_out.unlink(missing_ok=True)
        if isinstance(error, IndexProblem | KeyringProblem | JournalProblem | ScrubProblem):
            raise UserError(str(error)) from None
        if isinstance(error, OSError):
            raise UserError(f"{vault}: cannot make the vault: {error.strerror or error}") from None
        raise
    return {"vault": str(vault), "configuration": str(vault / CONFIG), "identity": str(identity_out)} | made


def _refuse(vault: Path, identity_out: Path, passphrase: str) -> None:
    if (vault / CONFIG).exists():
        raise UserError(f"{vault}: there is a vault already; nothing was touched")
    if vault.exists() and (not vault.is_dir() or any(vault.iterdir())):
        raise UserError(f"{vault}: there is something else here; choose a folder that is new or empty")
    if identity_out.exists():
        raise UserError(f"{identity_out}: there is such a file already; choose another name for the identity")
    if identity_out.is_relative_to(vault):
        raise UserError(f"{identity_out}: a person's key is not kept in the vault; choose another folder")
    if len(passphrase) < MIN_PASSPHRASE:
        raise UserError(f"the passphrase is too short; take {MIN_PASSPHRASE} characters or more")


async def _fill(folder: Path, person: FirstPerson, holder: str, timezone: str | None) -> dict[str, Any]:
    for name in ("recordings", "spool", "keys"):
        (folder / name).mkdir(mode=0o700)
    vault_key = new_identity()
    recipient = recipient_text(vault_key)
    (folder / "keys" / RECIPIENT).write_text(recipient + "\n", encoding="ascii")
    key = RecorderKey.create(folder / "keys")
    with Keyring.create(folder / _PATHS["keyring"], recipient) as keyring:
        keyring.add_copy(holder, seal_bytes(str(vault_key).encode("ascii"), holder))
    async with await Index.open(folder / _PATHS["index"]) as index:
        async with index.transaction() as connection:
            await connection.execute(
                "INSERT INTO persons (name, post, authorisation, role, recipient, added_ns) "
                "VALUES (?, ?, ?, 'listener', ?, ?)",
                [person.name, person.post, person.authorisation, holder, time.time_ns()],
            )
            await connection.execute(refresh("persons", "true"))
        await confirm(index, Reading.now())
    config = folder / CONFIG
    config.write_text(configuration(timezone), encoding="utf-8")
    for name in ("index", "keyring"):
        scrub(folder / _PATHS[name])
    journal = Journal.create(folder / _PATHS["journal"], key)
    facts = {
        "vault_key": recipient,
        "recorder_key": key.public_hex,
        "person": 1,
        "authorisation": person.authorisation,
    }
    journal.append("init", actor(), facts)
    journal.append("configuration", actor(), {"sha256": fingerprint_of(config)})
    return {"vault_key": recipient, "recorder_key": key.public_hex, "person_key": holder}


def configuration(timezone: str | None) -> str:
    """Return the text of a new vault's configuration: the explained example, with this vault's paths."""
    text = resources.files("bystander").joinpath(CONFIG).read_text(encoding="utf-8")
    for key, path in _PATHS.items():
        text = re.sub(rf'^#?{key} = ".*"$', f'{key} = "{path}"', text, flags=re.MULTILINE)
    text = text.replace("#[vault]", "[vault]").replace('#container = "wav"', 'container = "wav"')
    zone = timezone or machine_zone()
    if zone is not None:
        text = re.sub(r"^#timezone = .*$", f'timezone = "{zone}"', text, flags=re.MULTILINE)
    head = "# Bystander: the configuration of this vault. Relative paths are relative to this file.\n"
    return head + text.partition("\n")[2]


def machine_zone() -> str | None:
    """Return the name of the machine's time zone; None if it has none that is told by name."""
    try:
        target = Path("/etc/localtime").resolve()
        if "zoneinfo" in target.parts:
            name = "/".join(target.parts[target.parts.index("zoneinfo") + 1 :])
            return name if name not in ("", "localtime") else None
        return Path("/etc/timezone").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
