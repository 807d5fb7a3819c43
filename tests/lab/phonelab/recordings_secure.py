"""Recordings of encrypted media: SRTP with the keys in clear SIP (RFC 4568)."""

from __future__ import annotations

import time
from pathlib import Path

from phonelab import proxy, speech
from phonelab.network import Lab
from phonelab.phone import Phone, call, hang_up
from phonelab.proxy import Proxy
from phonelab.recordings import ALICE, BOB, PROXY, Facts, answered, direct, recording


@recording("srtp", "baresip to baresip, SRTP (SDES, RTP/SAVP)")
def srtp(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 5.0, encryption="srtp-mand")
    return [answered()]


def bridged(directory: Path, path: Path, seconds: float, near: bool, far: bool) -> None:
    """A call through kamailio and rtpengine, the proxy's port mirrored; SRTP on the hop to the caller, on
    the hop to the callee, or on both."""
    with Lab(directory) as lab:
        alice, bob, server = lab.host("alice", ALICE), lab.host("bob", BOB), lab.host("proxy", PROXY)
        lab.mirror(server)
        ways = [proxy.SECURE if encrypted else proxy.PLAIN for encrypted in (near, far)]
        relay = Proxy(server, relay=True, near=ways[0], far=ways[1], strip="a=crypto:1 " if near else "")
        phones = [
            Phone(
                host, host.name, speech.write_wav(name, directory / f"{name}.wav", 2),
                account=relay.account(host.name), encryption="srtp-mand" if encrypted else "",
            )
            for host, name, encrypted in ((alice, "caller", near), (bob, "callee", far))
        ]  # fmt: skip
        for phone in phones:
            phone.registered()
        with lab.capture(path):
            call(*phones, relay.uri("bob"))
            time.sleep(seconds)
            hang_up(*phones)
        for phone in phones:
            phone.close()


@recording(
    "srtp-far-hop",
    "through kamailio and rtpengine: plain from the caller to the proxy, AEAD_AES_256_GCM to the callee",
    "C7",
)
def srtp_far_hop(directory: Path, path: Path) -> list[Facts]:
    bridged(directory, path, 4.0, near=False, far=True)
    return [answered()]


@recording(
    "srtp-both-hops",
    "through kamailio and rtpengine: SRTP with keys and a cipher of its own on each hop",
    "C7",
)
def srtp_both_hops(directory: Path, path: Path) -> list[Facts]:
    bridged(directory, path, 4.0, near=True, far=True)
    return [answered()]
