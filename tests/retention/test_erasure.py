"""R10, R18, C20, C21: what is erased is gone for good, and what is not is whole."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bystander.retention import holds
from bystander.retention.erasure import Cause, Eraser, ErasureProblem
from bystander.retention.holds import HeldProblem
from bystander.storage.agefile import SealProblem, identity_of, open_bytes
from bystander.storage.index import Index, IndexProblem
from bystander.storage.opening import open_recording
from tests.vaultkit import NOW_NS, Kit, name_of

TERM = Cause("term", "recorder")
REQUEST = Cause("request", "user:admin", "asked for it", "art. 17 ust. 1 RODO")
STEPS = ("plan", "erase-plan", "keys", "files", "calls", "rows", "log", "scrub", "erase-done", "forget")


class PowerCutError(Exception):
    pass


def bytes_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def where(vault: Kit, marks: list[bytes]) -> list[str]:
    return [
        f"{path.name}: {mark!r}"
        for path, content in bytes_of(vault.folder)
        for mark in marks
        if mark in content
    ]


def erase(vault: Kit, *numbers: int, cause: Cause = TERM) -> int:
    names = [name_of(number) for number in numbers]
    return vault.erasing(lambda eraser: eraser.erase(names, cause, NOW_NS))


def test_nothing_is_left_of_what_was_erased(vault: Kit) -> None:
    """Key, audio, number, name, Call-ID: in no file, no log, no unused page of the vault."""
    vault.add(*range(400))
    vault.using(lambda index: holds.add(index, [(name_of(7), "x")], "K", "r", "w", NOW_NS))
    gone = [number for number in range(400) if number % 3 == 1 and number != 7]
    kept = [number for number in range(400) if number not in gone]
    marks = {number: vault.marks(number) for number in range(400)}
    audio = [
        (vault.root / "2026/08/31" / f"{name_of(number)}.wav.age").read_bytes()[200:260] for number in gone
    ]
    assert where(vault, marks[gone[0]]) and where(vault, audio[:1])
    assert erase(vault, *gone) == len(gone)
    for number in gone:
        assert not where(vault, marks[number])
    assert not where(vault, audio)
    assert vault.ids() == sorted(name_of(number) for number in kept)
    assert vault.keyring.ids() == vault.ids()
    for number in kept[:5]:
        path = vault.root / "2026/08/31" / f"{name_of(number)}.wav.age"
        assert open_recording(vault.keyring, [vault.vault_identity], name_of(number), path).startswith(
            b"RIFF"
        )


def test_nothing_is_left_while_a_recorder_is_at_work(vault: Kit) -> None:
    """With its connections open, its logs in use, and a row that it writes in the midst of it."""
    vault.add(*range(60))
    gone = [name_of(number) for number in range(0, 60, 2)]
    marks = [mark for number in range(0, 60, 2) for mark in vault.marks(number)]
    assert len(marks) == 150

    async def work(eraser: Eraser) -> None:
        async with await Index.open(vault.index_path) as recorder:
            await recorder.coverage_begin(NOW_NS)
            await eraser.erase(gone, TERM, NOW_NS)
            await recorder.coverage_beat(NOW_NS + 1)
            assert (vault.folder / "index.sqlite-wal").stat().st_size
            # Elsewhere: a file closed here would take the locks of this process along.
            found = await asyncio.to_thread(_grep, vault.folder, marks)
            assert found == []
            assert len(await recorder.calls()) == 30

    vault.erasing(work)


def _grep(folder: Path, marks: list[bytes]) -> list[str]:
    search = (
        "import pathlib, sys; marks = [bytes.fromhex(mark) for mark in sys.argv[2:]]\n"
        "for path in pathlib.Path(sys.argv[1]).rglob('*'):\n"
        "    content = path.read_bytes() if path.is_file() else b''\n"
        "    [print(path.name, mark) for mark in marks if mark in content]"
    )
    command = [sys.executable, "-c", search, str(folder), *(mark.hex() for mark in marks)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()


def test_copies_made_before_cannot_be_opened(vault: Kit, tmp_path: Path) -> None:
    vault.add(1, 2, 3)
    copy = tmp_path / "copy"
    shutil.copytree(vault.root, copy)
    erase(vault, 2)
    left = [identity_of(open_bytes(vault.keyring.get(name) or b"", vault.vault_identity, name).decode())
            for name in vault.keyring.ids()]  # fmt: skip
    sealed = (copy / "2026/08/31" / f"{name_of(2)}.wav.age").read_bytes()
    for key in (*left, vault.vault_identity, vault.person):
        with pytest.raises(SealProblem, match="sealed to another key"):
            open_bytes(sealed, key, "the copy")
    with pytest.raises(SealProblem, match="its key is destroyed: the recording was erased"):
        open_recording(vault.keyring, [vault.vault_identity], name_of(2), copy / "x")


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_step_ends_in_the_same_state(vault: Kit, step: str) -> None:
    vault.add(*range(6))

    def cut(here: str) -> None:
        if here == step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        vault.erasing(lambda eraser: eraser.erase([name_of(1), name_of(4)], TERM, NOW_NS), step=cut)
    if "erase-done" in vault.acts():
        assert name_of(1) not in vault.ids()
    marks = vault.marks(1) + vault.marks(4)
    assert vault.erasing(lambda eraser: eraser.resume()) == (0 if step == "plan" else 2)
    assert vault.erasing(lambda eraser: eraser.resume()) == 0
    if step == "plan":
        assert len(vault.ids()) == 6
        erase(vault, 1, 4)
    assert vault.acts() == ["erase-plan", "erase-done"]
    assert vault.ids() == [name_of(number) for number in (0, 2, 3, 5)] == vault.keyring.ids()
    assert len(vault.files()) == 8
    assert not where(vault, marks)
    assert vault.using(lambda index: index.rows("SELECT count(*) FROM erasing, plans")) == [(0,)]


def test_a_power_cut_behind_an_entry_does_not_write_it_twice(vault: Kit) -> None:
    """The entry is on disk and the next step is not: at `keys` and at `forget`."""
    vault.add(1, 2)
    for number, step in ((1, "keys"), (2, "forget")):

        def cut(here: str, step: str = step) -> None:
            if here == step:
                raise PowerCutError

        with pytest.raises(PowerCutError):
            vault.erasing(lambda eraser, n=number: eraser.erase([name_of(n)], TERM, NOW_NS), step=cut)
        vault.erasing(lambda eraser: eraser.resume())
    assert vault.acts() == ["erase-plan", "erase-done"] * 2


def test_r11_what_is_held_is_not_erased(vault: Kit) -> None:
    vault.add(1, 2, 3)
    vault.using(lambda index: holds.add(index, [(name_of(2), "x")], "K 7/26", "r", "w", NOW_NS))
    with pytest.raises(HeldProblem, match="held for K 7/26; nothing was erased"):
        erase(vault, 1, 2, 3, cause=REQUEST)
    assert len(vault.ids()) == 3
    assert erase(vault, 1, 2, 3) == 2
    assert vault.ids() == [name_of(2)]
    vault.using(lambda index: holds.release(index, "K 7/26", "r", "w", NOW_NS))
    assert erase(vault, 2) == 1
    assert vault.ids() == []
    # What holds knew of it, its Call-ID among it, went along.
    assert vault.using(lambda index: index.rows("SELECT * FROM held")) == []


def test_within_the_term_nothing_is_erased_for_its_term(vault: Kit) -> None:
    """The term is looked at in the same transaction, whatever list the sweep comes with."""
    vault.add(1, delete_after="2027-01-01T00:00:00.000Z")
    assert erase(vault, 1) == 0
    assert vault.ids() == [name_of(1)]
    assert erase(vault, 1, cause=REQUEST) == 1


def test_the_journal_says_why_and_names_nobody(vault: Kit) -> None:
    vault.add(1)
    erase(vault, 1, cause=REQUEST)
    plan, done = list(vault.journal.entries())
    assert plan.actor == done.actor == "user:admin"
    assert plan.facts["ground"] == "art. 17 ust. 1 RODO"
    assert plan.facts["recordings"] == done.facts["recordings"] == [name_of(1)]
    assert "caller" not in str(plan) and "48600" not in str(plan)


def test_a_file_that_resists_keeps_the_plan(vault: Kit) -> None:
    """Never reported as done; finished as soon as it can be."""
    vault.add(1, 2)
    stubborn = vault.root / "2026/08/31" / f"{name_of(1)}.wav.age"
    stubborn.unlink()
    stubborn.mkdir()
    with pytest.raises(ErasureProblem, match=r"cannot be removed: .*; put that right"):
        erase(vault, 1, 2)
    assert vault.acts() == ["erase-plan"]
    assert vault.keyring.ids() == []
    stubborn.rmdir()
    vault.erasing(lambda eraser: eraser.resume())
    assert vault.acts() == ["erase-plan", "erase-done"]
    assert vault.ids() == [] and vault.files() == []


def test_a_busy_index_is_not_reported_as_erased(vault: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.add(1)

    async def busy(*_: object) -> None:
        raise IndexProblem("index.sqlite: the index is busy; what was erased is still in its log")

    with monkeypatch.context() as patch:
        patch.setattr("bystander.storage.index.Index.truncate_log", busy)
        with pytest.raises(IndexProblem, match="busy"):
            erase(vault, 1)
    assert "erase-done" not in vault.acts()
    vault.erasing(lambda eraser: eraser.resume())
    assert vault.acts()[-1] == "erase-done"


def test_leftovers_and_empty_folders_go_along(vault: Kit) -> None:
    vault.add(1)
    folder = vault.root / "2026/08/31"
    (folder / f"{name_of(1)}.wav.age.part").write_bytes(b"half")
    erase(vault, 1)
    assert list(vault.root.iterdir()) == []


def test_a_request_is_refused_as_a_whole_however_long(vault: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hold is on the last of several plans' worth."""
    monkeypatch.setattr("bystander.retention.erasure.BATCH", 2)
    vault.add(*range(5))
    vault.using(lambda index: holds.add(index, [(name_of(4), "x")], "K", "r", "w", NOW_NS))
    with pytest.raises(HeldProblem, match="held for K"):
        erase(vault, *range(5), cause=REQUEST)
    assert (len(vault.ids()), vault.acts()) == (5, [])
    vault.using(lambda index: holds.release(index, "K", "r", "w", NOW_NS))
    assert erase(vault, *range(5), 0, cause=REQUEST) == 5
    assert vault.acts() == ["erase-plan"] * 3 + ["erase-done"] * 3


