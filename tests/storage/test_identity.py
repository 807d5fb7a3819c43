"""A person's key, and the way from it to a recording: with our code, and with the program `age` alone."""

from __future__ import annotations

import io
import sqlite3
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pyrage
import pytest

from bystander.storage.agefile import SealProblem, open_to
from bystander.storage.identity import new_identity, read_identity, recipient_text, write_identity
from bystander.storage.opening import open_recording, recording_identity, vault_identities
from bystander.storage.wav import header
from tests.terminal import at_terminal
from tests.vaultkit import Kit, make, name_of

PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    kit = make(tmp_path_factory.mktemp("kit") / "vault")
    kit.add(1)
    write_identity(kit.folder.parent / "person.age", kit.person, PASSPHRASE)
    return kit


@pytest.fixture(scope="module")
def identity(vault: Kit) -> Path:
    return vault.folder.parent / "person.age"


def test_it_is_read_back_with_the_passphrase(vault: Kit, identity: Path) -> None:
    found = read_identity(identity, PASSPHRASE)
    assert recipient_text(found) == recipient_text(vault.person)
    assert stat.S_IMODE(identity.stat().st_mode) == 0o600


def test_not_without(identity: Path) -> None:
    with pytest.raises(SealProblem, match="the passphrase is wrong, or the file is damaged; try again"):
        read_identity(identity, "wrong")


def test_nothing_is_overwritten(identity: Path) -> None:
    before = identity.read_bytes()
    with pytest.raises(FileExistsError):
        write_identity(identity, new_identity(), PASSPHRASE)
    assert identity.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read the identity: No such file or directory"),
        (b"RIFF", "not an identity file"),
        (b"x" * 100_000, "not an identity file"),
        (b"AGE-SECRET-KEY-1NONSENSE\n", "not an age identity"),
        (b"# AGE-SECRET-KEY-1 is what a line begins with\n", "holds no identity"),
    ],
)
def test_what_is_no_identity_is_told_in_a_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "identity"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SealProblem, match=said) as raised:
        read_identity(path, PASSPHRASE)
    assert "\n" not in str(raised.value)


def test_an_identity_without_a_passphrase_works_too(tmp_path: Path) -> None:
    key = new_identity()
    (tmp_path / "plain").write_text(f"# created: now\n{key}\n")
    assert recipient_text(read_identity(tmp_path / "plain", "")) == recipient_text(key)


