"""The generator of mirrored traffic says the truth about what it wrote: TShark counts the same."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import voices
from benchmarks.plan import Traffic
from benchmarks.traffic import write, write_to

MIXED = Traffic(
    calls=9,
    seconds=3,
    stagger_s=1.0,
    loss=0.03,
    reorder=0.03,
    duplicates=0.03,
    noise=0.3,
    ptime_ms=(10, 20, 30),
)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("traffic") / "mixed.pcap"
    return path, write(MIXED, path)


def fields(path: Path, display_filter: str, *names: str) -> list[list[str]]:
    """One row per frame that passes the filter, as TShark reads it."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    asked = [part for name in names for part in ("-e", name)]
    command = [
        "tshark",
        "-n",
        "-r",
        str(path),
        "-Y",
        display_filter,
        "-T",
        "fields",
        *asked,
        "-o",
        "ip.check_checksum:TRUE",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(csv.reader(done.stdout.splitlines(), delimiter="\t"))


def test_tshark_counts_the_same_frames(capture: tuple[Path, dict[str, Any]]) -> None:
    path, truth = capture
    rows = fields(path, "frame", "frame.number", "frame.time_epoch")
    assert len(rows) == truth["frames"]
    times = [float(row[1]) for row in rows]
    assert times == sorted(times), "frames are in time order"
    assert truth["frames"] == truth["rtp_packets"] + truth["sip_messages"] + sum(truth["noise"].values())
    assert path.stat().st_size == 24 + truth["bytes"]


def test_tshark_finds_every_stream_with_its_packets_loss_and_duplicates(
    capture: tuple[Path, dict[str, Any]],
) -> None:
    path, truth = capture
    packets: dict[tuple[str, str, str], Counter[str]] = {}
    names = ("ip.src", "udp.srcport", "ip.dst", "udp.dstport", "rtp.ssrc", "rtp.seq")
    for src, sport, dst, dport, ssrc, seq in fields(path, "rtp", *names):
        packets.setdefault((f"{src}:{sport}", f"{dst}:{dport}", ssrc), Counter())[seq] += 1
    expected = [stream for call in truth["calls"] for stream in call["streams"]]
    assert len(packets) == len(expected) == 2 * MIXED.calls
    for stream in expected:
        seen = packets[stream["src"], stream["dst"], stream["ssrc"]]
        assert len(seen) == stream["packets"]
        assert sum(seen.values()) - len(seen) == stream["duplicates"]
    assert sum(stream["lost"] for stream in expected) > 0
    assert sum(stream["duplicates"] for stream in expected) > 0
    assert sum(stream["delayed"] for stream in expected) > 0


def test_tshark_finds_every_dialog_complete_and_nothing_malformed(
    capture: tuple[Path, dict[str, Any]],
) -> None:
    path, truth = capture
    dialogs: dict[str, list[str]] = {}
    for call_id, method, status in fields(path, "sip", "sip.Call-ID", "sip.Method", "sip.Status-Code"):
        dialogs.setdefault(call_id, []).append(method or status)
    assert set(dialogs) == {call["call_id"] for call in truth["calls"]}
    script = ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    assert all(messages == script for messages in dialogs.values())
    assert fields(path, "_ws.malformed || ip.checksum.status == 0", "frame.number") == []
    assert len(fields(path, "arp", "frame.number")) == truth["noise"]["arp"]
    assert len(fields(path, "tcp", "frame.number")) == truth["noise"]["web"]


def test_the_audio_of_a_stream_is_the_expected_one_and_no_other(capture: tuple[Path, dict[str, Any]]) -> None:
    path, truth = capture
    for number, call in enumerate(truth["calls"][:6]):
        for side, stream in enumerate(call["streams"]):
            spoken = voices.expected(2 * number + side, call["payload_type"], stream["samples"])
            rows = fields(
                path, f"rtp.ssrc == {stream['ssrc']}", "rtp.timestamp", "rtp.payload", "rtp.seq", "rtp.p_type"
            )
            size = 8 * call["ptime_ms"]
            begin = min(
                int(row[0]) for row in rows if int(row[0]) > 1 << 31 or all(int(r[0]) < 1 << 31 for r in rows)
            )
            whole = 0
            for timestamp, payload, _, payload_type in rows:
                assert int(payload_type) == call["payload_type"]
                heard = voices.levels(call["payload_type"])[
                    np.frombuffer(bytes.fromhex(payload), dtype=np.uint8)
                ]
                at = (int(timestamp) - begin) % (1 << 32)
                # The first packets may be among the lost: the place is known up to a whole number of packets.
                matches = [
                    k for k in range(4) if np.array_equal(heard, spoken[at + k * size : at + (k + 1) * size])
                ]
                assert matches
                whole += 1
            assert whole == stream["packets"] + stream["duplicates"]


def test_the_same_settings_give_the_same_bytes_and_another_seed_others() -> None:
    def made(traffic: Traffic) -> bytes:
        file = BytesIO()
        write_to(traffic, file)
        return file.getvalue()

    small = replace(MIXED, calls=3, seconds=0.5)
    assert made(small) == made(small)
    assert made(small) != made(replace(small, seed=2))


def test_the_coder_agrees_with_ffmpeg(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    for law, name in ((voices.PCMA, "alaw"), (voices.PCMU, "mulaw")):
        codes = tmp_path / name
        codes.write_bytes(bytes(range(256)))
        raw = ["-f", name, "-ar", "8000", "-i", str(codes), "-f", "s16le", "-"]
        done = subprocess.run(["ffmpeg", "-loglevel", "error", *raw], capture_output=True, check=True)
        assert np.array_equal(np.frombuffer(done.stdout, dtype="<i2"), voices.levels(law))
        again = voices.encode(voices.levels(law), law)
        assert np.array_equal(voices.levels(law)[again], voices.levels(law))


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"calls": 0}, {"calls": 30_000}, {"noise": 1.0}, {"loss": -0.1}, {"ptime_ms": (2,)}):
        with pytest.raises(ValueError, match=r"calls must|are shares|packet time"):
            Traffic(**wrong)  # type: ignore[arg-type]


