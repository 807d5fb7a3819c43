"""Floods around calls in progress: is each call recorded whole, and does memory stay bounded?

Each kind of flood runs at two sizes, the second four times the first, around the same calls, through the
recorder's own way (``run --read``). Memory that follows the size of a flood is a leak; a call that is not
whole is a loss.
"""

from __future__ import annotations

import heapq
import json
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.headers import ethernet, ipv4, udp_frame
from benchmarks.plan import Traffic
from benchmarks.process import last_core, measured
from benchmarks.traffic import PCAP_HEADER, RECORD, cached
from benchmarks.verify import check

CALLS = Traffic(calls=20, seconds=60)
SIZES = (50_000, 200_000)
GATEWAY = "10.0.0.2"

#: (number of the frame, random numbers) -> frame.
Flood = Callable[[int, random.Random], bytes]


def _stranger(rng: random.Random) -> tuple[str, int]:
    return f"10.7.{rng.randrange(256)}.{rng.randrange(1, 255)}", rng.randrange(1024, 65536)


def _request(method: str, number: int, rng: random.Random, body: str = "") -> bytes:
    host, port = _stranger(rng)
    kind = "Content-Type: application/sdp\r\n" if body else ""
    text = (
        f"{method} sip:{number}@{GATEWAY} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{number:x}\r\n"
        f"From: <sip:a{number}@{host}>;tag={number:x}\r\nTo: <sip:{number}@{GATEWAY}>\r\n"
        f"Call-ID: {number:x}@{host}\r\nCSeq: 1 {method}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )
    return udp_frame((host, port), (GATEWAY, 5060), text.encode())


def invites(number: int, rng: random.Random) -> bytes:
    """Each INVITE the beginning of another call, with media of its own."""
    host, port = _stranger(rng)
    return _request("INVITE", number, rng, _sdp(host, port & ~1))


def _sdp(host: str, port: int) -> str:
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


def requests(number: int, rng: random.Random) -> bytes:
    """REGISTER and OPTIONS, as scanners send them."""
    return _request(("REGISTER", "OPTIONS")[number & 1], number, rng)


def _rtp(number: int, ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc) + b"\xd5" * 160


def ssrcs(number: int, _: random.Random) -> bytes:
    """RTP to one port, two packets to an SSRC."""
    return udp_frame(("10.7.0.1", 6000), ("10.0.0.9", 9000), _rtp(number, number // 2))


def ports(number: int, rng: random.Random) -> bytes:
    """RTP from anywhere to anywhere, never twice the same."""
    return udp_frame(
        _stranger(rng), (f"10.0.1.{rng.randrange(256)}", rng.randrange(1024, 65536)), _rtp(number, 7)
    )


def fragments(number: int, rng: random.Random) -> bytes:
    """First fragments of datagrams that never become whole."""
    host, _ = _stranger(rng)
    payload = struct.pack("!HHHH", 5060, 5060, 4000, 0) + b"INVITE sip:x SIP/2.0\r\n" + bytes(1362)
    head = bytearray(ipv4(host, GATEWAY, len(payload), ident=number & 0xFFFF))
    head[6:8] = b"\x20\x00"
    return ethernet(host, GATEWAY) + bytes(head) + payload


def _segment(src: tuple[str, int], seq: int, payload: bytes) -> bytes:
    header = struct.pack("!HHIIBBHHH", src[1], 5060, seq & 0xFFFFFFFF, 0, 0x50, 0x10, 502, 0, 0)
    return ethernet(src[0], GATEWAY) + ipv4(src[0], GATEWAY, 20 + len(payload), protocol=6) + header + payload


def connections(_: int, rng: random.Random) -> bytes:
    """TCP that begins like SIP and never goes on, each a connection of its own."""
    return _segment(_stranger(rng), 1, b"INVITE sip:x@y SIP/2.0\r\nX: " + b"x" * 1300)


def endless(number: int, _: random.Random) -> bytes:
    """One TCP connection: a header without end."""
    return _segment(("10.7.0.1", 5060), 1 + number * 1400, (b"INVITE sip:x@y SIP/2.0\r\nX: " * 50)[:1400])


def holes(number: int, _: random.Random) -> bytes:
    """One TCP connection, of which every second segment is missing."""
    return _segment(("10.7.0.2", 5060), 1 + number * 2800, (b"OPTIONS sip:x@y SIP/2.0\r\nX: " * 50)[:1400])


def noise(_: int, rng: random.Random) -> bytes:
    """Random bytes to SIP's port and to others."""
    return udp_frame(
        _stranger(rng), (GATEWAY, rng.choice((5060, 4000))), rng.randbytes(rng.randrange(12, 300))
    )


FLOODS: dict[str, Flood] = {
    flood.__name__: flood
    for flood in (invites, requests, ssrcs, ports, fragments, connections, endless, holes, noise)
}


def records(capture: Path) -> Iterator[tuple[int, bytes]]:
    """The frames of a pcap of nanoseconds or microseconds as they stand, with their times as numbers."""
    data = capture.read_bytes()
    at = len(PCAP_HEADER)
    while at < len(data):
        seconds, rest, size, _ = struct.unpack_from("<IIII", data, at)
        yield seconds * 1_000_000 + rest, data[at + RECORD : at + RECORD + size]
        at += RECORD + size


def flooded(calls: Path, flood: Flood, size: int, out: Path, seed: int = 1) -> None:
    """Write a capture of calls with a flood spread evenly over it."""
    rng = random.Random(seed)
    times = [at for at, _ in records(calls)]
    begin, length = times[0], times[-1] - times[0]
    storm: Iterable[tuple[int, bytes]] = (
        (begin + length * number // size, flood(number, rng)) for number in range(size)
    )
    with out.open("wb") as file:
        file.write(PCAP_HEADER)
        for at, frame in heapq.merge(records(calls), storm, key=lambda record: record[0]):
            head = struct.pack("<IIII", at // 1_000_000, at % 1_000_000, len(frame), len(frame))
            file.write(head + frame)


def _recorded(capture: Path, folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    folder.mkdir()
    config = folder / "bystander.toml"
    config.write_text(
        '[recording]\ndirectory = "recordings"\nspool = "spool"\nindex = "index.sqlite"\n'
        "[metrics]\nenabled = false\n"
    )
    program = [sys.executable, "-m", "bystander"]
    cost = measured([*program, "run", "-c", config, "--read", capture], core=last_core())
    listed = subprocess.run([*program, "calls", "-c", str(config), "--json"], capture_output=True, check=True)
    return cost, [call for call in json.loads(listed.stdout) if call["state"] == "answered"]


def run(out: Path) -> None:
    """Print, for each flood, peak memory at both sizes and whether all calls are whole."""
    calls, truth = cached(CALLS)
    print(f"  {'':<14}{'frames':>9}{'peak MiB':>10}{'CPU ns/frame':>14}  the calls in the midst of it")
    for name, flood in FLOODS.items():
        with tempfile.TemporaryDirectory(prefix="attack-", dir=out) as place:
            for size in SIZES:
                capture = Path(place, "flood.pcap")
                flooded(calls, flood, size, capture)
                cost, found = _recorded(capture, Path(place, str(size)))
                if cost.status:
                    print(f"  {name:<14}failed: {cost.output.strip()[-300:]}")
                    continue
                each = cost.cpu_s / (truth["frames"] + size) * 1e9
                whole = check(truth, found, Path(place, str(size), "recordings"))
                print(f"  {name:<14}{size:>9,}{cost.peak_bytes / 2**20:>10.0f}{each:>14.0f}  {whole}")
