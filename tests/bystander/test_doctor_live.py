"""`doctor` on a live interface: a pair of virtual cables in a network namespace of its own (root)."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.mirrorkit import Mirror, mirror

__all__ = ["mirror"]


DATA = Path(__file__).parents[1] / "data"


def look(mirror: Mirror, *captures: Path, seconds: int = 600) -> dict[str, Any]:
    """Run the command in the namespace while captures are replayed, then end it as Ctrl-C does; return what
    it says. Without a capture it ends by itself."""
    command = [*mirror.inside, "-m", "bystander", "doctor", "--interface", "mirror", "--json"]
    process = subprocess.Popen([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True)
    try:
        if captures:
            mirror.wait_until_watched()
            *first, last = captures
            for capture in first:
                mirror.replay(capture)
            mirror.replay(last, then=(process.pid, signal.SIGINT))
        said, _ = process.communicate(timeout=180)
    finally:
        process.kill()
    found: dict[str, Any] = json.loads(said)
    return found


def test_a_live_mirror(mirror: Mirror) -> None:
    found = look(mirror, DATA / "qinq.pcap")
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
    sent = json.loads(
        subprocess.check_output(["ip", "-n", mirror.namespace, "-s", "-j", "link", "show", "mirror"])
    )
    assert sent[0]["stats64"]["tx"]["packets"] == 0


def test_a_silent_port(mirror: Mirror) -> None:
    found = look(mirror, seconds=1)
    faults = {finding["code"] for finding in found["findings"] if finding["level"] == "fault"}
    assert "no-frames" in faults