def test_a_busy_machine_is_not_taken_for_a_slow_one(
    identity: Path, vault: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library measures how fast the machine is, each time; what it then says is not what the file is."""
    decrypt, refusals = pyrage.passphrase.decrypt, iter(range(5))

    def interrupted(content: bytes, passphrase: str) -> bytes:
        for _ in refusals:
            raise pyrage.DecryptError("Excessive work parameter for passphrase.\nDecryption would take long")
        return bytes(decrypt(content, passphrase))

    monkeypatch.setattr(pyrage, "passphrase", SimpleNamespace(decrypt=interrupted))
    assert recipient_text(read_identity(identity, PASSPHRASE)) == recipient_text(vault.person)
    assert next(refusals, None) is None


@pytest.mark.parametrize(("works", "taken"), [([12, 19, 20], 19), ([18], 18), ([14, 16, 15], 16)])
def test_r7_a_key_made_on_a_busy_machine_is_no_weaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: list[int], taken: int
) -> None:
    """The library measures how fast the machine is, and asks for less work where something else was busy."""
    measured = iter(works)

    def encrypt(_text: bytes, _passphrase: str) -> bytes:
        return b"age-encryption.org/v1\n-> scrypt AAAA %d\nbody" % next(measured)

    monkeypatch.setattr(pyrage, "passphrase", SimpleNamespace(encrypt=encrypt))
    write_identity(tmp_path / "key", new_identity(), PASSPHRASE)
    assert (tmp_path / "key").read_bytes().split(b"\n")[1] == b"-> scrypt AAAA %d" % taken


def test_a_file_that_is_too_much_work_is_called_that(identity: Path, tmp_path: Path) -> None:
    head, stanza, rest = identity.read_bytes().split(b"\n", 2)
    hard = tmp_path / "hard.age"
    hard.write_bytes(b"\n".join([head, b" ".join([*stanza.split(b" ")[:-1], b"40"]), rest]))
    with pytest.raises(SealProblem, match="more work than this machine can do now"):
        read_identity(hard, PASSPHRASE)


def test_a_file_sealed_to_a_key_is_not_asked_for_a_passphrase(tmp_path: Path) -> None:
    (tmp_path / "sealed").write_bytes(pyrage.encrypt(b"a", [new_identity().to_public()]))
    with pytest.raises(SealProblem, match="not an identity protected by a passphrase"):
        read_identity(tmp_path / "sealed", PASSPHRASE)


def test_r7_a_stranger_opens_nothing(vault: Kit) -> None:
    with pytest.raises(SealProblem, match="has no copy of the vault's key: its person is not authorised"):
        vault_identities(vault.keyring, new_identity())
    with pytest.raises(SealProblem, match="sealed to another key"):
        recording_identity(vault.keyring, [new_identity()], name_of(1))


def test_a_person_opens_what_was_recorded(vault: Kit, identity: Path) -> None:
    keys = vault_identities(vault.keyring, read_identity(identity, PASSPHRASE))
    path = vault.root / "2026/08/31" / f"{name_of(1)}.wav.age"
    assert open_recording(vault.keyring, keys, name_of(1), path) == header(2000, 8000) + b"\1" * 8000
    with pytest.raises(SealProblem, match="cannot read the sealed file: No such file"):
        open_recording(vault.keyring, keys, name_of(1), path.with_name("gone"))


def test_the_description_of_the_format_is_true(vault: Kit, identity: Path, tmp_path: Path) -> None:
    """docs/vault-format.md, step by step, with `age` and SQLite and nothing of ours."""
    person = tmp_path / "person.txt"
    status, shown = at_terminal(["age", "-d", "-o", person, identity], [PASSPHRASE])
    assert status == 0, shown
    assert person.read_text().splitlines()[-1].startswith("AGE-SECRET-KEY-1")
    holder = next(line for line in person.read_text().splitlines() if "public key" in line).split()[-1]
    connection = sqlite3.connect(f"file:{vault.folder}/keyring.sqlite?mode=ro", uri=True)
    (copy,) = connection.execute(
        "SELECT sealed FROM vault_key_copies WHERE holder_recipient = ?", [holder]
    ).fetchone()
    (key,) = connection.execute("SELECT sealed FROM keys WHERE id = ?", [name_of(1)]).fetchone()
    connection.close()

    def age(identity_file: Path, sealed: bytes) -> bytes:
        done = subprocess.run(
            ["age", "-d", "-i", identity_file], input=sealed, capture_output=True, check=True
        )
        return done.stdout

    (tmp_path / "vault.txt").write_bytes(age(person, copy))
    (tmp_path / "recording.txt").write_bytes(age(tmp_path / "vault.txt", key))
    path = vault.root / "2026/08/31" / f"{name_of(1)}.wav.age"
    assert age(tmp_path / "recording.txt", path.read_bytes()) == header(2000, 8000) + b"\1" * 8000
    sip = path.with_name(f"{name_of(1)}.pcap.age")
    assert age(tmp_path / "recording.txt", sip.read_bytes()).startswith(b"INVITE")


def test_r7_all_that_the_recorder_has_opens_nothing(vault: Kit) -> None:
    """Every file of the vault, and every key that stands in one: none opens a recording."""
    path = vault.root / "2026/08/31" / f"{name_of(1)}.wav.age"
    for file in vault.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"AGE-SECRET-KEY-1" not in content.upper(), file
    with pytest.raises(SealProblem):
        open_to(path, new_identity(), io.BytesIO())
