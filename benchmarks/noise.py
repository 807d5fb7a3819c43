"""Everything else on an office network's mirror port: web, DNS, ARP, QUIC, NTP, broadcasts.

A pool of ready frames of random size and content is drawn from at random. TCP segments get a port and a
sequence number of their own, so that connections come and go as in an office, about 30 segments each.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.headers import ETHERNET, IPV4, big_endian, ethernet, tcp_frame, udp_frame

#: What the noise is made of, by share of frames, and how many different frames of each the pool holds.
MIXTURE = {
    "web": (0.55, 600),
    "quic": (0.22, 240),
    "dns": (0.08, 80),
    "arp": (0.05, 8),
    "ntp": (0.02, 8),
    "broadcast": (0.08, 40),
}
SEGMENTS_PER_CONNECTION = 30
_PORT, _SEQUENCE = ETHERNET + IPV4, ETHERNET + IPV4 + 4


def _web(rng: np.random.Generator) -> bytes:
    office, server = (
        (f"10.2.{rng.integers(4)}.{rng.integers(2, 250)}", 40000),
        (f"198.51.100.{rng.integers(1, 250)}", 443),
    )
    kind = rng.random()
    if kind < 0.35:
        return tcp_frame(office, server, b"")
    size = 1460 if kind < 0.7 else int(rng.integers(20, 1460))
    body = b"\x17\x03\x03" + struct.pack("!H", size - 5) + rng.bytes(size - 5)
    return tcp_frame(server, office, body, flags=0x18)


def _quic(rng: np.random.Generator) -> bytes:
    office, server = (
        (f"10.2.{rng.integers(4)}.{rng.integers(2, 250)}", int(rng.integers(32768, 60999))),
        ("203.0.113.9", 443),
    )
    down = rng.random() < 0.75
    payload = bytes([0x40 | int(rng.integers(64))]) + rng.bytes(
        int(rng.integers(1100, 1350) if down else rng.integers(24, 90))
    )
    return udp_frame(server, office, payload) if down else udp_frame(office, server, payload)


def _dns(rng: np.random.Generator) -> bytes:
    office, server = (
        (f"10.2.{rng.integers(4)}.{rng.integers(2, 250)}", int(rng.integers(32768, 60999))),
        ("10.0.0.53", 53),
    )
    label = bytes(rng.integers(97, 123, int(rng.integers(4, 24)), dtype=np.uint8))
    name = bytes([len(label)]) + label + b"\x07example\x00"
    if rng.random() < 0.5:
        return udp_frame(
            office, server, rng.bytes(2) + struct.pack("!HHHHH", 0x100, 1, 0, 0, 0) + name + b"\0\1\0\1"
        )
    answer = b"\xc0\x0c\x00\x01\x00\x01" + struct.pack("!IH", 300, 4) + rng.bytes(4)
    return udp_frame(
        server, office, rng.bytes(2) + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + name + b"\0\1\0\1" + answer
    )


def _arp(rng: np.random.Generator) -> bytes:
    who = f"10.2.0.{rng.integers(2, 250)}"
    header = ethernet(who, "10.2.0.1", broadcast=True)[:12] + b"\x08\x06"
    body = (
        struct.pack("!HHBBH", 1, 0x800, 6, 4, 1)
        + header[6:12]
        + bytes(map(int, who.split(".")))
        + bytes(6)
        + b"\x0a\x02\0\1"
    )
    return (header + body).ljust(60, b"\0")


def _ntp(rng: np.random.Generator) -> bytes:
    return udp_frame(
        (f"10.2.0.{rng.integers(2, 250)}", 123), ("10.0.0.123", 123), b"\x23\x02\x0a\xec" + rng.bytes(44)
    )


def _broadcast(rng: np.random.Generator) -> bytes:
    """SSDP, NetBIOS name service (RFC 1002) or mDNS (RFC 6762)."""
    who = f"10.2.{rng.integers(4)}.{rng.integers(2, 250)}"
    kind = rng.integers(3)
    if kind == 0:
        lines = (
            "M-SEARCH * HTTP/1.1",
            "HOST: 239.255.255.250:1900",
            'MAN: "ssdp:discover"',
            "MX: 1",
            "ST: ssdp:all",
        )
        port, dst = int(rng.integers(32768, 60999)), ("239.255.255.250", 1900)
        return udp_frame((who, port), dst, "\r\n".join((*lines, "", "")).encode(), broadcast=True)
    if kind == 1:
        name = bytes(rng.integers(65, 81, 32, dtype=np.uint8))
        query = rng.bytes(2) + struct.pack("!HHHHH", 0x110, 1, 0, 0, 0) + b"\x20" + name + b"\0\0\x20\0\x01"
        return udp_frame((who, 137), ("10.2.255.255", 137), query, broadcast=True)
    text = bytes(rng.integers(97, 123, int(rng.integers(20, 200)), dtype=np.uint8))
    name = b"\x08computer\x05local\0" + struct.pack("!HHIH", 16, 0x8001, 120, len(text) + 1)
    answer = struct.pack("!HHHHHH", 0, 0x8400, 0, 1, 0, 0) + name + bytes([len(text)]) + text
    return udp_frame((who, 5353), ("224.0.0.251", 5353), answer, broadcast=True)


_MAKERS = {"web": _web, "quic": _quic, "dns": _dns, "arp": _arp, "ntp": _ntp, "broadcast": _broadcast}


@dataclass
class Group:
    """The pool's frames of one size: ``frames`` uint8[k, size], ``tcp`` bool[k]."""

    frames: NDArray[np.uint8]
    tcp: NDArray[np.bool_]


