"""`verify`: damage of any byte is found, and a whole vault has no fault."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bystander.custody.verify import Places, Report, verify
from bystander.storage.agefile import SealProblem
from bystander.storage.index import Index, IndexProblem
from bystander.storage.keyring import KeyringProblem
from bystander.storage.opening import open_recording
from bystander.storage.scrub import scrub
from bystander.storage.signing import RecorderKey
from tests.vaultkit import Kit, make, name_of

SETTLED_NS = 10**18


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Kit]:
    """A vault of two recordings, closed in good order."""
    kit = make(tmp_path / "vault")
    (kit.folder / "spool").mkdir()
    (kit.folder / "bystander.toml").write_text("[vault]\n")
    (kit.folder / "keys/vault.pub").write_text(kit.keyring.recipient + "\n")
    digest = hashlib.sha256(b"[vault]\n").hexdigest()
    recorder = RecorderKey.load(kit.folder / "keys")
    facts = {"recorder_key": recorder.public_hex, "vault_key": kit.keyring.recipient}
    kit.journal.append("init", "user:admin", facts)
    kit.journal.append("configuration", "user:admin", {"sha256": digest})
    kit.add(1, 2)
    for path in (kit.folder, *kit.folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    close(kit)
    yield kit


def close(vault: Kit) -> None:
    vault.keyring.close()
    for path in (vault.index_path, vault.keyring.path):
        scrub(path)


def look(vault: Kit, **options: Any) -> Report:
    folder = vault.folder
    places = Places(
        folder / "bystander.toml", vault.index_path, vault.root, folder / "spool", folder / "keyring.sqlite",
        folder / "journal.jsonl", folder / "keys",
    )  # fmt: skip

    async def go() -> Report:
        async with await Index.open(vault.index_path, read_only=True) as index:
            return await verify(places, index, time.time_ns() + SETTLED_NS, **options)

    return asyncio.run(go())


def faults(vault: Kit, **options: Any) -> list[str]:
    try:
        return [str(fault) for fault in look(vault, **options).faults]
    except (IndexProblem, KeyringProblem) as problem:
        return [str(problem)]


def reopened(vault: Kit) -> Kit:
    from bystander.storage.keyring import Keyring

    vault.keyring = Keyring.open(vault.keyring.path)
    return vault


def test_a_whole_vault(vault: Kit) -> None:
    report = look(vault)
    assert (report.faults, report.notes) == ([], [])
    assert report.checked.pop("permissions") > 12
    assert report.checked == {"calls": 2, "keys": 2, "files": 4, "entries": 2}


def vault_files(vault: Kit) -> list[Path]:
    return [
        path
        for path in sorted(vault.folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    ]


def test_one_flipped_byte_anywhere_is_found(vault: Kit) -> None:
    """First, last, middle and some at random, of every file; a different bit each time."""
    draw = random.Random(259)
    unseen = []
    for path in vault_files(vault):
        content = path.read_bytes()
        places = {0, len(content) - 1, len(content) // 2, *(draw.randrange(len(content)) for _ in range(12))}
        for at in sorted(places):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
            if not faults(vault):
                unseen.append(f"{path.name}: {at}")
        path.write_bytes(content)
    assert not unseen
    assert faults(vault) == []


def test_files_that_were_changed_cut_deleted_or_swapped(vault: Kit) -> None:
    first, second = (vault.root / "2026/08/31" / f"{name_of(number)}.wav.age" for number in (1, 2))
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    assert faults(vault) == [f"{first}: has {len(content) - 1} bytes, not {len(content)}"]
    first.write_bytes(second.read_bytes())
    # age pads its header at random: another file has another size, most of the time
    assert any(fault.startswith(str(first)) for fault in faults(vault))
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert faults(vault) == [f"{first}: is not as it was written (SHA-256)"]
    first.unlink()
    assert faults(vault) == [f"{name_of(1)}: its file is missing: 2026/08/31/{first.name}"]
    first.write_bytes(content)
    first.chmod(0o600)
    assert faults(vault) == []
    first.chmod(0o644)
    assert faults(vault) == [f"{first}: others may reach it (mode 0644); chmod go= it"]


def test_rows_and_keys_that_were_changed_behind_our_back(vault: Kit) -> None:
    reopened(vault)

    async def change(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute(
                "UPDATE calls SET delete_after = '2020-01-01T00:00:00.000Z' WHERE number = 1"
            )

    vault.using(change)
    vault.keyring.add(name_of(2), b"another key")
    vault.keyring.add("20260101-000000-aaaaaa", b"a key of nothing")
    close(vault)
    found = faults(vault)
    assert any(f"the row '{name_of(1)}' of calls is not as it was written" in fault for fault in found)
    assert any(f"the key of {name_of(2)} is not the one that it was sealed with" in fault for fault in found)
    assert any("20260101-000000-aaaaaa: a key without a call in the index" in fault for fault in found)
    assert len(found) == 3


def test_a_lost_key_a_stray_file_and_a_half_written_one(vault: Kit) -> None:
    reopened(vault).keyring.destroy([name_of(1)])
    close(vault)
    (vault.root / "20260101-000000-aaaaaa.wav.age").write_bytes(b"x")
    (vault.root / "2026/08/31" / f"{name_of(2)}.wav.age.part").write_bytes(b"x")
    for path in vault.root.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
    assert sorted(fault.split(": ", 1)[1] for fault in faults(vault)) == [
        f"2026/08/31/{name_of(2)}.wav.age.part: half written, by a recorder that was killed",
        "20260101-000000-aaaaaa.wav.age: no call in the index has this file",
        "its key is missing: nobody can open the recording",
    ]


def test_an_unfinished_erasure_is_a_note(vault: Kit) -> None:
    from bystander.retention.erasure import Cause
    from tests.vaultkit import NOW_NS

    def cut(step: str) -> None:
        if step == "files":
            raise KeyboardInterrupt

    reopened(vault)
    with pytest.raises(KeyboardInterrupt):
        vault.erasing(lambda eraser: eraser.erase([name_of(1)], Cause("term", "recorder"), NOW_NS), step=cut)
    close(vault)
    report = look(vault)
    assert report.faults == []
    assert len(report.notes) == 1 and "is not finished; the next sweep goes on with it" in report.notes[0]


def test_with_an_identity_what_is_inside_is_looked_at_too(vault: Kit) -> None:
    """A file that is as it was written, and was written wrong: only its inside tells."""
    reopened(vault)

    async def change(index: Index) -> None:
        from bystander.storage.digest import refresh

        async with index.transaction() as connection:
            await connection.execute("UPDATE calls SET wav_sha256 = 'ab' WHERE number = 1")
            await connection.execute(refresh("calls", "number = 1"))

    vault.using(change)
    close(vault)
    assert faults(vault) == []
    found = faults(vault, vault_keys=[vault.vault_identity])
    assert len(found) == 1 and "what is sealed in it is not what was recorded (SHA-256)" in found[0]
    from bystander.storage.identity import new_identity

    assert len(faults(vault, vault_keys=[new_identity()])) == 4


def test_a_pipe_instead_of_a_recording_is_not_waited_for(vault: Kit) -> None:
    path = next(vault.root.rglob("*.wav.age"))
    path.unlink()
    os.mkfifo(path, 0o600)
    assert f"{path}: is not a file" in faults(vault)
    with pytest.raises(SealProblem, match="not a file"):
        open_recording(reopened(vault).keyring, [vault.vault_identity], path.name.partition(".")[0], path)


def test_an_older_index_put_back(vault: Kit) -> None:
    older = vault.index_path.read_bytes()
    reopened(vault).add(3)
    close(vault)
    assert faults(vault) == []
    vault.index_path.write_bytes(older)
    found = faults(vault)
    assert len(found) == 1 and found[0].endswith(f"{name_of(3)}.wav.age: no call in the index has this file")


def test_keys_and_configuration(vault: Kit) -> None:
    (vault.folder / "bystander.toml").write_text("[vault]\n# changed\n")
    assert "not as the recorder last read it" in faults(vault)[0]
    (vault.folder / "bystander.toml").write_text("[vault]\n")
    (vault.folder / "keys/recorder.pub").write_text("00" * 32 + "\n")
    found = faults(vault)
    assert any("not two halves of one key" in fault for fault in found)
    assert any("not the key that the journal begins with" in fault for fault in found)
    assert any("is not signed by this recorder" in fault for fault in found)


def test_a_missing_keyring_is_a_line(vault: Kit) -> None:
    vault.keyring.path.unlink()
    (said,) = faults(vault)
    assert "the keyring is missing; without it no recording can be opened" in said


def test_nothing_is_changed_by_looking(vault: Kit) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in vault_files(vault)}
    look(vault)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in vault_files(vault)}
