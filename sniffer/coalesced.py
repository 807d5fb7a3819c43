"""Datagrams that were coalesced into one frame (UDP GRO, or a sender's UDP_SEGMENT), cut apart again.

Such a frame has one header and the payloads of several datagrams of one flow, all of one size but for the
last, which may be shorter. How many is said nowhere that reaches a capture file, nor every kernel's packet
socket, so it is read from RTP itself: at the size of a segment another header of the same SSRC stands, with a
number near the one before. By chance that is so once in 2^40 packets.

Looking for it costs a search through the packet, so it is done only where a packet is large enough to be two
and not of the size that was last found to be one packet of its flow.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import V4_WIDTH, Datagrams, gather, pick
from bystander.sniffer.sip import looks_like_sip

#: 20 ms of G.711 or G.722, nearly all there is: taken for one packet.
_USUAL: Final = 12 + 160
#: Two of the smallest packets that any codec of telephones sends.
_SMALLEST: Final = 2 * (12 + 10)
_RTP_BYTES: Final = 12
#: The kernel coalesces at most 64 (UDP_GRO_CNT_MAX), a sender up to 128 (UDP_MAX_SEGMENTS).
_MOST_SEGMENTS: Final = 128
_SLOT_BITS: Final = 12
#: Packets searched in one block; where all differ in size, the rest is taken for what it seems to be.
_MOST_SEARCHED: Final = 4096
#: Places where an SSRC is found again that are looked at.
_MOST_FOUND: Final = 16
_NEAR: Final = 16


class Splitter:
    """Cuts coalesced RTP apart; remembers of each flow the size that was last found to be one packet.

    There are ``2^_SLOT_BITS`` places; a flow loses its place to another, and then costs another search.
    ``frames`` and ``datagrams`` count what was cut and what it came to.
    """

    def __init__(self) -> None:
        self._single = np.zeros(1 << _SLOT_BITS, np.int64)
        self._owner = np.zeros(1 << _SLOT_BITS, np.uint64)
        self.frames = 0
        self.datagrams = 0

    def split(self, d: Datagrams, rtp: NDArray[np.bool_]) -> tuple[Datagrams, NDArray[np.bool_]]:
        """Return the datagrams and which of them look like RTP, with those that are several cut apart."""
        likely = (d.size != _USUAL) & (d.size >= _SMALLEST)
        likely &= rtp
        if not likely.any():
            return d, rtp
        at = np.flatnonzero(likely)
        flow = d.flow[at]
        slot = (flow >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
        strange = (d.size[at] != self._single[slot]) | (flow != self._owner[slot])
        if not strange.any():
            return d, rtp
        step = np.zeros(len(d), np.int64)
        for i, place in zip(at[strange][:_MOST_SEARCHED].tolist(), slot[strange].tolist(), strict=False):
            size, flow_number = int(d.size[i]), d.flow[i]
            if size == self._single[place] and flow_number == self._owner[place]:
                continue  # a block of a stream that nobody knew: searched once
            step[i] = segment_size(d.payload(i))
            if not step[i]:
                self._single[place], self._owner[place] = size, flow_number
        if not step.any():
            return d, rtp
        return self._cut(d, rtp, step)

    def _cut(
        self, d: Datagrams, rtp: NDArray[np.bool_], step: NDArray[np.int64]
    ) -> tuple[Datagrams, NDArray[np.bool_]]:
        whole = step == 0
        count = np.where(whole, 1, -(-d.size // np.maximum(step, 1)))
        self.frames += int(np.count_nonzero(~whole))
        self.datagrams += int(count[~whole].sum())
        source = np.repeat(np.arange(len(d)), count)
        number = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        before = number * step[source]
        offset = d.offset[source] + before
        size = d.size[source] - before
        size = np.where(whole[source], size, np.minimum(size, step[source]))
        rows = pick(d.rows, source)
        later = np.flatnonzero(number)
        raw = rows.view(np.uint8).reshape(-1, rows.dtype.itemsize)
        payload = 42 if rows.dtype.itemsize == V4_WIDTH else 62
        heads = gather(d.data, offset[later], _RTP_BYTES).view(np.uint8).reshape(-1, _RTP_BYTES)
        raw[later, payload : payload + _RTP_BYTES] = heads
        way = None if d.tunnel is None else d.tunnel[source]
        return Datagrams(d.data, rows, d.flow[source], offset, size, d.time_ns[source], way), rtp[source]


def segment_size(payload: bytes) -> int:
    """Return the size of the packets that one RTP payload is made of; 0 if it is one packet.

    Every segment must begin like RTP of the same SSRC with a number near the one before: packets may have
    been lost, doubled or overtaken before they were put together.
    """
    ssrc, first = payload[8:12], payload[0] & 0xC0
    at = payload.find(ssrc, _SMALLEST // 2 + 8)
    for _ in range(_MOST_FOUND):
        if at < 0:
            break
        size = at - 8
        if len(payload) <= size * _MOST_SEGMENTS:
            heads = range(size, len(payload), size)
            if all(_follows(payload, head, size, first) for head in heads):
                return size
        at = payload.find(ssrc, at + 1)
    return 0


def _follows(payload: bytes, head: int, size: int, first: int) -> bool:
    """Tell whether a packet of the same stream begins at ``head``, ``size`` bytes behind the one before."""
    if len(payload) - head < _RTP_BYTES:
        return False
    step = int.from_bytes(payload[head + 2 : head + 4]) - int.from_bytes(payload[head - size + 2 :][:2])
    return (
        payload[head] & 0xC0 == first
        and payload[head + 8 : head + 12] == payload[8:12]
        and payload[head + 1] & 0x60 != 0x40
        and (step + _NEAR) % 65536 <= 2 * _NEAR
    )


def messages_in(payload: bytes) -> list[bytes]:
    """Cut SIP messages apart that were coalesced: one begins where the Content-Length of another ends."""
    found = []
    while True:
        end = payload.find(b"\r\n\r\n") + 4
        if end < 4 or payload.find(b"SIP/2.0", end) < 0:
            break
        end += _content_length(payload[:end])
        if not looks_like_sip(payload[end : end + 4096]):
            break
        found.append(payload[:end])
        payload = payload[end:]
    return [*found, payload]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l") and value.strip().isdigit():
            return int(value[:12])
    return 0
