"""RTP in the evidence: where it belongs in time, and as TShark reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bystander.codecs.packets import PacketRun
from bystander.inspect import evidence_messages
from bystander.sniffer.evidence import evidence_pcap
from bystander.sniffer.rtpevidence import RECORD_BYTES, RtpStream, with_rtp
from bystander.sniffer.sip import Arrival, Message, parse_message

T0 = 1_790_000_000_000_000_000


def message(at_ms: int, number: int, transport: str = "udp") -> Arrival:
    lines = ["OPTIONS sip:x SIP/2.0", f"Call-ID: {number}", f"CSeq: {number} OPTIONS", "Content-Length: 0"]
    raw = ("\r\n".join(lines) + "\r\n\r\n").encode()
    read = parse_message(raw)
    assert isinstance(read, Message)
    return Arrival(T0 + at_ms * 1_000_000, ("10.0.0.1", 5060), ("10.0.0.2", 5060), transport, read, raw)


def stream(host: str, n: int = 20) -> RtpStream:
    random = np.random.default_rng(n)
    size = random.integers(1, 40, n).astype(np.int32)
    run = PacketRun(
        np.arange(n, dtype=np.int64) + 65_530,
        (np.arange(n) * 320 + 2**32 - 900).astype(np.uint32),
        np.full(n, 96, np.uint8),
        T0 + np.arange(n, dtype=np.int64) * 20_000_000,
        size,
        np.frombuffer(random.bytes(int(size.sum())), np.uint8),
    )
    return RtpStream((host, 4000), (host, 4002), 0x1234ABCD, run)


@pytest.mark.parametrize("host", ["10.0.0.1", "2001:db8::1"])
def test_tshark_reads_the_packets_as_they_were(host: str, tmp_path: Path) -> None:
    program = shutil.which("tshark")
    assert program is not None
    sent = stream(host)
    path = tmp_path / "e.pcap"
    path.write_bytes(with_rtp(evidence_pcap([message(0, 1), message(150, 2)]), [sent]))
    command = [program, "-n", "-r", str(path), "-d", "udp.port==4000,rtp", "-o", "udp.check_checksum:TRUE"]
    command += ["-Y", "rtp", "-T", "fields"]
    for name in ("frame.time_epoch", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.ssrc", "rtp.payload"):
        command += ["-e", name]
    said = subprocess.run([*command, "-e", "udp.checksum.status"], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    assert len(rows) == len(sent.run)
    for n, row in enumerate(rows):
        assert int(row[0].replace(".", "")) == sent.run.time_ns[n]
        assert [int(value, 0) for value in row[1:5]] == [
            (65_530 + n) % 65_536, int(sent.run.ts[n]), 96, 0x1234ABCD
        ]  # fmt: skip
        assert bytes.fromhex(row[5].replace(":", "")) == sent.run.payloads()[n]
        assert row[6] == "1"
    # The messages are where they were, and are all that we read as messages.
    assert [found.message.cseq for found in evidence_messages(path)] == [1, 2]


def test_records_are_in_order_of_time_and_messages_of_one_moment_in_theirs() -> None:
    pcap = evidence_pcap([message(0, 1), message(0, 2, "tcp"), message(0, 3), message(111, 4)])
    assert with_rtp(pcap, []) == pcap
    both = with_rtp(pcap, [stream("10.0.0.1", 9)])
    assert len(both) > len(pcap) and both.index(b"Call-ID: 1") < both.index(b"Call-ID: 2") < both.index(
        b"Call-ID: 3"
    )
    at, times = 24, []
    while at < len(both):
        second, rest, length = (int.from_bytes(both[at + n : at + n + 4], "little") for n in (0, 4, 8))
        times.append(second * 10**9 + rest)
        at += 16 + length
    assert times == sorted(times) and len(times) == 13
    assert len(both) - len(pcap) <= 9 * RECORD_BYTES + int(stream("10.0.0.1", 9).run.size.sum())
