"""Packets kept as they came: from the arrays of a block to one run per stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.g711 import PCMA, PCMU
from bystander.codecs.packets import PacketRun
from bystander.sniffer.datagrams import gather
from bystander.sniffer.rtp import RtpPackets
from bystander.sniffer.sequence import heads_of

#: What the stream table does with a stream's packets: place and keep them, keep them whole with their
#: headers and tags, or count them only (they are protected with keys that nobody on the wire has).
PLAIN, WHOLE, SEALED = 0, 1, 2
#: G.711 is sent in multiples of 5 ms; the tags of SRTP (4, 10 or 16 bytes) make something else of that.
STEP: Final = 40


def runs_of(
    packets: RtpPackets,
    stream: NDArray[np.int64],
    extended: NDArray[np.int64],
    offset: NDArray[np.int64],
    size: NDArray[np.int64],
) -> Iterator[tuple[int, PacketRun]]:
    """Yield (stream, its packets), of packets sorted by stream; ``offset`` and ``size`` say what is kept."""
    if not len(stream):
        return
    content = _content(packets.data, offset, size)
    ends = np.cumsum(size)
    bounds = [*heads_of(stream).tolist(), len(stream)]
    for start, stop in pairwise(bounds):
        first = int(ends[start] - size[start])
        yield (
            int(stream[start]),
            PacketRun(
                extended[start:stop].copy(),
                packets.ts[start:stop].astype(np.uint32),
                packets.pt[start:stop].copy(),
                packets.time_ns[start:stop].copy(),
                size[start:stop].astype(np.int32),
                content[first : int(ends[stop - 1])].copy(),
            ),
        )


def looks_protected(pt: int, size: int) -> bool:
    """Tell whether a payload may be SRTP, or needs its description: it is not G.711 of a usual length."""
    return pt not in (PCMU, PCMA) or size % STEP != 0


def bytes_held(runs: list[PacketRun]) -> int:
    """Return about how much memory runs take."""
    return sum(len(run.payload) + 32 * len(run.seq) for run in runs)


def _content(
    data: NDArray[np.uint8], offset: NDArray[np.int64], size: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return some pieces of ``data`` end to end, uint8[sum(size)]."""
    first = int(size[0])
    if first and (size == first).all():
        return gather(data, offset, first).view(np.uint8)
    pieces = [data[at : at + n] for at, n in zip(offset.tolist(), size.tolist(), strict=True)]
    return np.concatenate(pieces)
