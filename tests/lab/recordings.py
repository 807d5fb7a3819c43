"""The recordings, one function each: who is on the network, who calls whom, what is then known of the call.

A function gets a directory for its files and the capture's path, and returns the known facts of its calls in the order
of their first message: who is who, the state, the verdict, the speech of each side, holds, digits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import sipp, speech
from lab.network import Host, Lab
from lab.phone import Phone, call, hang_up
from lab.proxy import Proxy

Facts = dict[str, object]
ALICE, BOB, CAROL, PROXY = "10.90.0.1", "10.90.0.2", "10.90.0.3", "10.90.0.4"


@dataclass
class Recording:
    name: str
    about: str
    cases: list[str]
    run: Callable[[Path, Path], list[Facts]]


ALL: list[Recording] = []


def recording(name: str, about: str, *cases: str) -> Callable[[Callable[..., list[Facts]]], Callable[..., list[Facts]]]:
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
def pair(lab: Lab, alice: Host, bob: Host, **options: object) -> Iterator[tuple[Phone, Phone]]:
    """Two telephones, alice with the caller's speech and bob with the callee's."""
    a = Phone(alice, "alice", speech.write_wav("caller", lab.directory / "a.wav", 2), **options)  # type: ignore[arg-type]
    b = Phone(bob, "bob", speech.write_wav("callee", lab.directory / "b.wav", 2), **options)  # type: ignore[arg-type]
    try:
        yield a, b
    finally:
        a.close()
        b.close()


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


@recording("relayed", "through kamailio and rtpengine, the proxy's port mirrored: both hops of one call", "C7")
def relayed(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, server = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("proxy", PROXY)
        lab.mirror(server)
        proxy = Proxy(server, relay=True)
        a = Phone(alice, "alice", speech.write_wav("caller", directory / "a.wav", 2), account=proxy.account("alice"))
        b = Phone(bob, "bob", speech.write_wav("callee", directory / "b.wav", 2), account=proxy.account("bob"))
        a.registered()
        b.registered()
        with lab.capture(path):
            call(a, b, proxy.uri("bob"))
            time.sleep(8.0)
            hang_up(b, a)
        a.close()
        b.close()
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


@recording("unsuccessful", "no conversation: cancelled while ringing, busy (486), unknown user (404), no answer (480)")
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
