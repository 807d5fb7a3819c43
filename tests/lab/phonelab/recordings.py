"""The recordings, one function each: who is on the network, who calls whom, what is then known of the call.

A function gets a directory for its files and the capture's path, and returns the known facts of its calls
in the order of their first message: who is who, the state, the verdict, the speech of each side, holds,
digits.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonelab import sipp, speech
from phonelab.network import Host, Lab, wait_until
from phonelab.phone import Phone, call, hang_up, sound
from phonelab.proxy import Proxy

Facts = dict[str, Any]
ALICE, BOB, CAROL, PROXY = "10.90.0.1", "10.90.0.2", "10.90.0.3", "10.90.0.4"


@dataclass
class Recording:
    name: str
    about: str
    cases: list[str]
    run: Callable[[Path, Path], list[Facts]]


ALL: list[Recording] = []


def recording(
    name: str, about: str, *cases: str
) -> Callable[[Callable[..., list[Facts]]], Callable[..., list[Facts]]]:
    """Register a function as the recording ``name``."""

    def register(function: Callable[..., list[Facts]]) -> Callable[..., list[Facts]]:
        ALL.append(Recording(name, about, list(cases), function))
        return function

    return register


def answered(codec: str = "PCMA", **more: object) -> Facts:
    """The facts of an ordinary call from alice to bob, with anything else in ``more``."""
    return {
        "caller": "alice", "callee": "bob", "state": "answered", "final_status": 200, "verdict": "recorded",
        "ended_by": "caller", "transport": "udp", "codec": codec, "ptime_ms": 20, "holds": [], "dtmf": [],
        "speech": {"caller": "caller", "callee": "callee"}, **more,
    }  # fmt: skip


def unsuccessful(state: str, status: int | None, **more: object) -> Facts:
    return {
        "caller": "alice", "callee": "bob", "state": state, "final_status": status, "verdict": None,
        "ended_by": None, "transport": "udp", "speech": None, **more,
    }  # fmt: skip


@contextmanager
def pair(
    lab: Lab, alice: Host, bob: Host, proxy: Proxy | None = None, **options: object
) -> Iterator[tuple[Phone, Phone]]:
    """Two telephones, alice with the caller's speech and bob with the callee's; registered at the proxy."""
    rate_hz, channels = sound(str(options.get("codecs", "PCMA")))
    phones = []
    for host, name in ((alice, "caller"), (bob, "callee")):
        spoken = speech.write_wav(name, lab.directory / f"{name}.wav", 2, rate_hz, channels)
        account = proxy.account(host.name) if proxy else ""
        phones.append(Phone(host, host.name, spoken, account=account, **options))  # type: ignore[arg-type]
    if proxy:
        for phone in phones:
            phone.registered()
    try:
        yield phones[0], phones[1]
    finally:
        for phone in phones:
            phone.close()


def direct(directory: Path, path: Path, seconds: float, by_callee: bool = False, **options: object) -> None:
    """A call from alice to bob without a proxy, bob's switch port mirrored."""
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with pair(lab, alice, bob, **options) as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(seconds)
            hang_up(*((b, a) if by_callee else (a, b)))


@recording("pcma", "baresip to baresip, A-law, ended by the caller")
def pcma(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 10.0)
    return [answered()]


@recording("pcmu", "baresip to baresip, µ-law, ended by the callee")
def pcmu(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 8.0, by_callee=True, codecs="PCMU")
    return [answered("PCMU", ended_by="callee")]


