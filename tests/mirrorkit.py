"""A mirror port of two virtual cables in a network namespace of its own (root), and captures sent over it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Sends the frames of a pcap, then a signal where a process is named, before the kernel has handed over any.
_REPLAY = """
import os, socket, struct, sys
data = open(sys.argv[1], "rb").read()
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("switch", 0))
at = 24
while at < len(data):
    size = struct.unpack_from("<I", data, at + 8)[0]
    sender.send(data[at + 16 : at + 16 + size])
    at += 16 + size
if len(sys.argv) > 2:
    os.kill(int(sys.argv[2]), int(sys.argv[3]))
"""


class Mirror:
    """``namespace`` has an interface ``switch`` to send on and an interface ``mirror`` to capture on."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.inside = ["ip", "netns", "exec", namespace, sys.executable]

    def wait_until_watched(self) -> None:
        """Return when somebody captures on the mirror."""
        ask = ["ip", "-n", self.namespace, "-d", "-j", "link", "show", "mirror"]
        deadline = time.monotonic() + 180
        while not json.loads(subprocess.check_output(ask))[0]["promiscuity"]:
            assert time.monotonic() < deadline, "nobody captures on the mirror"
            time.sleep(0.02)

    def replay(self, capture: Path, then: tuple[int, signal.Signals] | None = None) -> None:
        """Send the frames of a pcap, as fast as they go; at once thereafter a signal to a process, by its
        number."""
        also = [] if then is None else [str(int(number)) for number in then]
        subprocess.run([*self.inside, "-c", _REPLAY, str(capture), *also], check=True)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name = f"mirror-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    try:
        # The kernel's own neighbour discovery must not be taken for something the recorder sent.
        quiet = "for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done"
        subprocess.run(
            ["ip", "netns", "exec", name, "sh", "-c", quiet], check=False, stderr=subprocess.DEVNULL
        )
        inside = ["ip", "-n", name, "link"]
        subprocess.run([*inside, "add", "switch", "type", "veth", "peer", "name", "mirror"], check=True)
        for end in ("switch", "mirror"):
            subprocess.run([*inside, "set", end, "up"], check=True)
        yield Mirror(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
