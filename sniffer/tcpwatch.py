"""Which TCP frames of a block may belong to a connection that carries SIP, told by array (C4, C5).

TCP that has nothing to do with SIP must cost no object each: most of a mirror port may be somebody's files.
What tells is the first twelve bytes of a payload: a SIP start line; the response to a WebSocket upgrade; a
WebSocket frame, masked or not, that begins like SIP; or the ports. A frame that tells brings the others of
its connection with it, those before it in the block, too; and once the connection proves to carry SIP
(`TcpWatch.add`) every later frame of it is of interest.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import V4_WIDTH, flow_of, fold_v6, gather, mix_flow, pick
from bystander.sniffer.frames import Frames

#: SIP and SIP over TLS (RFC 3261 section 19.1.2).
SIP_PORTS: Final = (5060, 5061)
#: First four bytes of the methods of RFC 3261 and its extensions, and of a response.
SIP_HEADS = np.array(
    [
        int.from_bytes(text[:4], "little")
        for text in (
            b"INVI", b"ACK ", b"BYE ", b"CANC", b"REGI", b"OPTI", b"INFO", b"PRAC",
            b"UPDA", b"MESS", b"SUBS", b"NOTI", b"REFE", b"PUBL", b"SIP/",
        )
    ],
    np.uint32,
)  # fmt: skip
_HTTP: Final = int.from_bytes(b"HTTP", "little")
_SWITCHING: Final = int.from_bytes(b" 101", "little")  # where it stands in "HTTP/1.1 101"
#: Second byte of a WebSocket frame with 16 bits of length, from a server and, masked, from a client
#: (RFC 6455 section 5.2); the first has opcode 1 or 2, and perhaps FIN.
_PLAIN, _MASKED = 0x7E, 0xFE
_OPCODES: Final = (0x01, 0x02, 0x81, 0x82)
_HEAD_BYTES: Final = 12
#: Where the client's random stands in a TLS record with a ClientHello (RFC 8446 section 4.1.2).
_RANDOM_AT: Final = 11


class TcpWatch:
    """The connections that carry SIP, the oldest forgotten beyond ``MAX_WATCHED`` directions.

    ``ports`` are of interest whatever they carry. ``randoms`` (uint64[m], the first eight bytes as they
    stand) are the client randoms of TLS connections that can be decrypted: their ClientHello tells.
    """

    MAX_WATCHED = 4096

    def __init__(self) -> None:
        self.ports: tuple[int, ...] = SIP_PORTS
        self.randoms: NDArray[np.uint64] | None = None
        self._watched: dict[int, None] = {}
        self._array: NDArray[np.uint64] | None = None

    def add(self, src: Endpoint, dst: Endpoint) -> None:
        """Take every frame between two endpoints for interesting from now on."""
        for flow in (flow_of(src, dst), flow_of(dst, src)):
            if flow not in self._watched:
                if len(self._watched) >= self.MAX_WATCHED:
                    self._watched.pop(next(iter(self._watched)))
                self._watched[flow] = None
                self._array = None

    def interesting(
        self, frames: Frames, rows: NDArray[np.void], l3: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Tell which plain TCP frames, of IPv4 (ROW_V4[n]) or IPv6 (ROW_V6[n]), may carry SIP (bool[n])."""
        l4 = l3 + (20 if rows.dtype.itemsize == V4_WIDTH else 40)
        data_offset = frames.data[l4 + 12] >> 4
        payload = l4 + data_offset.astype(np.int64) * 4
        start = np.minimum(payload, len(frames.data) - 64)
        head = gather(frames.data, start, _HEAD_BYTES).view("<u4").reshape(-1, 3)
        telling = _begins(head) & (payload < end)
        if self.randoms is not None:
            telling |= self._hello(frames, head[:, 0], start) & (payload < end)
        found = telling.copy()
        for port in self.ports:
            found |= (rows["sport"] == port) | (rows["dport"] == port)
        if self._watched or telling.any():
            flows = _flows(rows)
            if self._array is None:
                # Here, once a block: a flood of connections must not cost an array each.
                self._array = np.fromiter(self._watched, np.uint64, len(self._watched))
            known = self._array
            if telling.any():
                both = np.concatenate([flows[telling], _back_flows(pick(rows, np.flatnonzero(telling)))])
                known = np.concatenate([known, np.unique(both)])
            found |= np.isin(flows, known)
        return found

    def _hello(
        self, frames: Frames, first: NDArray[np.uint32], start: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Tell which payloads are the ClientHello of a connection that can be decrypted."""
        assert self.randoms is not None
        hello: NDArray[np.bool_] = (first & 0xFFFF) == 0x0316  # a handshake record of version 3.x
        if hello.any():
            at = np.flatnonzero(hello)
            random = gather(frames.data, start[at] + _RANDOM_AT, 8).view("<u8")
            hello[at] = np.isin(random, self.randoms)
        return hello


def _begins(head: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Tell which payloads, by their first twelve bytes (uint32[n, 3]), show a connection that carries SIP."""
    found: NDArray[np.bool_] = np.isin(head[:, 0], SIP_HEADS)
    found |= (head[:, 0] == _HTTP) & (head[:, 2] == _SWITCHING)
    second = (head[:, 0] >> 8) & 0xFF
    framed = np.isin(head[:, 0] & 0xFF, _OPCODES)
    if framed.any():
        found |= framed & (second == _PLAIN) & np.isin(head[:, 1], SIP_HEADS)
        found |= framed & (second == _MASKED) & np.isin(head[:, 1] ^ head[:, 2], SIP_HEADS)
    return found


def _flows(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """Return the flow numbers of frames (uint64[n])."""
    addresses = rows["addresses"] if rows.dtype.itemsize == V4_WIDTH else fold_v6(rows)
    return mix_flow(addresses, rows["ports"])


def _back_flows(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """Return the flow numbers of the other directions of frames (uint64[n])."""
    turned = rows.copy()
    turned["sport"], turned["dport"] = rows["dport"], rows["sport"]
    if rows.dtype.itemsize == V4_WIDTH:
        half = np.uint64(32)
        turned["addresses"] = (rows["addresses"] << half) | (rows["addresses"] >> half)
    else:
        for ours, theirs in zip("abcd", "cdab", strict=True):
            turned[ours] = rows[theirs]
    return _flows(turned)
