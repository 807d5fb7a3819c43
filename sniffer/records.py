"""Chains of length-prefixed records: finding where every record of a buffer starts, without a loop over them.

A record says how long it is and so where the next one starts; pcap packet records and pcapng blocks are both
such chains. A plain loop costs some 70-100 ns a record, as much as all else done to it. Two
facts help:

* Equal sizes come in runs (RTP of one packet time). If the next k records were as long as this one, their
  length fields would lie at a fixed stride: one strided comparison says how many of them really do.
* Mixed sizes (noise between RTP, runs of two or three) are walked in many *lanes* at once. The buffer is cut
  into lanes of some kilobytes, a likely record start is looked for at the head of each, and one numpy step
  then moves every lane on by a record.

The result is always that of the plain loop. The first lane starts at a known record. A lane that arrives
exactly at the start of the next one proves that start; from a lane that does not, the plain loop goes on
until it meets a later start. A guess that is wrong costs time and never a record.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.frames import PAD

#: The longest frame believed: libpcap's largest snap length. A record that claims more is damage.
MAX_CAPTURED = 262_144

# A run shorter than this is left to the lanes: a strided comparison costs as much as some hundred records.
_SHORT_RUN = 256
# Not a power of two, which would put every lane's reads into the same few sets of the processor's cache.
_LANE_BYTES = 8200
# Longer than a full Ethernet frame and its record header, so that a window nearly always holds a start.
_WINDOW_BYTES = 1600
_FEWEST_LANES = 16
# A lane of records so small that it takes more steps is finished by the plain loop.
_MOST_STEPS = 256


@dataclass(frozen=True, slots=True)
class Mark:
    """A field that records have in common, by which a likely start is recognised.

    ``value`` None: as in the record the walk stands on (for example the high bytes of its seconds).
    """

    at: int
    dtype: str
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How records of one kind lie: the length field, and what it leaves out.

    ``header_bytes``  readable before the length can be trusted
    ``length_at``     offset of the 32-bit length in the record
    ``extra``         bytes that the length does not count
    ``unit``          every record's size is a multiple of this, and so is its position
    ``smallest``, ``biggest``  sizes in bytes outside which a record is damage
    """

    header_bytes: int
    length_at: int
    extra: int
    order: str
    unit: int
    smallest: int
    biggest: int
    marks: tuple[Mark, ...]

    def sane(self, size: int) -> bool:
        """Whether a record may be ``size`` bytes long."""
        return self.smallest <= size <= self.biggest and size % self.unit == 0


