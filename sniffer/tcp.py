"""TCP segments."""

from __future__ import annotations

from dataclasses import dataclass

from bystander.sniffer.address import Endpoint

FIN = 0x01
SYN = 0x02
RST = 0x04


@dataclass(slots=True)
class Segment:
    """One TCP segment (RFC 9293): ``seq`` modulo 2^32, ``flags`` the low byte, ``time_ns`` capture time."""

    src: Endpoint
    dst: Endpoint
    seq: int
    flags: int
    payload: bytes
    time_ns: int
