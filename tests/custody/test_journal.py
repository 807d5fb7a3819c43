"""The journal: appended to, chained, signed; whatever is done to it is seen."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bystander.custody.journal import GENESIS, HEAD, JOURNAL, Head, Journal, JournalProblem
from bystander.storage.signing import RecorderKey


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / JOURNAL, RecorderKey.create(tmp_path))


def public(journal: Journal) -> str:
    return RecorderKey.load(journal.path.parent).public_hex


def fill(journal: Journal, count: int = 6) -> None:
    for number in range(count):
        journal.append("hold", "user:admin", {"case": f"K {number}/26", "recordings": ["a", "b"]})


def faults(journal: Journal, known: Head | None = None) -> list[str]:
    return journal.verify(public(journal), known)


def test_entries_come_back_in_order(journal: Journal) -> None:
    assert journal.append("init", "user:admin", {"person": 1}) == 1
    assert journal.append("erase-done", "recorder", {"plan": "p", "count": 3}) == 2
    first, second = journal.entries()
    assert (first.seq, first.act, first.actor, first.facts) == (1, "init", "user:admin", {"person": 1})
    assert (first.prev, second.prev) == (GENESIS, first.hash)
    assert journal.head() == Head(2, second.hash)
    assert journal.has("erase-done", plan="p")
    assert not journal.has("erase-done", plan="q")
    assert journal.last("init") == first and journal.last() == second
    assert faults(journal) == []


def test_it_is_private(journal: Journal) -> None:
    fill(journal)
    for name in (JOURNAL, HEAD):
        assert stat.S_IMODE((journal.path.parent / name).stat().st_mode) == 0o600


def test_it_names_no_caller(journal: Journal) -> None:
    for key in ("caller", "callee", "number", "call_id", "caller_name"):
        with pytest.raises(ValueError, match="no personal data"):
            journal.append("hold", "user:admin", {key: "+48600100200"})
    assert list(journal.entries()) == []


def _insert(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[2], *lines[3:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_insert, "follows entry 3"),
        (lambda lines: lines[:2] + lines[3:], "follows entry 2"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "follows entry 0"),
        (lambda lines: lines[:-1], "ends at entry 5, its signed head says 6: cut off"),
        (lambda lines: [], "ends at entry 0, its signed head says 6: cut off"),
        (lambda lines: [lines[0].replace(b"K 0/26", b"K 9/26"), *lines[1:]], "entry 1 was changed"),
        (lambda lines: [lines[0].replace(b'"seq":1', b'"seq": 1'), *lines[1:]], "entry 1 was changed"),
        (lambda lines: [b"{}\n", *lines[1:]], "journal.jsonl:1: not an entry"),
        (lambda lines: [*lines, b'{"torn'], "journal.jsonl:7: a torn last line"),
    ],
)
def test_what_is_done_to_it_is_seen(journal: Journal, change: Any, said: str) -> None:
    fill(journal)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join(change(lines)))
    assert any(said in fault for fault in faults(journal)), faults(journal)


def test_every_flipped_byte_is_seen(journal: Journal) -> None:
    fill(journal, 2)
    for path in (journal.path, journal.path.with_name(HEAD)):
        content = path.read_bytes()
        for at in range(len(content)):
            for bit in (1, 32):
                path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
                assert faults(journal), f"{path.name}: byte {at}"
        path.write_bytes(content)
    assert faults(journal) == []


def test_another_recorders_signature_is_none(journal: Journal, tmp_path: Path) -> None:
    fill(journal, 3)
    (tmp_path / "other").mkdir()
    other = RecorderKey.create(tmp_path / "other")
    forged = Journal(journal.path, other)
    forged.append("hold", "user:admin", {"case": "forged"})
    found = faults(journal)
    assert any("entry 4 is not signed by this recorder" in fault for fault in found)
    assert any("journal.head: not signed by this recorder" in fault for fault in found)


def test_an_older_copy_of_everything_is_told_by_a_head_known_elsewhere(journal: Journal) -> None:
    fill(journal, 3)
    older = {path: path.read_bytes() for path in (journal.path, journal.path.with_name(HEAD))}
    fill(journal, 2)
    known = journal.head()
    for path, content in older.items():
        path.write_bytes(content)
    assert faults(journal) == []
    assert faults(journal, known) == [
        "journal.jsonl: ends at entry 3, the head known from elsewhere says 5: cut off"
    ]
    fill(journal, 4)
    assert faults(journal, known) == [
        "journal.jsonl: entry 5 is not the one that the head known from elsewhere names"
    ]


def test_killed_between_an_entry_and_its_head(journal: Journal) -> None:
    fill(journal, 2)
    head = journal.path.with_name(HEAD).read_bytes()
    fill(journal, 1)
    journal.path.with_name(HEAD).write_bytes(head)
    assert faults(journal) == []
    fill(journal, 1)
    assert faults(journal) == []


@given(st.integers(1, 400))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_line_torn_by_a_power_cut_is_set_aside(journal: Journal, left: int) -> None:
    journal.append("start", "recorder", {})
    content = journal.path.read_bytes()
    line = content.splitlines(keepends=True)[-1]
    journal.path.write_bytes(content + line[: min(left, len(line) - 1)])
    assert faults(journal)
    journal.append("start", "recorder", {})
    assert faults(journal) == []
    removed = [entry for entry in journal.entries() if entry.act == "torn-line-removed"][-1]
    assert removed.facts == {"bytes": min(left, len(line) - 1)}


def test_a_full_disk_leaves_it_as_it_was(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(journal, 2)
    before = journal.path.read_bytes()
    real = os.pwrite

    def half(file: int, content: Any, at: int) -> int:
        if len(content) > 100:
            return real(file, bytes(content)[:100], at)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(JournalProblem, match="cannot use the journal: No space left on device"):
            fill(journal, 1)
    assert journal.path.read_bytes() == before
    fill(journal, 1)
    assert faults(journal) == []


@pytest.mark.parametrize("failing", ["write", "replace", "short"])
def test_a_disk_too_full_for_the_head_leaves_no_entry(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The entry still fits its block, and the head needs a new one: what was refused did not happen."""
    fill(journal, 2)
    before = journal.path.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if failing == "replace":
            patch.setattr(Path, "replace", full)
        else:
            patch.setattr(
                os, "write", full if failing == "write" else lambda _file, content: len(content) - 9
            )
        for _ in range(4):
            with pytest.raises(JournalProblem, match="No space left on device"):
                fill(journal, 1)
    assert journal.path.read_bytes() == before
    assert faults(journal) == []
    fill(journal, 1)
    assert faults(journal) == []


