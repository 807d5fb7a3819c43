"""Calls to an office that opens them with an announcement, or should: sipp at both ends of a mirrored port.

What the office sends in each call is made beforehand: the announcement whole, cut short, or something else in
its place; coded, and then spoilt as a line does it. Packets are missing, late and out of order in the capture
that sipp plays, so that sipp sends them so. sipp's clock and the switch add what they add.
"""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from phonelab.network import Host, Lab, wait_until
from phonelab.sipp import SCENARIOS

from benchmarks import voices
from benchmarks.announcement import OTHERS, TEXT, VOICES, music, ringing, spoken

RATE_HZ = 8000
#: The office's numbers end in the number of the call.
PREFIX = "22555"
#: A similar announcement of the same voice: it shares a sentence with the office's.
SIMILAR = (
    "Witamy w Urzędzie Miasta. Biuro Obsługi Mieszkańców jest czynne od poniedziałku do piątku. "
    "Informujemy, że wszystkie rozmowy są nagrywane. Proszę czekać na zgłoszenie się pracownika. "
    "Aby powtórzyć, proszę nacisnąć pięć."
)
KINDS: tuple[tuple[str, str], ...] = (
    ("at once", "heard"),
    ("after silence", "heard"),
    ("cut, then speech", "cut"),
    ("speech", "missing"),
    ("after ringing", "heard"),
    ("similar, same voice", "missing"),
    ("after speech", "heard"),
    ("cut, then silence", "cut"),
    ("music", "missing"),
    ("over music", "heard"),
    ("same voice", "missing"),
    ("cut, then hung up", "cut"),
    ("after music", "heard"),
    ("ringing", "missing"),
    ("another take", "missing"),
    ("over speech", "heard"),
    ("silence", "missing"),
    ("slips", "heard"),
    ("cut, then music", "cut"),
    ("no packets", "missing"),
)
CODECS = ("PCMA", "PCMU", "PCMA", "G722", "PCMU")
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
STARS = ("", "event", "", "inband")
EVENT = 101
#: Where the caller presses the star, from the beginning of what the caller sends.
STAR_S = 4.0
Sound = NDArray[np.int16]


@dataclass(frozen=True)
class Case:
    """One call. ``state`` is what the check should find, ``at_s`` where the announcement begins in what the
    office sends, ``share`` how much of it."""

    number: int
    kind: str
    state: str
    codec: str
    star: str
    at_s: float
    share: float
    level_db: float
    loss: float
    jitter_ms: float
    reorder: float
    seed: int

    @property
    def callee(self) -> str:
        return f"{PREFIX}{self.number:04d}"


def plan(count: int, seed: int, lead_s: float = 8.0) -> list[Case]:
    """Cases of every kind in turn, each under a line of its own."""
    chance = random.Random(seed)
    cases = []
    for number in range(count):
        kind, state = KINDS[number % len(KINDS)]
        cases.append(
            Case(
                number, kind, state, CODECS[number % len(CODECS)], STARS[number % len(STARS)],
                at_s=0.0 if kind == "at once" else round(chance.uniform(1, lead_s), 3),
                share=chance.uniform(0.3, 0.8) if state == "cut" else 1.0,
                level_db=chance.uniform(-15, 3),
                loss=chance.choice((0, 0.005, 0.01, 0.02, 0.03, 0.05)),
                jitter_ms=chance.choice((0, 5, 15, 40)),
                reorder=chance.choice((0, 0, 0.01, 0.03)),
                seed=chance.randrange(1 << 30),
            )
        )  # fmt: skip
    return cases


