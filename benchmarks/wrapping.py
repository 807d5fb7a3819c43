"""What mirrors put around frames: VLAN tags, and the tunnels of remote mirrors. By the array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.headers import IPV4, UDP, ethernet, ipv4

SWITCH, RECORDER = "192.0.2.1", "192.0.2.9"
_LINK: Final = 14
_MACS: Final = 12

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wrapping:
    """``tags`` stand behind the addresses of a frame; ``before`` stands before all of it, with IP inside."""

    tags: bytes = b""
    before: bytes = b""
    udp: bool = False

    @property
    def size(self) -> int:
        """Bytes that each frame grows by."""
        return len(self.tags) + len(self.before)

    def heads(self, size: Ints) -> Bytes:
        """uint8[n, len(before)]: the outer headers of frames of ``size`` bytes, their lengths filled in."""
        rows = np.tile(np.frombuffer(self.before, np.uint8), (len(size), 1))
        if self.before:
            inside = size + len(self.before) - _LINK
            _number(rows, _LINK + 2, inside)
            if self.udp:
                _number(rows, _LINK + IPV4 + 4, inside - IPV4)
            words = rows[:, _LINK : _LINK + IPV4].reshape(-1, 10, 2).astype(np.int64)
            words[:, 5] = 0
            total = ((words[:, :, 0] << 8) + words[:, :, 1]).sum(axis=1)
            total = (total & 0xFFFF) + (total >> 16)
            _number(rows, _LINK + 10, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
        return rows


def _number(rows: Bytes, at: int, value: Ints) -> None:
    rows[:, at], rows[:, at + 1] = value >> 8 & 255, value & 255


def _outer(protocol: int, inside: bytes) -> bytes:
    return ethernet(SWITCH, RECORDER) + ipv4(SWITCH, RECORDER, 0, protocol=protocol) + inside


_VXLAN_PORTS = (50000).to_bytes(2) + (4789).to_bytes(2) + bytes(UDP - 4)
WRAPPINGS: Final = {
    "": Wrapping(),
    "vlan": Wrapping(tags=bytes.fromhex("81000064")),
    "qinq": Wrapping(tags=bytes.fromhex("88a800078100 0064")),
    "gre-erspan": Wrapping(before=_outer(47, bytes.fromhex("100088be00000001 1064000100000000"))),
    "vxlan": Wrapping(before=_outer(17, _VXLAN_PORTS + bytes.fromhex("0800000000002a00")), udp=True),
}


def move_tags_in(out: Bytes, at: Ints, tags: bytes) -> None:
    """Frames lie ``len(tags)`` bytes behind the places ``at``: their addresses move there, tags follow."""
    step = len(tags)
    for column in range(_MACS):
        out[at + column] = out[at + step + column]
    for column in range(step):
        out[at + _MACS + column] = tags[column]
