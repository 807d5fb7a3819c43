"""Recordings of what the network between the telephones does to their frames."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from phonelab.network import Lab, wait_until
from phonelab.phone import call, hang_up
from phonelab.proxy import Proxy
from phonelab.recordings import ALICE, BOB, PROXY, Facts, answered, pair, recording


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


@recording(
    "ports-vlans",
    "three ports mirrored, each with a VLAN tag of its own: every frame of a call through kamailio and"
    " rtpengine arrives twice, under different tags",
    "C7",
    "C13",
)
def ports_vlans(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, server = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("proxy", PROXY)
        for number, host in enumerate((alice, bob, server)):
            into, out_of = lab.second_tap(number)
            log = f"trunk{number}.log"
            tag = f"0x8100:{10 * (number + 1)}"
            lab.switch.start(
                sys.executable, Path(__file__).with_name("trunk.py"), tag, out_of, "tap0", log=log
            )
            wait_until(lambda log=log: "ready" in lab.switch.log(log), "the trunk")  # type: ignore[misc]
            lab.mirror(host, tap=into)
        proxy = Proxy(server, relay=True)
        with pair(lab, alice, bob, proxy) as (a, b), lab.capture(path):
            call(a, b, proxy.uri("bob"))
            time.sleep(3.0)
            hang_up(b, a)
    return [answered(ended_by="callee")]


@recording("vxlan", "a remote mirror: the switch packs the frames into VXLAN (the kernel's)")
def vxlan(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob, tap=lab.tunnel("vxlan", "id", 4711, "dstport", 4789, "nolearning"))
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(4.0)
            hang_up(a, b)
    return [answered(tunnel="vxlan")]
