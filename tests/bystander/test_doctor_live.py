"""`doctor` on a live interface: a pair of virtual cables in a network namespace of its own (root)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"
#: Sends the frames of a capture, in a process in the namespace.
REPLAY = """
import socket, struct, sys
data = open(sys.argv[1], "rb").read()
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("switch", 0))
at = 24
while at < len(data):
    size = struct.unpack_from("<I", data, at + 8)[0]
    sender.send(data[at + 16 : at + 16 + size])
    at += 16 + size
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name = f"doctor-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    try:
        inside = ["ip", "-n", name, "link"]
        subprocess.run([*inside, "add", "switch", "type", "veth", "peer", "name", "mirror"], check=True)
        for end in ("switch", "mirror"):
            subprocess.run([*inside, "set", end, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def look(namespace: str, *captures: Path, seconds: int = 4) -> dict[str, Any]:
    """Run the command in the namespace while captures are replayed; return what it says."""
    inside = ["ip", "netns", "exec", namespace, sys.executable]
    command = [*inside, "-m", "bystander", "doctor", "--interface", "mirror", "--json", "--seconds", seconds]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        ask = ["ip", "-n", namespace, "-d", "-j", "link", "show", "mirror"]
        deadline = time.monotonic() + 20
        while not json.loads(subprocess.check_output(ask))[0]["promiscuity"]:
            assert time.monotonic() < deadline, "the doctor does not look"
            time.sleep(0.02)
        for capture in captures:
            subprocess.run([*inside, "-c", REPLAY, str(capture)], check=True)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    found: dict[str, Any] = json.loads(said)
    return found


def test_a_live_mirror(namespace: str) -> None:
    found = look(namespace, DATA / "qinq.pcap")
    codes = {finding["code"]: finding["level"] for finding in found["findings"]}
    assert codes["both-sides"] == codes["no-drops"] == "good"
    facts = found["facts"]
    # The outer tag is the kernel's, the inner one stands in the frame.
    assert facts["vlans"]["7/120"] == 417
    assert facts["calls"]["answered"] == 1
    assert facts["interface"]["promiscuous"] and facts["interface"]["carrier"]
    assert facts["kernel"]["dropped"] == 0
    assert 'interface = "mirror"' in found["configuration"]
    # Nothing was sent: the switch's end received nothing.
    sent = json.loads(subprocess.check_output(["ip", "-n", namespace, "-s", "-j", "link", "show", "mirror"]))
    assert sent[0]["stats64"]["tx"]["packets"] <= 20  # the kernel's own neighbour discovery


def test_a_silent_port(namespace: str) -> None:
    found = look(namespace, seconds=1)
    faults = {finding["code"] for finding in found["findings"] if finding["level"] == "fault"}
    # The kernel's own multicast may be all that there is.
    assert faults & {"no-frames", "only-broadcast", "no-telephony"}
