"""Every way to a recording's audio without authority, tried at the real command line (R2, R7, R8, R10,
R12-R15, R18): one line, status 1, an entry in the journal, and not a byte of audio to a player or a disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.custody import listening, persons, rights
from bystander.custody.disclosure import Request, decide, request
from bystander.custody.listening import Ask
from bystander.retention.erasure import Cause
from bystander.storage.digest import refresh
from tests.bureau import Bureau, write_keys
from tests.vaultkit import name_of

ONE, TWO = name_of(1), name_of(2)
CASE, PURPOSE, WHY = ("--case", "K 7/26"), ("--purpose", "quality"), ("--justification", "complaint 5")
REASONED = (*CASE, *PURPOSE, *WHY)
ANNA, EWA = ("--identity", "Anna.txt"), ("--identity", "Ewa.txt")
LISTEN = ("listen", ONE, *REASONED)
KEY = ("--identity", "Anna.key", "--passphrase-file")
EXPORT = ("export", "1", "--to", "out")
NUMBER = "+48600000001"
COPY = ("rights", "copy", NUMBER, "--to", "out", *CASE, *WHY)

Prepare = Callable[[Bureau], None]


def nothing(_office: Bureau) -> None:
    """Leave the vault as it is."""


def entered(**changes: Any) -> Prepare:
    """Enter Jan in the register, in September."""

    def prepare(office: Bureau) -> None:
        office.add("Jan", **changes)
        write_keys("Jan")

    return prepare


def stranger(_office: Bureau) -> None:
    write_keys("Obcy")


def revoked(office: Bureau) -> None:
    office.at(lambda desk: persons.revoke(desk, 1, "left"))


def copy_gone(office: Bureau) -> None:
    office.kit.keyring.drop_copy(next(one for one in _register(office) if one.number == 1).recipient or "")


def _register(office: Bureau) -> list[persons.Person]:
    return office.at(lambda desk: persons.register(desk.index))


def restricted(office: Bureau) -> None:
    consented(office)
    office.at(lambda desk: rights.restrict(desk, [ONE], "restriction", "asked for it"))


def objected(office: Bureau) -> None:
    office.at(lambda desk: rights.restrict(desk, [ONE], "objection", "asked for it"))


def erased(office: Bureau) -> None:
    consented(office)
    office.kit.erasing(lambda eraser: eraser.erase([ONE], Cause("request", "t", "r", "g"), office.now_ns))


def key_destroyed(office: Bureau) -> None:
    office.kit.keyring.destroy([ONE])


def being_erased(office: Bureau) -> None:
    """A plan that a power cut left: the recording is to go, and its files are there yet."""

    async def plan(index: Any) -> None:
        async with index.transaction() as connection:
            await connection.execute("INSERT INTO plans VALUES ('p', 'request', 't', 1, NULL, NULL, NULL)")
            await connection.execute("INSERT INTO erasing VALUES (?, 'p', '[]', NULL)", [ONE])
            for table in ("plans", "erasing"):
                await connection.execute(refresh(table, "true"))

    office.kit.using(plan)


def overdue(office: Bureau) -> None:
    """A listening of September, whose protocol nobody has filled."""
    asked = Ask(TWO, "K", "quality", "j", [office.unlock("Anna")])
    office.at(lambda desk: listening.begin(desk, asked))


def two_demanded(office: Bureau) -> None:
    consented(office)
    path = office.kit.folder / "bystander.toml"
    path.write_text(path.read_text() + "[custody]\ntwo_persons = true\n")


def requested(office: Bureau, *recordings: str) -> None:
    asked = Request("Sąd", "2026-09-01", "akta", "K 7/26", "security", recordings or [ONE])
    office.at(lambda desk: request(desk, asked))


def refused_by_the_mayor(office: Bureau) -> None:
    requested(office)
    office.at(lambda desk: decide(desk, 1, "refusal", "Prezydent"))


def consented(office: Bureau) -> None:
    requested(office)
    office.at(lambda desk: decide(desk, 1, "consent", "Prezydent"))


def tampered(before: Prepare, statement: str, table: str) -> Prepare:
    """After ``before``, somebody writes into the index what the commands refuse, as the commands do."""

    def prepare(office: Bureau) -> None:
        before(office)

        async def write(index: Any) -> None:
            async with index.transaction() as connection:
                await connection.execute(statement)
                await connection.execute(refresh(table, "true"))

        office.kit.using(write)

    return prepare


def revoked_with_a_copy(office: Bureau) -> None:
    """Revoked, and an older copy of the keyring put back."""
    copy = next(
        one for one in office.kit.keyring.copies() if one.holder_recipient == _register(office)[0].recipient
    )
    revoked(office)
    office.kit.keyring.add_copy(copy.holder_recipient, copy.sealed)


def again_with_the_same_key(office: Bureau) -> None:
    """Who owes a protocol is revoked, and entered anew with the same key."""
    overdue(office)
    revoked(office)
    office.add("Anna")


TABLE: tuple[tuple[str, Prepare, tuple[str, ...], str], ...] = (
    # R2, R12: for a case, a purpose of the ordinance and a justification
    ("no case", nothing, ("listen", ONE, *PURPOSE, *WHY, *ANNA), "no-case"),
    ("a case of spaces", nothing, ("listen", ONE, "--case", "  ", *PURPOSE, *WHY, *ANNA), "no-case"),
    ("an invisible case", nothing, ("listen", ONE, "--case", "\u200b", *PURPOSE, *WHY, *ANNA), "no-case"),
    ("no purpose", nothing, ("listen", ONE, *CASE, *WHY, *ANNA), "no-purpose"),
    ("a wrong purpose", nothing, ("listen", ONE, *CASE, "--purpose", "fun", *WHY, *ANNA), "wrong-purpose"),
    ("nearly a purpose", nothing, ("listen", ONE, *CASE, "--purpose", "Quality", *WHY), "wrong-purpose"),
    ("no justification", nothing, ("listen", ONE, *CASE, *PURPOSE, *ANNA), "no-justification"),
    ("dots as justification", nothing, ("listen", ONE, *CASE, *PURPOSE, "--justification", "...", *ANNA),
     "no-justification"),
    ("a copy without case", nothing, ("rights", "copy", NUMBER, "--to", "out", *WHY), "no-case"),
    ("a copy without why", nothing, ("rights", "copy", NUMBER, "--to", "out", *CASE),
     "no-justification"),
    # R13: by an authorised person
    ("no identity", nothing, LISTEN, "no-identity"),
    ("a wrong passphrase", nothing, (*LISTEN, *KEY, "wrong"), "identity"),
    ("no passphrase", nothing, (*LISTEN, "--identity", "Anna.key"), "identity"),
    ("no such file", nothing, (*LISTEN, "--identity", "Nobody.key"), "identity"),
    ("not an identity", nothing, (*LISTEN, "--identity", "right"), "identity"),
    ("a stranger", stranger, (*LISTEN, "--identity", "Obcy.txt"), "stranger"),
    ("revoked", revoked, (*LISTEN, *ANNA), "revoked"),
    ("lapsed", entered(valid_until="2026-09-05"), (*LISTEN, "--identity", "Jan.txt"), "lapsed"),
    ("not yet valid", entered(valid_from="2099-01-01"), (*LISTEN, "--identity", "Jan.txt"), "not-yet-valid"),
    ("no copy of the key", copy_gone, (*LISTEN, *ANNA), "no-copy"),
    ("revoked, a copy", revoked, (*COPY, *ANNA), "revoked"),
    ("lapsed, a copy", entered(valid_until="2026-09-05"), (*COPY, "--identity", "Jan.txt"), "lapsed"),
    # R8, R16: who administers or supervises does not listen
    ("an administrator", entered(role="administrator"), (*LISTEN, "--identity", "Jan.txt"), "role"),
    ("a supervisor", entered(role="supervisor"), (*LISTEN, "--identity", "Jan.txt"), "role"),
    ("an administrator, a copy", entered(role="administrator"), (*COPY, "--identity", "Jan.txt"), "role"),
    # two where two are demanded
    ("one of two", nothing, (*LISTEN, *ANNA, "--two-persons"), "one-person"),
    ("the same twice", nothing, (*LISTEN, *ANNA, *ANNA, "--two-persons"), "one-person"),
    ("one, two by configuration", two_demanded, (*LISTEN, *ANNA), "one-person"),
    ("one exports, two by configuration", two_demanded, (*EXPORT, *ANNA), "one-person"),
    ("one copies, two by configuration", two_demanded, (*COPY, *ANNA), "one-person"),
    ("two, one of them revoked", revoked, (*LISTEN, *EWA, *ANNA, "--two-persons"), "revoked"),
    # R14: who owes a protocol
    ("an unfinished protocol", overdue, (*LISTEN, *ANNA), "unfinished-protocol"),
    ("an unfinished protocol of one of two", overdue, (*LISTEN, *EWA, *ANNA), "unfinished-protocol"),
    # R10, R18: recordings that nobody hears
    ("erased", erased, (*LISTEN, *ANNA), "erased"),
    ("being erased", being_erased, (*LISTEN, *ANNA), "erased"),
    ("its key destroyed", key_destroyed, (*LISTEN, *ANNA), "unreadable"),
    ("no such recording", nothing, ("listen", "20990101-000000-aaaaaa", *REASONED, *ANNA), "unknown"),
    ("restricted", restricted, (*LISTEN, *ANNA), "restricted"),
    ("objected to", objected, (*LISTEN, *ANNA), "restricted"),
    ("restricted, a copy", restricted, (*COPY, *ANNA), "restricted"),
    ("restricted, exported", restricted, (*EXPORT, *ANNA), "restricted"),
    ("erased, exported", erased, (*EXPORT, *ANNA), "erased"),
    # R15: only with consent, and for the calls that it names
    ("no decision", requested, (*EXPORT, *ANNA), "no-consent"),
    ("no decision, by the other name", requested, ("disclose", *EXPORT, *ANNA), "no-consent"),
    ("the mayor refused", refused_by_the_mayor, (*EXPORT, *ANNA), "no-consent"),
    ("consent for another call", consented, ("export", "1", TWO, "--to", "out", *ANNA), "not-consented"),
    # an index written by hand: the journal has it otherwise
    ("revoked, made valid by hand",
     tampered(revoked_with_a_copy, "UPDATE persons SET revoked_ns = NULL", "persons"), (*LISTEN, *ANNA),
     "disagreement"),
    ("lapsed, prolonged by hand",
     tampered(entered(valid_until="2027-09-05"), "UPDATE persons SET valid_until = NULL", "persons"),
     (*LISTEN, "--identity", "Jan.txt"), "disagreement"),
    ("restricted, lifted by hand", tampered(restricted, "DELETE FROM restricted", "restricted"),
     (*LISTEN, *ANNA), "restricted"),
    ("consented to by hand",
     tampered(requested, "UPDATE disclosures SET decision = 'consent', decided_by = 'x'", "disclosures"),
     (*EXPORT, *ANNA), "no-consent"),
    ("refused, consented to by hand",
     tampered(refused_by_the_mayor, "UPDATE disclosures SET decision = 'consent'", "disclosures"),
     (*EXPORT, *ANNA), "no-consent"),
    ("a call added by hand to a consent",
     tampered(consented, f"INSERT INTO disclosed (disclosure, id) VALUES (1, '{TWO}')", "disclosed"),
     ("export", "1", TWO, "--to", "out", *ANNA), "not-consented"),
    ("an unfinished protocol, entered anew", again_with_the_same_key, (*LISTEN, *ANNA),
     "unfinished-protocol"),
    ("consent, and no identity", consented, EXPORT, "no-identity"),
    ("consent, and a wrong passphrase", consented,
     (*EXPORT, *KEY, "wrong"), "identity"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "arguments", "code"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_every_way_without_authority_is_refused_and_journalled(
    office: Bureau,
    refused: Callable[..., str],
    tmp_path: Path,
    prepare: Prepare,
    arguments: tuple[str, ...],
    code: str,
) -> None:
    prepare(office)
    office.kit.keyring.close()
    before = len(office.refusals())
    protocols = len(office.journal("listen"))
    player = ("--player", "cat > heard.wav") if arguments[0] == "listen" else ()
    line = refused(*arguments, *player)
    assert line and len(line) < 300
    assert office.refusals()[before:] == [code]
    assert office.journal("refused")[-1]["what"] == {"listen": "listen", "rights": "copy"}.get(
        arguments[0], "export"
    )
    assert len(office.journal("listen")) == protocols
    assert not office.journal("export") and not office.journal("rights-copy")
    assert not Path("heard.wav").exists() and not Path("out").exists()
    assert not audio_below(tmp_path)


def audio_below(folder: Path) -> list[Path]:
    """Return the files that hold a tenth of a recording or more: the kit's are one byte over and over."""
    marks = [bytes([number]) * 800 for number in (1, 2, 3)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(mark in path.read_bytes() for mark in marks)]


def test_what_is_looked_for_would_be_found(office: Bureau, tmp_path: Path) -> None:
    """The search is no blind eye: with authority, it finds the sound where the player put it."""
    assert main([*LISTEN, *ANNA, "--player", "cat > heard.wav"]) == 0
    assert audio_below(tmp_path) == [tmp_path / "heard.wav"]
    assert not office.refusals()
