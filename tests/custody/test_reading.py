"""The journal as a command reads it: once, proved by chain and head; nothing unsigned is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.cli import main
from bystander.custody import listening, persons, reading, rights
from bystander.custody.agreement import Told
from bystander.custody.desk import Refused
from bystander.custody.journal import HEAD, JOURNAL, Journal
from bystander.custody.link import Link, canonical, hash_of
from bystander.custody.listening import Ask
from bystander.custody.reading import Reading
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from bystander.storage.signing import RecorderKey
from tests.bureau import Bureau, write_keys
from tests.vaultkit import name_of


def fill(journal: Journal) -> None:
    """Somebody is entered, decided for and revoked; and something that nobody asks about."""
    journal.append("init", "user:admin", {"person": 1})
    journal.append("disclosure-requested", "user:admin", {"disclosure": 1, "recordings": ["a", "b"]})
    journal.append("hold", "user:admin", {"case": "K 7/26", "recordings": ["a"]})
    journal.append("disclosure-decided", "user:admin", {"disclosure": 1, "decision": "consent"})
    journal.append("restriction", "user:admin", {"recordings": ['ł\n"hash":"' + "0" * 64]})
    journal.append("person-revoked", "user:admin", {"person": 1})


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal.create(tmp_path / JOURNAL, RecorderKey.create(tmp_path))
    fill(made)
    return made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Journal, list[bytes]]:
    folder = tmp_path_factory.mktemp("lasting")
    made = Journal.create(folder / JOURNAL, RecorderKey.create(folder))
    fill(made)
    return made, made.path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long each line was whose hash was computed; below, each signature that was checked is a -1."""
    seen: list[int] = []
    link, is_signed = reading.link, Link.is_signed
    monkeypatch.setattr(reading, "link", lambda line: (seen.append(len(line)), link(line))[1])
    monkeypatch.setattr(Link, "is_signed", lambda one, key: (seen.append(-1), is_signed(one, key))[1])
    return seen


def test_it_tells_what_the_entries_say(journal: Journal) -> None:
    found = Reading(journal)
    assert found.told() == Told.by(journal.entries())
    assert found.is_whole and found.told().persons == {1: ["listener", None, True]}


def test_each_line_is_read_once_and_none_is_asked_for_its_signature(
    journal: Journal, looked_at: list[int]
) -> None:
    found = Reading(journal)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    for _ in range(3):
        found.told()
    assert looked_at == [len(line) for line in lines]
    journal.append("restriction", "user:admin", {"recordings": ["c"]})
    assert "c" in found.told().restricted
    assert looked_at[len(lines) :] == [len(journal.path.read_bytes().splitlines(keepends=True)[-1])]


def test_entries_beyond_the_head_are_asked_for_theirs(journal: Journal, looked_at: list[int]) -> None:
    head = journal.path.with_name(HEAD).read_bytes()
    journal.append("restriction", "user:admin", {"recordings": ["c"]})
    journal.path.with_name(HEAD).write_bytes(head)
    found = Reading(journal)
    assert "c" in found.told().restricted and found.is_whole
    assert looked_at.count(-1) == 1


def forged(lines: list[bytes]) -> bytes:
    """An entry as we would write it, chained to the last, by one who has not the recorder's key."""
    last = json.loads(lines[-1])
    body = {
        "seq": last["seq"] + 1, "at": last["at"], "actor": "user:eve", "act": "restriction",
        "facts": {"recordings": ["forged"]}, "prev": last["hash"],
    }  # fmt: skip
    return canonical(body | {"hash": hash_of(body), "sig": "0" * 128}) + b"\n"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_is_done_to_the_lines_is_noticed_or_not_believed(
    lasting: tuple[Journal, list[bytes]], data: st.DataObject
) -> None:
    """Lines of the journal and one that is forged, in any order: whole is only what was written."""
    journal, lines = lasting
    chosen = data.draw(st.lists(st.sampled_from([*lines, forged(lines)]), max_size=len(lines) + 2))
    try:
        journal.path.write_bytes(b"".join(chosen))
        found = Reading(journal)
        told = found.told()
        assert found.is_whole == (chosen == lines)
        assert "forged" not in told.restricted
        # What is there in its order is believed, and nothing else.
        kept, at = [], 0
        for line in chosen:
            if line in lines and json.loads(line)["seq"] > at and json.loads(line)["act"] in reading.ACTS:
                kept.append(line)
                at = json.loads(line)["seq"]
        journal.path.write_bytes(b"".join(kept))
        assert told == Told.by(journal.entries())
    finally:
        journal.path.write_bytes(b"".join(lines))


def test_every_flipped_byte_is_noticed_and_what_it_says_not_believed(
    lasting: tuple[Journal, list[bytes]],
) -> None:
    journal, lines = lasting
    content = b"".join(lines)
    right = Told.by(journal.entries())
    signatures = set()
    for line in lines:
        end = content.index(line) + len(line)
        signatures |= set(range(end - 131, end - 3))
    try:
        for at in range(0, len(content), 7):
            journal.path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            found = Reading(journal)
            told = found.told()
            # The head proves an entry also without its signature; `verify` asks for every one.
            assert not found.is_whole or (at in signatures and told == right), at
    finally:
        journal.path.write_bytes(content)


