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
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from bystander.storage.signing import RecorderKey, verify

JOURNAL: Final = "journal.jsonl"
HEAD: Final = "journal.head"
GENESIS: Final = "0" * 64
#: The act of an entry that tells that others before it are gone.
CUT: Final = "journal-cut"
_FORBIDDEN: Final = frozenset({"caller", "callee", "caller_name", "number", "numbers", "call_id", "call_ids"})
_MAX_LINE: Final = 4 << 20
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
        digest = _hash(body)
        signature = self._key.sign(bytes.fromhex(digest)).hex()
        line = _canonical(body | {"hash": digest, "sig": signature}) + b"\n"
        if len(line) >= _MAX_LINE:
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
        content = _canonical(body | {"sig": self._key.sign(_canonical(body)).hex()}) + b"\n"
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
        if not verify(
            self._key.public_hex, _canonical({"seq": head.seq, "hash": head.hash}), _unhex(signature)
        ):
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

    def entries(self) -> Iterator[Entry]:
        """Yield the entries, oldest first; what is no entry is left to :meth:`verify`."""
        for _, entry in self._lines():
            if entry is not None:
                yield entry

    def last(self, act: str | None = None) -> Entry | None:
        """Return the newest entry (of an act), or None."""
        found = None
        for entry in self.entries():
            if act is None or entry.act == act:
                found = entry
        return found

    def has(self, act: str, **facts: Any) -> bool:
        """Return whether there is an entry of this act with these facts."""
        return any(
            entry.act == act and all(entry.facts.get(name) == value for name, value in facts.items())
            for entry in self.entries()
        )

    def head(self) -> Head:
        """Return the signed head. Raises JournalProblem if there is none or it is damaged."""
        head, _ = self._read_head()
        return head

    def _read_head(self) -> tuple[Head, str]:
        with _one_line(self._head_path):
            content = self._head_path.read_bytes()
        try:
            said = json.loads(content)
            head, signature = Head(int(said["seq"]), str(said["hash"])), str(said["sig"])
        except (ValueError, KeyError, TypeError):
            raise JournalProblem(f"{self._head_path}: not the head of a journal") from None
        if content != _canonical(said) + b"\n":
            raise JournalProblem(f"{self._head_path}: not as the recorder wrote it")
        return head, signature

    def _lines(self) -> Iterator[tuple[bytes, Entry | None]]:
        with _one_line(self.path), self.path.open("rb") as file:
            while line := file.readline(_MAX_LINE):
                yield line, _parse(line)

    def verify(self, public_hex: str, known: Head | None = None) -> list[str]:
        """Return what is wrong with the journal, a line each; nothing when it is whole.

        ``public_hex`` is the recorder's public key; ``known`` a head noted elsewhere, which the journal must
        contain.
        """
        faults: list[str] = []
        last = Head(0, GENESIS)
        seen = {0: GENESIS}
        head: Head | None = None
        try:
            head, signature = self._read_head()
            if not verify(public_hex, _canonical({"seq": head.seq, "hash": head.hash}), _unhex(signature)):
                faults.append(f"{self._head_path.name}: not signed by this recorder")
        except JournalProblem as problem:
            faults.append(str(problem))
        for number, (line, entry) in enumerate(self._lines(), 1):
            where = f"{self.path.name}:{number}"
            if entry is None:
                faults.append(
                    f"{where}: not an entry" if line.endswith(b"\n") else f"{where}: a torn last line"
                )
                continue
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
    body = {
        "seq": entry.seq, "at": entry.at, "actor": entry.actor, "act": entry.act, "facts": entry.facts,
        "prev": entry.prev,
    }  # fmt: skip
    if line != _canonical(body | {"hash": entry.hash, "sig": entry.sig}) + b"\n" or _hash(body) != entry.hash:
        yield f"entry {entry.seq} was changed"
    elif not verify(public_hex, bytes.fromhex(entry.hash), _unhex(entry.sig)):
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
    entry = _parse(lines[-1])
    if entry is None:
        raise JournalProblem(
            "the journal's last line is damaged: nothing can be written until it is put right"
        )
    return size - torn, Head(entry.seq, entry.hash), torn


def _parse(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        said = json.loads(line)
        entry = Entry(**said)
    except (ValueError, TypeError):
        return None
    texts = (entry.at, entry.actor, entry.act, entry.prev, entry.hash, entry.sig)
    if not isinstance(entry.seq, int) or not isinstance(entry.facts, dict):
        return None
    return entry if all(isinstance(text, str) for text in texts) else None


def _canonical(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


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
        raise JournalProblem(f"{path}: cannot use the journal: {error.strerror or error}") from error
