"""Signalling of a scene over TCP: what one party says to another becomes the segments of a connection."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from scenery import Endpoint, Scene

SYN, ACK, PSH, FIN = 2, 16, 8, 1
#: What the bytes of a message become: by which side (the one that opened the connection, or not).
Wrap = Callable[[bool, bytes], bytes]


def tcp_frame(src: Endpoint, dst: Endpoint, seq: int, flags: int, payload: bytes) -> bytes:
    """One Ethernet frame with a TCP segment; nobody checks the sums."""
    head = struct.pack("!HHIIBBHHH", src[1], dst[1], seq & 0xFFFFFFFF, 0, 0x50, flags, 65535, 0, 0)
    addresses = ipaddress.ip_address(src[0]).packed + ipaddress.ip_address(dst[0]).packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(payload), 1, 0x4000, 64, 6, 0) + addresses
    return bytes(12) + b"\x08\x00" + ip + head + payload


@dataclass
class Connection(Scene):
    """A connection that a `Line` can be given in place of its scene: what it sends goes over TCP.

    ``client`` opens it. ``wrap`` turns a message into the bytes on the wire; ``most`` is the largest segment.
    """

    scene: Scene = field(default_factory=Scene)
    client: Endpoint = ("10.1.0.1", 40000)
    server: Endpoint = ("10.0.0.2", 8088)
    wrap: Wrap = lambda _client, message: message
    most: int = 1400
    sent: dict[bool, int] = field(default_factory=lambda: {True: 1000, False: 900_000})

    def open(self, at: float) -> None:
        """The three-way handshake, as far as it tells anything."""
        self._segment(at, True, b"", SYN)
        self._segment(at + 0.001, False, b"", SYN | ACK)

    def close(self, at: float) -> None:
        self._segment(at, True, b"", FIN | ACK)
        self._segment(at + 0.001, False, b"", FIN | ACK)

    def put(self, at: float, by_client: bool, data: bytes) -> None:
        """Bytes as they are, in as many segments as they take."""
        for place in range(0, len(data), self.most):
            self._segment(at, by_client, data[place : place + self.most], PSH | ACK)

    def send(self, at: float, src: Endpoint, dst: Endpoint, payload: bytes) -> None:
        """A message of a `Line`: the side is told by its address."""
        by_client = src[0] == self.client[0]
        self.put(at, by_client, self.wrap(by_client, payload))

    def _segment(self, at: float, by_client: bool, data: bytes, flags: int) -> None:
        src, dst = (self.client, self.server) if by_client else (self.server, self.client)
        self.scene.frames.append((at, tcp_frame(src, dst, self.sent[by_client], flags, data)))
        self.sent[by_client] += len(data) + (flags & SYN > 0) + (flags & FIN > 0)