@pytest.mark.parametrize("left", [b"", b"{}", None])
def test_without_a_head_each_entry_is_asked(
    journal: Journal, looked_at: list[int], left: bytes | None
) -> None:
    head = journal.path.with_name(HEAD)
    head.unlink()
    if left is not None:
        head.write_bytes(left)
    found = Reading(journal)
    assert found.told() == Told.by(journal.entries())
    assert looked_at.count(-1) == 6


def test_another_journal_in_its_place_is_read_anew(journal: Journal, tmp_path: Path) -> None:
    found = Reading(journal)
    found.told()
    older = journal.path.read_bytes(), journal.path.with_name(HEAD).read_bytes()
    journal.append("restriction", "user:admin", {"recordings": ["c"]})
    assert "c" in found.told().restricted
    journal.path.write_bytes(older[0])
    journal.path.with_name(HEAD).write_bytes(older[1])
    assert "c" not in found.told().restricted
    journal.append("restriction", "user:admin", {"recordings": ["dd"]})
    assert found.is_whole and "dd" in found.told().restricted
    # Of the same length, and in the place of an entry that was read.
    journal.path.write_bytes(older[0])
    journal.path.with_name(HEAD).write_bytes(older[1])
    journal.append("restriction", "user:admin", {"recordings": ["ee"]})
    assert found.told().restricted >= {"ee"} and "dd" not in found.told().restricted and found.is_whole


def test_a_line_torn_off_is_left_for_later(journal: Journal) -> None:
    lines = journal.path.read_bytes().splitlines(keepends=True)
    found = Reading(journal)
    found.told()
    with journal.path.open("ab") as file:
        file.write(lines[0][:40])
    assert found.told() == Told.by(journal.entries()) and found.is_whole
    journal.append("restriction", "user:admin", {"recordings": ["c"]})
    assert "c" in found.told().restricted and found.is_whole


# -- and at the desk -----------------------------------------------------------------------------------------


def test_r13_r18_a_command_reads_it_once(bureau: Bureau, looked_at: list[int]) -> None:
    ask = Ask(name_of(1), "K 7/26", "quality", "complaint 5", [bureau.unlock("Anna"), bureau.unlock("Ewa")])
    lines = bureau.kit.journal.path.read_bytes().count(b"\n")
    bureau.at(lambda desk: listening.begin(desk, ask))
    assert len(looked_at) == lines


def _forge(bureau: Bureau, act: str, facts: dict[str, Any]) -> None:
    """Write into the journal what its recorder did not sign, and a head to it."""
    journal = bureau.kit.journal
    last = list(journal.entries())[-1]
    body = {
        "seq": last.seq + 1, "at": last.at, "actor": "user:eve", "act": act, "facts": facts,
        "prev": last.hash,
    }  # fmt: skip
    with journal.path.open("ab") as file:
        file.write(canonical(body | {"hash": hash_of(body), "sig": "0" * 128}) + b"\n")


@pytest.mark.parametrize("head", ["as it was", "forged", "gone"])
def test_r13_an_authorisation_that_nobody_signed_opens_nothing(
    bureau: Bureau, tmp_path: Path, head: str
) -> None:
    """In the index and in the journal both, by one who writes files and has not the recorder's key."""
    bureau.add("Jan", role="administrator")

    async def tamper(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute("UPDATE persons SET role = 'listener' WHERE number = 3")
            await connection.execute(refresh("persons", "number = 3"))

    bureau.kit.using(tamper)
    _forge(bureau, "person-added", {"person": 3, "role": "listener"})
    path = bureau.kit.journal.path.with_name(HEAD)
    if head == "forged":
        last = list(bureau.kit.journal.entries())[-1]
        said = {"seq": last.seq, "hash": last.hash}
        (tmp_path / "eve").mkdir()
        key = RecorderKey.create(tmp_path / "eve")
        path.write_bytes(canonical(said | {"sig": key.sign(canonical(said)).hex()}) + b"\n")
    elif head == "gone":
        path.unlink()
    ask = Ask(name_of(1), "K 7/26", "quality", "complaint 5", [bureau.unlock("Jan")])
    with pytest.raises(Refused) as told:
        bureau.at(lambda desk: listening.begin(desk, ask))
    assert told.value.code == "disagreement"


def test_r18_a_restriction_lifted_by_nobody_who_signs_holds(bureau: Bureau) -> None:
    bureau.at(lambda desk: rights.restrict(desk, [name_of(1)], "restriction", "asked for it"))

    async def tamper(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute("DELETE FROM restricted")

    bureau.kit.using(tamper)
    _forge(bureau, "unrestricted", {"recordings": [name_of(1)]})
    ask = Ask(name_of(1), "K 7/26", "quality", "complaint 5", [bureau.unlock("Anna")])
    with pytest.raises(Refused) as told:
        bureau.at(lambda desk: listening.begin(desk, ask))
    assert told.value.code == "restricted"


def test_r16_whoever_acts_is_told_that_it_is_not_whole(
    configured: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    write_keys("Ewa")
    journal = configured.kit.journal
    configured.at(lambda desk: persons.renew(desk, 2, "2099-12-31", None, None))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([lines[0].replace(b"user:test", b"user:eve!"), *lines[1:]]))
    why = ("--case", "K 7/26", "--purpose", "quality", "--justification", "complaint 5")
    assert main(["listen", name_of(1), *why, "--identity", "Ewa.txt", "--player", "cat > /dev/null"]) == 0
    said = "bystander: the journal is not whole; see `bystander journal verify`\n"
    assert said in capsys.readouterr().err