def test_a_request_finishes_first_what_was_cut_off(vault: Kit) -> None:
    vault.add(1, 2)

    def cut(step: str) -> None:
        if step == "files":
            raise PowerCutError

    with pytest.raises(PowerCutError):
        vault.erasing(lambda eraser: eraser.erase([name_of(1)], TERM, NOW_NS), step=cut)
    assert erase(vault, 2, cause=REQUEST) == 1
    assert vault.ids() == [] == vault.files()


def test_two_at_once_do_the_work_once(vault: Kit) -> None:
    """The recorder's sweep, and in the middle of it somebody at the command line."""
    vault.add(*range(6))
    names = [name_of(number) for number in range(6)]
    begun = threading.Event()

    def linger(_calls: object) -> None:
        begun.set()
        time.sleep(0.2)

    async def both() -> list[int]:
        async with await Index.open(vault.index_path) as one, await Index.open(vault.index_path) as other:
            first = Eraser(one, vault.keyring, vault.root, vault.journal, linger)
            second = Eraser(other, vault.keyring, vault.root, vault.journal)

            async def later() -> int:
                await asyncio.to_thread(begun.wait)
                return await second.resume() + await second.erase(names, REQUEST, NOW_NS)

            return list(await asyncio.gather(first.erase(names, TERM, NOW_NS), later()))

    assert asyncio.run(both()) == [6, 0]
    assert vault.acts() == ["erase-plan", "erase-done"]


