"""The journal: who did what with the recordings, when. It is only ever appended to, and outlives them.

A line is an entry, a JSON object: its number, time, actor, act and facts, the hash of the entry before it,
its own hash over all of these, and the recorder's signature over that. Beside the journal lies its head, the
last number and hash, signed. So an entry that was changed, inserted, removed or moved breaks the chain; a
tail that was cut off is missed by the head; an older copy of both is told by a head known from elsewhere.

It holds no personal data of callers: keys that would carry some are refused.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from bystander.custody.link import canonical, hash_of, link
from bystander.storage.reason import reason
from bystander.storage.signing import RecorderKey, verify

JOURNAL: Final = "journal.jsonl"
HEAD: Final = "journal.head"
GENESIS: Final = "0" * 64
#: The act of an entry that tells that others before it are gone.
CUT: Final = "journal-cut"
#: A line is shorter than so many bytes.
MAX_LINE: Final = 4 << 20
_FORBIDDEN: Final = frozenset({"caller", "callee", "caller_name", "number", "numbers", "call_id", "call_ids"})
#: A recorder killed between an entry and its head leaves the head behind by one, or by two with a torn line.
_MAY_LAG: Final = 2


class JournalProblem(Exception):  # noqa: N818  (what a person is told)
    """The journal cannot be read or written. The message is one clear line."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a journal: its number and its hash in hex. An empty journal has 0 and zeros."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``at`` is RFC 3339 UTC with milliseconds."""

    seq: int
    at: str
    actor: str
    act: str
    facts: dict[str, Any]
    prev: str
    hash: str
    sig: str


class Journal:
    """A vault's journal. Without a key it can only be read. Several processes may append, in turn."""

    def __init__(self, path: Path, key: RecorderKey | None) -> None:
        self.path = path
        self._head_path = path.with_name(HEAD)
        self._key = key

    @classmethod
    def create(cls, path: Path, key: RecorderKey) -> Self:
        """Make an empty journal (0600) with its signed head. Raises JournalProblem, also if there is one."""
        journal = cls(path, key)
        with _one_line(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            journal._write_head(Head(0, GENESIS))
        return journal

    @classmethod
    def open(cls, path: Path, key: RecorderKey | None = None) -> Self:
        """Open a journal; nothing is read yet. Raises JournalProblem if there is none."""
        if not path.is_file():
            raise JournalProblem(f"{path}: the journal is missing; put it back, or make a new vault")
        return cls(path, key)

    # -- writing ------------------------------------------------------------------------------------------

    def append(self, act: str, actor: str, facts: Mapping[str, Any]) -> int:
        """Write an entry and the head; return its number. Both are on disk on return.

        Raises JournalProblem when the disk does not take it: then the journal is as it was.
        """
        if self._key is None:
            raise JournalProblem(f"{self.path}: the recorder's key is needed to write into the journal")
        if bad := _FORBIDDEN & facts.keys():
            raise ValueError(f"the journal holds no personal data: {', '.join(sorted(bad))}")
        with _one_line(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                end, last, torn = _tail(file)
                if torn:
                    # A power cut tore the last line off. What is left of it is no entry.
                    os.ftruncate(file, end)
                    end, last = self._put(file, end, last, "torn-line-removed", "recorder", {"bytes": torn})
                if (cut := self._cut(last)) is not None:
                    # What follows would make it look whole again: it is told for good.
                    end, last = self._put(file, end, last, CUT, "recorder", cut)
                    self._write_head(last)
                _, head = self._put(file, end, last, act, actor, dict(facts))
                try:
                    self._write_head(head)
                except OSError:
                    # The entry stays only with a head that names it: what is refused for want of room has
                    # not been done.
                    if self._names(last):
                        os.ftruncate(file, end)
                    raise
                return head.seq
            finally:
                os.close(file)

    def _put(
        self, file: int, end: int, last: Head, act: str, actor: str, facts: dict[str, Any]
    ) -> tuple[int, Head]:
        """Write one line at ``end``; return where it ends, and the head that it makes."""
        assert self._key is not None
        body = {
            "seq": last.seq + 1,
            "at": _now(),
            "actor": actor,
            "act": act,
            "facts": facts,
            "prev": last.hash,
        }
        digest = hash_of(body)
        signature = self._key.sign(bytes.fromhex(digest)).hex()
        line = canonical(body | {"hash": digest, "sig": signature}) + b"\n"
        if len(line) >= MAX_LINE:
            raise JournalProblem(f"{self.path}: an entry of {len(line)} bytes is too long; do it in parts")
        try:
            left, at = memoryview(line), end
            while left:
                written = os.pwrite(file, left, at)
                left, at = left[written:], at + written
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)
            raise
        return end + len(line), Head(last.seq + 1, digest)

    def _write_head(self, head: Head) -> None:
        assert self._key is not None
        body = {"seq": head.seq, "hash": head.hash}
        content = canonical(body | {"sig": self._key.sign(canonical(body)).hex()}) + b"\n"
        part = self._head_path.with_name(HEAD + ".part")
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        part.replace(self._head_path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _cut(self, last: Head) -> dict[str, Any] | None:
        """Return what the head on the disk tells of entries that are not there any more; None if it tells of
        none.
        """
        assert self._key is not None
        try:
            head, signature = self._read_head()
        except JournalProblem:
            return {"head": None}
        if not _is_signed(head, signature, self._key.public_hex):
            return {"head": None}
        if head.seq > last.seq or (head.seq == last.seq and head.hash != last.hash):
            return {"head": f"{head.seq}:{head.hash}"}
        return None

    def _names(self, last: Head) -> bool:
        """Tell whether the head on the disk is not yet beyond ``last``."""
        try:
            return self._read_head()[0].seq <= last.seq
        except JournalProblem:
            return False

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def public_hex(self) -> str:
        """The public half of the key that it is written with."""
        if self._key is None:
            raise JournalProblem(f"{self.path}: the recorder's key is needed to tell who wrote the journal")
        return self._key.public_hex

    def size(self) -> int:
        """Return how many bytes it has. Raises JournalProblem."""
        with _one_line(self.path):
            return self.path.stat().st_size

    @contextmanager
    def lines(self, offset: int = 0) -> Iterator[BinaryIO]:
        """Open it at a line. Raises JournalProblem."""
        with _one_line(self.path), self.path.open("rb") as file:
            file.seek(offset)
            yield file

    def _all(self) -> Iterator[bytes]:
        with self.lines() as file:
            while line := file.readline(MAX_LINE):
                yield line

    def entries(self, *acts: str) -> Iterator[Entry]:
        """Yield the entries, or those of some acts, oldest first; what is no entry is left to :meth:`verify`.

        The others are not even read: a line begins with its act.
        """
        begin = tuple(f'{{"act":"{act}",'.encode() for act in acts) or (b"",)
        for line in self._all():
            if line.startswith(begin) and (entry := parse(line)) is not None:
                yield entry

    def last(self, act: str | None = None) -> Entry | None:
        """Return the newest entry (of an act), or None."""
        found = None
        for found in self.entries(*([] if act is None else [act])):  # noqa: B007
            pass
        return found

    def has(self, act: str, **facts: Any) -> bool:
        """Return whether there is an entry of this act with these facts."""
        found = self.entries(act)
        return any(all(entry.facts.get(name) == value for name, value in facts.items()) for entry in found)

    def head(self) -> Head:
        """Return the signed head. Raises JournalProblem if there is none or it is damaged."""
        head, _ = self._read_head()
        return head

    def signed_head(self) -> Head | None:
        """Return the head if the recorder has signed it; None where there is none such."""
        with suppress(JournalProblem):
            head, signature = self._read_head()
            if _is_signed(head, signature, self.public_hex):
                return head
        return None

    def _read_head(self) -> tuple[Head, str]:
        with _one_line(self._head_path):
            content = self._head_path.read_bytes()
        try:
            said = json.loads(content)
            head, signature = Head(int(said["seq"]), str(said["hash"])), str(said["sig"])
        except (ValueError, KeyError, TypeError):
            raise JournalProblem(f"{self._head_path}: not the head of a journal") from None
        if content != canonical(said) + b"\n":
            raise JournalProblem(f"{self._head_path}: not as the recorder wrote it")
        return head, signature

    def verify(
        self,
        public_hex: str,
        known: Head | None = None,
        take: Callable[[Entry], object] = lambda _entry: None,
    ) -> list[str]:
        """Return what is wrong with the journal, a line each; nothing when it is whole.

        ``public_hex`` is the recorder's public key; ``known`` a head noted elsewhere, which the journal must
        contain. ``take`` gets each entry, right or wrong.
        """
        faults: list[str] = []
        last = Head(0, GENESIS)
        seen = {0: GENESIS}
        head: Head | None = None
        try:
            head, signature = self._read_head()
            if not _is_signed(head, signature, public_hex):
                faults.append(f"{self._head_path.name}: not signed by this recorder")
        except JournalProblem as problem:
            faults.append(str(problem))
        for number, line in enumerate(self._all(), 1):
            where = f"{self.path.name}:{number}"
            entry = parse(line)
            if entry is None:
                faults.append(
                    f"{where}: not an entry" if line.endswith(b"\n") else f"{where}: a torn last line"
                )
                continue
            take(entry)
            faults += [f"{where}: {fault}" for fault in _faults(line, entry, last, public_hex)]
            if entry.act == CUT:
                said = entry.facts.get("head")
                faults.append(
                    f"{where}: before entry {entry.seq} "
                    + (
                        f"entries were cut off, up to {said}"
                        if said
                        else "the signed head was missing or changed"
                    )
                )
            last = Head(entry.seq, entry.hash)
            if head is None or entry.seq == head.seq or (known is not None and entry.seq == known.seq):
                seen[entry.seq] = entry.hash
        for wanted, who in ((head, "its signed head"), (known, "the head known from elsewhere")):
            if wanted is None:
                continue
            if wanted.seq > last.seq:
                faults.append(f"{self.path.name}: ends at entry {last.seq}, {who} says {wanted.seq}: cut off")
            elif seen.get(wanted.seq) != wanted.hash:
                faults.append(f"{self.path.name}: entry {wanted.seq} is not the one that {who} names")
        if head is not None and last.seq > head.seq + _MAY_LAG:
            faults.append(f"{self.path.name}: {last.seq - head.seq} entries beyond its signed head")
        return faults


def _faults(line: bytes, entry: Entry, last: Head, public_hex: str) -> Iterator[str]:
    bound = link(line)
    if bound is None:
        yield f"entry {entry.seq} was changed"
    elif not bound.is_signed(public_hex):
        yield f"entry {entry.seq} is not signed by this recorder"
    if entry.seq != last.seq + 1:
        yield f"entry {entry.seq} follows entry {last.seq}"
    elif entry.prev != last.hash:
        yield f"entry {entry.seq} does not follow from the one before it"


def _tail(file: int) -> tuple[int, Head, int]:
    """Return where the whole lines end, the last of them as a head, and the bytes of a torn line behind."""
    size = os.fstat(file).st_size
    want = 4096
    while True:
        start = max(0, size - want)
        content = os.pread(file, size - start, start)
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].splitlines(keepends=True)
        if len(lines) > 1 or start == 0:
            break
        want *= 4
    torn = len(content) - whole
    if not lines:
        return size - torn, Head(0, GENESIS), torn
    entry = parse(lines[-1])
    if entry is None:
        raise JournalProblem(
            "the journal's last line is damaged: nothing can be written until it is put right"
        )
    return size - torn, Head(entry.seq, entry.hash), torn


def parse(line: bytes) -> Entry | None:
    """Return what a line says, if it is an entry; whether it is proved, its link tells (link.py)."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
    texts = (entry.at, entry.actor, entry.act, entry.prev, entry.hash, entry.sig)
    if not isinstance(entry.seq, int) or not isinstance(entry.facts, dict):
        return None
    return entry if all(isinstance(text, str) for text in texts) else None


def _is_signed(head: Head, signature: str, public_hex: str) -> bool:
    return verify(public_hex, canonical({"seq": head.seq, "hash": head.hash}), _unhex(signature))


def _unhex(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return b""
    return found if found.hex() == text else b""


def _now() -> str:
    now_ms = time.time_ns() // 1_000_000
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalProblem(f"{path}: cannot use the journal: {reason(path, error)}") from error