def test_the_command_writes_capture_and_truth(tmp_path: Path) -> None:
    out = tmp_path / "small.pcap"
    command = [
        sys.executable,
        "-m",
        "benchmarks.traffic",
        str(out),
        "--calls",
        "2",
        "--seconds",
        "1",
        "--ptime",
        "20,40",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    truth = json.loads((tmp_path / "small.pcap.json").read_text())
    assert f"{truth['frames']:,} frames" in done.stdout
    refused = subprocess.run(
        [*command, "--noise", "2"], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert refused.returncode == 2
    assert "shares" in refused.stderr


@pytest.mark.parametrize(
    ("wrap", "protocols"),
    [
        ("vlan", "eth:ethertype:vlan:ethertype:ip:udp:rtp"),
        ("qinq", "eth:ethertype:ieee8021ad:ethertype:vlan:ethertype:ip:udp:rtp"),
        ("gre-erspan", "eth:ethertype:ip:gre:erspan:eth:ethertype:ip:udp:rtp"),
        ("vxlan", "eth:ethertype:ip:udp:vxlan:eth:ethertype:ip:udp:rtp"),
    ],
)
def test_wrapped_traffic_is_what_it_says(tmp_path: Path, wrap: str, protocols: str) -> None:
    truth = write(replace(MIXED, noise=0.0, wrap=wrap), tmp_path / "wrapped.pcap")
    media = fields(tmp_path / "wrapped.pcap", "rtp", "frame.protocols", "ip.checksum.status")
    assert len(media) == truth["rtp_packets"]
    # 1: good, of the outer and the inner header.
    assert {tuple(row) for row in media} == {(protocols, "1" if wrap in ("vlan", "qinq") else "1,1")}
