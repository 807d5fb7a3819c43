"""Golden audio: the recordings made from the project's captures, against the speech that the telephones said.

The captures and what is known of them (``tests/data/manifest.json``) come from ``tests/lab``; TShark says
which RTP packet was when, and ffmpeg decodes TShark's export of a stream: the recording must be as true as
that.
"""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import export, secured, speech, truth
from phonelab.compare import TRUE_DB, TRUE_OPUS_DB, Aligned, Samples, align, silent

from bystander.config import Config
from bystander.extract import extract

DATA = Path(__file__).resolve().parent / "data"
CAPTURES: list[dict[str, Any]] = json.loads((DATA / "manifest.json").read_text())["captures"]
CALLS = [(c["file"], n) for c in CAPTURES for n in range(len(c["calls"]))]
SPOKEN = [(c["file"], n) for c in CAPTURES for n, call in enumerate(c["calls"]) if call["speech"]]
HELD = [(c["file"], n) for c in CAPTURES for n, call in enumerate(c["calls"]) if call.get("holds")]
RELATED = [(c["file"], n) for c in CAPTURES for n, call in enumerate(c["calls"]) if call.get("related")]
PRESSED = [(c["file"], n) for c in CAPTURES for n, call in enumerate(c["calls"]) if call.get("dtmf")]
SIDES = ("caller", "callee")
RATE_HZ = speech.RATE_HZ
SAMPLE_RATES_HZ = {"PCMA": 8000, "PCMU": 8000, "G722": 16000, "OPUS": 48000}
NOT_AUDIO = (13, 101)  # comfort noise, and telephone events as baresip numbers them

LENGTH_S = 0.3  # the WAV against the call: a telephone's last packets lie around the BYE
OFFSET_S = 0.06  # a channel against the wire
RESAMPLED_DB = 3.0  # what it costs to bring the lower rate of a recording to the higher
EDGE_S = 0.1  # around a hold's beginning and end: packets on their way, and the jitter of their sender

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="not installed: tshark")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="not installed: ffmpeg")


def known(file: str, number: int) -> dict[str, Any]:
    return next(c for c in CAPTURES if c["file"] == file)["calls"][number]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """extracted(file) -> (what calls.json holds, the folder); each capture is extracted once."""

    @functools.cache
    def run(file: str) -> tuple[dict[str, Any], Path]:
        out = tmp_path_factory.mktemp("calls")
        extract([DATA / file], out)
        return json.loads((out / "calls.json").read_text()), out

    yield run


def call_of(extracted: Any, file: str, number: int) -> dict[str, Any]:
    calls = {call["call_id"]: call for call in extracted(file)[0]["calls"]}
    return calls[known(file, number)["call_id"]]  # type: ignore[no-any-return]


@dataclass
class Heard:
    """A recording: its channels by side, the time of sample 0 in ns, and its sample rate."""

    audio: dict[str, Samples]
    starts_ns: int
    rate_hz: int

    def seconds(self) -> float:
        return len(self.audio["caller"]) / self.rate_hz


@functools.cache
def heard(extracted: Any, file: str, number: int) -> Heard:
    recording = call_of(extracted, file, number)["recording"]
    samples, rate_hz = soundfile.read(extracted(file)[1] / recording["path"], dtype="float64", always_2d=True)
    told = known(file, number)
    assert (rate_hz, samples.shape[1]) == (SAMPLE_RATES_HZ[told["codec"]], 2)
    audio = {"caller": samples[:, 0], "callee": samples[:, 1]}
    return Heard(audio, ns(recording["starts_at"]), rate_hz)


