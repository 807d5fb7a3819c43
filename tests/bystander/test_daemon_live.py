"""The daemon on a live interface: what comes in the last moments before it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.traffic import Traffic, write
from tests.mirrorkit import Mirror, mirror

__all__ = ["mirror"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_call_that_ends_just_before_the_stop_has_its_end(
    mirror: Mirror, tmp_path: Path, number: signal.Signals
) -> None:
    """The kernel hands a block over when it is full or some time has passed; the BYE was lost in it."""
    capture, config = tmp_path / "call.pcap", tmp_path / "b.toml"
    write(Traffic(calls=1, seconds=2), capture)  # 200 packets: fewer than a virtual cable holds
    config.write_text(
        '[recording]\ndirectory = "r"\nspool = "s"\nindex = "i.sqlite"\n[metrics]\nenabled = false\n'
    )
    command = [*mirror.inside, "-m", "bystander", "run", "-c", str(config), "--interface", "mirror"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recorder:
        try:
            mirror.wait_until_watched()
            mirror.replay(capture, then=(recorder.pid, number))
            _, said = recorder.communicate(timeout=180)
        finally:
            recorder.kill()
    assert recorder.returncode == 0, said
    command = [sys.executable, "-m", "bystander", "calls", "-c", str(config), "--json"]
    (call,) = json.loads(subprocess.check_output(command))
    assert (call["ended_by"], call["verdict"]) == ("callee", "recorded")
    assert [stream["packets"] for stream in call["streams"]] == [100, 100]
