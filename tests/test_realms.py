"""Two networks with one address plan, mirrored together: real calls at one time between the same addresses
and ports, in two VLANs or two virtual networks, with everything the same but what is said."""

from __future__ import annotations

import ipaddress
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import speech
from phonelab.speech import Samples

from benchmarks.headers import ethernet, ipv4
from bystander.codecs.g711 import PCMA, encode
from bystander.config import Config, settings
from bystander.extract import extract
from bystander.finished import Finished, FinishedCall
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.recovery import SignallingLog, read_log, read_streams
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.frames import Frames
from bystander.sniffer.realm import realm_of
from bystander.storage.spool import Spool

DATA = Path(__file__).resolve().parent / "data"
Frame = tuple[int, bytes]
Wrap = Callable[[bytes, int], bytes]
#: Who speaks in the second network: the one that is called, and the one that calls.
OTHERS = ("caller", "colleague")
#: The caller's addresses in the captures.
CALLER, CALLER_V6 = bytes((10, 90, 0, 1)), ipaddress.IPv6Address("fd90::1").packed


def frames_of(file: str) -> list[Frame]:
    """(microseconds, frame) of a capture of the project's own."""
    raw, at, found = (DATA / file).read_bytes(), 24, []
    (magic,) = struct.unpack_from("<I", raw)
    unit = 1000 if magic == 0xA1B23C4D else 1
    while at < len(raw):
        seconds, fraction, size, _ = struct.unpack_from("<IIII", raw, at)
        found.append((seconds * 1_000_000 + fraction // unit, raw[at + 16 : at + 16 + size]))
        at += 16 + size
    return found


def write(path: Path, frames: list[Frame]) -> Path:
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)]
    for at, frame in sorted(frames, key=lambda item: item[0]):
        out.append(struct.pack("<IIII", *divmod(at, 1_000_000), len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(out))
    return path


def spoken_by_others(frames: list[Frame]) -> list[Frame]:
    """The same call, not a header of it changed, in which the parties say what ``OTHERS`` say."""
    voices = {
        name: encode((np.resize(speech.load(name), 200_000) * 32767).astype(np.int16), PCMA).tobytes()
        for name in OTHERS
    }
    said = dict.fromkeys(OTHERS, 0)
    result = []
    for at, frame in frames:
        head = 54 if frame[12:14] == b"\x08\x00" else 74
        if len(frame) == head + 160 and frame[head - 12] == 0x80:
            assert frame[head - 11] & 0x7F == PCMA
            name = OTHERS[frame[head - 28 :][:4] == CALLER or frame[head - 52 :][:16] == CALLER_V6]
            frame = frame[:-160] + voices[name][said[name] :][:160]
            said[name] += 160
        result.append((at, frame))
    return result


def vlan(frame: bytes, number: int) -> bytes:
    return frame[:12] + struct.pack("!HH", 0x8100, number) + frame[12:]


def qinq(frame: bytes, number: int) -> bytes:
    return frame[:12] + struct.pack("!HHHH", 0x88A8, number, 0x8100, 7) + frame[12:]


def vni(frame: bytes, number: int) -> bytes:
    inside = struct.pack("!BxxxI", 0x08, number << 8) + frame
    datagram = struct.pack("!HHHH", 50000, 4789, 8 + len(inside), 0) + inside
    ends = "192.0.2.1", "192.0.2.9"
    return ethernet(*ends) + ipv4(*ends, len(datagram)) + datagram


def telling_apart(*kinds: str) -> Config:
    return settings(capture={"separate": kinds})


def voices(out: Path, call: dict[str, Any]) -> list[str]:
    """Whose speech the channels are, left and right."""
    samples, rate = soundfile.read(out / call["recording"]["path"], dtype="float64", always_2d=True)
    assert rate == speech.RATE_HZ
    return [whose(samples[:, channel]) for channel in (0, 1)]


def whose(channel: Samples) -> str:
    """The speaker of whom all of a channel is, at one place of the speech; by correlation."""
    like = {name: likeness(channel, speech.load(name)) for name in speech.TEXTS}
    best = max(like, key=lambda name: like[name])
    assert like.pop(best) > 0.95, like
    assert max(like.values()) < 0.2, like
    return best


def likeness(channel: Samples, said: Samples) -> float:
    """The greatest normalised correlation of a channel with speech that is told again and again."""
    said = np.resize(said, len(said) + len(channel))
    size = 1 << (len(said) + len(channel)).bit_length()
    product = np.fft.irfft(np.fft.rfft(said, size) * np.conj(np.fft.rfft(channel, size)), size)
    start = int(product[: len(said) - len(channel) + 1].argmax())
    return float(np.corrcoef(channel, said[start : start + len(channel)])[0, 1])


@pytest.mark.parametrize(
    ("file", "wrap", "kind", "realm"),
    [
        ("pcma.pcap", vlan, "vlan", "vlan {}"),
        ("pcma.pcap", vni, "vni", "vni {}"),
        ("ipv6.pcap", qinq, "vlan", "vlan {}/vlan 7"),
        ("tcp.pcap", vlan, "vlan", "vlan {}"),
        ("fragmented.pcap", vlan, "vlan", "vlan {}"),
    ],
)
def test_c2_c10_two_calls_that_differ_in_nothing_but_their_network(
    tmp_path: Path, file: str, wrap: Wrap, kind: str, realm: str
) -> None:
    frames = frames_of(file)
    both = [(at, wrap(frame, 10)) for at, frame in frames]
    both += [(at, wrap(frame, 20)) for at, frame in spoken_by_others(frames)]
    result = extract([write(tmp_path / "both.pcap", both)], tmp_path / "out", telling_apart(kind))
    assert result["unclaimed_streams"] == []
    calls = {call["realm"]: call for call in result["calls"]}
    assert len(result["calls"]) == 2
    assert set(calls) == {realm.format(10), realm.format(20)}
    for number, expected in ((10, ["caller", "callee"]), (20, [OTHERS[True], OTHERS[False]])):
        call = calls[realm.format(number)]
        assert call["verdict"] == "recorded"
        assert [(s["realm"], s["duplicates"]) for s in call["streams"]] == [(realm.format(number), 0)] * 2
        assert voices(tmp_path / "out", call) == expected


def test_two_calls_whose_directions_are_in_two_vlans_each(tmp_path: Path) -> None:
    """Two tenants with one address plan, each with a VLAN of telephones and one of servers."""
    frames = frames_of("pcma.pcap")
    both = [
        (at, vlan(frame, first + (frame[26:30] == CALLER)))
        for first, call in ((10, frames), (20, spoken_by_others(frames)))
        for at, frame in call
    ]
    config = settings(capture={"separate": ["vlan"], "vlan_groups": [[10, 11], [20, 21]]})
    calls = extract([write(tmp_path / "both.pcap", both)], tmp_path / "out", config)["calls"]
    heard = {call["realm"]: voices(tmp_path / "out", call) for call in calls}
    assert heard == {"vlan 10": ["caller", "callee"], "vlan 20": [OTHERS[True], OTHERS[False]]}
    assert len(calls) == 2


def test_a_call_whose_directions_are_in_two_vlans_is_one_by_default(tmp_path: Path) -> None:
    frames = frames_of("pcma.pcap")
    tagged = [(at, vlan(frame, 10 + (frame[26:30] == CALLER))) for at, frame in frames]
    assert len({frame[15] for _, frame in tagged}) == 2
    (call,) = extract([write(tmp_path / "both.pcap", tagged)], tmp_path / "out")["calls"]
    assert voices(tmp_path / "out", call) == ["caller", "callee"]
    assert "realm" not in call


@pytest.mark.parametrize("kinds", [(), ("vlan",)])
def test_c13_copies_in_two_vlans_are_one_call(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """Told apart they are two legs with the same audio, and come together again by that."""
    frames = frames_of("pcma.pcap")
    both = [(at, vlan(frame, 10)) for at, frame in frames]
    both += [(at + 50, vlan(frame, 20)) for at, frame in frames]
    result = extract([write(tmp_path / "both.pcap", both)], tmp_path / "out", telling_apart(*kinds))
    (call,) = result["calls"]
    assert call["verdict"] == "recorded"
    assert voices(tmp_path / "out", call) == ["caller", "callee"]
    assert len(call["streams"]) == (4 if kinds else 2)


def pieces(frames: Frames, size: int) -> Iterator[Frames]:
    for start in range(0, len(frames), size):
        at = slice(start, start + size)
        part = (frames.offset[at], frames.captured[at], frames.length[at], frames.time_ns[at])
        yield Frames(frames.data, *part, frames.linktype)


def test_a_recorder_that_was_killed_takes_up_the_calls_of_both_networks(tmp_path: Path) -> None:
    frames = frames_of("pcma.pcap")
    both = [(at, vlan(frame, 10)) for at, frame in frames]
    both += [(at, vlan(frame, 20)) for at, frame in spoken_by_others(frames)]
    capture, left = write(tmp_path / "both.pcap", both), tmp_path / "left"
    how = PipelineSettings(root=tmp_path, durable=True, separate=("vlan",))
    done: list[Finished] = []
    killed = Pipeline(how, Spool(left), done.append, SignallingLog(left).append)
    with open_captures([capture]) as source:
        parts = [part for frames in source.blocks() for part in pieces(frames, 50)]
        for part in parts[: len(parts) // 2]:
            killed.feed(part)
        killed.streams.flush_old()
        again = Pipeline(how, Spool(tmp_path / "spool"), done.append, first_stream_id=100)
        for arrival in read_log(left):
            again.replay(arrival)
        for stream in read_streams(left):
            again.recover(stream)
        for part in parts[len(parts) // 2 :]:
            again.feed(part)
    again.close()
    calls = [call.call for call in done if isinstance(call, FinishedCall)]
    assert sorted(call.realm for call in calls) == ["vlan 10", "vlan 20"]
    assert again.unclaimed == []
    for call in calls:
        assert call.state == "answered"
        sides = sorted((claimed.by, realm_of(claimed.stream.src[0])) for claimed in call.streams)
        # What each side said before the kill, and after it.
        assert sides == [("callee", call.realm)] * 2 + [("caller", call.realm)] * 2