@functools.cache
def aligned(extracted: Any, file: str, number: int, side: str, name: str) -> Aligned:
    """A channel held against what ``name`` says; in pieces where codec, and so delay, change."""
    recording, told = heard(extracted, file, number), known(file, number)
    changes_ns = told["reinvited_ns"] if "codecs" in told else []
    cuts = [round((at - recording.starts_ns) * recording.rate_hz / 1e9) for at in changes_ns]
    pieces = [
        align(recording.audio[side][first:last], said(name), recording.rate_hz, true_db(told["codec"])).later(
            first * RATE_HZ // recording.rate_hz
        )
        for first, last in itertools.pairwise([0, *cuts, len(recording.audio[side])])
    ]
    return Aligned.join(pieces)


def true_db(codec: str) -> float:
    return TRUE_OPUS_DB if codec == "OPUS" else TRUE_DB


def ns(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000) * 1_000_000


@functools.cache
def wire(file: str) -> list[truth.Rtp]:
    streams = truth.rtp_streams(DATA / file)
    return secured.in_clear(DATA / file, streams) if file.startswith("srtp") else streams


def stream_of(file: str, number: int, side: str) -> truth.Rtp:
    """The side's RTP, as TShark saw it first (of two hops, the first)."""
    wanted = next(s for s in known(file, number)["streams"] if s["by"] == side)
    return next(
        s for s in wire(file) if (truth.text(s.src), truth.text(s.dst)) == (wanted["src"], wanted["dst"])
        and s.ssrc == int(wanted["ssrc"], 0)
    )  # fmt: skip


@functools.cache
def said(name: str) -> Samples:
    """What a telephone says; every call is shorter than the speech."""
    return speech.load(name)


def codecs_of(file: str, number: int) -> list[str]:
    """What the two speak, one after the other."""
    told = known(file, number)
    return told.get("codecs", [told["codec"]])  # type: ignore[no-any-return]


def audio_type(file: str, number: int, side: str, codec: str) -> int:
    stream = next(s for s in known(file, number)["streams"] if s["by"] == side)
    dynamic = next(kind for kind in stream["payload_types"] if kind not in NOT_AUDIO)
    return export.PAYLOAD_TYPES.get(codec, dynamic)