def test_an_entry_that_could_not_be_read_is_not_written(journal: Journal) -> None:
    fill(journal, 1)
    with pytest.raises(JournalProblem, match="too long"):
        journal.append("refused", "user:test", {"case": "x" * (5 << 20)})
    fill(journal, 1)
    assert [entry.seq for entry in journal.entries()] == [1, 2]
    assert faults(journal) == []


def test_several_processes_append_in_turn(journal: Journal) -> None:
    code = (
        "import sys; from pathlib import Path; from bystander.custody.journal import Journal; "
        "from bystander.storage.signing import RecorderKey; p = Path(sys.argv[1]); "
        "j = Journal.open(p, RecorderKey.load(p.parent)); "
        "[j.append('start', 'recorder', {'n': n}) for n in range(20)]"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, journal.path]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(list(journal.entries())) == 60
    assert faults(journal) == []


def test_a_long_entry(journal: Journal) -> None:
    """A plan of a whole batch: the last line is longer than what is read of the end at first."""
    journal.append("erase-plan", "recorder", {"recordings": ["20260831-120000-abcdef"] * 500})
    fill(journal, 2)
    assert [entry.seq for entry in journal.entries()] == [1, 2, 3]
    assert faults(journal) == []


def test_without_a_key_it_is_only_read(journal: Journal) -> None:
    fill(journal, 1)
    reader = Journal.open(journal.path)
    assert len(list(reader.entries())) == 1
    with pytest.raises(JournalProblem, match="the recorder's key is needed"):
        fill(reader, 1)


def test_a_missing_journal_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(JournalProblem, match="the journal is missing"):
        Journal.open(tmp_path / JOURNAL)


def test_a_missing_head_is_a_fault(journal: Journal) -> None:
    fill(journal)
    journal.path.with_name(HEAD).unlink()
    (said,) = faults(journal)
    assert "No such file" in said


def test_a_line_is_what_the_documentation_says(journal: Journal) -> None:
    """hash = SHA-256 of the entry without hash and sig, as JSON with sorted keys and no spaces."""
    fill(journal, 1)
    said = json.loads(journal.path.read_text())
    body = {name: value for name, value in said.items() if name not in ("hash", "sig")}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == said["hash"]


# -- every entry and every position --------------------------------------------------------------------------

COUNT = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Journal, list[bytes]]:
    """A journal of six entries, and its lines."""
    folder = tmp_path_factory.mktemp("whole")
    made = Journal.create(folder / JOURNAL, RecorderKey.create(folder))
    fill(made, COUNT)
    return made, made.path.read_bytes().splitlines(keepends=True)


def told(whole: tuple[Journal, list[bytes]], lines: list[bytes]) -> list[str]:
    """Return what is found wrong when the journal holds these lines; put it back as it was."""
    journal, before = whole
    journal.path.write_bytes(b"".join(lines))
    try:
        return faults(journal)
    finally:
        journal.path.write_bytes(b"".join(before))


