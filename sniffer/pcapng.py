"""The pcapng capture file (draft-ietf-opsawg-pcapng): sections of blocks, with several interfaces each.

Packets come in Enhanced, Simple and (obsolete) Packet Blocks; Section Headers and Interface Descriptions say
how to read them; every other block is passed over.
"""

from __future__ import annotations

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.errors import CaptureError
from bystander.sniffer.records import MAX_CAPTURED, Batch, Layout, Mark, Parsed, join, walk

HEADER_BYTES = 16

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE = 1
_PACKET = 2
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_PACKETS = (_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET)

_SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

_OPTION_END = 0
_OPTION_TSRESOL = 9
_OPTION_TSOFFSET = 14
_MICROSECONDS = 6

_BLOCK_BYTES = 12  # type, length, length again: the smallest block
_PACKET_HEADER_BYTES = 28
_SIMPLE_HEADER_BYTES = 12
# A block with a frame of the largest size, and room for options.
_BIGGEST_BLOCK = MAX_CAPTURED + (1 << 16)
_MOST_INTERFACES = 1 << 16
_SECTION_SPAN = 1 << 12
_NS_PER_S = 1_000_000_000


def is_pcapng(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a pcapng file."""
    return head[:4] == _SECTION_MAGIC and (len(head) < 12 or head[8:12] in _BYTE_ORDERS)


def ticks_to_ns(ticks: NDArray[np.uint64], resolution: int) -> NDArray[np.int64]:
    """Time stamps (uint64[n]) of an interface whose if_tsresol is ``resolution``, as int64[n] nanoseconds.

    The highest bit clear: units of 10^-v s; set: 2^-v s. Exact to the nanosecond, rounded down (for binary
    fractions finer than 2^-34 s within one nanosecond). What no clock says wraps around.
    """
    exponent = resolution & 0x7F
    if not resolution & 0x80:
        if exponent <= 9:
            return (ticks * np.uint64(10 ** (9 - exponent))).astype(np.int64)
        if exponent - 9 > 19:
            return np.zeros(len(ticks), np.int64)
        return (ticks // np.uint64(10 ** (exponent - 9))).astype(np.int64)
    if exponent > 63:
        return np.zeros(len(ticks), np.int64)
    seconds = ticks >> np.uint64(exponent)
    fraction = ticks & np.uint64((1 << exponent) - 1)
    finer = max(exponent - 34, 0)  # 10^9 < 2^30: a fraction of 34 bits is multiplied without overflow
    fraction = ((fraction >> np.uint64(finer)) * np.uint64(_NS_PER_S)) >> np.uint64(exponent - finer)
    return (seconds * np.uint64(_NS_PER_S) + fraction).astype(np.int64)


class PcapngParser:
    """Turns the bytes of one pcapng file, in the pieces in which they are read, into frames.

    A Section Header sets the byte order and forgets the interfaces of the section before. ``malformed``
    counts packet blocks that are shorter than their frame or name no interface, and were left out.
    """

    def __init__(self, head: bytes) -> None:
        """Look at the first 16 bytes. Raises CaptureError (without the file's name)."""
        if len(head) < HEADER_BYTES:
            raise CaptureError(f"cut in its header ({len(head)} bytes)")
        self.malformed = 0
        self._last_ns = 0
        fault = self._begin_section(head)
        if fault:
            raise CaptureError(fault)

    def parse(self, data: NDArray[np.uint8], start: int, stop: int) -> Parsed:
        """Frames of the complete blocks in ``data[start:stop]``, which continues where the last piece
        ended."""
        batches: list[Batch] = []
        damage, skip = "", 0
        span = stop - start
        while start + _BLOCK_BYTES <= stop:
            head = data[start : min(start + HEADER_BYTES, stop)].tobytes()
            if head[:4] == _SECTION_MAGIC:
                if len(head) < HEADER_BYTES:
                    break
                damage = self._begin_section(head)
                if damage:
                    break
            upto = min(start + span, stop)
            starts, end = walk(data, start, upto, self._layout)
            if len(starts) == 0:
                if upto == stop:
                    damage, skip = self._stopped_at(head, stop - start)
                    break
                span *= 8
                continue
            types = _column(data, starts, self._order, 0)
            sections = np.flatnonzero(types[1:] == _SECTION_HEADER)
            if len(sections):
                # From there on lengths may be of the other byte order: walk again, not far at first, so that
                # a file of tiny sections does not take a walk through the whole piece for each.
                starts, types, end = _cut(starts, types, int(sections[0]) + 1)
                span = _SECTION_SPAN
            else:
                span *= 8
            damage = self._describe_interfaces(data, starts[types == _INTERFACE])
            batches.append(self._packets(data, starts, types))
            start = end
            if damage:
                break
        return Parsed(join(batches), start, skip, damage)

    def _begin_section(self, head: bytes) -> str:
        """Read the first 16 bytes of a Section Header; return what is wrong with it, or ""."""
        order = _BYTE_ORDERS.get(head[8:12])
        if order is None:
            return f"a section there has no known byte order ({head[8:12].hex(' ')})"
        major, minor = Struct(order + "HH").unpack_from(head, 12)
        if major != 1:
            return f"pcapng version {major}.{minor} is not known; expected 1.0"
        self._order = order
        self._layout = Layout(
            header_bytes=8,
            length_at=4,
            extra=0,
            order=order,
            unit=4,
            smallest=_BLOCK_BYTES,
            biggest=_BIGGEST_BLOCK,
            marks=(Mark(0, order + "u4", _ENHANCED_PACKET),),
        )
        self._snap_bytes = 0
        self._linktypes = np.empty(0, np.int64)
        self._resolutions = np.empty(0, np.int64)
        self._offsets_ns = np.empty(0, np.int64)
        return ""

    def _stopped_at(self, head: bytes, have: int) -> tuple[str, int]:
        """Why the chain stops at a block: (damage, 0), ("", bytes to pass over), or ("", 0): it goes on in
        what has not been read yet."""
        kind, size = Struct(self._order + "II").unpack_from(head)
        if size < _BLOCK_BYTES or size % 4 or (size > _BIGGEST_BLOCK and kind in _PACKETS):
            return f"a block there of type {kind:#x} claims {size} bytes", 0
        return "", size if size > max(_BIGGEST_BLOCK, have) else 0

    def _describe_interfaces(self, data: NDArray[np.uint8], starts: NDArray[np.int64]) -> str:
        """Take in the Interface Descriptions at ``starts``; return what is wrong with them, or ""."""
        if len(starts) == 0:
            return ""
        if len(self._linktypes) + len(starts) > _MOST_INTERFACES:
            return f"more than {_MOST_INTERFACES} interfaces"
        rows: list[tuple[int, int, int]] = []
        for start in starts.tolist():
            size = Struct(self._order + "I").unpack_from(data.data, start + 4)[0]
            block = data[start : start + size].tobytes()
            linktype, snap_bytes = Struct(self._order + "HxxI").unpack_from(block.ljust(16, b"\0"), 8)
            if len(self._linktypes) == 0 and not rows:
                self._snap_bytes = snap_bytes
            rows.append((linktype, *self._clock(block)))
        table = np.array(rows, dtype=np.int64)
        self._linktypes = np.append(self._linktypes, table[:, 0])
        self._resolutions = np.append(self._resolutions, table[:, 1])
        self._offsets_ns = np.append(self._offsets_ns, table[:, 2])
        return ""

    def _clock(self, block: bytes) -> tuple[int, int]:
        """if_tsresol, and if_tsoffset in nanoseconds, of an Interface Description."""
        resolution, offset_ns = _MICROSECONDS, 0
        at = 16
        while at + 4 <= len(block) - 4:
            code, size = Struct(self._order + "HH").unpack_from(block, at)
            value = block[at + 4 : at + 4 + size]
            if code == _OPTION_END:
                break
            if code == _OPTION_TSRESOL and len(value) >= 1:
                resolution = value[0]
            if code == _OPTION_TSOFFSET and len(value) >= 8:
                offset_ns = Struct(self._order + "q").unpack_from(value)[0] * _NS_PER_S
            at += 4 + (size + 3) // 4 * 4
        # An offset beyond the years that 64 bits hold wraps, as the sums with it do.
        return resolution, (offset_ns + (1 << 63)) % (1 << 64) - (1 << 63)

    def _packets(
        self, data: NDArray[np.uint8], starts: NDArray[np.int64], types: NDArray[np.uint32]
    ) -> Batch:
        """The frames of the packet blocks among the blocks at ``starts``."""
        enhanced = types == _ENHANCED_PACKET
        simple = types == _SIMPLE_PACKET
        packets = enhanced | simple | (types == _PACKET)
        if not packets.all():
            starts, enhanced, simple = starts[packets], enhanced[packets], simple[packets]
        fields = _columns(data, starts, self._order)
        size, interface = fields[:, 1].astype(np.int64), fields[:, 2].astype(np.int64)
        captured, length = fields[:, 5].astype(np.int64), fields[:, 6].astype(np.int64)
        header_bytes = np.full(len(starts), _PACKET_HEADER_BYTES, np.int64)
        if not enhanced.all():
            # A Packet Block has 16 bits of interface and 16 of drops where the Enhanced one has 32 of
            # interface.
            old = ~enhanced & ~simple
            interface[old] = interface[old] & 0xFFFF if self._order == "<" else interface[old] >> 16
            header_bytes[simple] = _SIMPLE_HEADER_BYTES
            interface[simple] = 0
            length[simple] = fields[simple, 2]
            room = size[simple] - _SIMPLE_HEADER_BYTES - 4
            limit = np.minimum(room, self._snap_bytes) if self._snap_bytes else room
            captured[simple] = np.minimum(length[simple], limit)

        good = (captured <= size - header_bytes - 4) & (captured >= 0) & (interface < len(self._linktypes))
        if not good.all():
            self.malformed += len(good) - int(good.sum())
            starts, fields, interface, simple = starts[good], fields[good], interface[good], simple[good]
            captured, length, header_bytes = captured[good], length[good], header_bytes[good]

        ticks = (fields[:, 3].astype(np.uint64) << np.uint64(32)) | fields[:, 4]
        time_ns, linktype = self._by_interface(interface, ticks)
        if len(simple) and simple.any():
            # A Simple Packet has no time: that of the frame before it.
            source = np.maximum.accumulate(np.where(simple, -1, np.arange(len(simple))))
            time_ns = np.where(source < 0, self._last_ns, time_ns[source])
        if len(time_ns):
            self._last_ns = int(time_ns[-1])
        starts = starts + header_bytes
        return Batch(starts, captured, np.maximum(length, captured), time_ns, linktype)

    def _by_interface(
        self, interface: NDArray[np.int64], ticks: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], int | NDArray[np.int64]]:
        """Times and link types of frames, from the interface of each."""
        if len(interface) == 0:
            return np.empty(0, np.int64), 0
        only = int(interface[0])
        if bool((interface == only).all()):
            time_ns = ticks_to_ns(ticks, int(self._resolutions[only]))
            time_ns += self._offsets_ns[only]
            return time_ns, int(self._linktypes[only])
        resolution = self._resolutions[interface]
        time_ns = np.empty(len(ticks), np.int64)
        for one in np.unique(resolution).tolist():
            chosen = resolution == one
            time_ns[chosen] = ticks_to_ns(ticks[chosen], one)
        time_ns += self._offsets_ns[interface]
        return time_ns, self._linktypes[interface]


def _column(data: NDArray[np.uint8], starts: NDArray[np.int64], order: str, at: int) -> NDArray[np.uint32]:
    """The 32-bit field at byte ``at`` of the blocks at ``starts``."""
    column: NDArray[np.uint32] = np.ndarray(len(data) - at - 4, order + "u4", data, at, (1,))
    return column[starts]


def _columns(data: NDArray[np.uint8], starts: NDArray[np.int64], order: str) -> NDArray[np.uint32]:
    """The first seven 32-bit fields of the blocks at ``starts``, uint32[n, 7]."""
    headers: NDArray[np.void] = np.ndarray(len(data) - _PACKET_HEADER_BYTES, "V28", data, 0, (1,))
    return headers[starts].view(order + "u4").reshape(-1, 7)


def _cut(
    starts: NDArray[np.int64], types: NDArray[np.uint32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], int]:
    return starts[:count], types[:count], int(starts[count])
