"""A vault made by hand, small and quick: a few sealed recordings with marks that can be looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from bystander.custody.journal import JOURNAL, Journal
from bystander.retention.erasure import Eraser
from bystander.storage.agefile import seal_bytes, seal_stream
from bystander.storage.entry import time_ns
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.index import Entry, Index
from bystander.storage.keyring import Keyring, fingerprint
from bystander.storage.signing import RecorderKey
from bystander.storage.wav import header

_T = TypeVar("_T")
START = datetime(2026, 8, 31, 12, tzinfo=UTC)
NOW_NS = time_ns("2026-12-24T12:00:00Z")
#: What the vault's configuration says beside what a test wants to be said.
CONFIG = """
[recording]
directory = "recordings"
spool = "spool"
index = "index.sqlite"
[vault]
keyring = "keyring.sqlite"
journal = "journal.jsonl"
keys = "keys"
"""


def name_of(number: int) -> str:
    return f"20260831-12{number:04d}-abcdef"


@dataclass
class Kit:
    """A vault and what a test wants to know of it."""

    folder: Path
    keyring: Keyring
    journal: Journal
    vault_identity: Any
    person: Any
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "recordings"

    @property
    def index_path(self) -> Path:
        return self.folder / "index.sqlite"

    def marks(self, number: int) -> list[bytes]:
        """What must be nowhere once a recording is erased: number, name, Call-ID, key."""
        blob = self.keyring.get(name_of(number))
        return [
            f"+48600{number:06d}".encode(),
            f"+48600{number:06d}"[::-1].encode(),
            f"Marek Mark{number:04d}".encode(),
            f"call-{number:04d}@office.example".encode(),
            *([blob[-40:]] if blob else []),
        ]

    def add(self, *numbers: int, delete_after: str = "2026-11-30T22:59:59.999Z", **changes: Any) -> None:
        """Put sealed recordings into the vault; ``changes`` are of their call objects."""
        entries = [self._seal(number, delete_after, changes) for number in numbers]
        self.using(lambda index: index.add(*entries))

    def _seal(self, number: int, delete_after: str, changes: dict[str, Any] | None = None) -> Entry:
        name = name_of(number)
        key = new_identity()
        self.keys[name] = key
        blob = seal_bytes(str(key).encode(), recipient_text(self.vault_identity))
        folder = self.root / "2026/08/31"
        audio = seal_stream(
            [header(2000, 8000), bytes([number % 251]) * 8000],
            folder / f"{name}.wav.age",
            recipient_text(key),
        )
        sip = seal_stream([b"INVITE", name.encode()], folder / f"{name}.pcap.age", recipient_text(key))
        self.keyring.add(name, blob)
        started = START + timedelta(seconds=number)
        call = {
            "call_id": f"call-{number:04d}@office.example", "linked_call_ids": [], "direction": "incoming",
            "caller": f"+48600{number:06d}", "callee": "101", "caller_name": f"Marek Mark{number:04d}",
            "state": "answered", "verdict": "recorded", "started_at": started.isoformat(),
            "answered_at": started.isoformat(), "ended_at": started.isoformat(), "duration_s": 1.0,
            "streams": [], "recording": {"path": f"2026/08/31/{name}.wav.age"},
        }  # fmt: skip
        return Entry(
            name, call | (changes or {}), f"2026/08/31/{name}.wav.age", f"2026/08/31/{name}.pcap.age",
            audio.size_bytes, delete_after, True, "default",
            audio.sha256, audio.sealed_sha256, audio.sealed_bytes,
            sip.sha256, sip.sealed_sha256, sip.sealed_bytes, fingerprint(blob),
        )  # fmt: skip

    def using(self, work: Callable[[Index], Awaitable[_T]]) -> _T:
        async def go() -> _T:
            async with await Index.open(self.index_path) as index:
                return await work(index)

        return asyncio.run(go())

    def erasing(self, work: Callable[[Eraser], Awaitable[_T]], **changes: Any) -> _T:
        def eraser(index: Index) -> Awaitable[_T]:
            return work(Eraser(index, self.keyring, self.root, self.journal, **changes))

        return self.using(eraser)

    def ids(self) -> list[str]:
        rows = self.using(lambda index: index.rows("SELECT id FROM calls ORDER BY id"))
        return [row[0] for row in rows]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())

    def acts(self) -> list[str]:
        return [entry.act for entry in self.journal.entries()]


def make(folder: Path) -> Kit:
    """Make an empty vault."""
    folder.mkdir(exist_ok=True)
    (folder / "keys").mkdir()
    (folder / "recordings").mkdir()
    vault_identity, person = new_identity(), new_identity()
    recorder = RecorderKey.create(folder / "keys")
    keyring = Keyring.create(folder / "keyring.sqlite", recipient_text(vault_identity))
    holder = recipient_text(person)
    keyring.add_copy(holder, seal_bytes(str(vault_identity).encode(), holder))
    return Kit(folder, keyring, Journal.create(folder / JOURNAL, recorder), vault_identity, person)
