"""`bystander init`: a vault, whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bystander import init as module
from bystander.cli import main
from bystander.config import load
from bystander.init import configuration
from bystander.storage.agefile import seal_bytes
from bystander.storage.identity import read_identity, recipient_text
from bystander.storage.keyring import Keyring
from bystander.storage.opening import recording_identity, vault_identities
from tests.terminal import at_terminal

PASSPHRASE = "correct horse"


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; once is enough."""

    def write(path: Path, identity: Any, passphrase: str) -> None:
        assert passphrase
        with path.open("x") as file:
            file.write(f"{identity}\n")

    monkeypatch.setattr(module, "write_identity", write)


def init(tmp_path: Path, *more: str | Path, vault: str = "vault", identity: str = "jan.age") -> int:
    arguments = [
        "init", tmp_path / vault, "--first-person", "Jan Żak", "--post", "informatyk",
        "--authorisation", "7/2026", "--identity-out", tmp_path / identity, *more,
    ]  # fmt: skip
    return main([str(argument) for argument in arguments])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_a_vault_is_made(tmp_path: Path, passphrase: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = init(tmp_path, "--passphrase-file", passphrase, "--timezone", "Europe/Warsaw", "--json")
    assert status == 0
    made = json.loads(capsys.readouterr().out)
    vault = tmp_path / "vault"
    assert sorted(path.name for path in vault.iterdir()) == [
        "bystander.toml", "index.sqlite", "journal.head", "journal.jsonl", "keyring.sqlite", "keys",
        "recordings", "spool",
    ]  # fmt: skip
    for path in (vault, *vault.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    config = load(vault / "bystander.toml")
    assert config.vault is not None
    assert config.vault.keyring == vault / "keyring.sqlite"
    assert (config.recording.directory, config.office.timezone) == (vault / "recordings", "Europe/Warsaw")
    person = read_identity(tmp_path / "jan.age", PASSPHRASE)
    assert recipient_text(person) == made["person_key"]
    with Keyring.open(vault / "keyring.sqlite") as keyring:
        keyring.add("r", seal_bytes(str(person).encode(), keyring.recipient))
        keys = vault_identities(keyring, person)
        assert recipient_text(keys[0]) == made["vault_key"]
        assert recipient_text(recording_identity(keyring, keys, "r")) == made["person_key"]
    acts = [json.loads(line) for line in (vault / "journal.jsonl").read_text().splitlines()]
    assert [entry["act"] for entry in acts] == ["init", "configuration"]
    assert "Żak" not in (vault / "journal.jsonl").read_text()
    for path in vault.rglob("*"):
        if path.is_file():
            assert b"AGE-SECRET-KEY-1" not in path.read_bytes().upper(), path


@pytest.mark.usefixtures("quick")
def test_a_second_time_touches_nothing(
    tmp_path: Path, passphrase: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "--passphrase-file", passphrase) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "vault").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert init(tmp_path, "--passphrase-file", passphrase, identity="other.age") == 1
    assert "there is a vault already; nothing was touched" in said(capsys)
    assert before == {path: path.read_bytes() for path in (tmp_path / "vault").rglob("*") if path.is_file()}
    assert not (tmp_path / "other.age").exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("prepare", "more", "expected"),
    [
        (
            lambda folder: (folder / "vault").mkdir() or (folder / "vault/x").touch(),
            {},
            "something else here",
        ),
        (lambda folder: (folder / "vault").touch(), {}, "something else here"),
        (lambda folder: (folder / "jan.age").touch(), {}, "there is such a file already"),
        (lambda folder: None, {"identity": "vault/jan.age"}, "a person's key is not kept in the vault"),
        (lambda folder: None, {"identity": "gone/jan.age"}, "cannot write the identity: No such file"),
        (lambda folder: (folder / "passphrase").write_text("short\n"), {}, "the passphrase is too short"),
        (lambda folder: (folder / "passphrase").write_text("\n"), {}, "its first line is empty"),
        (lambda folder: (folder / "passphrase").unlink(), {}, "cannot read the passphrase: No such file"),
        (lambda folder: (folder / "passphrase").write_bytes(b"\xff" * 9), {}, "not UTF-8 text"),
    ],
)
def test_what_it_refuses_leaves_nothing_behind(
    tmp_path: Path,
    passphrase: Path,
    capsys: pytest.CaptureFixture[str],
    prepare: Any,
    more: dict[str, str],
    expected: str,
) -> None:
    prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert init(tmp_path, "--passphrase-file", passphrase, **more) == 1  # type: ignore[arg-type]
    assert expected in said(capsys)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("quick")
def test_a_failure_half_way_leaves_nothing_behind(
    tmp_path: Path, passphrase: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Journal, "create", fail)
    assert init(tmp_path, "--passphrase-file", passphrase) == 1
    assert "cannot make the vault: No space left on device" in said(capsys)
    assert sorted(tmp_path.iterdir()) == [passphrase]


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_is_filled(tmp_path: Path, passphrase: Path) -> None:
    (tmp_path / "vault").mkdir()
    assert init(tmp_path, "--passphrase-file", passphrase) == 0
    assert (tmp_path / "vault/bystander.toml").exists()


def test_an_unknown_time_zone_is_a_line(
    tmp_path: Path, passphrase: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "--passphrase-file", passphrase, "--timezone", "Europe/Krakow") == 1
    assert "no such time zone; write it as Europe/Warsaw" in said(capsys)
    assert sorted(tmp_path.iterdir()) == [passphrase]


def test_without_a_terminal_there_is_nobody_to_ask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    assert init(tmp_path) == 1
    assert "no terminal to ask for the passphrase; give --passphrase-file FILE" in said(capsys)


def test_at_a_terminal_it_is_asked_for_twice(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "bystander", "init", tmp_path / "vault", "--first-person", "J", "--post", "p",
        "--authorisation", "1", "--identity-out", tmp_path / "jan.age",
    ]  # fmt: skip
    status, shown = at_terminal(command, [PASSPHRASE, PASSPHRASE])
    assert status == 0, shown
    assert PASSPHRASE not in shown
    assert recipient_text(read_identity(tmp_path / "jan.age", PASSPHRASE)).startswith("age1")
    command[4] = tmp_path / "other"
    status, shown = at_terminal(command, [PASSPHRASE, "something else"])
    assert status == 1
    assert "the two passphrases are not the same; nothing was made" in shown


def test_the_configuration_explains_itself() -> None:
    text = configuration("Europe/Warsaw")
    table = tomllib.loads(text)
    assert table["vault"] == {
        "keyring": "keyring.sqlite", "journal": "journal.jsonl", "keys": "keys", "container": "wav",
    }  # fmt: skip
    assert table["office"]["timezone"] == "Europe/Warsaw"
    assert table["retention"]["months"] == 3
    assert "# example" not in next(line for line in text.splitlines() if line.startswith("timezone"))
    assert len([line for line in text.splitlines() if line.startswith("#")]) > 40
