"""What else goes over the ports of media (RFC 7983): STUN, DTLS, ZRTP and TURN channels, told apart by array.

None of it is RTP (C12). Key exchanges by DTLS (RFC 5764) and ZRTP (RFC 6189) are remembered by flow: media
between the same endpoints is SRTP whose keys nobody on the wire has. An offer of keys is not enough:
telephones that find no partner go on in clear. RTP inside TURN ChannelData (RFC 8656 §12.4) is taken out of
it, as if it had been sent between the same endpoints without.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import V4_WIDTH, V6_WIDTH, Datagrams, gather, pick
from bystander.sniffer.rtp import HEADER_BYTES

#: RFC 8489 §5: in every STUN message since RFC 5389, at the place of an RTP timestamp; "ZRTP" (RFC 6189
#: §5) stands in the same place.
STUN_COOKIE: Final = 0x2112A442
ZRTP_COOKIE: Final = 0x5A525450
#: Flows remembered as those of a key exchange; the oldest is forgotten.
MAX_FLOWS: Final = 8192

_DTLS_HEADER: Final = 13
_HANDSHAKE: Final = 22
#: A ZRTP message has its type after the packet's header, a preamble and a length; "Confirm1", "Confirm2" and
#: "Conf2ACK" are sent when the keys are agreed upon.
_ZRTP_TYPE_AT: Final = 16
_CONFIRM: Final = int.from_bytes(b"Conf", "big")
#: What was seen of a key exchange.
_OFFERED, _AGREED = "offered", "agreed"
#: First byte (RFC 7983 §7): what a datagram may be.
_NOTHING, _STUN, _ZRTP, _DTLS, _CHANNEL = range(5)
_KIND = np.zeros(256, np.uint8)
_KIND[0:4] = _STUN
_KIND[16:20] = _ZRTP
_KIND[20:64] = _DTLS
_KIND[64:80] = _CHANNEL


class MediaPorts:
    """Counts what is not RTP and remembers whose keys were exchanged on the wire.

    ``counters``: "stun", "dtls", "zrtp", "channel-data" datagrams, "flows-forgotten".
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        #: (source, destination) -> kind of exchange, and whether it is known to have succeeded.
        self._exchanges: dict[tuple[Endpoint, Endpoint], tuple[str, str]] = {}
        self._known: set[tuple[int, str, str]] = set()

    def __len__(self) -> int:
        return len(self._exchanges)

    def observe(self, d: Datagrams) -> Datagrams | None:
        """Look at a block of datagrams; return the media that was in TURN channels, if there was any."""
        first = d.rows["first"]
        # Nearly all is RTP, and all of that begins with the bits 10.
        if (first >= 0x80).all():
            return None
        at = np.flatnonzero((_KIND[first] != _NOTHING) & (d.size >= HEADER_BYTES))
        if not len(at):
            return None
        rows = pick(d.rows, at)
        kind, size = _KIND[rows["first"]], d.size[at]
        cookie, second, third = rows["ts"], rows["marker_pt"], rows["seq"]
        stun = (kind == _STUN) & (cookie == STUN_COOKIE) & (size >= 20)
        zrtp = (kind == _ZRTP) & (cookie == ZRTP_COOKIE)
        # Versions 1.0, 1.2 and 1.3 (RFC 9147 §4 keeps 1.2 on the wire): 254.255 and 254.253.
        version = third >> 8
        dtls = (kind == _DTLS) & (second == 254) & ((version == 255) | (version == 253))
        dtls &= size >= _DTLS_HEADER
        # Over UDP the length may leave out the padding to four bytes.
        over = size - 4 - third.astype(np.int64)
        channel = (kind == _CHANNEL) & (over >= 0) & (over < 4)
        for name, mask in (("stun", stun), ("zrtp", zrtp), ("dtls", dtls)):
            self.counters[name] += int(np.count_nonzero(mask))
        zrtp &= size >= _ZRTP_TYPE_AT + 8
        if zrtp.any():
            head = gather(d.data, d.offset[at[zrtp]] + _ZRTP_TYPE_AT, 4).view(">u4")
            self._note(d, at[zrtp][head == _CONFIRM], "zrtp", _AGREED)
        # Records of other types are what a tunnel of some other kind is full of.
        dtls &= rows["first"] == _HANDSHAKE
        if dtls.any():
            # In the first epoch all is in clear; what is not is sent when the keys are there.
            epoch = gather(d.data, d.offset[at[dtls]] + 3, 2).view(">u2")
            self._note(d, at[dtls][epoch == 0], "dtls", _OFFERED)
            self._note(d, at[dtls][epoch > 0], "dtls", _AGREED)
        channel &= size >= 4 + HEADER_BYTES
        if not channel.any():
            return None
        return self._unwrap(d, at[channel])

    def key_exchange(self, one: Endpoint, two: Endpoint) -> str | None:
        """Return "dtls" or "zrtp" if two endpoints have agreed upon keys, else None.

        A DTLS handshake that is seen both ways counts as well: nobody answers what he does not speak.
        """
        seen = [self._exchanges.get((one, two)), self._exchanges.get((two, one))]
        found = [exchange for exchange in seen if exchange is not None]
        for name, outcome in found:
            if outcome == _AGREED:
                return name
        return "dtls" if len(found) == 2 else None

    def _note(self, d: Datagrams, at: NDArray[np.int64], name: str, outcome: str) -> None:
        """Remember an exchange of keys; an outcome once known is not taken back."""
        flows, first = np.unique(d.flow[at], return_index=True)
        for flow, i in zip(flows.tolist(), at[first].tolist(), strict=True):
            if (flow, name, outcome) in self._known:
                continue
            if len(self._known) >= MAX_FLOWS:
                self._known.clear()
            self._known.add((flow, name, outcome))
            ends = d.endpoints(i)
            before = self._exchanges.get(ends)
            if before is None and len(self._exchanges) >= MAX_FLOWS:
                del self._exchanges[next(iter(self._exchanges))]
                self.counters["flows-forgotten"] += 1
            if before is None or before[1] != _AGREED:
                self._exchanges[ends] = (name, outcome)

    def _unwrap(self, d: Datagrams, at: NDArray[np.int64]) -> Datagrams | None:
        """Return the RTP and RTCP inside TURN channels, four bytes further on than it was."""
        inner = gather(d.data, d.offset[at] + 4, HEADER_BYTES).view(np.uint8).reshape(-1, HEADER_BYTES)
        media = (inner[:, 0] & 0xC0) == 0x80
        if not media.any():
            return None
        at = at[media]
        self.counters["channel-data"] += len(at)
        width = d.rows.dtype.itemsize
        payload = {V4_WIDTH: 42, V6_WIDTH: 62}[width]
        rows = pick(d.rows, at)
        rows.view(np.uint8).reshape(-1, width)[:, payload : payload + HEADER_BYTES] = inner[media]
        said = d.rows["seq"][at].astype(np.int64)
        way = None if d.tunnel is None else d.tunnel[at]
        return Datagrams(d.data, rows, d.flow[at], d.offset[at] + 4, said, d.time_ns[at], way)
