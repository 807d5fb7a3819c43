"""The register of authorised persons and their copies of the vault's key (R13)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.config import load
from bystander.custody import listening, persons, rotation
from bystander.custody.desk import CustodyProblem, Desk, Refused
from bystander.custody.journal import JournalProblem
from bystander.custody.listening import Ask
from bystander.custody.persons import NewPerson, Person
from bystander.housekeeping import Housekeeping
from bystander.storage.agefile import open_bytes
from bystander.storage.digest import refresh
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.index import Index
from bystander.storage.keyring import KeyringProblem
from bystander.vault import OpenVault, settle_rotation
from tests.bureau import DAY_NS, Bureau, full_journal, write_keys
from tests.vaultkit import name_of

KEY = ("--identity", "Anna.txt")


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


def test_r13_two_revocations_at_once_leave_one_who_can_listen(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the other left, if they look at the same time: so they may not."""
    real = persons._is_last
    looking = 0

    async def slow(desk: Desk, who: Person) -> bool:
        nonlocal looking
        found = await real(desk, who)
        looking += 1
        for _ in range(20):
            await asyncio.sleep(0.01)
            if looking == 2:
                break
        return found

    monkeypatch.setattr(persons, "_is_last", slow)

    async def both(desk: Desk) -> list[Any]:
        async with await Index.open(desk.index.path) as index:
            acts = [persons.revoke(desk, 1, "left"), persons.revoke(replace(desk, index=index), 2, "left")]
            return await asyncio.gather(*acts, return_exceptions=True)

    done = bureau.at(both)
    assert sorted(type(one).__name__ for one in done) == ["Person", "Refused"]
    assert len(bureau.kit.keyring.copies()) == 1
    assert bureau.refusals() == ["last-copy"]


def test_r13_a_revocation_that_was_cut_short_is_finished_by_the_next(bureau: Bureau) -> None:
    """Killed between the register and the keyring: whoever comes next takes the copy away."""

    async def half(desk: Desk) -> None:
        async with desk.index.transaction() as connection:
            await connection.execute("UPDATE persons SET revoked_ns = 1 WHERE number = 1")
            await connection.execute(refresh("persons", "true"))

    bureau.at(half)
    with pytest.raises(Refused, match="revoked"):
        hear(bureau, "Anna")
    assert [copy.holder_recipient for copy in bureau.kit.keyring.copies()] == [
        recipient_text(bureau.keys["Ewa"])
    ]


def test_r13_nobody_has_a_copy_before_the_journal_says_so(bureau: Bureau) -> None:
    """A journal that the disk does not take: nobody is entered, and no copy is given."""
    with full_journal(), pytest.raises(JournalProblem):
        bureau.add("Jan")
    assert len(bureau.kit.keyring.copies()) == 2
    assert len(bureau.at(lambda desk: persons.register(desk.index))) == 2


def test_r13_who_is_entered_again_for_later_keeps_the_new_copy(bureau: Bureau) -> None:
    """The old entry with the same key is revoked; it takes nothing away from the new one."""
    bureau.add("Jan")
    bureau.at(lambda desk: persons.revoke(desk, 3, "left"))
    again = NewPerson("Jan", "inspektor", "9/2026", valid_from="2026-09-10")
    key = recipient_text(bureau.keys["Jan"])
    bureau.at(lambda desk: persons.add(desk, again, key, [bureau.kit.vault_identity]))
    assert bureau.at(persons.lapse) == []
    bureau.now_ns += 10 * DAY_NS
    assert hear(bureau, "Jan")
    assert [who.number for who in bureau.at(persons.holders)] == [1, 2, 4]


@pytest.mark.parametrize("text", ["\x1b[2JAnna", "Anna\u202eawE", "\udce9", " \u200b "])
def test_no_name_tricks_who_reads_the_register(bureau: Bureau, text: str) -> None:
    new = NewPerson(text, "p", "1/26")
    with pytest.raises(CustodyProblem, match=r"control characters|empty"):
        bureau.at(lambda desk: persons.add(desk, new, recipient_text(new_identity()), [new_identity()]))


