"""Recordings of calls that are passed on, and of telephones that call each other in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phonelab import speech
from phonelab.network import Host, Lab
from phonelab.phone import Phone, call, hang_up
from phonelab.proxy import Proxy
from phonelab.recordings import ALICE, BOB, CAROL, PROXY, Facts, answered, pair, recording


@contextmanager
def three(lab: Lab, hosts: list[Host], proxy: Proxy | None = None) -> Iterator[list[Phone]]:
    """alice, bob and carol, each with a speech of their own."""
    phones = []
    for host, name in zip(hosts, ("caller", "callee", "colleague"), strict=True):
        spoken = speech.write_wav(name, lab.directory / f"{name}.wav", 2)
        phones.append(Phone(host, host.name, spoken, account=proxy.account(host.name) if proxy else ""))
    if proxy:
        for phone in phones:
            phone.registered()
    try:
        yield phones
    finally:
        for phone in phones:
            phone.close()


def blind(a: Phone, b: Phone, c: Phone, target: str, seconds: float) -> None:
    """In a call of alice with bob: bob sends alice on to carol and leaves; alice hangs up in the end."""
    mark, seen = len(a.events), len(b.events)
    b.command("transfer", target)
    c.answer()
    a.wait_for("CALL_ESTABLISHED", mark)
    b.wait_for("CALL_CLOSED", seen)
    time.sleep(seconds)
    hang_up(a, c)


TO_CAROL: Facts = {"callee": "carol", "speech": {"caller": "caller", "callee": "colleague"}}


@recording("transfer-blind", "the callee sends the caller on to a third telephone (REFER)", "C8")
def transfer_blind(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        hosts = [lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("carol", CAROL)]
        lab.mirror(hosts[0])
        with three(lab, hosts) as (a, b, c), lab.capture(path):
            call(a, b)
            time.sleep(3.0)
            blind(a, b, c, c.uri, 3.0)
    return [answered(ended_by="callee"), answered(**TO_CAROL)]


@recording(
    "transfer-proxied", "the same through kamailio and rtpengine, the proxy's port mirrored", "C7", "C8"
)
def transfer_proxied(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        hosts = [lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("carol", CAROL)]
        server = lab.host("proxy", PROXY)
        lab.mirror(server)
        proxy = Proxy(server, relay=True)
        with three(lab, hosts, proxy) as (a, b, c), lab.capture(path):
            call(a, b, proxy.uri("bob"))
            time.sleep(3.0)
            blind(a, b, c, proxy.uri("carol"), 3.0)
    return [answered(ended_by="callee"), answered(**TO_CAROL)]


@recording(
    "swapped", "two calls between the same two addresses and ports: alice calls bob, then bob alice", "C10"
)
def swapped(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        # One pair of ports each: the second call's media has the first call's addresses.
        with pair(lab, alice, bob, ports="10000-10001") as (a, b), lab.capture(path):
            call(a, b)
            time.sleep(3.0)
            hang_up(a, b)
            call(b, a)
            time.sleep(3.0)
            hang_up(b, a)
    back: Facts = {"caller": "bob", "callee": "alice", "speech": {"caller": "callee", "callee": "caller"}}
    return [answered(), answered(**back)]