class Studio:
    """Makes what is sent: the speech once, each call from it."""

    def __init__(self, sentences: int = 4) -> None:
        text = ".".join(TEXT.split(".")[:sentences]) + "."
        self.announcement = spoken(text)
        self.another_take = spoken(text, "pl", 150)
        self.similar = spoken(SIMILAR)
        self.same_voice = np.concatenate([spoken(other) for other in OTHERS])
        self.others = [
            spoken(other, voice, 150 + 20 * n) for n, other in enumerate(OTHERS) for voice in VOICES[1:]
        ]

    @property
    def length_s(self) -> float:
        return len(self.announcement) / RATE_HZ

    def sound(self, case: Case) -> Sound:
        """What the office's side sounds like before it is coded, at 8 kHz."""
        rng = np.random.default_rng(case.seed)
        at = round(case.at_s * RATE_HZ)
        tail_s = 5.0
        speech = np.concatenate([self.others[i] for i in rng.permutation(len(self.others))[:6]])
        said = self.announcement[: round(len(self.announcement) * case.share)].astype(np.float64)
        total = at + len(self.announcement) + round(tail_s * RATE_HZ)
        most_s = total / RATE_HZ + 1
        bed = {
            "music": music(rng, most_s),
            "ringing": ringing(most_s),
            "speech": np.resize(speech, round(most_s * RATE_HZ)),
        }
        channel = np.zeros(total)
        if case.state == "missing":
            instead = {
                "similar, same voice": np.resize(self.similar, total),
                "same voice": np.resize(self.same_voice, total),
                "another take": np.resize(self.another_take, total),
            }
            channel += instead.get(case.kind, bed.get(case.kind, channel))[:total]
        else:
            before = case.kind.removeprefix("after ")
            if before in bed:
                channel[:at] = bed[before][:at]
            end = at + len(said)
            channel[at:end] = said
            if case.kind.startswith("over "):
                channel[at:end] += over_level(said, bed[case.kind[5:]][: len(said)])
            then = case.kind.removeprefix("cut, then ") if case.state == "cut" else "speech"
            if then in bed:
                channel[end:] = bed[then][: total - end]
            elif then == "hung up":
                channel = channel[:end]
        channel *= 10 ** (case.level_db / 20)
        if case.kind != "silence":
            channel += rng.normal(0, 10, len(channel))
        if case.kind == "slips":
            # A jitter buffer on the way threw 40 ms away, and filled 30 ms in.
            for place, length in ((at + 2 * RATE_HZ, 320), (at + 5 * RATE_HZ, -240)):
                gap = np.zeros(max(0, -length))
                channel = np.concatenate((channel[:place], gap, channel[place + max(0, length) :]))
        return np.clip(channel, -32768, 32767).astype(np.int16)


def over_level(said: NDArray[np.float64], other: Sound) -> NDArray[np.float64]:
    """What is heard at the same time, 8 dB softer on the whole."""
    ratio = np.sqrt((said**2).mean() / max(1.0, (other.astype(np.float64) ** 2).mean()))
    return other * ratio * 10 ** (-8 / 20)


def coded(sound: Sound, codec: str) -> bytes:
    """The bytes of a codec of 64 kbit/s: eight thousand a second."""
    if codec == "G722":
        form = [
            "-f",
            "s16le",
            "-ar",
            RATE_HZ,
            "-ac",
            1,
            "-i",
            "-",
            "-ar",
            16000,
            "-c:a",
            "g722",
            "-f",
            "g722",
            "-",
        ]
        command = ["ffmpeg", "-loglevel", "error", *map(str, form)]
        return subprocess.run(command, input=sound.tobytes(), capture_output=True, check=True).stdout
    return voices.encode(sound, PAYLOAD_TYPES[codec]).tobytes()


