"""`persons ...`, typed as a person types them (R13)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.custody import persons
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.keyring import KeyringProblem
from tests.bureau import Bureau, write_keys
from tests.vaultkit import name_of

NEW = ("--name", "Jan Wiśniewski", "--post", "referent", "--authorisation", "9/2026")
ANNA = ("--identity", "Anna.txt")
HEAR = (
    "listen",
    name_of(1),
    "--case",
    "K",
    "--purpose",
    "security",
    "--justification",
    "j",
    "--player",
    "cat >/dev/null",
)
Run = Callable[..., Any]
Refused = Callable[..., str]


def test_r13_from_entry_to_revocation(office: Bureau, run: Run, refused: Refused) -> None:
    key = new_identity()
    Path("jan.txt").write_text(f"{key}\n")
    made = run(
        "persons", "add", *NEW, "--valid-until", "2099-01-31", "--recipient", recipient_text(key), *ANNA
    )
    assert (made["number"], made["state"], made["recipient"]) == (3, "valid", recipient_text(key))
    assert run(*HEAR, "--identity", "jan.txt")["persons"] == ["Jan Wiśniewski"]
    assert run("persons", "renew", 3, "--valid-until", "2099-12-31")["valid_until"] == "2099-12-31"
    assert run("persons", "revoke", 3, "--reason", "odszedł", "--yes")["state"] == "revoked"
    assert "revoked" in refused(*HEAR, "--identity", "jan.txt")
    assert [(one["name"], one["state"], one["has_key"]) for one in run("persons", "list")][2] == (
        "Jan Wiśniewski", "revoked", False,
    )  # fmt: skip
    acts = [entry.act for entry in office.kit.journal.entries() if entry.act.startswith("person-")]
    assert acts[2:] == ["person-added", "person-renewed", "person-revoked"]


def test_r13_what_age_keygen_prints_is_a_persons_key(office: Bureau, run: Run) -> None:
    try:
        made = subprocess.run(["age-keygen", "-o", "jan.txt"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("age is not installed")
    recipient = made.stderr.split()[-1]
    run("persons", "add", *NEW, "--recipient", recipient, *ANNA)
    assert run(*HEAR, "--identity", "jan.txt")["persons"] == ["Jan Wiśniewski"]


@pytest.mark.parametrize("role", ["supervisor", "administrator"])
def test_r8_r16_other_roles_need_nobodys_key_and_get_none(office: Bureau, run: Run, role: str) -> None:
    made = run("persons", "add", *NEW, "--role", role)
    assert (made["role"], made["recipient"]) == (role, None)
    assert len(office.kit.keyring.copies()) == 2


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--recipient", "age1nonsense"),
        ("--recipient", recipient_text(new_identity()), "--identity-out", "x.key"),
        ("--recipient", recipient_text(new_identity()), "--role", "mayor"),
        ("--recipient", recipient_text(new_identity()), "--valid-until", "31.12.2026"),
        (
            "--recipient",
            recipient_text(new_identity()),
            "--valid-from",
            "2027-02-01",
            "--valid-until",
            "2027-01-01",
        ),
        ("--identity-out", "Anna.key"),
    ],
)
def test_r13_what_the_register_does_not_take(office: Bureau, refused: Refused, more: tuple[str, ...]) -> None:
    refused("persons", "add", *NEW, *more, *ANNA)
    assert len(office.at(lambda desk: persons.register(desk.index))) == 2
    assert len(office.kit.keyring.copies()) == 2


def test_r13_a_key_belongs_to_one_person(office: Bureau, refused: Refused) -> None:
    taken = recipient_text(office.keys["Ewa"])
    assert "Ewa's already" in refused("persons", "add", *NEW, "--recipient", taken, *ANNA)


@pytest.mark.parametrize("who", ["Adam", "Jan", "Obcy"])
def test_r13_who_cannot_listen_gives_nobody_the_key(office: Bureau, refused: Refused, who: str) -> None:
    office.add("Adam", role="administrator")
    office.add("Jan", valid_until="2026-09-02")
    write_keys("Adam", "Jan", "Obcy")
    fresh = recipient_text(new_identity())
    refused("persons", "add", *NEW, "--recipient", fresh, "--identity", f"{who}.txt")
    refused("persons", "rotate", "--yes", "--identity", f"{who}.txt")
    assert office.refusals() == [{"Adam": "role", "Jan": "lapsed", "Obcy": "stranger"}[who]] * 2
    assert fresh not in {copy.holder_recipient for copy in office.kit.keyring.copies()}


def test_r13_without_a_terminal_nothing_is_ended_unless_it_is_said(office: Bureau, refused: Refused) -> None:
    assert "--yes" in refused("persons", "revoke", 1, "--reason", "left")
    assert "empty" in refused("persons", "revoke", 1, "--reason", " ", "--yes")
    assert "--yes" in refused("persons", "rotate", *ANNA)
    assert "no such person" in refused("persons", "revoke", 9, "--reason", "left", "--yes")
    assert len(office.kit.keyring.copies()) == 2


def test_r13_the_last_is_not_revoked(office: Bureau, run: Run, refused: Refused) -> None:
    run("persons", "revoke", 1, "--reason", "left", "--yes")
    assert "only copy" in refused("persons", "revoke", 2, "--reason", "left", "--yes")
    assert office.refusals() == ["last-copy"]


def test_the_register_as_people_read_it(office: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["persons", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].split()[:2] == ["1", "Anna"] and lines[0].endswith("has the key")


def test_r13_who_is_entered_keeps_the_key_also_when_the_vaults_could_not_be_given(
    office: Bureau, run: Run, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The register would have a listener whose key is nowhere, and count on them as the last."""
    Path("new").write_text("another horse\n")
    made = ("--identity-out", "jan.key", "--new-passphrase-file", "new")

    def busy(*_: object) -> None:
        raise KeyringProblem("the keyring is busy")

    with monkeypatch.context() as patch:
        patch.setattr(persons, "_give", busy)
        assert "busy" in refused("persons", "add", *NEW, *made, *ANNA)
    (jan,) = [one for one in run("persons", "list") if one["name"] == "Jan Wiśniewski"]
    assert Path("jan.key").exists() and not jan["has_key"]
    run("persons", "renew", jan["number"], *ANNA)
    assert run(*HEAR, "--identity", "jan.key", "--passphrase-file", "new")["persons"] == ["Jan Wiśniewski"]


def test_r13_a_copy_put_back_for_who_was_revoked_is_a_fault(
    office: Bureau, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older keyring: whoever acts next destroys the copy again, and until then `verify` tells."""
    ewa = recipient_text(office.keys["Ewa"])
    copy = next(one for one in office.kit.keyring.copies() if one.holder_recipient == ewa)
    run("persons", "revoke", 2, "--reason", "left", "--yes")
    said = "person 2 is revoked, and has a copy of the vault's key"
    assert (main(["verify"]), said in capsys.readouterr().out) == (1, False)
    office.kit.keyring.add_copy(ewa, copy.sealed)
    assert (main(["verify"]), said in capsys.readouterr().out) == (1, True)
    run("persons", "list")
    assert (main(["verify"]), said in capsys.readouterr().out) == (1, False)
