"""sipp, for what telephones do not do on demand: its scenarios are in ``scenarios/``."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from phonelab import export, speech
from phonelab.network import Host, wait_until

SCENARIOS = Path(__file__).resolve().parent / "scenarios"


class Sipp:
    """One running sipp."""

    def __init__(self, host: Host, scenario: str, process: subprocess.Popen[bytes]) -> None:
        self.host = host
        self.scenario = scenario
        self._process = process

    def finish(self, timeout_s: float = 60.0) -> None:
        """Wait until all its calls are over; RuntimeError when one failed."""
        status = self._process.wait(timeout_s)
        if status != 0:
            raise RuntimeError(
                f"sipp {self.scenario} ended with {status}: {self.host.log('sipp.log')[-3000:]}"
            )


def _start(host: Host, scenario: str, arguments: list[object]) -> Sipp:
    address = host.ip or host.ip6
    process = host.start(
        "sipp", "-sf", SCENARIOS / f"{scenario}.xml", "-i", address, "-p", 5060, "-nostdin", "-trace_err",
        "-cid_str", f"%u-%p-{scenario}@%s", *arguments, log="sipp.log",
    )  # fmt: skip
    return Sipp(host, scenario, process)


def serve(host: Host, scenario: str, calls: int = 1) -> Sipp:
    """Wait for ``calls`` calls on port 5060 and answer them as the scenario says."""
    server = _start(host, scenario, ["-m", calls])
    wait_until(lambda: ":5060 " in host.run("ss", "-Hlnu"), f"sipp of {host.name}")
    return server


def dial(
    host: Host,
    scenario: str,
    to: Host,
    user: str,
    talk_ms: int,
    calls: int = 1,
    rate: float = 1.0,
    padding: str = "",
) -> Sipp:
    """Make ``calls`` calls to ``user`` at the other host, ``rate`` a second, each hung up after
    ``talk_ms``."""
    words = ["-key", "from_user", host.name, "-key", "padding", padding, "-d", talk_ms]
    return _start(host, scenario, [f"{to.address}:5060", "-s", user, "-m", calls, "-r", rate, *words])


def write_rtp(
    name: str,
    path: Path,
    seconds: float,
    *,
    codec: str = "PCMA",
    ptime_ms: int = 20,
    start_s: float = 0,
    after: int = 0,
) -> Path:
    """A capture of RTP packets with the speech, for ``play_pcap_audio`` (which sets addresses and ports
    itself). ``after`` is the number of packets that the stream has behind it."""
    begin = int(start_s * speech.RATE_HZ)
    samples = speech.load(name)[begin : begin + int(seconds * speech.RATE_HZ)]
    kind, coded = export.PAYLOAD_TYPES[codec], export.encode(codec, samples)
    # G.722, too, has a byte and a tick of its timestamps for each eighth of a millisecond (RFC 3551 §4.5.2).
    size = speech.RATE_HZ * ptime_ms // 1000
    ethernet = bytes(12) + b"\x08\x00"
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for index in range(len(coded) // size):
        number = after + index
        marked = kind | (0x80 if index == 0 else 0)
        rtp = struct.pack("!BBHII", 0x80, marked, number + 1, (number * size + 160) & 0xFFFFFFFF, 0x0BADCAFE)
        udp = struct.pack("!HHHH", 4000, 4000, 20 + size, 0) + rtp + coded[index * size : (index + 1) * size]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, bytes(4), bytes(4))
        frame = ethernet + ip + udp
        seconds_in, rest = divmod(index * ptime_ms, 1000)
        records.append(
            struct.pack("<IIII", 1_600_000_000 + seconds_in, rest * 1000, len(frame), len(frame)) + frame
        )
    path.write_bytes(b"".join(records))
    return path
