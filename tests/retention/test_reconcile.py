"""C20, C22: files, rows and keys that lack their counterpart are found, and mended only when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bystander.retention import holds, reconcile
from bystander.retention.erasure import Cause, Eraser
from tests.vaultkit import NOW_NS, Kit, name_of


def find(vault: Kit, going: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    found = vault.using(
        lambda index: reconcile.find(index, vault.keyring, vault.root, NOW_NS + 10**18, going)
    )
    return [(one.kind, one.id) for one in found]


def mend(vault: Kit) -> dict[str, int]:
    async def work(eraser: object) -> dict[str, int]:
        found = await reconcile.find(eraser.index, vault.keyring, vault.root, NOW_NS + 10**18)  # type: ignore[attr-defined]
        return await reconcile.mend(eraser, found, "user:admin", NOW_NS)  # type: ignore[arg-type]

    return vault.erasing(work)


def path(vault: Kit, number: int, ending: str = ".wav.age") -> Path:
    return vault.root / "2026/08/31" / f"{name_of(number)}{ending}"


def test_a_whole_vault_has_nothing_to_find(vault: Kit) -> None:
    vault.add(1, 2)
    assert find(vault) == []
    assert mend(vault) == {}
    assert vault.acts() == []


def test_files_without_a_row_are_found_and_destroyed_with_their_key(vault: Kit) -> None:
    vault.add(1, 2)
    vault.using(lambda index: _delete(index, 2))
    assert find(vault) == [("file-without-row", name_of(2))]
    assert find(vault, going=(name_of(2),)) == []
    assert mend(vault) == {"file-without-row": 1}
    assert find(vault) == []
    assert vault.keyring.ids() == [name_of(1)]
    assert vault.acts() == ["erase-plan", "erase-done", "mend"]


def test_a_key_without_either(vault: Kit) -> None:
    vault.add(1)
    vault.keyring.add(name_of(9), b"a key of nothing")
    assert find(vault) == [("key-without-row", name_of(9))]
    mend(vault)
    assert vault.keyring.ids() == [name_of(1)]


def test_a_row_whose_audio_is_lost_says_so_afterwards(vault: Kit) -> None:
    vault.add(1, 2)
    path(vault, 1).unlink()
    assert find(vault) == [("row-without-file", name_of(1))]
    assert mend(vault) == {"row-without-file": 1}
    assert find(vault) == []
    call = vault.using(lambda index: index.call(name_of(1)))
    assert call is not None
    assert (call["recording"], call["lost"], call["verdict"]) == (None, True, "recorded")
    assert path(vault, 1, ".pcap.age").exists()


def test_a_row_whose_key_is_lost_is_found_and_cannot_be_mended(vault: Kit) -> None:
    vault.add(1)
    vault.keyring.destroy([name_of(1)])
    assert find(vault) == [("row-without-key", name_of(1))]
    assert mend(vault) == {}
    assert find(vault) == [("row-without-key", name_of(1))]


def test_what_is_half_written_or_foreign(vault: Kit) -> None:
    vault.add(1)
    path(vault, 1, ".wav.age.part").write_bytes(b"x")
    for foreign in ("notes.txt", "copy.wav", "slot-1.spool"):
        (vault.root / foreign).write_bytes(b"x")
    assert find(vault) == [("leftover", name_of(1)), ("foreign-file", "copy"), ("foreign-file", "notes")]
    mend(vault)
    assert find(vault) == [("foreign-file", "copy"), ("foreign-file", "notes")]
    assert f"{name_of(1)}.wav.age.part" not in vault.files()


def test_a_recorder_at_work_is_no_fault(vault: Kit) -> None:
    """It writes files, then the key, then the row: for some minutes each may be without the others."""
    vault.add(1)
    vault.using(lambda index: _delete(index, 1))
    now_ns = path(vault, 1).stat().st_mtime_ns + 60 * 10**9
    assert vault.using(lambda index: reconcile.find(index, vault.keyring, vault.root, now_ns)) == []


def test_what_is_held_is_not_touched(vault: Kit) -> None:
    vault.add(1)
    vault.using(lambda index: holds.add(index, [(name_of(1), "x")], "K", "r", "w", NOW_NS))
    vault.using(lambda index: _delete(index, 1))
    assert find(vault) == [("file-without-row", name_of(1))]
    assert mend(vault) == {}
    assert len(vault.files()) == 2


def test_a_hold_of_nothing_is_told_and_left(vault: Kit) -> None:
    """Not while the call is in progress."""
    vault.add(1)
    vault.using(lambda index: holds.add(index, [(name_of(9), "x")], "K", "r", "w", NOW_NS, [name_of(9)]))
    assert find(vault) == [("hold-without-row", name_of(9))]
    assert find(vault, going=(name_of(9),)) == []
    assert mend(vault) == {}


def test_a_second_file_of_a_call_goes_and_its_own_stays(vault: Kit) -> None:
    vault.add(1)
    path(vault, 1, ".flac.age").write_bytes(b"x")
    assert find(vault) == [("file-without-row", name_of(1))]
    assert mend(vault) == {"file-without-row": 1}
    assert vault.files() == [f"{name_of(1)}.pcap.age", f"{name_of(1)}.wav.age"]
    assert vault.keyring.ids() == [name_of(1)]


def test_a_row_written_since_saves_its_recording(vault: Kit) -> None:
    """A finding may be old when a person has made up their mind."""
    vault.add(1)
    stray = reconcile.Finding("file-without-row", name_of(2), [f"2026/08/31/{name_of(2)}.wav.age"])

    async def work(eraser: Eraser) -> int:
        strays = {stray.id: stray.files}
        return await eraser.erase([stray.id], Cause("mend", "user:admin"), NOW_NS, strays=strays)

    vault.add(2)
    assert vault.erasing(work) == 0
    assert len(vault.files()) == 4


def test_what_is_being_erased_is_no_fault(vault: Kit) -> None:
    vault.add(1)

    def cut(step: str) -> None:
        if step == "calls":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.erasing(lambda eraser: eraser.erase([name_of(1)], Cause("term", "recorder"), NOW_NS), step=cut)
    assert (vault.files(), vault.keyring.ids(), vault.ids()) == ([], [], [name_of(1)])
    assert find(vault) == []


async def _delete(index: object, number: int) -> None:
    async with index.transaction() as connection:  # type: ignore[attr-defined]
        await connection.execute("DELETE FROM calls WHERE id = ?", [name_of(number)])