def test_unused_space_is_scrubbed_before_it_is_called_done(
    vault: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.add(1, 2)
    scrubbed: list[tuple[str, list[str], list[str]]] = []

    def scrub(path: Path) -> None:
        scrubbed.append((path.name, vault.keyring.ids(), vault.acts()))

    monkeypatch.setattr("bystander.retention.erasure.scrub_apart", scrub)
    erase(vault, 1)
    assert scrubbed == [(name, [name_of(2)], ["erase-plan"]) for name in ("index.sqlite", "keyring.sqlite")]


def test_files_that_no_row_names_go_too(vault: Kit) -> None:
    """Left by a crash, in the folder of the day as the office counts it, or as UTC does."""
    vault.add(1, 2)
    for day in ("2026/08/31", "2026/09/01"):
        (vault.root / day).mkdir(exist_ok=True, parents=True)
        (vault.root / day / f"{name_of(1)}.flac.age").write_bytes(b"x")
    vault.using(lambda index: _unname(index, 1))
    erase(vault, 1)
    assert vault.files() == [f"{name_of(2)}.pcap.age", f"{name_of(2)}.wav.age"]
    assert not (vault.root / "2026/09").exists()


async def _unname(index: Index, number: int) -> None:
    async with index.transaction() as connection:
        await connection.execute(
            "UPDATE calls SET wav_path = NULL, evidence_path = NULL WHERE id = ?", [name_of(number)]
        )


def test_others_are_told_which_calls_go_before_their_rows_do(vault: Kit) -> None:
    vault.add(1, 2)
    told: list[str] = []
    vault.erasing(
        lambda eraser: eraser.erase([name_of(2)], TERM, NOW_NS),
        forget=lambda calls: told.extend(call["call_id"] for call in calls),
    )
    assert told == ["call-0002@office.example"]


def test_recordings_that_are_not_sealed(vault: Kit) -> None:
    """Without a vault the files and the rows go; but not rows whose keys would stay behind."""
    vault.add(1, 2)

    async def plain(eraser: Eraser) -> int:
        bare = Eraser(eraser.index, None, eraser.root, eraser.record)
        return await bare.erase([name_of(1)], TERM, NOW_NS)

    with pytest.raises(ErasureProblem, match="sealed, but this configuration names no keyring"):
        vault.erasing(plain)
    assert len(vault.ids()) == 2 and len(vault.files()) == 4
    vault.using(lambda index: _unseal(index, 1))
    assert vault.erasing(plain) == 1
    assert vault.ids() == [name_of(2)]
    assert len(vault.files()) == 2


async def _unseal(index: Index, number: int) -> None:
    async with index.transaction() as connection:
        await connection.execute("UPDATE calls SET sealed = 0 WHERE id = ?", [name_of(number)])
