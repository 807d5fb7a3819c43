"""Real telephones through a Kamailio that sends copies by HEP (siptrace): signalling comes only so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import speech
from phonelab.compare import align
from phonelab.network import PROGRAMS, TAP, Lab, missing, stop, wait_until
from phonelab.phone import Phone, call, hang_up
from phonelab.proxy import PASSWORD, Proxy

_MISSING = missing([*PROGRAMS, "kamailio"])
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(_MISSING), reason=f"the lab: {_MISSING}")]

RECORDER = "10.90.0.9"
#: The mirror shows nothing of the signalling, so that what is known of the call came by HEP.
CONFIG = """\
[capture]
interface = "{tap}"
filter = "not port 5060"
[hep]
listen = "{recorder}:9060"
auth_key = "{key}"
senders = ["{proxy}"]
[recording]
directory = "{folder}/recordings"
spool = "{folder}/spool"
index = "{folder}/index.sqlite"
linger_s = 1.0
[metrics]
enabled = false
"""


def listed(config: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "bystander", "calls", "--json", "-c", str(config)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(shown.stdout) if shown.returncode == 0 else []
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_whose_signalling_comes_by_hep_is_recorded_whole(tmp_path: Path, transport: str) -> None:
    with Lab(tmp_path) as lab:
        alice, bob = lab.host("alice", "10.90.0.1"), lab.host("bob", "10.90.0.2")
        host = lab.host("proxy", "10.90.0.4")
        lab.mirror(alice)
        lab.join(lab.recorder, RECORDER)
        folder = lab.recorder.directory
        config = folder / "bystander.toml"
        config.write_text(
            CONFIG.format(tap=TAP, recorder=RECORDER, key=PASSWORD, proxy=host.ip, folder=folder)
        )
        recorder = lab.recorder.start(
            sys.executable, "-m", "bystander", "run", "-c", config, log="recorder.log"
        )
        wait_until(lambda: "recording from" in lab.recorder.log("recorder.log"), "the recorder", 30.0)
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
        wait_until(lambda: bool(listed(config)), "the call in the index", 20.0)
        assert stop(recorder, signal.SIGTERM, 20.0) == 0

        (found,) = [entry for entry in listed(config) if entry["state"] == "answered"]
        assert found["call_id"] == call_id
        assert (found["caller"], found["callee"], found["verdict"]) == ("alice", "bob", "recorded")
        assert (found["ended_by"], found["transport"]) == ("caller", "udp")
        assert 4.0 < found["duration_s"] < lasted_s
        audio, _ = soundfile.read(folder / "recordings" / found["recording"]["path"], always_2d=True)
        for channel, name in enumerate(("caller", "callee")):
            aligned = align(audio[:, channel], speech.load(name))
            assert aligned.true.sum() >= 15, f"the {name} is not heard"
        # R6: nothing is sent on the mirrored interface.
        assert lab.recorder.counter(TAP, "tx_packets") == 0