@dataclass(slots=True)
class Batch:
    """Frames found in a buffer, as ``Frames`` describes them; ``linktype`` an int64[n] where they differ."""

    offset: NDArray[np.int64]
    captured: NDArray[np.int64]
    length: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    linktype: int | NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offset)

    def __getitem__(self, which: slice | NDArray[np.int64]) -> Batch:
        """The frames of a slice, or those at an array of indices."""
        linktype = self.linktype
        return Batch(
            self.offset[which],
            self.captured[which],
            self.length[which],
            self.time_ns[which],
            linktype if isinstance(linktype, int) else linktype[which],
        )


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of several of the same buffer, in order; its link type is a number where all have the
    same."""
    some = [batch for batch in batches if len(batch)]
    if not some:
        none = np.empty(0, np.int64)
        return Batch(none, none, none, none, 0)
    if len(some) == 1:
        return some[0]
    first = some[0].linktype
    linktype: int | NDArray[np.int64]
    if isinstance(first, int) and all(isinstance(b.linktype, int) and b.linktype == first for b in some):
        linktype = first
    else:
        linktype = np.concatenate([np.broadcast_to(np.asarray(b.linktype, np.int64), len(b)) for b in some])
    return Batch(
        np.concatenate([batch.offset for batch in some]),
        np.concatenate([batch.captured for batch in some]),
        np.concatenate([batch.length for batch in some]),
        np.concatenate([batch.time_ns for batch in some]),
        linktype,
    )


@dataclass(slots=True)
class Parsed:
    """What a piece of a file held.

    ``end``     where in the buffer the part not used begins: it comes again, before what is read next
    ``skip``    bytes of the file from ``end`` on that are to be passed over
    ``damage``  why nothing behind ``end`` can be read, or ""
    """

    batch: Batch
    end: int
    skip: int = 0
    damage: str = ""


def walk(data: NDArray[np.uint8], start: int, stop: int, layout: Layout) -> tuple[NDArray[np.int64], int]:
    """Follow the chain from ``start``; return the starts (int64[n]) of the records that are complete before
    ``stop``, and the position of the first that is not, or whose size is not sane.

    ``data`` must be readable for PAD bytes behind ``stop``.
    """
    pieces: list[NDArray[np.int64]] = []
    at = start
    length = Struct(layout.order + "I")
    while at + layout.header_bytes <= stop:
        size = length.unpack_from(data.data, at + layout.length_at)[0] + layout.extra
        if not layout.sane(size) or at + size > stop:
            break
        piece = _equal_run(data, at, stop, size, layout)
        if len(piece) < min(_SHORT_RUN, (stop - at) // size):
            piece = _lanes(data, at, stop, layout)
            if len(piece) == 0:
                piece = _plain(data, at, stop, layout)
        pieces.append(piece)
        at = int(piece[-1])
        at += length.unpack_from(data.data, at + layout.length_at)[0] + layout.extra
    starts = np.concatenate(pieces) if pieces else np.empty(0, np.int64)
    return starts, at


def _equal_run(data: NDArray[np.uint8], at: int, stop: int, size: int, layout: Layout) -> NDArray[np.int64]:
    """The longest run of complete records, the first at ``at``, that are all ``size`` bytes long."""
    most = (stop - at) // size
    run, probe = 1, _SHORT_RUN
    while run < most:
        count = min(probe, most - run)
        where = at + run * size + layout.length_at
        lengths: NDArray[np.uint32] = np.ndarray(count, layout.order + "u4", data, where, (size,))
        differs = lengths != size - layout.extra
        first = int(differs.argmax())
        if differs[first]:
            run += first
            break
        run += count
        probe *= 16
    return np.arange(at, at + run * size, size, dtype=np.int64)


def _plain(
    data: NDArray[np.uint8], at: int, stop: int, layout: Layout, until: dict[int, int] | None = None
) -> NDArray[np.int64]:
    """The plain loop: starts of complete, sane records from ``at`` on, up to one that is in ``until``."""
    unpack = Struct(layout.order + "I").unpack_from
    view = data.data
    starts: list[int] = []
    last = stop - layout.header_bytes
    while at <= last and (until is None or at not in until):
        size = unpack(view, at + layout.length_at)[0] + layout.extra
        if not layout.sane(size) or at + size > stop:
            break
        starts.append(at)
        at += size
    return np.array(starts, dtype=np.int64)


def _lane_starts(data: NDArray[np.uint8], at: int, lanes: int, layout: Layout) -> NDArray[np.int64]:
    """A known start, ``at``, and behind it at most one likely start near the head of each further lane."""
    shape = (lanes - 1, _WINDOW_BYTES // layout.unit)
    strides = (_LANE_BYTES, layout.unit)
    likely: NDArray[np.bool_] | None = None
    values = []
    for mark in layout.marks:
        value = mark.value
        if value is None:
            value = int(np.ndarray(1, mark.dtype, data, at + mark.at)[0])
        values.append(value)
        field: NDArray[np.uint32] = np.ndarray(shape, mark.dtype, data, at + _LANE_BYTES + mark.at, strides)
        match = field == value
        likely = match if likely is None else np.logical_and(likely, match, out=likely)
    assert likely is not None
    first = likely.argmax(axis=1)
    lane = np.flatnonzero(likely[np.arange(lanes - 1), first])
    starts: NDArray[np.int64] = at + (lane + 1) * _LANE_BYTES + first[lane] * layout.unit
    # Payload can look like a start; that the record behind it has the marks too leaves few of those.
    field_at = len(data) - layout.header_bytes
    lengths: NDArray[np.uint32] = np.ndarray(field_at, layout.order + "u4", data, layout.length_at, (1,))
    size = lengths[starts].astype(np.int64) + layout.extra
    good = (size >= layout.smallest) & (size <= layout.biggest)
    following = np.minimum(starts + size, field_at - 1)
    for mark, value in zip(layout.marks, values, strict=True):
        column: NDArray[np.uint32] = np.ndarray(field_at, mark.dtype, data, mark.at, (1,))
        good &= column[following] == value
    return np.concatenate((np.array([at], np.int64), starts[good]))


def _lanes(data: NDArray[np.uint8], at: int, stop: int, layout: Layout) -> NDArray[np.int64]:
    """Starts of complete, sane records from ``at`` on, up to about ``stop``; none where there is too little
    room for lanes to pay."""
    lanes = (stop - at - _WINDOW_BYTES - PAD) // _LANE_BYTES
    if lanes < _FEWEST_LANES:
        return np.empty(0, np.int64)
    begin = _lane_starts(data, at, lanes, layout)
    end = np.append(begin[1:], at + lanes * _LANE_BYTES)
    lengths: NDArray[np.uint32] = np.ndarray(stop, layout.order + "u4", data, layout.length_at, (1,))

    steps = [begin]
    here = begin
    for step in range(_MOST_STEPS):
        here = here + lengths[here]
        here += layout.extra
        np.minimum(here, stop - 1, out=here)
        steps.append(here)
        if step % 4 == 3 and (here >= end).all():
            break
    table = np.array(steps).T
    inside = table < end[:, np.newaxis]
    inside[:, -1] = False  # where a lane that ran out of steps has got to, not yet one of its records
    reached = table[np.arange(len(begin)), inside.sum(axis=1)]

    starts = _join(data, stop, layout, table, inside, begin, reached)
    # The lanes ran on without looking at sizes: end at the first record that is cut or damaged.
    sizes = lengths[starts].astype(np.int64) + layout.extra
    wrong = (sizes < layout.smallest) | (sizes > layout.biggest) | (sizes % layout.unit != 0)
    wrong |= starts + sizes > stop
    first = int(wrong.argmax()) if len(wrong) else 0
    return starts[:first] if len(wrong) and wrong[first] else starts


def _join(
    data: NDArray[np.uint8],
    stop: int,
    layout: Layout,
    table: NDArray[np.int64],
    inside: NDArray[np.bool_],
    begin: NDArray[np.int64],
    reached: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Put the lanes end to end, by the plain loop wherever a lane does not arrive at the next one's start."""
    lost = np.flatnonzero(reached[:-1] != begin[1:]).tolist()
    if not lost:
        return table[inside]
    lane_at = {start: lane for lane, start in enumerate(begin.tolist())}
    pieces: list[NDArray[np.int64]] = []
    lane = 0
    while lane < len(begin):
        nearest = bisect_left(lost, lane)
        last = lost[nearest] if nearest < len(lost) else len(begin) - 1
        pieces.append(table[lane : last + 1][inside[lane : last + 1]])
        if last == len(begin) - 1:
            break
        at = int(reached[last])
        between = _plain(data, at, stop, layout, lane_at)
        pieces.append(between)
        if len(between):
            at = int(between[-1])
            at += int(np.ndarray(1, layout.order + "u4", data, at + layout.length_at)[0]) + layout.extra
        lane = lane_at.get(at, -1)
        if lane <= last:  # damage, or the end
            break
    return np.concatenate(pieces)
