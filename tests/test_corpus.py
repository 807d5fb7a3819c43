"""Differential test against TShark on the public captures beside the project (``../shared/corpus``).

For every capture: the Call-IDs of INVITE dialogs, the state of each dialog, the distinct packets of every RTP
stream, and the SHA-256 of G.711 payload in sequence order must be TShark's. Where they are not,
``corpus_differences.toml`` says so one by one, with the reason why ours is right; a difference that is not in
the table fails, and so does an entry that is no longer needed. The captures are read in place, never copied.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bystander.codecs.packets import PacketRun
from bystander.extract import extract
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.rtp import looks_like_rtp
from bystander.sniffer.streams import Stream, StreamTable

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
TABLE = Path(__file__).with_name("corpus_differences.toml")
pytestmark = pytest.mark.corpus
ABSENT = "absent"
PCMU, PCMA = 0, 8


class Difference(NamedTuple):
    """One value that TShark and Bystander disagree on."""

    file: str
    what: str  # "call", "state", "packets" or "payload"
    key: str  # a Call-ID, or "src:port > dst:port ssrc", for payload followed by the payload type
    tshark: str
    ours: str


@lru_cache(maxsize=1)
def truth() -> dict[str, Any]:
    """TShark's findings by file name; empty if the corpus is not there."""
    listing = CORPUS / "corpus.json"
    if not listing.exists():
        return {}
    return {entry["name"]: entry["truth"] for entry in json.loads(listing.read_text())["files"]}


def table() -> dict[Difference, str]:
    """The explained differences and their reasons."""
    entries = tomllib.loads(TABLE.read_text()).get("difference", [])
    keys = {
        Difference(**{name: entry[name] for name in Difference._fields}): entry["reason"] for entry in entries
    }
    assert len(keys) == len(entries), "an entry is there twice"
    return keys


def stream_key(src: str, sport: int, dst: str, dport: int, ssrc: str) -> str:
    """Name a stream; IPv6 addresses are bracketed, as ``calls.json`` writes them."""
    ends = [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip, port in ((src, sport), (dst, dport))]
    return f"{ends[0]} > {ends[1]} {ssrc}"


def tshark_says(name: str) -> dict[tuple[str, str], str]:
    """(what, key) -> value, from TShark."""
    found = truth()[name]
    says: dict[tuple[str, str], str] = {}
    for dialog in found["dialogs"]:
        says["call", dialog["call_id"]] = "present"
        says["state", dialog["call_id"]] = dialog["state"]
    for stream in found["rtp_streams"] + found["rtp_streams_heuristic"]:
        key = stream_key(stream["src"], stream["sport"], stream["dst"], stream["dport"], stream["ssrc"])
        says["packets", key] = str(stream["distinct_seq"])
        for kind in (PCMU, PCMA):
            part = stream["by_pt"].get(str(kind))
            # Without a payload to hash (encrypted), only the packets are compared.
            if part and part["payload_bytes"]:
                says["payload", f"{key} {kind}"] = part["payload_sha256"]
    return says


class Keeper:
    """Takes what a StreamTable hands on and keeps the packets."""

    def __init__(self) -> None:
        self.runs: dict[str, list[PacketRun]] = defaultdict(list)

    def audio(self, stream: Stream, position: int, law: int, samples: object) -> None:
        """The audio is not what is compared here."""

    def packets(self, stream: Stream, run: PacketRun) -> None:
        self.runs[stream_key(*stream.src, *stream.dst, f"{stream.ssrc:#010x}")].append(run)


def payload_hashes(capture: Path) -> dict[str, str]:
    """SHA-256 of the G.711 payload of every stream and law, distinct packets in sequence order."""
    keeper = Keeper()
    # Announced or not is the dialogs' affair: every packet is let in here.
    streams = StreamTable(keeper, keep_packets=True, expected=lambda src, dst: True)
    parser = FrameParser()
    with open_captures([capture]) as source:
        for block in source.blocks():
            for datagrams in parser.parse(block).datagrams:
                streams.feed(datagrams, np.flatnonzero(looks_like_rtp(datagrams)))
    for stream in list(streams):
        streams.end(stream)
    hashes = {}
    for key, runs in keeper.runs.items():
        run = PacketRun.join(runs)
        pieces = run.payloads()
        for kind in (PCMU, PCMA):
            found = {int(run.seq[i]): pieces[i] for i in range(len(run) - 1, -1, -1) if run.pt[i] == kind}
            if found:
                payload = b"".join(found[number] for number in sorted(found))
                hashes[f"{key} {kind}"] = hashlib.sha256(payload).hexdigest()
    return hashes


def bystander_says(name: str, folder: Path) -> dict[tuple[str, str], str]:
    """(what, key) -> value, from Bystander: the same facts as :func:`tshark_says`."""
    result = extract([CORPUS / name], folder)
    says: dict[tuple[str, str], str] = {}
    streams: dict[str, int] = defaultdict(int)
    for call in result["calls"]:
        for call_id in [call["call_id"], *call["linked_call_ids"]]:
            says["call", call_id] = "present"
            says["state", call_id] = call["state"]
    of_calls = [s for call in result["calls"] for s in (*call["streams"], *call["other_streams"])]
    for stream in of_calls + result["unclaimed_streams"]:
        streams[f"{stream['src']} > {stream['dst']} {stream['ssrc']}"] += stream["packets"]
    says |= {("packets", key): str(packets) for key, packets in streams.items()}
    says |= {("payload", key): digest for key, digest in payload_hashes(CORPUS / name).items()}
    return says


def differences(name: str, folder: Path) -> set[Difference]:
    """Everything that TShark and Bystander disagree on in one capture."""
    tshark, ours = tshark_says(name), bystander_says(name, folder)
    encrypted = {
        f"{stream_key(s['src'], s['sport'], s['dst'], s['dport'], s['ssrc'])} {kind}"
        for s in truth()[name]["rtp_streams"]
        for kind in (PCMU, PCMA)
        if s.get("encrypted_packets")
    }
    return {
        Difference(name, what, key, tshark.get((what, key), ABSENT), ours.get((what, key), ABSENT))
        for what, key in {*tshark, *ours}
        if tshark.get((what, key)) != ours.get((what, key)) and key not in encrypted
    }


def shown(found: set[Difference]) -> str:
    """Entries for the table, still without a reason."""
    return "\n".join(
        "[[difference]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in d._asdict().items())
        for d in sorted(found)
    )


@pytest.mark.parametrize(
    "name", sorted(truth()) or [pytest.param("", marks=pytest.mark.skip(f"no captures in {CORPUS}"))]
)
def test_agrees_with_tshark_or_the_difference_is_explained(name: str, tmp_path: Path) -> None:
    explained = {difference for difference in table() if difference.file == name}
    found = differences(name, tmp_path)
    assert found <= explained, f"not in {TABLE.name}:\n{shown(found - explained)}"
    assert explained <= found, f"no longer true, remove from {TABLE.name}:\n{shown(explained - found)}"


def test_the_table_gives_a_reason_for_a_known_capture_each_time() -> None:
    names = set(truth())
    for difference, reason in table().items():
        assert not names or difference.file in names
        assert difference.what in ("call", "state", "packets", "payload")
        assert difference.tshark != difference.ours
        assert len(reason) > 40, f"{difference}: say why ours is right"
