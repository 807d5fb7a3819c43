"""The spool: what was written is read back, whatever was cut off, and nobody reads another's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from bystander.codecs.packets import PacketRun
from bystander.storage.spool import Spool, read_facts, read_media


def audio(n: int, value: int = 7) -> np.ndarray:
    return np.full(n, value, np.uint8)


def packets(n: int) -> PacketRun:
    ones = np.ones(n, np.int64)
    return PacketRun(
        np.arange(n, dtype=np.int64),
        ones.astype(np.uint32),
        np.full(n, 101, np.uint8),
        ones * 5,
        np.full(n, 4, np.int32),
        np.arange(4 * n, dtype=np.uint8),
    )


def spans(path: Path | None) -> list[tuple[int, int, int, int]]:
    assert path is not None
    return [(run.position, run.law, len(run.samples), int(run.samples[0])) for run in read_media(path).runs]


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.audio(1, -160, 8, audio(320))
    spool.packets(1, packets(3))
    spool.audio(1, 160, 0, audio(160, 9))
    spool.audio(2, 0, 8, audio(10, 1))
    path, memory = spool.take(1)
    assert spans(path) == [(-160, 8, 320, 7), (160, 0, 160, 9)]
    assert path is not None
    kept = read_media(path, memory).packets
    assert kept is not None
    assert kept.payloads() == packets(3).payloads()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    spool.close()


def test_what_was_said_first_is_read_while_the_stream_goes_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert list(spool.said(1)) == []
    spool.audio(1, 0, 8, audio(160, 1))
    spool.packets(1, packets(3))
    spool.audio(1, 160, 8, audio(320, 2))
    spool.finish(1)
    spool.audio(1, 480, 8, audio(80, 3))
    assert list(spool.said(1)) == [b"\1" * 160, b"\2" * 320, b"\3" * 80]
    # Of a long file only the beginning; a run that is cut there is left out.
    for number in range(40):
        spool.audio(2, number * 100_000, 8, audio(100_000, number))
    runs = list(spool.said(2))
    assert runs == [bytes([number]) * 100_000 for number in range(20)]
    spool.close()


def test_the_end_of_a_stream_may_stay_in_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.audio(1, 0, 8, audio(160))
    spool.finish(1)
    spool.audio(1, 160, 8, audio(160))
    path, memory = spool.take(1)
    assert path is not None
    assert [run.position for run in read_media(path, memory).runs] == [0, 160]
    spool.finish(2)
    spool.audio(2, 0, 8, audio(5))
    assert spool.take(2)[0] is None  # a short stream never touches the disk
    spool.close()


def test_the_latest_facts_are_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    count = iter(range(9))
    spool.describe(1, lambda: {"id": 1, "packets": next(count)})
    for position in range(3):
        spool.audio(1, position, 8, audio(1))
    path, _ = spool.take(1)
    assert path is not None
    assert read_facts(path) == {"id": 1, "packets": 2}
    spool.close()


def test_a_file_cut_anywhere_gives_a_prefix(tmp_path: Path) -> None:
    """A process that is killed leaves at worst a last chunk cut short."""
    spool = Spool(tmp_path)
    spool.describe(1, lambda: {"id": 1})
    for n in range(3):
        spool.audio(1, n * 160, 8, audio(160))
    spool.packets(1, packets(2))
    path, _ = spool.take(1)
    spool.close()
    assert path is not None
    whole, content = spans(path), path.read_bytes()
    cut = tmp_path / "cut.spool"
    for end in range(len(content)):
        cut.write_bytes(content[:end])
        found = spans(cut)
        assert found == whole[: len(found)]
    assert whole == [(0, 8, 160, 7), (160, 8, 160, 7), (320, 8, 160, 7)]


def test_a_slot_that_is_used_again_holds_nothing_of_its_last_stream(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.audio(1, 0, 8, audio(100, 1))
    first, _ = spool.take(1)
    assert first is not None
    spool.recycle(first)
    spool.audio(2, 50, 8, audio(10, 2))
    second, _ = spool.take(2)
    assert second == first
    assert spans(second) == [(50, 8, 10, 2)]
    spool.close()


def test_slots_with_media_of_an_earlier_process_are_left_alone(tmp_path: Path) -> None:
    earlier = Spool(tmp_path)
    earlier.prepare(2)
    earlier.audio(1, 0, 8, audio(100, 1))
    kept, _ = earlier.take(1)
    earlier.close()
    spool = Spool(tmp_path)
    for stream in range(5):
        spool.audio(stream, 0, 8, audio(1, 2))
    paths = {spool.take(stream)[0] for stream in range(5)}
    assert kept not in paths
    assert len(paths) == 5
    assert spans(kept) == [(0, 8, 100, 1)]
    spool.close()


def test_more_streams_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (32, 32))
    spool = Spool(tmp_path)
    for position in range(3):
        for stream in range(60):
            spool.audio(stream, position, 8, audio(1, stream))
    for stream in range(60):
        assert spans(spool.take(stream)[0]) == [(position, 8, 1, stream) for position in range(3)]
    spool.close()


def test_a_disk_that_fills_up_costs_one_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that was written is taken back, and what comes after is whole again."""
    spool = Spool(tmp_path)
    spool.audio(1, 0, 8, audio(100))
    whole = os.writev
    monkeypatch.setattr(os, "writev", lambda file, parts: whole(file, [b"".join(parts)[:50]]))
    with pytest.raises(OSError, match="No space left") as caught:
        spool.audio(1, 100, 8, audio(100))
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(os, "writev", whole)
    spool.audio(1, 200, 8, audio(100))
    path, _ = spool.take(1)
    assert spans(path) == [(0, 8, 100, 7), (200, 8, 100, 7)]
    spool.close()


@pytest.mark.parametrize("content", [b"", b"BYSPOOL", b"something else entirely", b"BYSPOOL1" + b"\xff" * 40])
def test_other_files_are_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "slot-1.spool"
    path.write_bytes(content)
    assert not read_media(path).runs
    assert read_facts(path) is None
    assert not read_media(tmp_path / "none").runs


@pytest.mark.parametrize("finished", [None, 0, 1, 2, 3])
def test_whole_packets_are_kept_apart_and_what_is_disowned_does_not_count(
    tmp_path: Path, finished: int | None
) -> None:
    """On disk, in memory, and where it goes from one to the other."""
    spool = Spool(tmp_path)
    for step in range(4):
        if finished == step:
            spool.finish(1)
        if step == 0:
            spool.audio(1, 0, 8, audio(160))
            spool.packets(1, packets(2))
        elif step == 1:
            spool.disown(1)
        elif step == 2:
            spool.whole(1, packets(3))
            spool.audio(1, 320, 8, audio(80))
        else:
            spool.whole(1, packets(1))
    path, memory = spool.take(1)
    media = read_media(path, memory) if path is not None else memory
    assert [len(run) for run in media.whole] == [3, 1]
    assert [(run.position, len(run.samples)) for run in media.runs] == [(320, 80)]
    assert media.packets is None
    spool.disown(2)
    assert spool.take(2)[0] is None
    spool.close()
