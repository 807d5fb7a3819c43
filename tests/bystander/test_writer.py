"""The worker that writes recordings: everything submitted is told about, once, in order."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bystander.codecs.g711 import PCMA
from bystander.codecs.timeline import Run
from bystander.finish import Job, StreamMedia, finish
from bystander.finished import Orphan
from bystander.storage.spool import Media, Spool
from bystander.writer import ENOUGH, Writer

S = 1_000_000_000


@pytest.fixture
def work(tmp_path: Path) -> Any:
    """work(name) -> something finished with a second of audio."""
    spool = Spool(tmp_path / "spool")

    def make(name: str) -> Orphan:
        media = Media(runs=[Run(0, PCMA, np.full(8000, 0x11, np.uint8))])
        stream = StreamMedia("caller", {}, False, 50, 0, S, 0, None, media)
        return Orphan(Job(tmp_path / name, [stream], None, S), {"name": name}, tmp_path, spool)

    return make


def test_what_is_submitted_is_written_in_order(work: Any, tmp_path: Path) -> None:
    done: list[tuple[str, int]] = []
    seconds: list[float] = []

    def write(call: Orphan) -> None:
        done.append((call.job.target.name, finish(call.job).frames))

    writer = Writer(write, observe=seconds.append)
    names = [f"{n}.wav" for n in range(20)]
    for name in names:
        writer.submit(work(name))
    writer.close()
    assert done == [(name, 8000) for name in names]
    assert all((tmp_path / name).stat().st_size == 44 + 32_000 for name in names)
    assert len(seconds) == 20
    assert writer.depth == 0


def test_nobody_waits_but_who_wants_to() -> None:
    """A live mirror submits as calls end, however slow the disk; a file is read no faster than is written."""
    may_write = threading.Event()
    done: list[int] = []

    def write(number: int) -> None:
        assert may_write.wait(60)
        done.append(number)

    writer = Writer(write)
    for number in range(1, 4 * ENOUGH):
        writer.submit(number)
    assert writer.depth >= 4 * ENOUGH - 2
    may_write.set()
    writer.keep_pace()
    assert writer.depth <= ENOUGH
    writer.close()
    assert done == list(range(1, 4 * ENOUGH))


def test_a_fault_of_the_work_is_raised_where_work_is_submitted(work: Any) -> None:
    told = threading.Event()

    def fail(_call: object) -> None:
        told.set()
        raise RuntimeError("work")

    writer = Writer(fail)
    writer.submit(work("a.wav"))
    assert told.wait(60)
    patience = time.monotonic() + 60
    with pytest.raises(RuntimeError, match="work"):
        while time.monotonic() < patience:
            writer.submit(work("more.wav"))
            time.sleep(0.001)
    with pytest.raises(RuntimeError, match="work"):
        writer.close()
