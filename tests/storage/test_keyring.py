"""The keyring: what is destroyed is nowhere any more; damage and absence are told in a line."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bystander.storage.keyring import Keyring, KeyringProblem, fingerprint


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    ring = Keyring.create(tmp_path / "keyring.sqlite", "age1vault")
    yield ring
    ring.close()


def all_bytes(keyring: Keyring) -> bytes:
    return b"".join(path.read_bytes() for path in keyring.path.parent.iterdir())


def test_what_is_kept_is_given_back(keyring: Keyring) -> None:
    keyring.add("a", b"first")
    keyring.add("b", b"second")
    keyring.add("a", b"again")
    assert (keyring.get("a"), keyring.get("c")) == (b"again", None)
    assert keyring.ids() == ["a", "b"]
    assert keyring.fingerprints() == {"a": fingerprint(b"again"), "b": fingerprint(b"second")}
    assert keyring.recipient == "age1vault"
    with Keyring.open(keyring.path, read_only=True) as other:
        assert other.get("b") == b"second"
    assert keyring.faults() == []


def test_it_is_private(keyring: Keyring) -> None:
    keyring.add("a", b"x")
    for path in keyring.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_r10_what_is_destroyed_is_in_no_file(keyring: Keyring) -> None:
    blobs = {f"r{number:04d}": os.urandom(300) for number in range(300)}
    for name, blob in blobs.items():
        keyring.add(name, blob)
    gone = [name for name in blobs if name.endswith("7")]
    assert blobs[gone[0]] in all_bytes(keyring)
    keyring.destroy(gone)
    left = all_bytes(keyring)
    assert not [name for name in gone if blobs[name] in left or name.encode() in left]
    assert keyring.ids() == sorted(set(blobs) - set(gone))
    keyring.destroy(gone)


def test_a_reader_that_keeps_the_log_busy_is_told_of(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bystander.storage.keyring._PATIENCE_S", 0.1)
    keyring.add("a", b"x")
    reader = sqlite3.connect(keyring.path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM keys").fetchall()
    keyring._connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(KeyringProblem, match="busy; the keys that were deleted are still in its log"):
        keyring.destroy(["a"])
    reader.close()
    keyring.destroy(["a"])


def test_copies_of_the_vaults_key(keyring: Keyring) -> None:
    keyring.add_copy("age1jan", b"for jan")
    keyring.add_copy("age1ewa", b"for ewa")
    keyring.add_copy("age1jan", b"for jan again")
    assert {copy.holder_recipient: copy.sealed for copy in keyring.copies()} == {
        "age1jan": b"for jan again",
        "age1ewa": b"for ewa",
    }
    keyring.drop_copy("age1jan")
    assert [copy.holder_recipient for copy in keyring.copies()] == ["age1ewa"]
    assert b"for jan" not in all_bytes(keyring)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE keys SET sealed = x'00' WHERE id = 'a'",
        "UPDATE keys SET added_ns = 1",
        "UPDATE vault_keys SET recipient = 'age1other'",
        "UPDATE vault_key_copies SET sealed = x'00'",
    ],
)
def test_a_row_changed_behind_our_back_is_found(keyring: Keyring, damage: str) -> None:
    keyring.add("a", b"x")
    keyring.add_copy("age1jan", b"x")
    keyring._connection.execute(damage)
    assert len(keyring.faults()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the keyring is missing; without it no recording can be opened: put it back"),
        (
            b"not a database, but long enough to be one" * 100,
            "cannot use the keyring: file is not a database",
        ),
        (b"", "not a keyring that this program knows"),
    ],
)
def test_what_is_no_keyring(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "keyring.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyringProblem, match=said) as raised:
        Keyring.open(path)
    assert "\n" not in str(raised.value)


def test_there_is_one_keyring_to_a_vault(keyring: Keyring) -> None:
    with pytest.raises(KeyringProblem, match="File exists"):
        Keyring.create(keyring.path, "age1other")
    assert keyring.recipient == "age1vault"


def test_threads_take_turns(keyring: Keyring) -> None:
    def add(begin: int) -> None:
        for number in range(begin, begin + 20):
            keyring.add(f"r{number:03d}", b"x")

    threads = [threading.Thread(target=add, args=(begin,)) for begin in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keyring.ids()) == 60
