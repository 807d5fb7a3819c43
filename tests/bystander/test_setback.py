"""A clock that is set back while calls are in progress: they are divided, and nothing of them is lost."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.traffic import Traffic, write
from bystander import recorder
from bystander.config import load
from bystander.daemon import run
from bystander.setback import Setbacks
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.ring import RingStatistics
from bystander.storage.index import Index, Query

S = 1_000_000_000


def block(raws: list[bytes], times: list[int]) -> Frames:
    sizes = np.array([len(raw) for raw in raws], np.int64)
    data = np.frombuffer(b"".join(raws) + bytes(PAD), np.uint8)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, np.array(times, np.int64))


@given(st.lists(st.lists(st.integers(-30 * S, 30 * S), min_size=1, max_size=8), min_size=1, max_size=8))
def test_blocks_are_divided_where_time_goes_back(steps: list[list[int]]) -> None:
    """However it is cut into blocks: no part goes back by more than a second, and all frames are there."""
    setbacks, at = Setbacks(), 1_700_000_000 * S
    runs: list[list[int]] = []
    fed: list[int] = []
    for part in steps:
        times = [at := at + step for step in part]
        fed += times
        for back_ns, found in setbacks.parts(block([b"x" * 20] * len(times), times)):
            if back_ns:
                assert back_ns > S and back_ns == max(runs[-1]) - found.time_ns[0]
                runs.append([])
            runs = runs or [[]]
            runs[-1] += found.time_ns.tolist()
            assert len(found.offset) == len(found.captured) == len(found.length) == len(found)
    assert [time_ns for run in runs for time_ns in run] == fed
    for one in runs:
        highest = np.maximum.accumulate(one)
        assert (highest - one <= S).all()
    # Divided only where it must be.
    assert all(max(one) - other[0] > S for one, other in itertools.pairwise(runs))


class Wire:
    """In the ring's place: blocks that are ready one after the other, then somebody stops the recorder."""

    def __init__(self, blocks: list[Frames]) -> None:
        self.interface, self.link_up, self.link_losses = "mirror", True, 0
        self._blocks = iter(blocks)
        self._readable = select.epoll()
        self.now_ns = int(blocks[0].time_ns[0])

    def fileno(self) -> int:
        return self._readable.fileno()

    def ready(self) -> Iterator[Frames]:
        found = next(self._blocks, None)
        if found is None:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.now_ns = int(found.time_ns[-1])
            yield found

    def last(self) -> Iterator[Frames | None]:
        return iter(())

    def statistics(self) -> RingStatistics:
        return RingStatistics(0, 0, 0)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._readable.close()


@pytest.mark.parametrize("back_s", [3, 20, 7200])
@pytest.mark.parametrize("within", [True, False])
def test_c18_a_call_over_a_clock_that_is_set_back_is_two_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back_s: int, within: bool
) -> None:
    """In mid-block or between two; both voices whole before it and after it."""
    capture, config = tmp_path / "call.pcap", tmp_path / "bystander.toml"
    write(Traffic(calls=1, seconds=6, start_ns=time.time_ns() - 4 * S), capture)
    with open_captures([capture]) as source:
        raws, times = [], []
        for frames in source.blocks():
            for start, size in zip(frames.offset.tolist(), frames.captured.tolist(), strict=True):
                raws.append(frames.data[start : start + size].tobytes())
            times += frames.time_ns.tolist()
    middle = len(raws) // 2
    times = times[:middle] + [at - back_s * S for at in times[middle:]]
    cut = middle + 17 if within else middle
    blocks = [block(raws[:cut], times[:cut]), block(raws[cut:], times[cut:])]
    wire = Wire(blocks)
    monkeypatch.setattr(recorder, "Ring", lambda *_, **__: wire)
    clock = SimpleNamespace(time_ns=lambda: wire.now_ns, monotonic=time.monotonic)
    monkeypatch.setattr(recorder, "time", clock)
    config.write_text(
        '[recording]\ndirectory = "r"\nspool = "s"\nindex = "i.sqlite"\n[metrics]\nenabled = false\n'
    )
    assert run(load(config), interface="mirror") == 0

    async def listed() -> list[dict[str, Any]]:
        async with await Index.open(tmp_path / "i.sqlite") as index:
            return list(await index.calls(Query()))

    calls = sorted(asyncio.run(listed()), key=lambda call: str(call["ended_by"] != "capture-end"))
    assert len(calls) == 2 and len({call["call_id"] for call in calls}) == 1
    assert [call["verdict"] for call in calls] == ["partial", "partial"]
    assert calls[0]["ended_by"] == "capture-end" and calls[1]["ended_by"] in ("caller", "callee")
    assert sum(stream["packets"] for call in calls for stream in call["streams"]) == 600
    for call in calls:
        assert len(call["streams"]) == 2
        sound, rate = soundfile.read(tmp_path / "r" / call["recording"]["path"], dtype="int16")
        assert abs(len(sound) / rate - call["duration_s"]) < 0.06
        assert (np.abs(sound[rate // 2 : 2 * rate].astype(int)).max(axis=0) > 100).all()
