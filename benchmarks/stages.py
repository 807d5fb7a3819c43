"""What each stage costs: CPU ns a packet of the real pipeline, its stages' public functions under a clock."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.extraction import warm
from benchmarks.plan import Traffic
from benchmarks.process import last_core
from benchmarks.traffic import cached

CASES = {
    "200 calls": Traffic(calls=200, seconds=100),
    "2000 calls": Traffic(calls=2000, seconds=60),
    "2000 calls, 30 % noise": Traffic(calls=2000, seconds=60, noise=0.3),
}
_CHUNK = 1 << 26

#: (stage, module, function or Class.method). A stage is charged what it spends outside other stages.
STAGES = (
    ("parse: frames to datagrams", "bystander.sniffer.parse", "FrameParser.parse"),
    ("RTP: look up, count, place", "bystander.sniffer.streams", "StreamTable.feed"),
    ("flush: rows to runs", "bystander.sniffer.arena", "Arena.flush"),
    ("flush: rows to runs", "bystander.sniffer.arena", "Arena.flush_old"),
    ("SIP: messages", "bystander.pipeline", "parse_message"),
    ("SIP: dialogs and claims", "bystander.sniffer.calls", "CallTable.feed"),
    ("SIP: dialogs and claims", "bystander.sniffer.calls", "CallTable.advance"),
    ("SIP: dialogs and claims", "bystander.sniffer.calls", "CallTable.close"),
    ("SIP: dialogs and claims", "bystander.sniffer.calls", "CallTable.stream_started"),
    ("spool: write", "bystander.storage.spool", "Spool.audio"),
    ("spool: write", "bystander.storage.spool", "Spool.packets"),
    ("spool: read back", "bystander.finish", "read_media"),
    ("decode and mix", "bystander.finish", "render"),
    ("write", "bystander.finish", "write_wav"),
)  # fmt: skip
READ, HASH, JOINING = "read and walk", "hash (SHA-256)", "joining code"


class Clock:
    """CPU time of this process by stage; stages nest, and each is charged only what is its own."""

    def __init__(self) -> None:
        self.spent_ns: dict[str, int] = defaultdict(int)
        self._stack: list[str] = []
        self._since_ns = 0

    def _charge(self) -> None:
        now = time.process_time_ns()
        if self._stack:
            self.spent_ns[self._stack[-1]] += now - self._since_ns
        self._since_ns = now

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._charge()
        self._stack.append(name)
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def watch(self, stage: str, module: str, path: str) -> Any:
        """A patch that puts a function under the clock; of a generator, the making of each item."""
        owner: Any = importlib.import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        original: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(original)
        def timed(*args: Any, **options: Any) -> Any:
            with self.stage(stage):
                result = original(*args, **options)
            return self.pulled(stage, result) if isinstance(result, Iterator) else result

        return mock.patch.object(owner, name, timed)

    def hashing(self, module: str) -> Any:
        """A patch that puts the SHA-256 of a module under the clock."""
        clock = self

        class Digest:
            def __init__(self) -> None:
                self._digest = hashlib.sha256()
                self.hexdigest = self._digest.hexdigest

            def update(self, data: bytes | memoryview) -> None:
                with clock.stage(HASH):
                    self._digest.update(data)

        return mock.patch.object(importlib.import_module(module), "hashlib", SimpleNamespace(sha256=Digest))

    def pulled(self, stage: str, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items, charging the stage for the making of each."""
        while True:
            with self.stage(stage):
                item = next(items, self)
            if item is self:
                return
            yield item


def measure(capture: Path, folder: Path) -> Clock:
    """Take a capture through the pipeline to WAVs in ``folder``, all in this process, under a clock."""
    from bystander.finish import finish
    from bystander.finished import FinishedCall, Orphan
    from bystander.pipeline import Pipeline, PipelineSettings
    from bystander.sniffer.capturefile import open_captures
    from bystander.storage.spool import Spool

    clock = Clock()

    def finished(call: FinishedCall | Orphan) -> None:
        finish(call.job)
        call.discard()

    with ExitStack() as patches:
        for stage, module, path in STAGES:
            patches.enter_context(clock.watch(stage, module, path))
        patches.enter_context(clock.hashing("bystander.storage.wav"))
        source = patches.enter_context(open_captures([capture]))
        pipeline = Pipeline(PipelineSettings(root=folder), Spool(folder / "spool"), finished)
        with clock.stage(JOINING):
            for frames in clock.pulled(READ, source.blocks()):
                pipeline.feed(frames)
            pipeline.close()
    return clock


def _copy(capture: Path) -> float:
    """CPU seconds to copy the bytes of the capture once, in pieces that no cache holds."""
    source, target = np.ones(_CHUNK, np.uint8), np.ones(_CHUNK, np.uint8)
    began = time.process_time()
    for _ in range(capture.stat().st_size // _CHUNK + 1):
        np.copyto(target, source)
    return time.process_time() - began


def run(out: Path) -> None:
    """Print CPU ns a packet of each stage beside a copy of the capture's bytes."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {last_core()})
    order = [READ, *dict.fromkeys(stage for stage, _, _ in STAGES), HASH, JOINING]
    copied = "a copy of the capture's bytes"
    columns: dict[str, dict[str, float]] = {}
    try:
        captures = {name: cached(traffic) for name, traffic in CASES.items()}
        # Removed at the very end: on ext4, deleting thousands of files makes the next ones slow.
        with tempfile.TemporaryDirectory(prefix="stages-", dir=out) as place:
            for name, (capture, truth) in captures.items():
                warm(capture)
                spent_ns = measure(capture, Path(place, str(len(columns)))).spent_ns
                spent_ns["sum"] = sum(spent_ns.values())
                spent_ns[copied] = round(_copy(capture) * 1e9)
                columns[name] = {
                    stage: spent_ns[stage] / truth["frames"] for stage in (*order, "sum", copied)
                }
    finally:
        os.sched_setaffinity(0, allowed)
    print(f"  {'CPU ns per packet':<34}" + "".join(f"{name:>26}" for name in columns))
    for stage in (*order, "sum", copied):
        print(f"  {stage:<34}" + "".join(f"{spent[stage]:>26.1f}" for spent in columns.values()))
