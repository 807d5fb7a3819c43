"""Recordings of what the network between the telephones does to their frames."""

from __future__ import annotations

import time
from pathlib import Path

from phonelab.network import Lab
from phonelab.phone import call, hang_up
from phonelab.recordings import ALICE, BOB, Facts, answered, pair, recording


@recording(
    "tcp-small-mtu", "SIP over TCP and an MTU of 400 bytes: every INVITE and its answer in pieces", "C4"
)
def tcp_small_mtu(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        for host in (alice, bob):
            host.run("ip", "link", "set", "eth0", "mtu", 400)
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b, f"{b.uri};transport=tcp")
            time.sleep(4.0)
            hang_up(a, b)
    return [answered(transport="tcp")]
