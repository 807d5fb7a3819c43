"""The bytes of a SQLite file that belong to nothing: they must be zero.

With `secure_delete` SQLite overwrites what it deletes, but not the copies that stay behind when it moves
records between pages to keep its trees balanced: a record deleted later is then still in the file (measured:
one in some hundreds). This reads the pages by the published file format
(https://www.sqlite.org/fileformat2.html) and finds every byte that no record uses and that is not zero: in
the gaps of b-tree pages, in free blocks, behind the end of overflow chains, on free pages. `scrub` overwrites
them, so that what is erased is gone (R10); `verify` takes them for damage, which SQLite's own check does not
see in unused places.
"""

from __future__ import annotations

import json
import mmap
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

_MAGIC: Final = b"SQLite format 3\x00"
_LEAF_TABLE, _LEAF_INDEX, _INNER_TABLE, _INNER_INDEX = 0x0D, 0x0A, 0x05, 0x02
_LOCK_BYTE: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Stray:
    """Bytes that belong to nothing and are not zero. ``length`` is 0 where they are damage, not leftovers."""

    offset: int
    what: str
    length: int = 0


class _Damage(Exception):  # noqa: N818  (not raised to callers)
    """A page is not what the format says."""


def strays(path: Path, *, limit: int = 20) -> list[Stray]:
    """Return up to ``limit`` places where a SQLite file holds what it should not, in no order.

    The file must not change meanwhile, and its write-ahead log should be empty. Raises OSError.
    """
    return list(islice(_Reader(_mapped(path), _roots(path)).walk(), limit))


def strays_apart(path: Path) -> list[Stray]:
    """Return what :func:`strays` does, for a file that this process has open: found by a process of its own.

    Closing a file gives up all locks that a process has on it, those of its SQLite connections, too (POSIX).
    """
    code = "import sys; from bystander.storage.sqlitepages import main; main(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(0, "its pages cannot be read", str(path))
    return [Stray(*found) for found in json.loads(done.stdout)]


def main(path: str) -> None:
    """Print what is found as JSON."""
    sys.stdout.write(json.dumps([(one.offset, one.what, one.length) for one in strays(Path(path))]))


def leftovers(path: Path) -> list[Stray] | None:
    """Return where SQLite has left copies of records that it moved; None if the file is damaged.

    Those are in the gaps of pages and on free pages, the only places looked at here: it is to be quick.
    """
    found = list(_Reader(_mapped(path), _roots(path), gaps_only=True).walk())
    return found if all(stray.length for stray in found) else None


def _mapped(path: Path) -> memoryview:
    """Return the file's content without reading it into memory: an index may have gigabytes."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return memoryview(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)) if size else memoryview(b"")


def _roots(path: Path) -> list[int]:
    """Return the first pages of all tables and indices, as SQLite reads them; none if it cannot."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as connection:
            rows = connection.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0").fetchall()
    except sqlite3.Error:
        return []
    return [row[0] for row in rows]


