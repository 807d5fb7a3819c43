"""A mirror session into a real VXLAN, the kernel's, to the recorder: over a path too small for it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import sipp, speech
from phonelab.compare import align
from phonelab.network import PROGRAMS, TAP, Lab, missing, stop
from phonelab.phone import Phone
from phonelab.recorder import Recorder

_MISSING = missing([*PROGRAMS, "sipp"])
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(_MISSING), reason=f"the lab: {_MISSING}")]

SWITCH, RECORDER = "10.91.0.1", "10.91.0.2"
#: By port, as somebody would write it who does not think of tunnels and fragments.
BY_PORT = 'filter = "port 5060 or udp portrange 6000-20000"'


def test_c1_a_call_through_vxlan_whose_invite_is_in_fragments_of_fragments(tmp_path: Path) -> None:
    """The INVITE is in three fragments; mirrored, the full ones become two outer fragments each."""
    with Lab(tmp_path) as lab:
        alice, bob = lab.host("alice", "10.90.0.1"), lab.host("bob", "10.90.0.2")
        lab.switch.run("ip", "address", "add", f"{SWITCH}/24", "dev", "tap0")
        lab.recorder.run("ip", "address", "add", f"{RECORDER}/24", "dev", TAP)
        tunnel = f"type vxlan id 42 local {SWITCH} remote {RECORDER} dstport 4789".split()
        try:
            lab.switch.run("ip", "link", "add", "vx0", *tunnel)
        except RuntimeError as error:
            pytest.skip(f"no VXLAN in this kernel: {error}")
        lab.switch.run("ip", "link", "set", "vx0", "mtu", 1500, "up")
        lab.mirror(bob, tap="vx0")
        recorder = Recorder(lab, capture=BY_PORT)
        daemon = recorder.start()
        sipp.write_rtp("caller", alice.directory / "speech.pcap", 4)
        callee = Phone(bob, "bob", speech.write_wav("callee", tmp_path / "b.wav"))
        caller = sipp.dial(alice, "uac-speech", bob, "bob", 4000, padding="x" * 3600)
        callee.answer()
        caller.finish()
        callee.wait_for("CALL_CLOSED")
        assert stop(daemon, signal.SIGTERM, 60.0) == 0
        (found,) = recorder.calls()
        assert (found["state"], found["verdict"], found["callee"]) == ("answered", "recorded", "bob")
        assert {stream["tunnel"] for stream in found["streams"]} == {"vxlan"}
        # Not `partial`, so the INVITE itself was seen, through all the fragments.
        assert found["caller"] == "alice"
        names, numbers = [
            line.split() for line in lab.switch.run("cat", "/proc/net/snmp").splitlines() if line[:3] == "Ip:"
        ]
        assert int(numbers[names.index("FragCreates")]) >= 4, "the tunnel's packets were not fragmented"
        audio, _ = recorder.audio(found)
        for channel, name in enumerate(("caller", "callee")):
            assert align(audio[:, channel], speech.load(name)).true.sum() >= 15, f"the {name} is not heard"
