"""What the daemon says never holds it up."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.traffic import Traffic, write
from bystander import saying as saying_module
from bystander.saying import Saying

PATIENCE_S = 60.0


class Stuck:
    """Writes nothing until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.may.wait(PATIENCE_S)
        self.written.append(line)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("bystander", logging.INFO, "", 0, text, None, None)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the end wait for what is to be written, however busy the machine is."""
    monkeypatch.setattr(saying_module, "_LAST_WORDS_S", PATIENCE_S)


def test_lines_come_in_order_and_all() -> None:
    writer = Stuck()
    writer.may.set()
    saying = Saying(writer.write)
    for number in range(1000):
        saying.handle(record(str(number)))
    saying.end()
    assert writer.written == [str(number) for number in range(1000)]


def test_what_nobody_reads_is_dropped_and_told() -> None:
    writer = Stuck()
    saying = Saying(writer.write, most=4)
    began = time.monotonic()
    for number in range(50):
        saying.handle(record(str(number)))
    assert time.monotonic() - began < PATIENCE_S / 2, "it waited for the writer"
    writer.may.set()
    saying.end()
    (told,) = (line for line in writer.written if "not written" in line)
    dropped = int(told.split()[1])
    assert dropped == 50 - (len(writer.written) - 1)
    assert 40 <= dropped <= 46


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_stopped_reading_stops_no_recording(tmp_path: Path, stream: str) -> None:
    """More lines than the pipe holds, and nobody takes them: every call is filed, and the recorder ends."""
    capture, config = tmp_path / "calls.pcap", tmp_path / "bystander.toml"
    write(Traffic(calls=300, seconds=0.5, stagger_s=2.0), capture)
    config.write_text(
        '[recording]\ndirectory = "recordings"\nspool = "spool"\nindex = "index.sqlite"\n'
        "[metrics]\nenabled = false\n"
    )
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    program = [sys.executable, "-m", "bystander"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writer}
    process = subprocess.Popen([*program, "run", "-c", config, "--read", capture], **streams)  # type: ignore[call-overload]
    os.close(writer)
    try:
        assert process.wait(180) == 0
    finally:
        process.kill()
        os.close(reader)
    listed = subprocess.run([*program, "calls", "-c", config, "--json"], capture_output=True, check=True)
    assert listed.stdout.count(b'"call_id"') == 300