def test_every_deletion_insertion_and_move_is_seen(whole: tuple[Journal, list[bytes]]) -> None:
    _, lines = whole
    assert told(whole, lines) == []
    for at in range(COUNT):
        assert told(whole, lines[:at] + lines[at + 1 :]), f"entry {at + 1} removed"
        for other in range(COUNT):
            assert told(whole, [*lines[:at], lines[other], *lines[at:]]), f"{other + 1} again before {at + 1}"
            if other != at:
                swapped = list(lines)
                swapped[at], swapped[other] = lines[other], lines[at]
                assert told(whole, swapped), f"{at + 1} and {other + 1} exchanged"
                rest = lines[:at] + lines[at + 1 :]
                assert told(whole, [*rest[:other], lines[at], *rest[other:]]), (
                    f"{at + 1} moved to {other + 1}"
                )
                assert told(whole, [*lines[:at], lines[other], *lines[at + 1 :]]), f"{other + 1} for {at + 1}"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_lines_are_left_in_whatever_order(
    whole: tuple[Journal, list[bytes]], data: st.DataObject
) -> None:
    _, lines = whole
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=COUNT + 2))
    assert bool(told(whole, chosen)) == (chosen != lines)


@pytest.mark.parametrize("rehashed", [False, True], ids=["as it is", "the chain computed anew"])
def test_every_field_of_every_entry(whole: tuple[Journal, list[bytes]], *, rehashed: bool) -> None:
    """Also by one who computes hashes as we do, for the entry and all that follow, and cannot sign."""
    _, lines = whole
    changes: dict[str, Any] = {
        "seq": 99, "at": "2020-01-01T00:00:00.000Z", "actor": "user:other", "act": "release",
        "facts": {"case": "other"}, "prev": "1" * 64, "hash": "2" * 64, "sig": "3" * 128,
    }  # fmt: skip
    for at in range(COUNT):
        for field, value in changes.items():
            entries = [json.loads(line) for line in lines]
            entries[at][field] = value
            if rehashed and field not in ("hash", "sig"):
                for number in range(at, COUNT):
                    body = {k: v for k, v in entries[number].items() if k not in ("hash", "sig")}
                    entries[number]["hash"] = hashlib.sha256(_text(body)).hexdigest()
                    if number + 1 < COUNT:
                        entries[number + 1]["prev"] = entries[number]["hash"]
            assert told(whole, [_text(entry) + b"\n" for entry in entries]), f"{field} of entry {at + 1}"


def _text(said: dict[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_every_cut_of_the_tail_is_seen(whole: tuple[Journal, list[bytes]]) -> None:
    """At every byte, and with the head of the time taken away."""
    _, lines = whole
    content = b"".join(lines)
    for left in range(0, len(content), 7):
        assert told(whole, [content[:left]]), f"{left} of {len(content)} bytes"


def test_every_older_copy_of_everything_is_told_by_a_head_known_elsewhere(journal: Journal) -> None:
    """Journal and head as they were after each entry, put back together; and grown on from there."""
    copies = []
    for _ in range(COUNT):
        fill(journal, 1)
        head = journal.path.with_name(HEAD).read_bytes()
        copies.append((journal.path.read_bytes(), head, journal.head()))
    for at, (content, head, of_then) in enumerate(copies):
        for number, (_, _, known) in enumerate(copies):
            journal.path.write_bytes(content)
            journal.path.with_name(HEAD).write_bytes(head)
            assert bool(faults(journal, known)) == (number > at)
            assert faults(journal, of_then) == []
        fill(journal, COUNT)
        assert bool(faults(journal, copies[-1][2])) == (at < COUNT - 1)


@pytest.mark.parametrize("kept", ["journal", "head"])
def test_one_of_the_two_put_back_is_seen(journal: Journal, kept: str) -> None:
    fill(journal, 2)
    old = (journal.path.read_bytes(), journal.path.with_name(HEAD).read_bytes())
    fill(journal, 4)
    if kept == "journal":
        journal.path.with_name(HEAD).write_bytes(old[1])
    else:
        journal.path.write_bytes(old[0])
    assert faults(journal)


@pytest.mark.parametrize("head", ["as it was", "gone", "forged", "an earlier one, unsigned"])
def test_a_cut_tail_is_told_for_good_also_when_more_is_written(journal: Journal, head: str) -> None:
    """What is appended makes chain and head fit again: that entries are gone must not be forgotten."""
    fill(journal, 6)
    journal.path.write_bytes(b"".join(journal.path.read_bytes().splitlines(keepends=True)[:3]))
    path = journal.path.with_name(HEAD)
    if head == "gone":
        path.unlink()
    elif head == "forged":
        path.write_bytes(path.read_bytes().replace(b'"seq":6', b'"seq":3'))
    elif head != "as it was":
        entry = list(journal.entries())[-1]
        said = {"hash": entry.hash, "seq": 3, "sig": "00" * 64}
        path.write_text(json.dumps(said, separators=(",", ":")) + "\n")
    fill(journal, 2)
    told = faults(journal)
    assert len(told) == 1 and "before entry 4" in told[0]
    assert [entry.act for entry in journal.entries()][3:] == ["journal-cut", "hold", "hold"]
