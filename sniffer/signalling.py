"""Which datagrams may carry SIP, on whatever port (C5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import Datagrams, pick
from bystander.sniffer.tcpwatch import SIP_HEADS, SIP_PORTS

#: Fewer bytes than any start line: the CRLF and NUL keep-alives of phones (RFC 5626) end here.
_SHORTEST = 12

#: Bytes that a start line may begin with: the token characters of RFC 3261 §25.1, and blank lines before it.
_TOKEN = np.zeros(256, bool)
_TOKEN[
    np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~ /\r\n", np.uint8)
] = True


def may_be_sip(d: Datagrams, among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the datagrams numbered ``among`` are worth a look by the SIP parser (int64[m])."""
    if not len(among):
        return among
    rows = pick(d.rows, among)
    head = rows["head"]
    worth = np.isin(head, SIP_HEADS)
    for port in SIP_PORTS:
        worth |= (rows["sport"] == port) | (rows["dport"] == port)
    # Methods nobody has heard of, on ports nobody expects: four token characters, which one random datagram
    # in a hundred begins with.
    token = _TOKEN[head & 0xFF] & _TOKEN[(head >> 8) & 0xFF]
    token &= _TOKEN[(head >> 16) & 0xFF] & _TOKEN[head >> 24]
    worth |= token
    worth &= d.size[among] >= _SHORTEST
    return among[worth]
