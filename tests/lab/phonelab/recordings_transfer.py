"""Recordings of calls that are passed on, and of telephones that call each other in turn."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from phonelab import speech, truth
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


def refer(a: Phone, b: Phone, c: Phone, target: str) -> None:
    """In a call of alice with bob: bob sends alice on to carol, who answers, and leaves."""
    mark, seen, rung = len(a.events), len(b.events), len(c.events)
    b.command("transfer", target)
    c.answer(rung)
    a.wait_for("CALL_ESTABLISHED", mark)
    b.wait_for("CALL_CLOSED", seen)


ASKS: Facts = {"caller": "bob", "callee": "carol", "speech": {"caller": "callee", "callee": "colleague"}}
TO_CAROL: Facts = {"callee": "carol", "speech": {"caller": "caller", "callee": "colleague"}}


def related(*pairs: tuple[int, str]) -> list[Facts]:
    """What other calls of the capture, by their number, are to this one."""
    return [{"call": number, "relation": relation} for number, relation in pairs]


def passed_on() -> list[Facts]:
    return [
        answered(ended_by="callee", related=related((1, "transferred-to"))),
        answered(**TO_CAROL, related=related((0, "transferred-from"))),
    ]


@recording("transfer-blind", "the callee sends the caller on to a third telephone (REFER)", "C8")
def transfer_refer(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        hosts = [lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("carol", CAROL)]
        lab.mirror(hosts[0])
        with three(lab, hosts) as (a, b, c), lab.capture(path):
            call(a, b)
            time.sleep(3.0)
            refer(a, b, c, c.uri)
            time.sleep(3.0)
            hang_up(a, c)
    return passed_on()


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
            refer(a, b, c, proxy.uri("carol"))
            time.sleep(3.0)
            hang_up(a, c)
    return passed_on()


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


@recording(
    "transfer-attended",
    "the callee holds, asks a third telephone, and connects the caller with it (REFER with Replaces)",
    "C8",
    "C13",
)
def transfer_attended(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        hosts = [lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("carol", CAROL)]
        server = lab.host("proxy", PROXY)
        lab.mirror(hosts[0], hosts[2])
        proxy = Proxy(server)
        with three(lab, hosts, proxy) as (a, b, c), lab.capture(path):
            call(a, b, proxy.uri("bob"))
            time.sleep(3.0)
            mark = len(a.events)
            b.command("hold")
            a.wait_for("CALL_REMOTE_SDP", mark)
            call(b, c, proxy.uri("carol"))
            time.sleep(3.0)
            answer = next(m for m in truth.sip_messages(path) if m.status == 200 and m.src == CAROL)
            tags = quote(f"{answer.call_id};to-tag={answer.to_tag};from-tag={answer.from_tag}", safe="")
            b.command("callfind", str(b.wait_for("CALL_INCOMING")["id"]))
            refer(a, b, c, f"{proxy.uri('carol')}?Replaces={tags}")
            time.sleep(1.0)
            # baresip knows nothing of Replaces: carol ends the call that is replaced by hand.
            c.command("callfind", answer.call_id)
            mark = len(b.events)
            c.hang_up()
            b.wait_for("CALL_CLOSED", mark)
            time.sleep(2.0)
            hang_up(a, c)
    first, asked, second = 0, 1, 2
    held = {"ended_by": "callee", "holds": [{"by": "callee"}]}
    return [
        answered(**held, related=related((asked, "consulted-in"), (second, "transferred-to"))),
        answered(
            **ASKS,
            **copy.deepcopy(held),
            related=related((first, "consultation-for"), (second, "replaced-by")),
        ),
        answered(**TO_CAROL, related=related((first, "transferred-from"), (asked, "replaces"))),
    ]