@dataclass
class NoisePool:
    """Draws noise frames; ``size`` int64[p] and ``kind`` (index into MIXTURE) of every frame of the pool."""

    seed: int
    size: NDArray[np.int64] = field(init=False)
    kind: NDArray[np.int64] = field(init=False)
    groups: dict[int, Group] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 77])
        frames: list[bytes] = []
        kinds: list[int] = []
        weights: list[float] = []
        for number, (name, (share, count)) in enumerate(MIXTURE.items()):
            frames += [_MAKERS[name](rng) for _ in range(count)]
            kinds += [number] * count
            weights += [share / count] * count
        self.size = np.array([len(frame) for frame in frames], dtype=np.int64)
        self.kind = np.array(kinds, dtype=np.int64)
        self._weights = np.cumsum(weights) / sum(weights)
        self._row = np.zeros(len(frames), dtype=np.int64)
        self.groups = {}
        for size in np.unique(self.size).tolist():
            members = np.flatnonzero(self.size == size)
            self._row[members] = np.arange(len(members))
            joined = np.frombuffer(b"".join(frames[i] for i in members), dtype=np.uint8)
            self.groups[size] = Group(joined.reshape(-1, size), self.kind[members] == 0)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """int64[count]: indices of pool frames, by their shares."""
        return np.searchsorted(self._weights, rng.random(count)).clip(0, len(self.size) - 1)

    def render(self, drawn: NDArray[np.int64], size: int, number: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8[n, size]: the drawn frames, all of this size; ``number`` counts noise from the start."""
        group = self.groups[size]
        frames = group.frames[self._row[drawn]]
        tcp = group.tcp[self._row[drawn]]
        if tcp.any():
            connection, segment = np.divmod(number[tcp], SEGMENTS_PER_CONNECTION)
            # The office's port is the source in a bare ACK and the destination in data from the server.
            bare = size == ETHERNET + IPV4 + 20
            at = _PORT if bare else _PORT + 2
            block = frames[tcp]
            block[:, at : at + 2] = big_endian(20000 + connection % 40000, ">u2")
            block[:, _SEQUENCE : _SEQUENCE + 4] = big_endian(connection * 7919 + segment * 1460, ">u4")
            frames[tcp] = block
        return frames
