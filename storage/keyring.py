"""The keyring: the private half of each recording's key pair, sealed to the vault's key.

It is a file of its own, apart from the index, so that it can be left out of backups with history: deleting a
row here is what makes a recording unreadable, wherever copies of its sealed file may be. What is deleted is
overwritten (`secure_delete`), and the write-ahead log is emptied, before `destroy` returns.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bystander.storage.digest import expression, refresh, register
from bystander.storage.reason import reason
from bystander.storage.schema import LISTING

_SCHEMA: Final = """
CREATE TABLE keys (
    id       TEXT PRIMARY KEY,
    sealed   BLOB NOT NULL,
    added_ns INTEGER NOT NULL,
    digest   BLOB
) WITHOUT ROWID;
CREATE TABLE vault_keys (
    number    INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    made_ns   INTEGER NOT NULL,
    digest    BLOB
);
CREATE TABLE vault_key_copies (
    vault_key        INTEGER NOT NULL REFERENCES vault_keys (number),
    holder_recipient TEXT NOT NULL,
    sealed           BLOB NOT NULL,
    added_ns         INTEGER NOT NULL,
    digest           BLOB,
    PRIMARY KEY (vault_key, holder_recipient)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
_VERSION: Final = 1
_TABLES: Final = ("keys", "vault_keys", "vault_key_copies")
_PATIENCE_S: Final = 10.0


class KeyringProblem(Exception):  # noqa: N818  (what a person is told)
    """The keyring cannot be used. The message is one clear line."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The vault's private key, sealed to one person's recipient."""

    vault_key: int
    holder_recipient: str
    sealed: bytes
    added_ns: int


class Keyring:
    """An open keyring. Any thread may use it; one at a time does. Every method raises KeyringProblem."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, recipient: str) -> Self:
        """Make a keyring (0600) for a vault whose public key is ``recipient``. There must be no such file."""
        with _one_line(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            connection = _connect(path, "rw")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            connection.execute(
                "INSERT INTO vault_keys (recipient, made_ns) VALUES (?, ?)", (recipient, time.time_ns())
            )
            connection.execute(refresh("vault_keys", "true"))
        return cls(connection, path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open the keyring of a vault."""
        if not path.exists():
            raise KeyringProblem(
                f"{path}: the keyring is missing; without it no recording can be opened: put it back"
            )
        with _one_line(path):
            connection = _connect(path, "ro" if read_only else "rw")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            connection.close()
            raise KeyringProblem(
                f"{path}: not a keyring that this program knows (schema {version}, wanted {_VERSION})"
            )
        return cls(connection, path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the keys of recordings ---------------------------------------------------------------------------

    def add(self, id: str, sealed: bytes, recipient: str | None = None) -> None:  # noqa: A002  (the field's word)
        """Keep a recording's key, in place of the one that an interrupted sealing left. On disk on return.

        ``recipient`` is the vault key that it was sealed to: one that has been rotated away is refused.
        """
        with self._writing() as connection:
            if recipient is not None and recipient != _newest(connection):
                raise KeyringProblem(
                    f"{self.path}: the vault's key was rotated meanwhile; {id} is sealed again"
                )
            connection.execute(
                "INSERT INTO keys (id, sealed, added_ns) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, added_ns = excluded.added_ns",
                (id, sealed, time.time_ns()),
            )
            connection.execute(refresh("keys", "id = ?"), (id,))

    def get(self, id: str) -> bytes | None:  # noqa: A002
        """Return a recording's key as it is kept; None if there is none."""
        rows = self._rows("SELECT sealed FROM keys WHERE id = ?", (id,))
        return rows[0][0] if rows else None

    def ids(self) -> list[str]:
        """Return the recordings that have a key, in order."""
        return [row[0] for row in self._rows("SELECT id FROM keys ORDER BY id")]

    def fingerprints(self) -> dict[str, str]:
        """Return the SHA-256 of each recording's key as it is kept, hex, by recording."""
        return {row[0]: fingerprint(row[1]) for row in self._rows("SELECT id, sealed FROM keys")}

    def added_ns(self) -> dict[str, int]:
        """Return when each recording's key was kept, ns UTC, by recording."""
        return dict(self._rows("SELECT id, added_ns FROM keys"))

    def destroy(self, ids: Sequence[str]) -> None:
        """Delete recordings' keys for good: overwritten in the file, and gone from its log.

        Raises KeyringProblem also when readers keep the log from being emptied: then the keys may still be
        in it, and this is to be done again.
        """
        with self._writing() as connection:
            connection.executemany("DELETE FROM keys WHERE id = ?", [(id,) for id in ids])  # noqa: A001
        self._truncate_log()

    # -- the vault's own key ------------------------------------------------------------------------------

    @property
    def recipient(self) -> str:
        """The vault's public key, to which the keys of new recordings are sealed."""
        rows = self._rows("SELECT recipient FROM vault_keys ORDER BY number DESC LIMIT 1")
        if not rows:
            raise KeyringProblem(f"{self.path}: holds no vault key; put it back from a copy")
        return str(rows[0][0])

    def add_copy(self, holder_recipient: str, sealed: bytes, recipient: str | None = None) -> None:
        """Keep the vault's private key, sealed to a person, in place of the copy that the person had.

        ``recipient`` is the public half of what is sealed: one that has been rotated away is refused.
        """
        with self._writing() as connection:
            if recipient is not None and recipient != _newest(connection):
                raise KeyringProblem(f"{self.path}: the vault's key was rotated meanwhile; try again")
            number = connection.execute("SELECT max(number) FROM vault_keys").fetchone()[0]
            connection.execute(
                "INSERT INTO vault_key_copies (vault_key, holder_recipient, sealed, added_ns) "
                "VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sealed = excluded.sealed, "
                "added_ns = excluded.added_ns",
                (number, holder_recipient, sealed, time.time_ns()),
            )
            connection.execute(refresh("vault_key_copies", "holder_recipient = ?"), (holder_recipient,))

    def copies(self) -> list[Copy]:
        """Return the copies of the vault's private key, the newest vault key first."""
        return [
            Copy(*row)
            for row in self._rows(
                "SELECT vault_key, holder_recipient, sealed, added_ns FROM vault_key_copies "
                "ORDER BY vault_key DESC, added_ns"
            )
        ]

    def rotate(
        self, recipient: str, reseal: Callable[[bytes], bytes], copies: Sequence[tuple[str, bytes]]
    ) -> dict[str, str]:
        """Make ``recipient`` the vault's key: every key sealed again, ``copies`` (holder, sealed) in place of
        all others, and the vault's earlier key gone, all or nothing.

        Returns the new fingerprint of each recording's key. Whatever ``reseal`` raises leaves all as it was.
        """
        ready = {name: (sealed, reseal(sealed)) for name, sealed in self._rows("SELECT id, sealed FROM keys")}
        now_ns = time.time_ns()
        with self._writing() as connection:
            # The recorder goes on adding keys while the others are sealed again.
            done = {}
            for name, sealed in connection.execute("SELECT id, sealed FROM keys").fetchall():
                before, after = ready.get(name, (b"", b""))
                done[name] = after if before == sealed else reseal(sealed)
            connection.executemany(
                "UPDATE keys SET sealed = ? WHERE id = ?", [(sealed, name) for name, sealed in done.items()]
            )
            connection.execute(refresh("keys", "true"))
            (number,) = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM vault_keys").fetchone()
            connection.execute("DELETE FROM vault_key_copies")
            connection.execute("DELETE FROM vault_keys")
            connection.execute("INSERT INTO vault_keys VALUES (?, ?, ?, NULL)", (number, recipient, now_ns))
            connection.executemany(
                "INSERT INTO vault_key_copies VALUES (?, ?, ?, ?, NULL)",
                [(number, holder, sealed, now_ns) for holder, sealed in copies],
            )
            connection.execute(refresh("vault_keys", "true"))
            connection.execute(refresh("vault_key_copies", "true"))
        self._truncate_log()
        return {name: fingerprint(sealed) for name, sealed in done.items()}

    def drop_copy(self, holder_recipient: str) -> None:
        """Destroy a person's copies of the vault's private key, as :meth:`destroy` does."""
        with self._writing() as connection:
            connection.execute("DELETE FROM vault_key_copies WHERE holder_recipient = ?", (holder_recipient,))
        self._truncate_log()

    # -- integrity ----------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Return what is wrong with the file, a line each; nothing when it is whole."""
        found = [f"{row[0]}" for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        if self._rows(LISTING) != _listing():
            found.append("its tables are not as they were made")
        for table in _TABLES:
            key = "id" if table == "keys" else "number" if table == "vault_keys" else "holder_recipient"
            found += [
                f"{table}: the row {row[0]!r} is not as it was written"
                for row in self._rows(f"SELECT {key} FROM {table} WHERE digest IS NOT {expression(table)}")
            ]
        return found

    # -- SQLite -------------------------------------------------------------------------------------------

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _one_line(self.path):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _one_line(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _truncate_log(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            if time.monotonic() > deadline:
                raise KeyringProblem(f"{self.path}: busy; the keys that were deleted are still in its log")
            time.sleep(0.05)


def fingerprint(sealed: bytes) -> str:
    """Return the SHA-256 of a key as it is kept, hex."""
    return hashlib.sha256(sealed).hexdigest()


def _newest(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT recipient FROM vault_keys ORDER BY number DESC LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def _listing() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        return connection.execute(LISTING).fetchall()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_PATIENCE_S,
        isolation_level=None,
        check_same_thread=False,
    )
    register(connection)
    for pragma in ("secure_delete = ON", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyringProblem(f"{path}: cannot use the keyring: {reason(path, error)}") from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise KeyringProblem(f"{path}: cannot use the keyring: {reason(path, error)}") from error
