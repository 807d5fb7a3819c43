"""Real telephones through a Kamailio that sends copies by HEP (siptrace): signalling comes only so."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import speech
from phonelab.compare import align
from phonelab.network import PROGRAMS, TAP, Lab, missing, stop, wait_until
from phonelab.phone import Phone, call, hang_up
from phonelab.proxy import PASSWORD, Proxy
from phonelab.recorder import Recorder

_MISSING = missing([*PROGRAMS, "kamailio"])
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(_MISSING), reason=f"the lab: {_MISSING}")]

RECORDER = "10.90.0.9"
#: The mirror shows nothing of the signalling, so that what is known of the call came by HEP.
WITHOUT_SIP = 'filter = "not port 5060"'
HEP = """\
[hep]
listen = "{recorder}:9060"
auth_key = "{key}"
senders = ["{proxy}"]
"""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_whose_signalling_comes_by_hep_is_recorded_whole(tmp_path: Path, transport: str) -> None:
    with Lab(tmp_path) as lab:
        alice, bob = lab.host("alice", "10.90.0.1"), lab.host("bob", "10.90.0.2")
        host = lab.host("proxy", "10.90.0.4")
        lab.mirror(alice)
        lab.join(lab.recorder, RECORDER)
        sections = HEP.format(recorder=RECORDER, key=PASSWORD, proxy=host.ip)
        recorder = Recorder(lab, capture=WITHOUT_SIP, sections=sections)
        daemon = recorder.start()
        proxy = Proxy(host, trace=f"sip:{RECORDER}:9060;transport={transport}")
        caller = Phone(
            alice, "alice", speech.write_wav("caller", tmp_path / "a.wav", 2), account=proxy.account("alice")
        )
        callee = Phone(
            bob, "bob", speech.write_wav("callee", tmp_path / "b.wav", 2), account=proxy.account("bob")
        )
        for phone in (caller, callee):
            phone.registered()
        mark = len(caller.events)
        began = time.monotonic()
        call(caller, callee, proxy.uri("bob"))
        call_id = str(caller.wait_for("CALL_ESTABLISHED", mark)["id"])
        time.sleep(5.0)
        hang_up(caller, callee)
        lasted_s = time.monotonic() - began
        wait_until(lambda: bool(recorder.calls()), "the call in the index", 60.0)
        assert stop(daemon, signal.SIGTERM, 60.0) == 0

        (found,) = [entry for entry in recorder.calls() if entry["state"] == "answered"]
        assert found["call_id"] == call_id
        assert (found["caller"], found["callee"], found["verdict"]) == ("alice", "bob", "recorded")
        assert (found["ended_by"], found["transport"]) == ("caller", "udp")
        assert 4.0 < found["duration_s"] < lasted_s
        audio, _ = recorder.audio(found)
        for channel, name in enumerate(("caller", "callee")):
            aligned = align(audio[:, channel], speech.load(name))
            assert aligned.true.sum() >= 15, f"the {name} is not heard"
        # R6: nothing is sent on the mirrored interface.
        assert lab.recorder.counter(TAP, "tx_packets") == 0