@functools.cache
def exported(file: str, number: int, side: str) -> tuple[Aligned, Any]:
    """TShark's export of the stream, decoded by ffmpeg and aligned; and the arrival time (ns) of each
    sample at 8 kHz."""
    told = known(file, number)
    pieces, times_ns, first = [], [], 0
    for codec in codecs_of(file, number):
        packets = stream_of(file, number, side).audio(audio_type(file, number, side, codec))
        payloads = [payload for _, _, payload in packets]
        samples, rate_hz = export.decode(codec, payloads, told["ptime_ms"])
        pieces.append(align(samples, said(told["speech"][side]), rate_hz, true_db(codec)).later(first))
        size = told["ptime_ms"] * RATE_HZ // 1000
        arrival_ns = np.repeat(np.array([at for at, _, _ in packets]), size)
        times_ns.append(arrival_ns + np.tile(np.arange(size) * (1_000_000_000 // RATE_HZ), len(packets)))
        first += len(packets) * size
    return Aligned.join(pieces), np.concatenate(times_ns)


def offsets_s(recorded: Aligned, starts_ns: int, file: str, number: int, side: str) -> Any:
    """For each true block: how much later it lies in the recording than it came on the wire, float64[n] in
    s."""
    reference, arrival_ns = exported(file, number, side)
    positions = reference.position[reference.true]
    times_ns = arrival_ns[reference.start[reference.true]]
    mine = recorded.position[recorded.true]
    nearest = np.abs(mine[:, None] - positions[None, :]).argmin(axis=1)
    wire_ns = times_ns[nearest] + (mine - positions[nearest]) * (1_000_000_000 // RATE_HZ)
    return (starts_ns - wire_ns) / 1e9 + recorded.start[recorded.true] / RATE_HZ


@pytest.mark.parametrize("file", [c["file"] for c in CAPTURES])
def test_exactly_the_calls_that_were_made(extracted: Any, file: str) -> None:
    """R1; a call over two hops (C7), challenged (C3) or forked (C6) is one call, and no stream is left
    over."""
    result, _ = extracted(file)
    made = next(c for c in CAPTURES if c["file"] == file)["calls"]
    assert sorted(call["call_id"] for call in result["calls"]) == sorted(call["call_id"] for call in made)
    assert result["unclaimed_streams"] == []


@pytest.mark.parametrize(("file", "number"), CALLS)
def test_what_is_known_of_the_call(extracted: Any, file: str, number: int) -> None:
    """C3, C6, C7: parties, state, verdict, who ended it, transport, by SIP as the telephones meant it."""
    told = known(file, number)
    call = call_of(extracted, file, number)
    for name in ("caller", "callee", "state", "verdict", "transport"):
        assert (name, call[name]) == (name, told[name])
    if told["final_status"] is not None:
        assert call["final_status"] == told["final_status"]
    if told["state"] == "answered":
        assert call["ended_by"] == told["ended_by"]
    assert (call["recording"] is not None) == (told["speech"] is not None)


@pytest.mark.parametrize(("file", "number"), SPOKEN)
def test_packets_of_each_stream(extracted: Any, file: str, number: int) -> None:
    """C13, C23: distinct packets, loss and duplicates of every stream are what TShark counted."""
    seen = {(s["src"], s["dst"], int(s["ssrc"], 0)): s for s in call_of(extracted, file, number)["streams"]}
    for stream in known(file, number)["streams"]:
        mine = seen[stream["src"], stream["dst"], int(stream["ssrc"], 0)]
        figures = (mine["by"], mine["packets"], mine["lost"], mine["duplicates"])
        copies = stream["copies"] - stream["packets"]
        assert figures == (stream["by"], stream["packets"], stream["missing"], copies)
        assert mine["tunnel"] == known(file, number).get("tunnel")


@needs_tshark
@pytest.mark.parametrize(("file", "number"), [spoken for spoken in SPOKEN if "srtp" in spoken[0]])
def test_c7_which_streams_are_encrypted(extracted: Any, file: str, number: int) -> None:
    """Of one hop or of both: those between hosts of which the sender named a key."""
    encrypted = secured.keys(DATA / file)
    assert encrypted
    for stream in call_of(extracted, file, number)["streams"]:
        hosts = stream["src"].rpartition(":")[0], stream["dst"].rpartition(":")[0]
        assert stream["srtp"] == (hosts in encrypted)


def test_encrypted_telephones_report_as_plain_ones_do(extracted: Any) -> None:
    """SRTCP of baresip: a sender report after five seconds, what it has received, and BYE."""
    names = ("sender_reports", "receiver_reports", "receiver_lost", "bye")
    for file, reports in (("srtp.pcap", 1), ("pcma.pcap", 2)):
        for stream in call_of(extracted, file, 0)["streams"]:
            said = stream["quality"]["rtcp"]
            assert [said[name] for name in names] == [reports, reports, 0, True]


@needs_tshark
@needs_ffmpeg
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("file", "number"), SPOKEN)
def test_the_channel_is_the_speech(extracted: Any, file: str, number: int, side: str) -> None:
    """Left is the caller, right the callee, as true as ffmpeg makes TShark's export of the stream (less 1
    dB)."""
    mine = aligned(extracted, file, number, side, known(file, number)["speech"][side])
    reference, _ = exported(file, number, side)
    said_right, exported_right = int(mine.true.sum()), int(reference.true.sum())
    assert exported_right > 15
    assert mine.median_db() >= reference.median_db() - (
        RESAMPLED_DB if len(codecs_of(file, number)) > 1 else 1.0
    )
    # Blocks do not begin at the same samples, so a missing packet spoils other ones; and where the
    # recording takes a sample out or in against drift, the block around it is no longer sample-exact.
    missing = next(s["missing"] for s in known(file, number)["streams"] if s["by"] == side)
    assert said_right >= 0.9 * exported_right - missing


@pytest.mark.parametrize(("file", "number"), SPOKEN)
def test_no_voice_of_the_other_side(extracted: Any, file: str, number: int) -> None:
    """C10: nothing that the other side, or anybody else, said is heard in a channel."""
    told = known(file, number)["speech"]
    for side in SIDES:
        for other in {*speech.TEXTS} - {told[side]}:
            assert aligned(extracted, file, number, side, other).true.sum() == 0


@needs_tshark
@needs_ffmpeg
@pytest.mark.parametrize(("file", "number"), SPOKEN)
def test_when_each_side_spoke(extracted: Any, file: str, number: int) -> None:
    """C16: every part of both channels lies where the wire had it, so left and right keep their offset."""
    recording = heard(extracted, file, number)
    middle = {}
    for side in SIDES:
        mine = aligned(extracted, file, number, side, known(file, number)["speech"][side])
        late_s = offsets_s(mine, recording.starts_ns, file, number, side)
        assert np.percentile(np.abs(late_s), 95) < OFFSET_S
        middle[side] = float(np.median(late_s))
    assert abs(middle["caller"] - middle["callee"]) < OFFSET_S


@pytest.mark.parametrize(("file", "number"), SPOKEN)
def test_as_long_as_the_call(extracted: Any, file: str, number: int) -> None:
    """C16: from the answer, or the first early media, to the BYE or the last packet."""
    told = known(file, number)
    starts = [s["first_ns"] for s in told["streams"]]
    first_ns = min([*starts, *([told["answered_ns"]] if file != "mid-call.pcap" else [])])
    last_ns = told["bye_ns"] or max(s["last_ns"] for s in told["streams"])
    recording = heard(extracted, file, number)
    assert abs(recording.seconds() - (last_ns - first_ns) / 1e9) < LENGTH_S
    assert abs(recording.starts_ns - first_ns) / 1e9 < LENGTH_S


@pytest.mark.parametrize(("file", "number"), HELD)
def test_a_hold_is_silence_of_the_right_length(extracted: Any, file: str, number: int) -> None:
    """C8: both channels are silent as long as the hold lasts, no shorter; the hold is named with its
    times."""
    told = known(file, number)["holds"]
    call = call_of(extracted, file, number)
    assert [hold["by"] for hold in call["holds"]] == [hold["by"] for hold in told]
    recording = heard(extracted, file, number)
    audio, starts_ns = recording.audio, recording.starts_ns
    for mine, hold in zip(call["holds"], told, strict=True):
        assert abs(ns(mine["from"]) - hold["from_ns"]) < 50_000_000
        assert abs(ns(mine["to"]) - hold["to_ns"]) < 50_000_000
        first, last = ((hold[edge] - starts_ns) / 1e9 for edge in ("from_ns", "to_ns"))
        inside = slice(round((first + EDGE_S) * RATE_HZ), round((last - EDGE_S) * RATE_HZ))
        before = slice(round((first - 1) * RATE_HZ), round(first * RATE_HZ))
        for side in SIDES:
            assert silent(audio[side][inside])
            assert not silent(audio[side][before])


@needs_tshark
@pytest.mark.parametrize("side", SIDES)
def test_loss_is_silence_of_the_right_length(extracted: Any, side: str) -> None:
    """C13, C16: each lost packet leaves its own 20 ms of silence, and what follows is in its place."""
    file = "impaired.pcap"
    packets = stream_of(file, 0, side).audio(audio_type(file, 0, side, "PCMA"))
    audio = heard(extracted, file, 0).audio[side]
    lag = _lag(audio, packets)
    gaps = 0
    for (_, before, payload), (_, after, _) in itertools.pairwise(packets):
        first, last = before + len(payload) - packets[0][1] + lag, after - packets[0][1] + lag
        if last > first:
            gaps += (last - first) // 160
            # Corrections of drift, a sample at a time, may have moved it by 2 ms since the beginning.
            assert silent(audio[first + 16 : last - 16])
    assert gaps == sum(s["missing"] for s in known(file, 0)["streams"] if s["by"] == side)


def _lag(audio: Samples, packets: list[tuple[int, int, bytes]]) -> int:
    """The sample of the recording at which the stream's first packet lies: the first that is not silence,
    less the silence that the packet itself begins with."""
    quiet = np.frombuffer(b"".join(payload for _, _, payload in packets[:50]), np.uint8)
    lead = int(np.argmax(~np.isin(quiet, (0x55, 0xD5))))
    return int(np.argmax(np.abs(audio) > 8.5 / 32768)) - lead


@pytest.mark.parametrize(("file", "number"), PRESSED)
def test_digits_pressed(extracted: Any, file: str, number: int) -> None:
    """C15: one press is one digit, however many packets told of it; of tones no more than of any other sound
    where the peer takes telephone events."""
    mine = call_of(extracted, file, number)["dtmf"]
    told = known(file, number)["dtmf"]
    assert pressed(mine) == [press for press in told if press["method"] != "inband"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All captures with tones looked for in all audio: the calls by Call-ID."""
    everywhere = Config.model_validate({"digits": {"inband": "always"}})
    result = extract([DATA / c["file"] for c in CAPTURES], tmp_path_factory.mktemp("tones"), everywhere)
    return {call["call_id"]: call for call in result["calls"]}


@pytest.mark.parametrize(("file", "number"), SPOKEN)
def test_c15_tones_are_heard_and_speech_is_no_tone(searched: Any, file: str, number: int) -> None:
    """Looked for in the audio, the keys that were pressed as tones are found, and none in what people say."""
    assert pressed(searched[known(file, number)["call_id"]]["dtmf"]) == known(file, number).get("dtmf", [])


def pressed(presses: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{name: press[name] for name in ("digit", "by", "method")} for press in presses]


def test_c17_video_is_noted_beside_the_audio(extracted: Any) -> None:
    """Whose it is, in which codec; it is no stream without a call."""
    call = call_of(extracted, "video.pcap", 0)
    assert call["media"] == ["audio", "video"]
    noted = {(s["kind"], s["by"], s["codec"]) for s in call["other_streams"]}
    assert noted == {("video", "caller", "VP8"), ("video", "callee", "VP8")}
    assert extracted("video.pcap")[0]["unclaimed_streams"] == []


@pytest.mark.parametrize(("file", "number"), RELATED)
def test_c8_calls_of_a_transfer_lead_to_one_another(extracted: Any, file: str, number: int) -> None:
    """C8: who was sent on to whom, asked whom before, and took whose place; each call has its recording."""
    mine = {(other["call_id"], other["relation"]) for other in call_of(extracted, file, number)["related"]}
    told = known(file, number)["related"]
    assert mine == {(known(file, other["call"])["call_id"], other["relation"]) for other in told}


def test_the_page_of_the_lab_names_every_capture() -> None:
    """``docs/lab.md`` is written with the captures (`make lab`)."""
    page = (DATA.parents[1] / "docs" / "lab.md").read_text()
    for capture in CAPTURES:
        name = capture["file"].removesuffix(".pcap")
        assert f"| `{name}` | {capture['about']} | {' '.join(capture['cases'])} |" in page


def test_all_captures_at_once(tmp_path: Path) -> None:
    """C11, C18: the captures read as one have the same calls, although addresses and SSRCs come again."""
    result = extract([DATA / c["file"] for c in CAPTURES], tmp_path)
    made = [call["call_id"] for c in CAPTURES for call in c["calls"]]
    assert sorted(call["call_id"] for call in result["calls"]) == sorted(made)
    recorded = [call for call in result["calls"] if call["recording"]]
    assert len(recorded) == len(SPOKEN)