class _Reader:
    def __init__(self, content: memoryview, roots: list[int], *, gaps_only: bool = False) -> None:
        self._content = content
        self._roots = roots
        self._gaps_only = gaps_only
        #: Chains of overflow pages still to be looked at: (first page, bytes in the chain).
        self._overflow: list[tuple[int, int]] = []
        size = int.from_bytes(content[16:18], "big") if len(content) >= 100 else 0
        self._page_bytes = 65536 if size == 1 else size
        self._usable = self._page_bytes - (content[20] if len(content) >= 100 else 0)
        self._seen: set[int] = set()

    def walk(self) -> Iterator[Stray]:
        content = self._content
        if len(content) < 512 or bytes(content[:16]) != _MAGIC or self._page_bytes < 512:
            yield Stray(0, "not a SQLite file")
            return
        if len(content) % self._page_bytes:
            yield Stray(len(content), "not a whole number of pages")
        if not self._gaps_only:
            yield from self._header()
        yield from self._free_pages()
        for root in (1, *self._roots):
            yield from self._tree(root)
            while self._overflow:
                yield from self._chain(*self._overflow.pop())
        for number in () if self._gaps_only else range(1, len(content) // self._page_bytes + 1):
            if number not in self._seen and (number - 1) * self._page_bytes != _LOCK_BYTE:
                yield Stray((number - 1) * self._page_bytes, "a page that belongs to nothing")

    def _header(self) -> Iterator[Stray]:
        head = bytes(self._content[:100])
        if any(head[72:92]):
            yield Stray(72, "reserved bytes of the header")
        if head[18:20] not in (b"\x01\x01", b"\x02\x02") or head[20] or head[21:24] != b"\x40\x20\x20":
            yield Stray(18, "the header's fixed values")
        if head[24:28] != head[92:96]:
            yield Stray(92, "the header's change counter")
        if int.from_bytes(head[28:32], "big") != len(self._content) // self._page_bytes:
            yield Stray(28, "the header's number of pages")
        if int.from_bytes(head[44:48], "big") != 4 or head[56:60] != b"\x00\x00\x00\x01":
            yield Stray(44, "the header's schema format or encoding")
        if any(head[48:56]) or any(head[64:72]):
            yield Stray(48, "settings of the header that are not in use")

    # -- pages --------------------------------------------------------------------------------------------

    def _page(self, number: int) -> memoryview:
        if not 1 <= number <= len(self._content) // self._page_bytes or number in self._seen:
            raise _Damage(f"page {number}")
        self._seen.add(number)
        at = (number - 1) * self._page_bytes
        return self._content[at : at + self._page_bytes]

    def _free_pages(self) -> Iterator[Stray]:
        trunk = int.from_bytes(self._content[32:36], "big")
        while trunk:
            base = (trunk - 1) * self._page_bytes
            try:
                page = self._page(trunk)
                following, count = struct.unpack_from(">II", page)
                leaves = struct.unpack_from(f">{count}I", page, 8)
            except (_Damage, struct.error):
                yield Stray(base, "the list of free pages")
                return
            yield from _zero(page, 8 + 4 * count, self._page_bytes, base, "a free page")
            for leaf in leaves:
                try:
                    yield from _zero(
                        self._page(leaf), 0, self._page_bytes, (leaf - 1) * self._page_bytes, "a free page"
                    )
                except _Damage:
                    yield Stray(base, "the list of free pages")
            trunk = following

    def _tree(self, root: int) -> Iterator[Stray]:
        pending = [root]
        while pending:
            number = pending.pop()
            base = (number - 1) * self._page_bytes
            try:
                page = self._page(number)
                yield from self._b_tree_page(page, number, base, pending)
            except (_Damage, IndexError, struct.error):
                yield Stray(max(0, base), "a page that cannot be read")

    def _chain(self, number: int, left: int) -> Iterator[Stray]:
        while number:
            base = (number - 1) * self._page_bytes
            try:
                page = self._page(number)
            except _Damage:
                yield Stray(max(0, base), "a chain of overflow pages")
                return
            here = min(left, self._usable - 4)
            left -= here
            yield from _zero(page, 4 + here, self._page_bytes, base, "the end of an overflow page")
            number = struct.unpack_from(">I", page)[0]
        if left:
            yield Stray(0, "a chain of overflow pages that is too short")

    def _b_tree_page(self, page: memoryview, number: int, base: int, pending: list[int]) -> Iterator[Stray]:
        at = 100 if number == 1 else 0
        kind, free_block, cells, content_at, fragments = struct.unpack_from(">BHHHB", page, at)
        if kind not in (_LEAF_TABLE, _LEAF_INDEX, _INNER_TABLE, _INNER_INDEX):
            raise _Damage(f"page {number}")
        content_at = content_at or 65536
        pointers_at = at + (12 if kind in (_INNER_TABLE, _INNER_INDEX) else 8)
        if kind in (_INNER_TABLE, _INNER_INDEX):
            pending.append(struct.unpack_from(">I", page, at + 8)[0])
        pointers = struct.unpack_from(f">{cells}H", page, pointers_at)
        pointers_end = pointers_at + 2 * cells
        if content_at < pointers_end:
            raise _Damage(f"page {number}")
        yield from _zero(page, pointers_end, content_at, base, "the gap of a page")
        if self._gaps_only:
            if kind in (_INNER_TABLE, _INNER_INDEX):
                pending += [struct.unpack_from(">I", page, pointer)[0] for pointer in pointers]
            return
        used = [(pointer, pointer + self._cell(page, pointer, kind, pending)) for pointer in pointers]
        blocks = []
        while free_block:
            following, size = struct.unpack_from(">HH", page, free_block)
            yield from _zero(page, free_block + 4, free_block + size, base, "a free block")
            blocks.append((free_block, free_block + size))
            if following and following <= free_block:
                raise _Damage(f"page {number}")
            free_block = following
        # What is between cells and blocks are fragments of up to three bytes, counted in the page's header.
        last, loose = content_at, 0
        for start, end in sorted(used + blocks):
            if start < last:
                raise _Damage(f"page {number}")
            yield from _zero(page, last, start, base, "a fragment")
            loose += start - last
            last = end
        loose += self._usable - last
        yield from _zero(page, last, self._usable, base, "the end of a page")
        if loose != fragments:
            yield Stray(base + at + 7, "the count of fragments")

    def _cell(self, page: memoryview, at: int, kind: int, pending: list[int]) -> int:
        """Return the bytes that a cell takes on its page; pages below it are added to ``pending``."""
        start = at
        if kind in (_INNER_TABLE, _INNER_INDEX):
            pending.append(struct.unpack_from(">I", page, at)[0])
            at += 4
        if kind == _INNER_TABLE:
            _, at = _varint(page, at)
            return at - start
        payload, at = _varint(page, at)
        if kind == _LEAF_TABLE:
            _, at = _varint(page, at)
        local = self._local(payload, kind)
        at += local
        if local < payload:
            self._overflow.append((struct.unpack_from(">I", page, at)[0], payload - local))
            at += 4
        # A cell takes at least four bytes: when it is freed a free block must fit in its place.
        return max(4, at - start)

    def _local(self, payload: int, kind: int) -> int:
        usable = self._usable
        most = usable - 35 if kind == _LEAF_TABLE else (usable - 12) * 64 // 255 - 23
        if payload <= most:
            return payload
        least = (usable - 12) * 32 // 255 - 23
        local = least + (payload - least) % (usable - 4)
        return local if local <= most else least


def _zero(page: memoryview, start: int, end: int, base: int, what: str) -> Iterator[Stray]:
    """Yield a finding for bytes that should be zero."""
    piece = page[start:end]
    if end > len(page) or end < start:
        raise _Damage(what)
    if piece != bytes(len(piece)):
        yield Stray(base + start, what, len(piece))


def _varint(page: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = page[at + count]
        if count == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if not byte & 0x80:
            return value, at + count + 1
    raise AssertionError("a varint has nine bytes at most")
