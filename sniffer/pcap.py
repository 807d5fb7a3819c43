"""The classic capture file (libpcap, draft-ietf-opsawg-pcap): one header, then records of one link type."""

from __future__ import annotations

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.errors import CaptureError
from bystander.sniffer.records import MAX_CAPTURED, Batch, Layout, Mark, Parsed, walk

HEADER_BYTES = 24

# The magic number as the bytes stand in the file: byte order, nanoseconds per tick, bytes of a record's
# header. The 24-byte header is that of Kuznetzov's patched libpcap: interface, protocol and packet type
# follow.
_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}

# Upper bits of the link type field say whether frames end in a checksum.
_LINKTYPE_MASK = 0x03FFFFFF


def is_pcap(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a pcap file."""
    return head[:4] in _MAGICS


class PcapParser:
    """Turns the bytes of one pcap file, in the pieces in which they are read, into frames.

    The first piece begins with the file header. A pcap record cannot be malformed apart from its size, which
    is damage: ``malformed`` stays 0.
    """

    def __init__(self, head: bytes) -> None:
        """Take the file header from the first 24 bytes. Raises CaptureError (without the file's name)."""
        if len(head) < HEADER_BYTES:
            raise CaptureError(f"cut in its header ({len(head)} bytes)")
        order, self._tick_ns, header_bytes = _MAGICS[head[:4]]
        major, minor = Struct(order + "HH").unpack_from(head, 4)
        if major != 2:
            raise CaptureError(f"pcap version {major}.{minor} is not known; expected 2.4")
        self._linktype = Struct(order + "I").unpack_from(head, 20)[0] & _LINKTYPE_MASK
        # Frames of one capture share the high half of their seconds (18 hours).
        first = 2 if order == "<" else 0
        self._layout = Layout(
            header_bytes=header_bytes,
            length_at=8,
            extra=header_bytes,
            order=order,
            unit=1,
            smallest=header_bytes,
            biggest=header_bytes + MAX_CAPTURED,
            marks=(Mark(first, "u1"), Mark(first + 1, "u1")),
        )
        self._in_header = True
        self.malformed = 0

    def parse(self, data: NDArray[np.uint8], start: int, stop: int) -> Parsed:
        """Frames of the complete records in ``data[start:stop]``, which continues where the last piece
        ended."""
        if self._in_header:
            start += HEADER_BYTES
            self._in_header = False
        layout = self._layout
        starts, end = walk(data, start, stop, layout)
        damage = ""
        if end + layout.header_bytes <= stop:
            claimed = Struct(layout.order + "I").unpack_from(data.data, end + 8)[0]
            if claimed > MAX_CAPTURED:
                damage = f"a record there claims {claimed} bytes, more than any frame has"
        headers: NDArray[np.void] = np.ndarray(stop, "V16", data, 0, (1,))
        fields = headers[starts].view(layout.order + "u4").reshape(-1, 4)
        time_ns = fields[:, 0].astype(np.int64)
        time_ns *= 1_000_000_000
        time_ns += fields[:, 1].astype(np.int64) * self._tick_ns
        captured = fields[:, 2].astype(np.int64)
        starts += layout.header_bytes
        # Some writers leave the length on the wire 0, or swap the two.
        length = np.maximum(fields[:, 3], fields[:, 2]).astype(np.int64)
        return Parsed(Batch(starts, captured, length, time_ns, self._linktype), end, damage=damage)