@recording(
    "relayed", "through kamailio and rtpengine, the proxy's port mirrored: both hops of one call", "C7"
)
def relayed(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, server = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("proxy", PROXY)
        lab.mirror(server)
        proxy = Proxy(server, relay=True)
        with pair(lab, alice, bob, proxy) as (a, b), lab.capture(path):
            call(a, b, proxy.uri("bob"))
            time.sleep(8.0)
            hang_up(b, a)
    return [answered(ended_by="callee")]


@recording("hold", "the caller holds (re-INVITE, sendonly) and resumes; then the callee does", "C8")
def hold(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            for holder, other, talk_s, hold_s in ((a, b, 4.0, 3.0), (b, a, 3.0, 2.0)):
                time.sleep(talk_s)
                mark = len(other.events)
                holder.command("hold")
                other.wait_for("CALL_REMOTE_SDP", mark)
                time.sleep(hold_s)
                mark = len(other.events)
                holder.command("resume")
                other.wait_for("CALL_REMOTE_SDP", mark)
            time.sleep(3.0)
            hang_up(a, b)
    return [answered(holds=[{"by": "caller"}, {"by": "callee"}])]


@recording(
    "unsuccessful",
    "no conversation: cancelled while ringing, busy (486), unknown user (404), no answer (480)",
)
def not_answered(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, carol = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("carol", CAROL)
        lab.mirror(alice)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            mark = len(b.events)
            a.dial(b.uri)
            b.wait_for("CALL_INCOMING", mark)
            a.wait_for("CALL_RINGING")
            hang_up(a, b)

            mark, seen = len(b.events), len(a.events)
            a.dial(b.uri)
            b.wait_for("CALL_INCOMING", mark)
            b.hang_up()
            a.wait_for("CALL_CLOSED", seen)

            seen = len(a.events)
            a.dial(f"sip:nobody@{bob.ip}")
            a.wait_for("CALL_CLOSED", seen)

            seen = len(a.events)
            server = sipp.serve(carol, "uas-no-answer")
            a.dial(f"sip:carol@{carol.ip}")
            a.wait_for("CALL_CLOSED", seen)
            server.finish()
    return [
        unsuccessful("cancelled", 487),
        unsuccessful("busy", 486),
        unsuccessful("failed", 404, callee="nobody"),
        unsuccessful("unanswered", 480, callee="carol"),
    ]


@recording("tcp", "SIP over TCP", "C4")
def tcp(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b, f"{b.uri};transport=tcp")
            time.sleep(6.0)
            hang_up(a, b)
    return [answered(transport="tcp")]


@recording("ipv6", "SIP and RTP over IPv6")
def ipv6(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ip6="fd90::1"), lab.host("bob", ip6="fd90::2")
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(6.0)
            hang_up(a, b)
    return [answered()]


@recording("impaired", "both ways with loss, bursts of loss, jitter, reordering and duplicates", "C13", "C16")
def impaired(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        reports = {name: directory / f"{name}.json" for name in ("caller", "callee")}
        cable = [sys.executable, Path(__file__).with_name("cable.py")]
        alice = lab.host("alice", ALICE, through=[*cable, "alice", reports["caller"]])
        bob = lab.host("bob", BOB, through=[*cable, "bob", reports["callee"]])
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(12.0)
            hang_up(a, b)
        done = {name: json.loads(report.read_text()) for name, report in reports.items()}
    return [answered(impairment=done)]


@recording("twice", "both phones' ports mirrored: every frame arrives twice", "C13")
def twice(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(alice, bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(5.0)
            hang_up(a, b)
    return [answered()]


def tagged(directory: Path, path: Path, tags: str, seconds: float) -> None:
    """A call on a mirrored trunk: the frames carry ``tags`` when they reach the recorder."""
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        into, out_of = lab.second_tap()
        lab.switch.start(
            sys.executable, Path(__file__).with_name("trunk.py"), tags, out_of, "tap0", log="trunk.log"
        )
        wait_until(lambda: "ready" in lab.switch.log("trunk.log"), "the trunk")
        lab.mirror(bob, tap=into)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(seconds)
            hang_up(a, b)


@recording("vlan", "802.1Q tags, put in by a program in the switch (the lab's kernel has no VLAN support)")
def vlan(directory: Path, path: Path) -> list[Facts]:
    tagged(directory, path, "0x8100:120", 4.0)
    return [answered()]


@recording("qinq", "802.1ad over 802.1Q tags, put in by a program in the switch", "C1")
def qinq(directory: Path, path: Path) -> list[Facts]:
    tagged(directory, path, "0x88a8:7,0x8100:120", 4.0)
    return [answered()]