def test_r13_a_clock_set_back_makes_nobody_valid_again(
    office: Bureau, refused: Callable[..., str], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault knows a later time than the clock tells: by that, Jan's authorisation is over."""
    office.add("Jan", valid_until="2026-09-05")
    write_keys("Jan")
    monkeypatch.setattr("bystander.desks.time.time_ns", lambda: office.now_ns)
    line = refused(
        "listen", name_of(1), "--case", "K", "--purpose", "security", "--justification", "j",
        "--identity", "Jan.txt", "--player", "cat > heard.wav",
    )  # fmt: skip
    assert "lapsed" in line and not Path("heard.wav").exists()
    assert office.journal("person-lapsed") == [{"person": 3}]


def test_r13_a_clock_set_forward_destroys_nobodys_key(
    office: Bureau, refused: Callable[..., str], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that clock nobody may listen; put right, everybody can again."""
    office.add("Jan", valid_until="2098-12-31")
    write_keys("Jan")
    hear = (
        "listen", name_of(1), "--case", "K", "--purpose", "security", "--justification", "j",
        "--identity", "Jan.txt", "--player", "cat > heard.wav",
    )  # fmt: skip
    copies = len(office.kit.keyring.copies())
    with monkeypatch.context() as patch:
        patch.setattr("bystander.desks.time.time_ns", lambda: 4_070_908_800 * 10**9)  # 2099
        assert "lapsed" in refused(*hear) and not Path("heard.wav").exists()
    assert len(office.kit.keyring.copies()) == copies and office.journal("person-lapsed") == []
    assert run(*hear)["persons"] == ["Jan"]


def test_r13_the_recorder_takes_the_keys_of_the_lapsed_at_night(office: Bureau) -> None:
    """Also when nobody gives a command: with each new day."""
    office.add("Jan", valid_until="2026-09-05")
    config = load(None)
    vault = OpenVault.open(config)
    assert vault is not None

    async def night(index: Index) -> list[int]:
        told: list[str] = []
        room: Any = None
        chores = Housekeeping(config, None, index, vault, room, lambda _, text: told.append(text))
        await chores._guarded("register", chores._lapse())
        assert not told
        return [len(vault.keyring.copies())]

    try:
        assert office.kit.using(night) == [2]
    finally:
        vault.close()
    assert office.journal("person-lapsed") == [{"person": 3}]


def test_the_last_who_can_listen_is_warned_of(
    office: Bureau, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["persons", "list"]) == 0
    assert capsys.readouterr().err == ""
    run("persons", "revoke", 2, "--reason", "left", "--yes")
    assert main(["persons", "list"]) == 0
    assert "only one person can listen" in capsys.readouterr().err
    office.at(lambda desk: persons.renew(desk, 1, "2026-09-02", None, None))
    assert main(["persons", "list"]) == 0
    assert "nobody can listen today" in capsys.readouterr().err


def test_a_new_key_does_not_go_into_the_vault(office: Bureau, refused: Callable[..., str]) -> None:
    where = office.kit.folder / "jan.key"
    line = refused(
        "persons", "add", "--name", "Jan", "--post", "p", "--authorisation", "1", "--identity-out", where,
        "--new-passphrase-file", "right", "--identity", "Anna.txt",
    )  # fmt: skip
    assert "not kept in the vault" in line and not where.exists()


# -- proof of who acts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["protocol fill", "disclose decide"])
def test_r14_r15_whoever_gives_a_key_is_in_the_journal(
    configured: Bureau, run: Callable[..., Any], refused: Callable[..., str], act: str
) -> None:
    """Optional; a key that does not hold refuses the act, and nothing of it is done."""
    write_keys("Anna", "Ewa", "Nobody")
    why = ("--case", "K 7/26", "--purpose", "quality")
    one = [*why, "--justification", "j", "--identity", "Anna.txt", "--player", "cat > /dev/null"]
    run("listen", name_of(1), *one)
    run("disclose", "request", name_of(1), *why, "--applicant", "Policja", "--ground", "akta")
    what = (
        ("protocol", "fill", 1, "--parties", "Jan")
        if act == "protocol fill"
        else ("disclose", "decide", 1, "--consent", "--by", "Prezydent")
    )
    entry = "protocol-filled" if act == "protocol fill" else "disclosure-decided"
    assert "nobody in the register" in refused(*what, "--identity", "Nobody.txt")
    run("persons", "revoke", 2, "--reason", "left", "--yes")
    assert "revoked" in refused(*what, "--identity", "Ewa.txt")
    assert configured.refusals() == ["stranger", "revoked"] and not configured.journal(entry)
    assert {one["what"] for one in configured.journal("refused")} == {act}
    run(*what, "--identity", "Anna.txt")
    assert configured.journal(entry)[-1]["proven"] == [1]
    if act == "protocol fill":
        run(*what)
        assert "proven" not in configured.journal(entry)[-1]
