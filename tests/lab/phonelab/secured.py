"""SRTP of a capture taken apart by the reference of the tests, with the keys that TShark finds in its SDP."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from phonelab.network import run
from phonelab.truth import Rtp

from tests.srtpref import Sender

_CRYPTO = re.compile(r"crypto:(\d+) (\S+) inline:([A-Za-z0-9+/]+)")


def keys(path: Path) -> dict[tuple[str, str], Sender]:
    """By the hosts that a message goes from and to: the key of its sender that the answer has chosen."""
    named: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    rows = run(
        "tshark", "-n", "-r", path, "-Y", "sdp", "-T", "fields", "-e", "ip.src", "-e", "ip.dst", "-e",
        "sdp.media_attr",
    )  # fmt: skip
    for row in rows.splitlines():
        src, dst, attributes = row.split("\t")
        found = {tag: (suite, key) for tag, suite, key in _CRYPTO.findall(attributes)}
        if found:
            named[src, dst] = found
    chosen = {}
    for (src, dst), lines in named.items():
        tag = min(lines.keys() & named.get((dst, src), {}).keys())
        suite, key = lines[tag]
        chosen[src, dst] = Sender(suite, base64.b64decode(key + "=" * (-len(key) % 4)))
    return chosen


def in_clear(path: Path, streams: list[Rtp]) -> list[Rtp]:
    """The streams with their payloads as they were before they were protected."""
    found = keys(path)
    for stream in streams:
        sender = found.get((stream.src[0], stream.dst[0]))
        if sender is not None:
            pairs = zip(stream.sequence, stream.payload, strict=True)
            stream.payload = [
                sender.in_clear(stream.ssrc, seq, data[: len(data) - sender.tag_bytes]) for seq, data in pairs
            ]
    return streams
