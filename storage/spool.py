"""The spool: the media of calls in progress, one file per RTP stream, written as it comes.

A file is an eight-byte magic and then chunks, each a 16-byte header (kind, law, length, position) and its
data. Nothing is ever rewritten, so a process that is killed leaves at worst a last chunk cut short, which the
reader drops. Chunk kinds: ``M`` what the stream is (JSON), ``A`` a run of G.711 at a position of the stream's
timeline, ``P`` packets kept as they came, ``W`` the same with headers and tags, as they stood on the wire
(SRTP is opened when its call is over), ``X`` the audio and packets before this do not count: they were not
what they seemed to be. Later chunks win over earlier ones where they overlap.

Files are slots: when a stream is done with, its file is emptied and serves the next. Creating and deleting
a file per stream would cost more than everything else here (ext4 looks long for an inode while many were
freed in the last seconds). The slots most recently written stay open, as many as half the process's limit
allows.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import struct
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.packets import PacketRun
from bystander.codecs.timeline import Run

MAGIC: Final = b"BYSPOOL1"
_HEADER = struct.Struct("<BBHIq")
_META, _AUDIO, _PACKETS, _WHOLE, _DISOWNED = (ord(kind) for kind in "MAPWX")
#: A chunk longer than this is damage, not data.
_MAX_CHUNK = 1 << 28
#: So many bytes of a file are its beginning: some four minutes of G.711.
_BEGINNING = 1 << 21


@dataclass(slots=True)
class Media:
    """The media of one stream read back: runs of G.711 in the order written, kept packets, whole packets.

    ``disowned``: runs and kept packets of before do not count.
    """

    runs: list[Run] = field(default_factory=list)
    kept: list[PacketRun] = field(default_factory=list)
    whole: list[PacketRun] = field(default_factory=list)
    disowned: bool = False

    @property
    def packets(self) -> PacketRun | None:
        """All kept packets as one run, or None."""
        return PacketRun.join(self.kept) if self.kept else None

    def disown(self) -> None:
        """Forget runs and kept packets."""
        self.runs.clear()
        self.kept.clear()
        self.disowned = True


class Spool:
    """A folder of slots; streams are named by number."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.folder = folder
        self._described: dict[int, Callable[[], dict[str, Any]]] = {}
        self._open: OrderedDict[int, int] = OrderedDict()
        self._max_open = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._in_memory: dict[int, Media] = {}
        self._slots: dict[int, Path] = {}
        self._fresh: set[int] = set()
        slots = sorted(folder.glob("slot-*.spool"), key=_slot_number)
        #: Slots that hold nothing: what is in the others belongs to streams of an earlier process.
        self._empty = deque(path for path in slots if path.stat().st_size == 0)
        self._next_slot = 1 + max(map(_slot_number, slots), default=0)

    def describe(self, stream: int, facts: Callable[[], dict[str, Any]]) -> None:
        """Say what a stream is: ``facts`` is asked before each chunk, so that a reader finds the latest."""
        self._described[stream] = facts

    def audio(self, stream: int, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        """Append a run of G.711 (uint8[n], copied)."""
        memory = self._in_memory.get(stream)
        if memory is not None:
            memory.runs.append(Run(position, law, samples.copy()))
        else:
            self._append(stream, _AUDIO, law, position, samples.data)

    def packets(self, stream: int, run: PacketRun) -> None:
        """Append packets kept as they came."""
        memory = self._in_memory.get(stream)
        if memory is not None:
            memory.kept.append(run)
        else:
            self._append(stream, _PACKETS, 0, 0, run.to_bytes())

    def whole(self, stream: int, run: PacketRun) -> None:
        """Append whole packets, as they stood on the wire."""
        memory = self._in_memory.get(stream)
        if memory is not None:
            memory.whole.append(run)
        else:
            self._append(stream, _WHOLE, 0, 0, run.to_bytes())

    def disown(self, stream: int) -> None:
        """Say that the audio and packets of a stream so far do not count."""
        memory = self._in_memory.get(stream)
        if memory is not None:
            memory.disown()
        elif stream in self._slots:
            self._append(stream, _DISOWNED, 0, 0, b"")

    def finish(self, stream: int) -> None:
        """Keep what is still to come of a stream in memory: it is about to be read and deleted."""
        self._in_memory.setdefault(stream, Media())

    def take(self, stream: int) -> tuple[Path | None, Media]:
        """Let go of a stream: (its file or None, what was kept in memory). The file is then the caller's."""
        self._described.pop(stream, None)
        file = self._open.pop(stream, None)
        if file is not None:
            os.close(file)
        self._fresh.discard(stream)
        return self._slots.pop(stream, None), self._in_memory.pop(stream, Media())

    def said(self, stream: int) -> Iterator[bytes]:
        """Yield the runs of G.711 that a stream began with: of its file the first minutes, and what is in
        memory."""
        path = self._slots.get(stream)
        for kind, _, _, data in _chunks(path, _BEGINNING) if path is not None else ():
            if kind == _AUDIO:
                yield bytes(data)
        memory = self._in_memory.get(stream)
        for run in memory.runs if memory is not None else ():
            yield run.samples.tobytes()

    def prepare(self, slots: int) -> None:
        """Make empty slots until there are so many, so that no stream waits for one. Raises OSError."""
        while len(self._empty) < slots:
            path = self._new_slot()
            path.touch(0o600)
            self._empty.append(path)

    def recycle(self, path: Path) -> None:
        """Empty a file that :meth:`take` gave away, and use it again. Safe to call from any thread."""
        try:
            os.truncate(path, 0)
        except FileNotFoundError:
            pass  # a full disk kept it from ever being made; it will be when it is needed
        self._empty.append(path)

    def bytes_held(self) -> int:
        """Return the bytes that the spool occupies on disk."""
        with os.scandir(self.folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.name.endswith(".spool"))

    def close(self) -> None:
        """Close the folder; the files stay."""
        while self._open:
            os.close(self._open.popitem()[1])
        os.close(self._folder)

    def _append(self, stream: int, kind: int, law: int, position: int, data: bytes | memoryview) -> None:
        file = self._file(stream)
        parts: list[bytes | memoryview] = []
        if stream in self._fresh:
            parts.append(MAGIC)
        facts = self._described.get(stream)
        if facts is not None:
            told = json.dumps(facts(), separators=(",", ":")).encode()
            parts += [_HEADER.pack(_META, 0, 0, len(told), 0), told]
        parts += [_HEADER.pack(kind, law, 0, len(data), position), data]
        size = sum(len(part) for part in parts)
        written = os.writev(file, parts)
        if written != size:
            # A disk that fills up writes in part: make it an error, with the part taken back.
            os.ftruncate(file, os.fstat(file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._slots[stream]))
        self._fresh.discard(stream)

    def _new_slot(self) -> Path:
        number, self._next_slot = self._next_slot, self._next_slot + 1
        return self.folder / f"slot-{number}.spool"

    def _file(self, stream: int) -> int:
        """Return the stream's file, open for appending."""
        file = self._open.get(stream)
        if file is not None:
            self._open.move_to_end(stream)
            return file
        if len(self._open) >= self._max_open:
            os.close(self._open.popitem(last=False)[1])
        path = self._slots.get(stream)
        if path is None:
            try:
                path = self._empty.popleft()
            except IndexError:
                path = self._new_slot()
            self._slots[stream] = path
            self._fresh.add(stream)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        file = os.open(path.name, flags, 0o600, dir_fd=self._folder)
        self._open[stream] = file
        return file


def _slot_number(path: Path) -> int:
    digits = path.stem.partition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def read_media(path: Path, memory: Media | None = None) -> Media:
    """Read a stream's media: what its file holds, then what was kept in memory."""
    media = Media()
    for kind, law, position, data in _chunks(path):
        if kind == _AUDIO:
            media.runs.append(Run(position, law, np.frombuffer(data, np.uint8)))
        elif kind in (_PACKETS, _WHOLE):
            try:
                (media.kept if kind == _PACKETS else media.whole).append(PacketRun.from_bytes(bytes(data)))
            except ValueError:
                continue
        elif kind == _DISOWNED:
            media.disown()
    if memory is not None:
        if memory.disowned:
            media.disown()
        media.runs += memory.runs
        media.kept += memory.kept
        media.whole += memory.whole
    return media


def read_facts(path: Path) -> dict[str, Any] | None:
    """Return the latest that a spool file says its stream is, or None if it does not say."""
    latest = None
    for kind, _, _, data in _chunks(path):
        if kind == _META:
            try:
                facts = json.loads(bytes(data))
            except ValueError:
                continue
            if isinstance(facts, dict):
                latest = facts
    return latest


def _chunks(path: Path, limit: int = -1) -> Iterator[tuple[int, int, int, memoryview]]:
    """Yield (kind, law, position, data) until the file ends or stops making sense; of its first ``limit``
    bytes only those that are whole."""
    try:
        with path.open("rb") as file:
            content = memoryview(file.read(limit))
    except FileNotFoundError:
        return
    if bytes(content[: len(MAGIC)]) != MAGIC:
        return
    at = len(MAGIC)
    while at + _HEADER.size <= len(content):
        kind, law, _, length, position = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        if length > _MAX_CHUNK or at + length > len(content):
            return
        yield kind, law, position, content[at : at + length]
        at += length
