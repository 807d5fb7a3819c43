"""The journal as a command reads it: once, from its first entry to its last, and after that only what has
come since.

Who is authorised, what was consented to and what is restricted rests on what the recorder has signed. The
signed head names the last entry by its hash; that is also over the hash of the entry before it, and so on:
one signature proves every entry up to it, its place, and that none is missing. Entries beyond the head, which
a power cut may leave, are proved by their own. Where the chain does not hold, only entries are believed that
the recorder has signed, each by itself and in their order; `verify` tells what else is wrong.

Nothing of it outlives the command: what is kept could be changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

from bystander.custody.agreement import ACTS, Told
from bystander.custody.journal import GENESIS, MAX_LINE, Head, Journal, parse
from bystander.custody.link import Link, link

#: How a line begins that has something to tell: the others are proved, and not read.
_TELLING: Final = tuple(f'{{"act":"{act}",'.encode() for act in sorted(ACTS))


class Reading:
    """What a journal tells, as far as it has been read. ``is_whole`` says whether its chain held."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._turn = threading.Lock()
        self.is_whole = True
        self._offset = 0
        self._last = Head(0, GENESIS)
        self._told = Told()

    def told(self) -> Told:
        """Read on to the end, and return what is told. Raises JournalProblem."""
        with self._turn:
            if self._journal.size() < self._offset:
                self._begin()
            if self.is_whole and not self._follow():
                # Another journal is in its place, or an entry was taken back: read it as if for the first
                # time, and only then believe that it is damaged.
                self._begin()
                if not self._follow():
                    self._begin()
                    self.is_whole = False
            if not self.is_whole:
                self._gather()
            return self._told

    def _begin(self) -> None:
        self.is_whole, self._offset, self._last, self._told = True, 0, Head(0, GENESIS), Told()

    def _follow(self) -> bool:
        """Take what has come since; return whether it is proved. If not, nothing of it may be used."""
        # Read before the entries: whoever writes puts the entry first.
        head = self._journal.signed_head()
        if head is not None and head.seq == self._last.seq and head != self._last:
            return False
        public = self._journal.public_hex
        with self._journal.lines(self._offset) as file:
            for line in _whole(file):
                bound = link(line)
                if bound is None or (bound.seq, bound.prev) != (self._last.seq + 1, self._last.hash):
                    return False
                if head is None or bound.seq > head.seq:
                    if not bound.is_signed(public):
                        return False
                elif bound.seq == head.seq and bound.hash != head.hash:
                    return False
                self._take(line, bound)
        return head is None or head.seq <= self._last.seq

    def _gather(self) -> None:
        """Take what has come since and is signed; nothing twice, and nothing that stands before its time."""
        with self._journal.lines(self._offset) as file:
            for line in _whole(file):
                bound = link(line) if line.startswith(_TELLING) else None
                if bound is not None and bound.seq > self._last.seq and bound.is_signed(
                    self._journal.public_hex
                ):  # fmt: skip
                    self._take(line, bound)
                else:
                    self._offset += len(line)

    def _take(self, line: bytes, bound: Link) -> None:
        self._offset += len(line)
        self._last = Head(bound.seq, bound.hash)
        if line.startswith(_TELLING) and (entry := parse(line)) is not None:
            with suppress(KeyError, TypeError):
                self._told.take(entry.act, entry.facts)


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; one that is torn off at the end is left for later."""
    while line := file.readline(MAX_LINE):
        if not line.endswith(b"\n") and len(line) < MAX_LINE:
            return
        yield line
