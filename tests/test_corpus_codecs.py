"""Every stream of the public captures in a codec that is decoded is heard as ffmpeg hears TShark's payloads.

TShark takes the payloads out, Debian's ffmpeg decodes them, and each is put where its timestamp says; our own
recording must be that sound. So neither our parsing, nor our placing, nor the decoder in PyAV judges itself.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from bystander.codecs.opus import samples_of
from bystander.extract import extract
from bystander.storage.entry import time_ns
from tests.codecs.containers import amr_file, decoded, opus_file
from tests.test_corpus import CORPUS, truth

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not truth(), reason=f"no captures in {CORPUS}"),
]


class Case(NamedTuple):
    """``rate_hz`` of the sound, ``clock_hz`` of the timestamps; ``form``: how ffmpeg reads the payloads."""

    file: str
    codec: str
    rate_hz: int
    clock_hz: int
    form: tuple[str, ...]


CASES = [
    Case("codecs-g7231-6k.pcap", "G723", 8000, 8000, ("g723_1",)),
    Case("codecs2-g729r8.pcap", "G729", 8000, 8000, ("g729",)),
    Case("sip-rtp-g729a.pcap", "G729", 8000, 8000, ("g729",)),
    Case("codecs3-g726-32.pcap", "G726-32", 8000, 8000, ("g726le", "-code_size", "4")),
    Case("codecs3-gsm.pcap", "GSM", 8000, 8000, ("gsm",)),
    Case("sip-rtp-gsm.pcap", "GSM", 8000, 8000, ("gsm",)),
    Case("codecs3-amr-wb.pcap", "AMR-WB", 16000, 16000, ("amr-wb",)),
    Case("codec-negotiation.pcap", "G722", 16000, 8000, ("g722",)),
    Case("sip-tls13-rtcp.pcap", "G722", 16000, 8000, ("g722",)),
    Case("sip-rtp-l16.pcap", "L16", 0, 0, ("s16be",)),
    Case("invite-opus-bye.pcap", "OPUS", 48000, 48000, ("opus",)),
    Case("sip-rtp-opus.pcap", "OPUS", 48000, 48000, ("opus",)),
]


class Heard(NamedTuple):
    """A stream as we list it, its channel of the recording, and when that begins."""

    stream: dict[str, Any]
    samples: np.ndarray[Any, Any]
    rate_hz: int
    starts_ns: int


def streams(case: Case, out: Path) -> list[Heard]:
    result = extract([CORPUS / case.file], out, keep_unclaimed=True)
    calls = result["calls"] + [
        {"streams": [stream | {"by": "caller"}], "recording": stream["recording"]}
        for stream in result["unclaimed_streams"]
        if "recording" in stream
    ]
    found = []
    for call in calls:
        for stream in call["streams"]:
            if stream["codec"] != case.codec:
                continue
            made = call["recording"]
            assert made is not None, f"{stream['src']} is in {case.codec} and was not decoded"
            samples, rate_hz = soundfile.read(out / made["path"], dtype="int16", always_2d=True)
            side = 0 if stream["by"] == "caller" else 1
            found.append(Heard(stream, np.asarray(samples[:, side]), rate_hz, time_ns(made["starts_at"])))
    return found


def payloads(name: str, stream: dict[str, Any]) -> list[tuple[int, bytes]]:
    """(timestamp since the first packet, payload) of a stream by TShark, distinct, in order of sequence."""
    port = stream["dst"].rpartition(":")[2]
    command = ["tshark", "-n", "-r", str(CORPUS / name), "-d", f"udp.port=={port},rtp"]
    command += ["-Y", f"rtp.ssrc=={stream['ssrc']} && udp.dstport=={port}", "-T", "fields"]
    for field in ("rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.payload"):
        command += ["-e", field]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows: dict[int, tuple[int, bytes]] = {}
    before = None
    for line in said.splitlines():
        seq, ts, pt, payload = line.split("\t")
        if int(pt) not in stream["payload_types"] or not payload:
            continue
        before = int(seq) if before is None else before
        number = before + ((int(seq) - before + 0x8000) & 0xFFFF) - 0x8000
        before = max(before, number)
        rows.setdefault(number, (int(ts), bytes.fromhex(payload.replace(":", ""))))
    ordered = [rows[number] for number in sorted(rows)]
    start = ordered[0][0]
    return [((ts - start + 2**31) % 2**32 - 2**31, payload) for ts, payload in ordered]


def reference(case: Case, rate_hz: int, clock_hz: int, sent: list[tuple[int, bytes]]) -> np.ndarray[Any, Any]:
    """The payloads as ffmpeg decodes them, where their timestamps put them."""
    bodies = [payload for _, payload in sent]
    form, *more = case.form
    channels = 1
    if form == "opus":
        sound = decoded(opus_file(bodies), rate_hz, "-c:a", "libopus", "-f", "ogg")
        lengths = [samples_of(body) for body in bodies]
    elif form == "amr-wb":
        sound = decoded(amr_file(bodies, wide=True, aligned=True), rate_hz, "-f", "amr")
        lengths = [rate_hz // 50] * len(bodies)
    else:
        if form == "s16be":
            channels = len(bodies[0]) // 2 // ((sent[1][0] - sent[0][0]) * rate_hz // clock_hz)
            more = ["-ar", str(rate_hz), "-ac", str(channels)]
        sound = decoded(b"".join(bodies), rate_hz, "-f", form, *more)
        each = {"g723_1": 240 / 24, "g729": 8, "g726le": 2, "gsm": 160 / 33, "g722": 2, "s16be": 0.5}[form]
        each /= channels
        lengths = [round(len(body) * each) for body in bodies]
    length = max(ts for ts, _ in sent) * rate_hz // clock_hz + rate_hz
    placed = np.zeros(length, np.int16)
    at = 0
    for (ts, _), samples in zip(sent, lengths, strict=True):
        start = ts * rate_hz // clock_hz
        piece = sound[at : at + samples]
        placed[start : start + len(piece)] = piece
        at += samples
    return placed


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}-{case.codec}")
def test_what_is_recorded_is_what_ffmpeg_hears(case: Case, tmp_path: Path) -> None:
    heard = streams(case, tmp_path)
    assert heard
    for each in heard:
        rate_hz = case.rate_hz or each.rate_hz
        assert each.rate_hz == rate_hz
        sent = payloads(case.file, each.stream)
        assert len(sent) == each.stream["packets"]
        expected = reference(case, rate_hz, case.clock_hz or rate_hz, sent)
        # Two seconds of it, from where it is loud on: where clocks drift apart the rest is moved (one sender
        # takes 32 ms for 23).
        loudness = np.add.reduceat(np.abs(expected.astype(np.int64)), np.arange(0, len(expected), rate_hz))
        if loudness.max() < 30 * rate_hz:
            assert np.abs(each.samples.astype(np.int32)).max() < 2000, "silence was sent"
            continue
        window = min(2 * rate_hz, (end := len(expected) - rate_hz - rate_hz // 5))
        loud = int((loudness > loudness.max() / 2).argmax())
        start = min(loud * rate_hz, end - window)
        part = expected[start : start + window].astype(np.float64)
        like, at = best_place(each.samples.astype(np.float64), part)
        assert like > 0.98, f"{each.stream['ssrc']}: {like:.3f}"
        # It is where the first packet's capture time and the timestamps say, within a late first packet.
        began = (time_ns(each.stream["first_at"]) - each.starts_ns) * rate_hz // 1_000_000_000
        assert abs(at - (began + start)) < 0.15 * rate_hz, (at, began, start)


def best_place(sound: np.ndarray[Any, Any], part: np.ndarray[Any, Any]) -> tuple[float, int]:
    """(correlation, where) of the best fit of a part in a sound."""
    size = 1 << (len(sound) + len(part)).bit_length()
    product = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(part, size)), size)
    energy = np.concatenate(([0.0], np.cumsum(sound**2)))
    n = len(sound) - len(part) + 1
    assert n > 0
    norm = np.sqrt(np.maximum(energy[len(part) :] - energy[:n], 1.0) * (part**2).sum())
    alike = product[:n] / norm
    return float(alike.max()), int(alike.argmax())