def packets(sound: Sound, codec: str, ssrc: int) -> list[tuple[float, bytes]]:
    """RTP packets of 20 ms with the time, in seconds, at which each is due."""
    payload, size = coded(sound, codec), 160
    kind = PAYLOAD_TYPES[codec]
    return [
        (
            n * 0.02,
            struct.pack("!BBHII", 0x80, kind | (0x80 if n == 0 else 0), n + 1, n * size + 160, ssrc)
            + payload[n * size : (n + 1) * size],
        )
        for n in range(len(payload) // size)
    ]


def spoilt(sent: Sequence[tuple[float, bytes]], case: Case) -> list[tuple[float, bytes]]:
    """The packets as a bad line brings them: the first two are whole, so that the beginning is known."""
    chance = random.Random(case.seed)
    gone, before_s, out = False, 0.0, []
    for n, (due_s, packet) in enumerate(sent):
        # Losses come in bursts: once lost, the next is lost too as often as not.
        gone = n >= 2 and chance.random() < (0.5 if gone else case.loss * 0.5)
        if gone:
            continue
        # Jitter by itself keeps the order; what is held up comes behind the next two.
        before_s = max(before_s, due_s + (chance.random() * case.jitter_ms / 1000 if n >= 2 else 0.0))
        held_s = 0.045 if n >= 2 and chance.random() < case.reorder else 0.0
        out.append((before_s + held_s, packet))
    return sorted(out, key=lambda one: one[0])


def write_pcap(path: Path, sent: Sequence[tuple[float, bytes]]) -> None:
    """A capture for ``play_pcap_audio``, which sets addresses and ports itself."""
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for time_s, packet in sent:
        udp = struct.pack("!HHHH", 4000, 4000, 8 + len(packet), 0) + packet
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), bytes(4))
        frame = bytes(12) + b"\x08\x00" + ip + udp
        whole_s, rest_us = divmod(round(time_s * 1e6), 1_000_000)
        records.append(struct.pack("<IIII", 1_600_000_000 + whole_s, rest_us, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(records))


def star_packets(after: Sequence[tuple[float, bytes]], ssrc: int) -> list[tuple[float, bytes]]:
    """Caller's packets in which the star is pressed for 100 ms from STAR_S on, as events (RFC 4733)."""
    first = round(STAR_S / 0.02)
    out = []
    for n, (due_s, packet) in enumerate(after):
        if first <= n < first + 8:
            held = min(n - first + 1, 5)
            ended = 0x80 if n >= first + 5 else 0
            event = struct.pack("!BBH", 10, ended | 10, held * 160)
            mark = 0x80 if n == first else 0
            packet = struct.pack("!BBHII", 0x80, EVENT | mark, n + 1, first * 160 + 160, ssrc) + event
        out.append((due_s, packet))
    return out


def star_tone() -> Sound:
    """The star in the band: 941 and 1209 Hz for 100 ms."""
    t = np.arange(RATE_HZ // 10) / RATE_HZ
    return np.asarray(5000 * (np.sin(2 * np.pi * 941 * t) + np.sin(2 * np.pi * 1209 * t)), np.int16)


def write_caller(folder: Path) -> None:
    """What callers send: some words, then the star or not, then silence."""
    words, _ = soundfile.read(Path(__file__).parents[2] / "data/speech/caller.flac", dtype="int16")
    sound = np.zeros(6 * RATE_HZ, np.int16)
    sound[: 3 * RATE_HZ] = words[: 3 * RATE_HZ]
    toned = sound.copy()
    at = round(STAR_S * RATE_HZ)
    toned[at : at + RATE_HZ // 10] = star_tone()
    plain = packets(sound, "PCMA", 0x1111)
    write_pcap(folder / "caller-none.pcap", plain)
    write_pcap(folder / "caller-event.pcap", star_packets(plain, 0x1111))
    write_pcap(folder / "caller-inband.pcap", packets(toned, "PCMA", 0x1111))


def scenario(base: str, play: str) -> str:
    """One of sipp's scenarios with all codecs offered and other things played."""
    text = (SCENARIOS / f"{base}.xml").read_text()
    text = text.replace("RTP/AVP 8\n", f"RTP/AVP 8 0 9 {EVENT}\n").replace(
        "a=rtpmap:8 PCMA/8000\n", f"a=rtpmap:8 PCMA/8000\na=rtpmap:{EVENT} telephone-event/8000\n"
    )
    return text.replace('<nop><action><exec play_pcap_audio="speech.pcap"/></action></nop>', play)


def plays(names: Sequence[tuple[str, str]], variable: str) -> str:
    """Play the file whose name goes with what a variable holds."""
    out = []
    for value, file in names:
        out.append(
            f'<nop><action><strcmp assign_to="same" variable="{variable}" value="{value}"/>'
            f'<test assign_to="mine" variable="same" compare="equal" value="0"/></action></nop>'
            f'<nop condexec="mine"><action><exec play_pcap_audio="{file}"/></action></nop>'
        )
    return "\n".join(out)


def make_calls(directory: Path, capture: Path, cases: Sequence[Case], studio: Studio, rate: float) -> None:
    """Make the calls, ``rate`` a second, and capture the mirror of the office's port."""
    with Lab(directory) as lab:
        town, office = lab.host("town", "10.91.0.1"), lab.host("office", "10.91.0.2")
        lab.mirror(office)
        _prepare_office(office, cases, studio)
        longest_s = _prepare_town(town, cases, studio)
        with lab.capture(capture):
            server = _sipp(office, "office", "-m", len(cases))
            wait_until(lambda: ":5060 " in office.run("ss", "-Hlnu"), "sipp of the office")
            client = _sipp(
                town, "town", f"{office.ip}:5060", "-inf", "calls.csv", "-m", len(cases), "-r", rate,
                "-l", len(cases), "-key", "from_user", "48600100200", "-key", "padding", "x",
            )  # fmt: skip
            for process, host in ((client, town), (server, office)):
                if status := process.wait(len(cases) / rate + longest_s + 60):
                    raise RuntimeError(
                        f"sipp of {host.name} ended with {status}: {host.log('sipp.log')[-2000:]}"
                    )


def _sipp(host: Host, name: str, *arguments: object) -> subprocess.Popen[bytes]:
    common = ("-i", host.ip, "-p", 5060, "-nostdin", "-trace_err", "-cid_str", f"%u-%p-{name}@%s")
    return host.start("sipp", *arguments, "-sf", f"{name}.xml", *common, log="sipp.log")


def _prepare_office(office: Host, cases: Sequence[Case], studio: Studio) -> None:
    for case in cases:
        if case.kind != "no packets":
            sent = packets(studio.sound(case), case.codec, 0x22000000 + case.number)
            write_pcap(office.directory / f"{case.callee}.pcap", spoilt(sent, case))
    text = scenario(
        "uas-speech",
        plays([(c.callee, f"{c.callee}.pcap") for c in cases if c.kind != "no packets"], "called"),
    )
    asked = (
        '<recv request="INVITE"><action><ereg regexp="sip:([0-9]+)@" search_in="hdr" header="To:" '
        'check_it="true" assign_to="whole,called"/></action></recv><Reference variables="whole"/>'
    )
    (office.directory / "office.xml").write_text(text.replace('<recv request="INVITE"/>', asked))


def _prepare_town(town: Host, cases: Sequence[Case], studio: Studio) -> float:
    write_caller(town.directory)
    lines, longest_s = ["SEQUENTIAL"], 0.0
    for case in cases:
        talk_s = (
            case.at_s
            + studio.length_s * (case.share if "hung up" in case.kind else 1)
            + (0.2 if "hung up" in case.kind else 4.0)
        )
        longest_s = max(longest_s, talk_s)
        lines.append(f"{case.callee};{case.star or 'none'};{round(talk_s * 1000)}")
    (town.directory / "calls.csv").write_text("\n".join(lines) + "\n")
    text = scenario(
        "uac-speech", plays([(f"{k}", f"caller-{k}.pcap") for k in ("none", "event", "inband")], "star")
    )
    first = (
        '<nop><action><assignstr assign_to="star" value="[field1]"/>'
        '<assignstr assign_to="talk_ms" value="[field2]"/>'
        '<todouble assign_to="talk" variable="talk_ms"/>'
        "</action></nop>"
    )
    text = text.replace('<send retrans="500">', first + '<send retrans="500">', 1).replace(
        "[service]", "[field0]"
    )
    (town.directory / "town.xml").write_text(text.replace("<pause/>", '<pause variable="talk"/>'))
    return longest_s
