"""A call over real TLS on a live mirror: read with the key log that the telephone writes meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "scenes"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab.network import TAP, Lab, missing, stop, wait_until
from scenery import who

from tests.tlskit import certificate

HERE = Path(__file__).resolve().parent
PROGRAMS = ("ip", "tc", "tshark", "openssl")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(missing(PROGRAMS)), reason=f"the lab: {missing(PROGRAMS)}"),
]
CONFIG = """\
[capture]
interface = "{tap}"
tls_keylog = "{folder}/keys.log"
[recording]
directory = "{folder}/recordings"
spool = "{folder}/spool"
index = "{folder}/index.sqlite"
linger_s = 3.0
[metrics]
enabled = false
"""


def test_a_call_over_tls_is_recorded_live(tmp_path: Path) -> None:
    """The messages come back from TShark a little after the media, which has waited for them."""
    for source, name in zip(certificate(), ("cert.pem", "key.pem"), strict=True):
        shutil.copy(source, tmp_path / name)
    config = tmp_path / "bystander.toml"
    config.write_text(CONFIG.format(tap=TAP, folder=tmp_path))
    with Lab(tmp_path / "lab") as lab:
        alice, bob = lab.host("alice", "10.90.0.1"), lab.host("bob", "10.90.0.2")
        lab.mirror(bob)
        recorder = lab.recorder.start(
            sys.executable, "-m", "bystander", "run", "-c", config, log="recorder.log"
        )
        wait_until(lambda: "recording from" in lab.recorder.log("recorder.log"), "the recorder", 30.0)
        phone = (sys.executable, HERE / "tlsphone.py")
        server = bob.start(*phone, "callee", bob.address, alice.address, tmp_path, log="phone.log")
        wait_until(lambda: "ready" in bob.log("phone.log"), "the telephone", 30.0)
        client = alice.start(*phone, "caller", alice.address, bob.address, tmp_path, log="phone.log")
        assert client.wait(60) == 0, alice.log("phone.log")
        assert server.wait(60) == 0, bob.log("phone.log")
        wait_until(lambda: bool(calls(config)), "the call in the index", 30.0)
        assert stop(recorder, signal.SIGTERM, 20.0) == 0, lab.recorder.log("recorder.log")
    (call,) = calls(config)
    assert (call["transport"], call["verdict"], call["ended_by"]) == ("tls", "recorded", "caller")
    assert (call["caller"], call["callee"]) == ("101", "102")
    read, rate = soundfile.read(tmp_path / "recordings" / call["recording"]["path"], dtype="int16")
    middle = read[rate : 2 * rate]
    assert (who(middle[:, 0]), who(middle[:, 1])) == ("caller", "callee")


def calls(config: Path) -> list[dict[str, Any]]:
    """What the index lists."""
    asked = [sys.executable, "-m", "bystander", "calls", "--json", "-c", str(config)]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(listed.stdout) if listed.returncode == 0 else []
    return found
