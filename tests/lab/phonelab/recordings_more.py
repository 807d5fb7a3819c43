"""More recordings: what needs a registrar, or a telephone that does as it is told (sipp)."""

from __future__ import annotations

import time
from pathlib import Path

from phonelab import sipp, speech, truth
from phonelab.network import Lab
from phonelab.phone import Phone, call, hang_up
from phonelab.proxy import Proxy
from phonelab.recordings import ALICE, BOB, CAROL, PROXY, Facts, answered, pair, recording, unsuccessful

DAVE = "10.90.0.5"


@recording("challenged", "kamailio asks for credentials: REGISTER and INVITE are sent twice (401, 407)", "C3")
def challenged(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, server = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("proxy", PROXY)
        lab.mirror(alice)
        proxy = Proxy(server, auth=True)
        with lab.capture(path):
            a = Phone(
                alice,
                "alice",
                speech.write_wav("caller", directory / "a.wav"),
                account=proxy.account("alice"),
            )
            b = Phone(
                bob, "bob", speech.write_wav("callee", directory / "b.wav"), account=proxy.account("bob")
            )
            a.registered()
            b.registered()
            call(a, b, proxy.uri("bob"))
            time.sleep(5.0)
            hang_up(a, b)
        a.close()
        b.close()
    return [answered()]


@recording("forked", "kamailio rings two telephones, one answers, the other is cancelled", "C6")
def forked(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, carol = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("carol", CAROL)
        server = lab.host("proxy", PROXY)
        lab.mirror(alice)
        proxy = Proxy(server)
        a = Phone(
            alice, "alice", speech.write_wav("caller", directory / "a.wav"), account=proxy.account("alice")
        )
        b = Phone(bob, "bob", speech.write_wav("callee", directory / "b.wav"), account=proxy.account("bob"))
        c = Phone(carol, "bob", speech.write_wav("caller", directory / "c.wav"), account=proxy.account("bob"))
        for phone in (a, b, c):
            phone.registered()
        with lab.capture(path):
            a.dial(proxy.uri("bob"))
            c.wait_for("CALL_INCOMING")
            b.answer()
            a.wait_for("CALL_ESTABLISHED")
            time.sleep(5.0)
            hang_up(a, b)
        for phone in (a, b, c):
            phone.close()
    return [answered()]


@recording(
    "no-answer",
    "kamailio gives up after four seconds: 408 to the caller, CANCEL to the callee, both hops",
    "C7",
)
def no_answer(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob, server = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("proxy", PROXY)
        lab.mirror(server)
        proxy = Proxy(server, relay=True, ring_s=4)
        a = Phone(
            alice, "alice", speech.write_wav("caller", directory / "a.wav"), account=proxy.account("alice")
        )
        b = Phone(bob, "bob", speech.write_wav("callee", directory / "b.wav"), account=proxy.account("bob"))
        a.registered()
        b.registered()
        with lab.capture(path):
            a.dial(proxy.uri("bob"))
            a.wait_for("CALL_CLOSED")
            b.wait_for("CALL_CLOSED")
        a.close()
        b.close()
    return [unsuccessful("unanswered", 408)]


@recording("fragmented", "an INVITE of more than 4000 bytes, in three IP fragments", "C1", "C2")
def fragmented(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        sipp.write_rtp("caller", alice.directory / "speech.pcap", 6)
        b = Phone(bob, "bob", speech.write_wav("callee", directory / "b.wav"))
        with lab.capture(path):
            caller = sipp.dial(alice, "uac-speech", bob, "bob", 6000, padding="x" * 3600)
            b.answer()
            caller.finish()
            b.wait_for("CALL_CLOSED")
        b.close()
    return [answered()]


@recording("early-media", "an announcement before the answer (183), and the caller speaks after it", "C6")
def early_media(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        sipp.write_rtp("callee", bob.directory / "speech.pcap", 9)
        a = Phone(alice, "alice", speech.write_wav("caller", directory / "a.wav"))
        with lab.capture(path):
            server = sipp.serve(bob, "uas-early-media")
            a.dial(f"sip:bob@{bob.ip}")
            a.wait_for("CALL_ESTABLISHED")
            time.sleep(5.0)
            a.hang_up()
            server.finish()
        a.close()
    return [answered()]


@recording(
    "concurrent", "six calls at once between four hosts, the same SSRC in all of a host's calls", "C11"
)
def concurrent(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        dave, carol = lab.host("dave", DAVE), lab.host("carol", CAROL)
        lab.mirror(bob, carol)
        start = {
            "alice": ("caller", 0.0),
            "bob": ("callee", 0.0),
            "dave": ("callee", 6.0),
            "carol": ("caller", 8.0),
        }
        for host in (alice, bob, dave, carol):
            name, start_s = start[host.name]
            sipp.write_rtp(name, host.directory / "speech.pcap", 4, start_s=start_s)
        with lab.capture(path):
            servers = [sipp.serve(host, "uas-speech", 3) for host in (bob, carol)]
            callers = [
                sipp.dial(a, "uac-speech", b, b.name, 4200, 3, 1.4) for a, b in ((alice, bob), (dave, carol))
            ]
            for program in (*callers, *servers):
                program.finish()
    other: Facts = {"caller": "dave", "callee": "carol", "speech": {"caller": "callee", "callee": "caller"}}
    invites = {m.call_id: m.src for m in reversed(truth.sip_messages(path)) if m.method == "INVITE"}
    return [answered(**(other if src == DAVE else {})) for src in reversed(invites.values())]


@recording("digits", "the caller presses 1, 5, * and # (telephone events)", "C15")
def digits(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b), lab.capture(path):
            call(a, b)
            for digit in "15*#":
                time.sleep(1.0)
                a.command("sndcode", digit)
            time.sleep(2.0)
            hang_up(a, b)
    return [answered(dtmf=[{"digit": digit, "by": "caller", "method": "rfc4733"} for digit in "15*#"])]


@recording("ptime", "two calls: packets of 40 ms, then of 10 ms", "C14")
def ptime(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with lab.capture(path):
            for ptime_ms in (40, 10):
                with pair(lab, alice, bob, ptime_ms=ptime_ms) as (a, b):
                    call(a, b)
                    time.sleep(4.0)
                    hang_up(a, b)
    return [answered(ptime_ms=40), answered(ptime_ms=10)]


@recording("no-bye", "the capture ends while the two still talk", "C6")
def no_bye(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b):
            with lab.capture(path):
                call(a, b)
                time.sleep(4.0)
            hang_up(a, b)
    return [answered(ended_by="capture-end")]


@recording(
    "mid-call", "the capture starts in mid-call; a short hold (re-INVITE) tells whose the streams are", "C6"
)
def mid_call(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        with pair(lab, alice, bob) as (a, b):
            call(a, b)
            time.sleep(1.0)
            with lab.capture(path):
                time.sleep(3.0)
                mark = len(b.events)
                a.command("hold")
                b.wait_for("CALL_REMOTE_SDP", mark)
                time.sleep(1.0)
                mark = len(b.events)
                a.command("resume")
                b.wait_for("CALL_REMOTE_SDP", mark)
                time.sleep(3.0)
                hang_up(a, b)
    return [answered(verdict="partial", final_status=None, holds=[{"by": "caller"}])]


@recording("digits-info", "the caller presses 4, 0 and # (INFO with application/dtmf-relay)", "C15")
def digits_info(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        sipp.write_rtp("caller", alice.directory / "speech.pcap", 4)
        b = Phone(bob, "bob", speech.write_wav("callee", directory / "b.wav"))
        with lab.capture(path):
            caller = sipp.dial(alice, "uac-info", bob, "bob", 1000)
            b.answer()
            caller.finish()
            b.wait_for("CALL_CLOSED")
        b.close()
    return [answered(dtmf=[{"digit": digit, "by": "caller", "method": "info"} for digit in "40#"])]


@recording("digits-inband", "the caller's voice is followed by the tones of 2, 9 and *, as sound", "C15")
def digits_inband(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        spoken = speech.write_wav("caller", directory / "a.wav", tones={2.0: "2", 2.3: "9", 2.6: "*"})
        a = Phone(alice, "alice", spoken)
        b = Phone(bob, "bob", speech.write_wav("callee", directory / "b.wav"))
        with lab.capture(path):
            call(a, b)
            time.sleep(5.0)
            hang_up(a, b)
        a.close()
        b.close()
    return [answered(dtmf=[{"digit": digit, "by": "caller", "method": "inband"} for digit in "29*"])]
