"""What the parts of the recorder have counted arrives in the totals that the metrics show."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bystander.condition import Condition
from bystander.config_hep import Hep
from bystander.heplistener import HepListener
from bystander.metrics import Totals
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.storage.spool import Spool
from bystander.totals import totals

FILING: Any = SimpleNamespace(
    verdicts=Counter(recorded=3), queues={"write": 1, "index": 2}, unlisted=4, sealed=5
)
ROOM: Any = SimpleNamespace(bytes_free=1 << 30, short_since_ns=7)


def shown(folder: Path, hep: HepListener | None) -> Totals:
    pipeline = Pipeline(PipelineSettings(root=folder), Spool(folder / "spool"), lambda call: None)
    pipeline.counters["frames"] += 11
    return totals(
        pipeline, FILING, ROOM, Condition(held=6), ring=None, hep=hep, kernel_drops=8, spool_bytes=9
    )


def test_every_part_is_asked(tmp_path: Path) -> None:
    seen = shown(tmp_path, None)
    assert (seen.packets, seen.kernel_drops, seen.spool_bytes, seen.sealed) == (11, 8, 9, 5)
    assert (seen.bytes_free, seen.space_short, seen.keeping.held) == (1 << 30, True, 6)
    assert (seen.verdicts, seen.queue_depth) == ({"recorded": 3}, {"write": 1, "index": 2})
    assert seen.table_evictions["waiting"] == 4
    assert seen.hep == {}


def test_what_came_by_hep_is_shown_also_when_nothing_waits(tmp_path: Path) -> None:
    async def counted() -> Totals:
        listener = HepListener(Hep(listen="127.0.0.1:0"), lambda: None)
        listener.receive(b"no HEP at all")
        return shown(tmp_path, listener)

    seen = asyncio.run(counted())
    assert seen.queue_depth["hep"] == 0
    assert seen.hep["not-hep"] == 1
    # An alert sees a counter rise, not appear.
    assert (seen.hep["taken"], seen.hep["queue-full"]) == (0, 0)
