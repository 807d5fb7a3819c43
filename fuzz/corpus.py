"""The corpora of the guided fuzzer: one zip of inputs an entry, and seeds to begin one from."""

from __future__ import annotations

import base64
import hashlib
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from fuzz import seeds
from fuzz.entries import ENTRIES, Entry, joined

FOLDER: Final = Path(__file__).with_name("corpus")
#: Larger inputs are slow to mutate, and seldom show more.
MOST_BYTES: Final = 4096
#: A zip knows no time before 1980, and ours need none.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_OURS: Final = str(Path(__file__).parents[1] / "sniffer"), str(Path(__file__).parents[1] / "codecs")
#: (file, line before, line)
_Step = tuple[str, int, int]


def read(name: str) -> list[bytes]:
    """Return the kept inputs of an entry; none where nothing was kept yet."""
    path = FOLDER / f"{name}.zip"
    if not path.exists():
        return []
    with zipfile.ZipFile(path) as archive:
        return [archive.read(member) for member in sorted(archive.namelist())]


def write(name: str, inputs: Iterable[bytes]) -> Path:
    """Keep inputs, named by what they hold, so that the same ones make the same file."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.zip"
    named = {hashlib.sha256(data).hexdigest()[:16]: data for data in inputs}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for digest, data in sorted(named.items()):
            archive.writestr(zipfile.ZipInfo(digest, _NO_TIME), data, zipfile.ZIP_DEFLATED)
    return path


def reduced(entry: Entry, inputs: Iterable[bytes]) -> list[bytes]:
    """Return the inputs that each reach a step from line to line that no smaller one did."""
    known: set[_Step] = set()
    kept = []
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        steps = _steps(entry, data)
        if steps - known:
            known |= steps
            kept.append(data)
    return kept


def _steps(entry: Entry, data: bytes) -> set[_Step]:
    """Return the steps of our own code that an input takes."""
    steps: set[_Step] = set()
    last = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal last
        name = frame.f_code.co_filename
        if not name.startswith(_OURS):
            return None
        if event == "call":
            last = 0
        elif event == "line":
            steps.add((name, last, frame.f_lineno))
            last = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        entry(data)
    finally:
        sys.settrace(None)
    return steps


def unpack(name: str, folder: Path) -> None:
    """Lay an entry's seeds and kept inputs out as files, for a fuzzer."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in (*_SEEDS[name](), *read(name)):
        if len(data) <= MOST_BYTES:
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _frames() -> list[bytes]:
    every = seeds.frames()
    return [b"\0" + joined(list(every[at : at + 4])) for at in range(0, len(every), max(1, len(every) // 60))]


def _messages() -> list[bytes]:
    return list(dict.fromkeys(seeds.messages()))[:80]


def _bodies() -> list[bytes]:
    return [body for message in _messages() if (body := message.partition(b"\r\n\r\n")[2])]


def _dialogs() -> list[bytes]:
    """The messages of a capture, which are a call's from beginning to end; half of them come back."""
    found = _messages()
    return [
        joined([bytes([2 * 20 + (data[:4] == b"SIP/")]) + data for data in found[at : at + 6]])
        for at in range(0, len(found), 3)
    ]


def _segments() -> list[bytes]:
    cut = []
    for message in _messages()[:30]:
        half = len(message) // 2
        first, second = message[:half], message[half:]
        at = 0x1000
        cut.append(
            joined(
                [
                    b"\x18" + at.to_bytes(2, "big") + first,
                    b"\x18" + (at + half).to_bytes(2, "big") + second,
                ]
            )
        )
    return cut


def _media() -> list[bytes]:
    every = [frame[42:] for frame in seeds.frames() if frame[12:15] == b"\x08\x00\x45" and frame[23] == 17]
    media = [payload for payload in every if payload[:1] and payload[0] & 0xC0 == 0x80]
    return [joined(media[at : at + 6]) for at in range(0, len(media), max(1, len(media) // 40))]


def _reports() -> list[bytes]:
    every = [frame[42:] for frame in seeds.frames() if frame[12:15] == b"\x08\x00\x45" and frame[23] == 17]
    return [payload for payload in every if payload[:1] == b"\x81" and 200 <= payload[1] <= 207][:20]


def _hep() -> list[bytes]:
    """Version 3 (hep3_rev12): family, protocol, addresses, ports, time, kind and payload of a SIP message."""
    numbers = {1: b"\2", 2: b"\x11", 3: bytes(4), 4: bytes(4), 7: b"\x13\xc4", 8: b"\x13\xc4", 9: bytes(4)}
    packets = []
    for message in _messages()[:10]:
        chunks = {**numbers, 10: bytes(4), 11: b"\1", 12: bytes(4), 15: message}
        body = b"".join(struct.pack("!HHH", 0, kind, 6 + len(data)) + data for kind, data in chunks.items())
        packets.append(b"HEP3" + struct.pack("!H", 6 + len(body)) + body)
    return packets


def _websockets() -> list[bytes]:
    """Messages in unmasked frames of text (RFC 6455 section 5.2), whole and in two fragments."""
    made = []
    for message in _messages()[:12]:
        half = len(message) // 2
        whole = b"\x81\x7e" + struct.pack("!H", len(message)) + message
        first = b"\x01\x7e" + struct.pack("!H", half) + message[:half]
        second = b"\x80\x7e" + struct.pack("!H", len(message) - half) + message[half:]
        made += [b"\1" + joined([whole]), b"\0" + joined([first, second])]
    return made


def _protected() -> list[bytes]:
    key = base64.b64encode(bytes(30)).decode()
    values = [f"1 AES_CM_128_HMAC_SHA1_{tag} inline:{key}|2^20|1:4" for tag in (80, 32)]
    values += [f"2 AES_256_CM_HMAC_SHA1_80 inline:{base64.b64encode(bytes(46)).decode()} UNENCRYPTED_SRTP"]
    values += [f"3 AEAD_AES_128_GCM inline:{base64.b64encode(bytes(28)).decode()}"]
    return [value.encode() + b"\n" + media for value in values for media in _media()[:6]]


def _pcaps() -> list[bytes]:
    return [data[:1500] for data in seeds.captures()[:-1]]


def _pcapngs() -> list[bytes]:
    return [seeds.pcapng(list(seeds.frames())[at : at + 3]) for at in (0, 40, 80)]


_SEEDS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "frames": _frames,
    "tcp": _segments,
    "sip": _messages,
    "sdp": _bodies,
    "dialogs": _dialogs,
    "rtp": _media,
    "rtcp": _reports,
    "hep": _hep,
    "websocket": _websockets,
    "srtp": _protected,
    "pcap": _pcaps,
    "pcapng": _pcapngs,
}
assert _SEEDS.keys() == ENTRIES.keys()
