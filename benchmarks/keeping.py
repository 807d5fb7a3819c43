"""What keeping costs: queries of a large index, a sweep, sealing, verify.

The index is filled with rows as the recorder writes them; the recordings that are swept are sealed files with
keys, as in a vault. Queries are timed as `bystander calls` asks them, 50 rows shown, the median of 21.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bystander.codecs.timeline import CLOCK_HZ, Channel, Run
from bystander.custody.journal import JOURNAL, Journal
from bystander.retention import clock, holds, sweep
from bystander.retention.erasure import Eraser
from bystander.storage.agefile import seal_bytes, seal_stream
from bystander.storage.container import SUFFIX, parts
from bystander.storage.entry import Entry, time_ns
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring, fingerprint
from bystander.storage.query import Query
from bystander.storage.scrub import scrub
from bystander.storage.signing import RecorderKey

_START = datetime(2026, 6, 1, tzinfo=UTC)
_NOW_NS = time_ns("2026-12-01T12:00:00Z")
_TIMES = 21
_BATCH = 5000
_SWEPT = 1000


def entry(number: int, draw: random.Random) -> Entry:
    """One row: a call of a town hall, four minutes after the one before, in the past half year."""
    started = _START + timedelta(seconds=number * 13)
    name = f"{started:%Y%m%d-%H%M%S}-{number:06d}"
    text = started.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    stream = {
        "by": "caller", "src": "10.0.0.1:4000", "dst": "10.0.0.2:4002", "ssrc": "0x1a2b3c4d", "codec": "PCMA",
        "payload_types": [8], "packets": 9000, "lost": 0, "duplicates": 0, "reordered": 0, "jitter_ms": 0.2,
        "first_at": text, "last_at": text, "srtp": False,
    }  # fmt: skip
    call = {
        "call_id": f"{draw.getrandbits(64):x}@10.0.0.1", "linked_call_ids": [],
        "direction": draw.choice(["incoming", "outgoing", "internal"]),
        "caller": f"+48{draw.randrange(500_000_000, 800_000_000)}", "callee": str(draw.randrange(100, 400)),
        "caller_name": "", "state": "answered", "final_status": 200, "verdict": "recorded", "excluded": None,
        "started_at": text, "answered_at": text, "ended_at": text, "ended_by": "caller", "duration_s": 180.0,
        "transport": "udp", "holds": [], "dtmf": [], "streams": [stream, stream | {"by": "callee"}],
        "recording": {"path": f"{started:%Y/%m/%d}/{name}.wav.age", "channels": 2, "sample_rate": 8000,
                      "starts_at": text, "duration_s": 180.0, "sha256": "0" * 64},
    }  # fmt: skip
    end = started + timedelta(days=3650)
    return Entry(
        name, call, f"{started:%Y/%m/%d}/{name}.wav.age", f"{started:%Y/%m/%d}/{name}.pcap.age", 5_760_044,
        end.isoformat(timespec="milliseconds").replace("+00:00", "Z"), True, "default", "0" * 64, "0" * 64,
        5_761_000, "0" * 64, "0" * 64, 4_000, "0" * 64,
    )  # fmt: skip


async def fill(index: Index, rows: int) -> list[Entry]:
    """Write the rows; return some of them, to be asked for."""
    draw = random.Random(7)
    asked: list[Entry] = []
    began = time.perf_counter()
    for at in range(0, rows, _BATCH):
        entries = [entry(number, draw) for number in range(at, min(rows, at + _BATCH))]
        await index.add(*entries)
        asked.append(entries[len(entries) // 2])
    await index.truncate_log()
    print(f"{rows:,} rows in {time.perf_counter() - began:.0f} s, {index.path.stat().st_size / 1e6:.0f} MB")
    return asked


async def queries(index: Index, asked: list[Entry]) -> None:
    """Time what people ask for."""
    some = random.Random(3).choices(asked, k=_TIMES)
    held = [(one.id, one.call["call_id"]) for one in asked[:200]]
    await holds.add(index, held, "II K 12/26", "benchmark", "benchmark", _NOW_NS)

    def day(one: Entry) -> Query:
        start_ns = time_ns(one.call["started_at"]) // 86_400_000_000_000 * 86_400_000_000_000
        return Query(since_ns=start_ns, until_ns=start_ns + 86_400_000_000_000, limit=51)

    kinds: dict[str, Callable[[Entry], Awaitable[Any]]] = {
        "the newest": lambda _: index.calls(Query(limit=51)),
        "by number": lambda one: index.calls(Query(number=one.call["caller"], limit=51)),
        "by an extension with thousands of calls": lambda one: index.calls(
            Query(number=one.call["callee"], limit=51)
        ),
        "by the end of a number": lambda one: index.calls(
            Query(number="*" + one.call["caller"][-4:], limit=51)
        ),
        "by date": lambda one: index.calls(day(one)),
        "by case (200 recordings)": lambda _: index.calls(Query(case="II K 12/26", limit=51)),
        "by id": lambda one: index.call(one.id),
        "what is due": lambda _: sweep.due_to_erase(index, _NOW_NS, 1000),
        "what is overdue, counted": lambda _: sweep.overdue(index, _NOW_NS),
    }
    for name, ask in kinds.items():
        took = []
        for one in some:
            began = time.perf_counter()
            await ask(one)
            took.append(time.perf_counter() - began)
        print(f"{name:<42} {statistics.median(took) * 1000:8.2f} ms median {max(took) * 1000:8.2f} ms worst")


async def swept(index: Index, keyring: Keyring, root: Path, journal: Journal, count: int) -> None:
    """Seal some recordings whose term is over, and time the sweep that erases them."""
    draw = random.Random(9)
    entries = []
    began = time.perf_counter()
    for number in range(count):
        one = entry(10_000_000 + number, draw)
        key = new_identity()
        blob = seal_bytes(str(key).encode(), keyring.recipient)
        to = recipient_text(key)
        assert one.wav_path is not None and one.evidence_path is not None
        audio = seal_stream([bytes(100_000)], root / one.wav_path, to, durable=False)
        sip = seal_stream([bytes(4000)], root / one.evidence_path, to, durable=False)
        keyring.add(one.id, blob)
        entries.append(
            replace(
                one, delete_after="2026-11-30T22:59:59.999Z", key_sha256=fingerprint(blob),
                wav_sealed_sha256=audio.sealed_sha256, wav_sealed_bytes=audio.sealed_bytes,
                evidence_sealed_sha256=sip.sealed_sha256, evidence_sealed_bytes=sip.sealed_bytes,
            )
        )  # fmt: skip
    await index.add(*entries)
    print(f"{count} recordings filed in {time.perf_counter() - began:.1f} s")
    began, cpu = time.perf_counter(), _cpu_s()
    eraser = Eraser(index, keyring, root, journal)
    done = await sweep.sweep(
        eraser, "benchmark", clock.Reading(_NOW_NS, 0, ""), bound_ns=10**18, newest_ns=None, limit=count
    )
    took = time.perf_counter() - began
    print(f"sweep: {done.erased} recordings erased in {took:.1f} s ({_cpu_s() - cpu:.1f} s CPU)")


def sealing(folder: Path) -> None:
    """Time making and sealing a call of three minutes, by container."""
    # Not of all values alike: that would be taken for ciphertext.
    samples = np.random.default_rng(1).integers(0, 128, 180 * CLOCK_HZ, dtype=np.uint8)
    left, right = Channel(), Channel()
    left.lay(Run(0, 8, samples))
    right.lay(Run(0, 8, samples[::-1].copy()))
    to = recipient_text(new_identity())
    for container in SUFFIX:
        took = []
        for _ in range(5):
            began = time.process_time()
            content = parts(container, left, right, len(samples), CLOCK_HZ, folder)  # type: ignore[arg-type]
            size = seal_stream(content, folder / "x.age", to, durable=False).sealed_bytes
            took.append(time.process_time() - began)
        print(f"sealing three minutes as {container:<5} {min(took) * 1000:6.1f} ms CPU {size / 1e6:6.2f} MB")


def _cpu_s() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


async def _run(folder: Path, rows: int, count: int) -> None:
    recorder = RecorderKey.create(folder)
    with closing(Keyring.create(folder / "keyring.sqlite", recipient_text(new_identity()))) as keyring:
        async with await Index.open(folder / "index.sqlite") as index:
            asked = await fill(index, rows)
            await queries(index, asked)
            journal = Journal.create(folder / JOURNAL, recorder)
            await swept(index, keyring, folder / "recordings", journal, count)
            print(f"journal: {len(json.dumps([entry.facts for entry in journal.entries()])) / 1e3:.0f} kB")
    began = time.perf_counter()
    scrub(folder / "index.sqlite")
    print(f"scrub of the whole index: {time.perf_counter() - began:.2f} s")


def run(folder: Path) -> None:
    """Run it below a folder, with a million rows, or as many as BYSTANDER_ROWS in the environment says."""
    rows = int(os.environ.get("BYSTANDER_ROWS", "1000000"))
    with tempfile.TemporaryDirectory(prefix="keeping-", dir=folder) as name:
        sealing(Path(name))
        asyncio.run(_run(Path(name), rows, _SWEPT))
