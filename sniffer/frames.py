"""Captured frames in bulk: the one shape in which every capture source hands them over.

A block is one buffer of bytes and, beside it, arrays that say where each frame lies. Nothing downstream
loops over packets: the arrays are parsed, looked up and placed as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Link types as libpcap numbers them (https://www.tcpdump.org/linktypes.html).
LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_PPP = 9
LINKTYPE_RAW_OLD = 12
LINKTYPE_RAW_OLD_BSD = 14
LINKTYPE_PPP_HDLC = 50
LINKTYPE_PPP_ETHER = 51
LINKTYPE_RAW = 101
LINKTYPE_C_HDLC = 104
LINKTYPE_IEEE802_11 = 105
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
LINKTYPE_RADIOTAP = 127
LINKTYPE_PPI = 192
LINKTYPE_MPLS = 219
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276
#: Those whose frames are read.
LINKTYPES_READ = frozenset(
    {
        LINKTYPE_NULL,
        LINKTYPE_ETHERNET,
        LINKTYPE_PPP,
        LINKTYPE_RAW_OLD,
        LINKTYPE_RAW_OLD_BSD,
        LINKTYPE_PPP_HDLC,
        LINKTYPE_PPP_ETHER,
        LINKTYPE_RAW,
        LINKTYPE_C_HDLC,
        LINKTYPE_IEEE802_11,
        LINKTYPE_LOOP,
        LINKTYPE_LINUX_SLL,
        LINKTYPE_RADIOTAP,
        LINKTYPE_PPI,
        LINKTYPE_MPLS,
        LINKTYPE_IPV4,
        LINKTYPE_IPV6,
        LINKTYPE_LINUX_SLL2,
    }
)

#: Bytes that can be read behind the start of any frame without leaving the buffer: fixed-width gathers of
#: headers and payloads rely on it.
PAD = 2048
#: Frames next to each other are not so far apart (100 days): one of their times is wrong.
NONSENSE_NS = 100 * 86_400_000_000_000


@dataclass(slots=True)
class Frames:
    """A run of frames of one link type, in the order of capture.

    ``data``      uint8[m], C-contiguous; ``data[offset[i] : offset[i] + PAD]`` is always inside it
    ``offset``    int64[n], where frame i starts
    ``captured``  int64[n], its captured bytes
    ``length``    int64[n], its bytes on the wire (``length > captured``: truncated by the snap length)
    ``time_ns``   int64[n], capture time, UTC nanoseconds
    ``linktype``  a LINKTYPE number
    ``vlan``      int64[n], the outer VLAN tag that the kernel took off a frame, -1 where there was none;
                  None where nobody asked (:class:`bystander.sniffer.ring.Ring`)
    ``tunnel``    int64[n], the way through tunnels to each (:mod:`bystander.sniffer.tunnels`), and above it
                  the realm of each (:mod:`bystander.sniffer.realm`); None: bare
    """

    data: NDArray[np.uint8]
    offset: NDArray[np.int64]
    captured: NDArray[np.int64]
    length: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    linktype: int = LINKTYPE_ETHERNET
    vlan: NDArray[np.int64] | None = None
    tunnel: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offset)


def mended(time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return capture times (int64[n], ns) with each one that is nonsense replaced by the one before it (C18).

    Nonsense is what lies months away from both its neighbours while these agree. A BYE of 1970 would end its
    call before it began.
    """
    if len(time_ns) < 3:
        return time_ns
    step = np.diff(time_ns)
    if step.min() > -NONSENSE_NS and step.max() < NONSENSE_NS:
        return time_ns
    far = np.abs(step) > NONSENSE_NS
    wrong = far[:-1] & far[1:] & (np.abs(step[:-1] + step[1:]) < NONSENSE_NS)
    times = time_ns.copy()
    times[1:-1][wrong] = time_ns[:-2][wrong]
    return times


class CaptureSource(Protocol):
    """Where frames come from: a capture file or a live ring.

    A block and its buffer are valid until the next one is asked for.
    """

    def blocks(self) -> Iterator[Frames]:
        """Yield blocks until the source is exhausted (a file's end; a ring yields what is ready now)."""
        ...
