"""What the index knows of the recordings' keys, brought up to date when all of them were sealed anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bystander.storage.digest import refresh, register
from bystander.storage.keyring import Keyring
from bystander.storage.reason import reason
from bystander.storage.schema import IndexProblem

_PATIENCE_S = 10.0


def renew_fingerprints(index: Path, keyring: Keyring) -> int:
    """Write the fingerprint of every key as the keyring has it into the rows of the index; return how many
    changed. May be done again at any time. Raises IndexProblem, KeyringProblem.
    """
    try:
        uri = f"{index.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, isolation_level=None)) as connection:
            register(connection)
            for pragma in ("secure_delete = ON", "synchronous = FULL"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Read within the transaction: a row that comes later brings the fingerprint of that moment.
                known = dict(connection.execute("SELECT id, key_sha256 FROM calls WHERE sealed"))
                fresh = [
                    (now, name)
                    for name, now in keyring.fingerprints().items()
                    if name in known and known[name] != now
                ]
                connection.executemany("UPDATE calls SET key_sha256 = ? WHERE id = ?", fresh)
                connection.executemany(refresh("calls", "id = ?"), [(name,) for _, name in fresh])
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    except sqlite3.Error as error:
        raise IndexProblem(f"{index}: cannot use the index: {reason(index, error)}") from error
    return len(fresh)
