"""Whole packets that were kept put through the stream table once more, as if they came now.

What was opened (`srtp.py`), or turned out to be plain after all, so takes the way of every other packet:
headers, extensions and padding are read, loss and reordering are counted, G.711 gets its place in time, and
the rest keeps its packets.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.packets import PacketRun
from bystander.codecs.timeline import Run
from bystander.sniffer.datagrams import ROW_V4, V4_WIDTH, V6_WIDTH, Datagrams, gather
from bystander.sniffer.rtp import HEADER_BYTES
from bystander.sniffer.sequence import FIRST
from bystander.sniffer.streams import Stream, StreamTable

#: Packets fed at a time.
_BLOCK: Final = 4096
#: Where the UDP payload stands in a row, and ports that media may have.
_PAYLOAD, _PORT = 42, 4000


class Replayed:
    """What the packets of one stream were: runs of G.711 from ``epoch_ns`` on, and kept packets."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.kept: list[PacketRun] = []
        self.epoch_ns: int | None = None

    def audio(self, _stream: Stream, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        """Take G.711 from the stream table."""
        self.runs.append(Run(position, law, samples.copy()))

    def packets(self, _stream: Stream, run: PacketRun) -> None:
        """Take kept packets from the stream table."""
        self.kept.append(run)

    def whole(self, _stream: Stream, _run: PacketRun) -> None:
        """Nothing is kept whole a second time."""

    def disown(self, _stream: Stream) -> None:
        """Nothing is disowned."""


def replay(run: PacketRun) -> Replayed:
    """Put the packets of one stream, whole and in order of arrival, through a stream table of their own."""
    result = Replayed()
    table = StreamTable(result, capacity=1, expected=lambda _src, _dst: True)
    ends = np.cumsum(run.size, dtype=np.int64)
    for start in range(0, len(run), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = _block(run, part, ends)
        table.feed(block, np.flatnonzero(block.size >= HEADER_BYTES))
    for stream in table:
        table.end(stream)
        result.epoch_ns = stream.figures.epoch_ns
    if result.kept:
        # Sequence numbers count on from where they were on the wire: the streams of both tables begin alike.
        began = FIRST + int.from_bytes(run.payload[2:4].tobytes(), "big")
        for kept in result.kept:
            kept.seq = kept.seq + (int(run.seq[0]) - began)
    return result


def _block(run: PacketRun, part: slice, ends: NDArray[np.int64]) -> Datagrams:
    """Return some of the packets as a block of datagrams between one pair of endpoints."""
    size = run.size[part].astype(np.int64)
    first = int(ends[part.start] - size[0])
    data = np.zeros(int(size.sum()) + V6_WIDTH, np.uint8)
    content = run.payload[first : first + int(size.sum())]
    data[: len(content)] = content
    offset = np.cumsum(size) - size
    rows = np.zeros((len(size), V4_WIDTH), np.uint8)
    headers = gather(data, offset, HEADER_BYTES).view(np.uint8).reshape(-1, HEADER_BYTES)
    rows[:, _PAYLOAD : _PAYLOAD + HEADER_BYTES] = headers
    typed = rows.reshape(-1).view(ROW_V4)
    typed["sport"] = typed["dport"] = _PORT
    return Datagrams(data, typed, np.zeros(len(size), np.uint64), offset, size, run.time_ns[part])
