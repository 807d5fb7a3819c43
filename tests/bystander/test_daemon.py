"""The real daemon in a process of its own: fed, stopped, killed, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks.traffic import Traffic, write
from bystander.sniffer.capturefile import CHUNK_BYTES
from tests.resting import took_all

#: Enough for several blocks of a pipe to be read before the kill.
TRAFFIC = Traffic(calls=20, seconds=24, stagger_s=1.0)
PCAP_HEADER = 24


class Office:
    """A folder with a configuration, and the program run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "bystander.toml"
        self.config.write_text(
            '[recording]\ndirectory = "recordings"\nspool = "spool"\nindex = "index.sqlite"\n'
            "[metrics]\nenabled = false\n"
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bystander", "run", "-c", self.config, *arguments]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        process = self.start(*arguments)
        _, said = process.communicate(timeout=180)
        return process.returncode, said

    def calls(self) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "bystander", "calls", "-c", self.config, "--json"]
        found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        return sorted(found, key=lambda call: str(call["started_at"]))

    def audio(self, call: dict[str, Any]) -> np.ndarray:
        read, _ = soundfile.read(
            self.folder / "recordings" / call["recording"]["path"], dtype="int16", always_2d=True
        )
        return np.asarray(read)

    def spooled(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "spool").glob("slot-*.spool"))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("traffic") / "two.pcap"
    return path, write(TRAFFIC, path)


def wait_for(what: Callable[[], object], why: str) -> None:
    end = time.monotonic() + 180
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.02)


def records(capture: Path) -> tuple[bytes, list[tuple[float, bytes]]]:
    """The header of a pcap and its records with their times in seconds."""
    data = capture.read_bytes()
    found, at = [], PCAP_HEADER
    while at < len(data):
        seconds, micro, size = np.frombuffer(data, "<u4", 3, at).tolist()
        found.append((seconds + micro / 1e6, data[at : at + 16 + size]))
        at += 16 + size
    return data[:PCAP_HEADER], found


def test_files_go_the_same_way_as_a_wire(office: Office, capture: tuple[Path, dict[str, Any]]) -> None:
    path, truth = capture
    status, said = office.run("--read", path)
    assert status == 0, said
    calls = office.calls()
    assert [call["verdict"] for call in calls] == ["recorded"] * 20
    assert {call["call_id"] for call in calls} == {call["call_id"] for call in truth["calls"]}
    for call in calls:
        assert call["sealed"] is False
        assert abs(len(office.audio(call)) / 8000 - call["duration_s"]) < 0.06
        evidence = office.folder / "recordings" / call["recording"]["path"]
        assert evidence.with_suffix(".pcap").stat().st_mode & 0o777 == 0o600
    assert office.spooled() == 0
    assert not (office.folder / "spool" / "signalling.log").exists()
    assert not list(office.folder.rglob("*.part"))


@pytest.mark.parametrize("cut_s", [12.0, 16.0, 21.0])
def test_a_killed_recorder_goes_on_with_the_call(
    office: Office, capture: tuple[Path, dict[str, Any]], cut_s: float
) -> None:
    """R6: SIGKILL in mid-call; the next start makes one recording of what was before and after."""
    path, _ = capture
    header, every = records(path)
    first = every[0][0]
    before = [raw for at, raw in every if at - first < cut_s]
    after = [raw for at, raw in every if at - first >= cut_s + 1]
    pipe = office.folder / "pipe"
    os.mkfifo(pipe)
    process = office.start("--read", pipe)
    with pipe.open("wb") as wire:
        wire.write(header + b"".join(before))
        wire.flush()
        size = len(b"".join(before))
        wire_s = size // CHUNK_BYTES * CHUNK_BYTES * cut_s / size
        wait_for(lambda: took_all(process, wire), "the recorder does not come to rest")
        assert office.spooled() > 0
        process.send_signal(signal.SIGKILL)
    process.wait(180)
    process.communicate()
    assert not office.calls()
    rest = office.folder / "rest.pcap"
    rest.write_bytes(header + b"".join(after))
    status, said = office.run("--read", rest)
    assert status == 0, said
    assert "recovered 20 calls in progress" in said
    calls = office.calls()
    assert [(call["verdict"], call["ended_by"] in ("caller", "callee")) for call in calls] == [
        ("partial", True)
    ] * 20
    for call in calls:
        frames = office.audio(call)
        assert abs(len(frames) / 8000 - call["duration_s"]) < 0.06
        loud = [np.abs(frames[at : at + 8000]).max() > 100 for at in range(0, len(frames) - 8000, 8000)]
        # All that was read but the last flush (four seconds and a half), and all that came after the kill.
        assert all(loud[: int(wire_s - 7)])
        assert all(loud[int(cut_s + 2) :])
    assert office.spooled() == 0
    # Starting once more on the same spool finds nothing and doubles nothing.
    status, said = office.run("--read", rest)
    assert "recovered" not in said


def test_sigterm_ends_cleanly(office: Office, capture: tuple[Path, dict[str, Any]]) -> None:
    path, _ = capture
    pipe = office.folder / "pipe"
    os.mkfifo(pipe)
    process = office.start("--read", pipe)
    data = path.read_bytes()
    with pipe.open("wb") as wire:
        wire.write(data[: len(data) // 2])
        wire.flush()
        wait_for(lambda: office.spooled() > 0, "nothing reaches the spool")
        process.send_signal(signal.SIGTERM)
        try:
            wire.write(data[len(data) // 2 :])
        except BrokenPipeError:
            pass
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert len(office.calls()) == 20


def test_one_spool_has_one_recorder(office: Office, capture: tuple[Path, dict[str, Any]]) -> None:
    pipe = office.folder / "pipe"
    os.mkfifo(pipe)
    process = office.start("--read", pipe)
    with pipe.open("wb"):
        # The pipe is open: the first has the spool.
        status, said = office.run("--read", capture[0])
    process.communicate(timeout=180)
    assert status == 1
    assert said.count("\n") == 1
    assert "another recorder is using this spool" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interface", "nosuch0"], "no such interface: nosuch0"),
        (["--read", "/nosuch.pcap"], "no such file"),
        ([], "no interface to record from"),
    ],
)
def test_what_cannot_start_is_one_line(office: Office, arguments: list[str], said: str) -> None:
    status, line = office.run(*arguments)
    assert status == 1
    assert said in line
    assert line.count("\n") == 1
    assert "Traceback" not in line


def test_a_damaged_index_is_one_line(office: Office, capture: tuple[Path, dict[str, Any]]) -> None:
    (office.folder / "index.sqlite").write_bytes(b"not a database at all, whatever its name says" * 50)
    status, line = office.run("--read", capture[0])
    assert status == 1
    assert line.count("\n") == 1
    assert "index.sqlite" in line
