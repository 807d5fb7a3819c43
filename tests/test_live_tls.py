"""A call over real TLS on a live mirror: read with the key log that the telephone writes meanwhile."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "scenes"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab.network import Lab, missing, stop, wait_until
from phonelab.recorder import Recorder
from scenery import who

from tests.tlskit import certificate

HERE = Path(__file__).resolve().parent
PROGRAMS = ("ip", "tc", "tshark", "openssl")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(missing(PROGRAMS)), reason=f"the lab: {missing(PROGRAMS)}"),
]


def test_a_call_over_tls_is_recorded_live(tmp_path: Path) -> None:
    """The messages come back from TShark a little after the media, which has waited for them."""
    for source, name in zip(certificate(), ("cert.pem", "key.pem"), strict=True):
        shutil.copy(source, tmp_path / name)
    with Lab(tmp_path / "lab") as lab:
        alice, bob = lab.host("alice", "10.90.0.1"), lab.host("bob", "10.90.0.2")
        lab.mirror(bob)
        recorder = Recorder(lab, capture=f'tls_keylog = "{tmp_path}/keys.log"', linger_s=3.0)
        daemon = recorder.start()
        phone = (sys.executable, HERE / "tlsphone.py")
        server = bob.start(*phone, "callee", bob.address, alice.address, tmp_path, log="phone.log")
        wait_until(lambda: "ready" in bob.log("phone.log"), "the telephone", 60.0)
        client = alice.start(*phone, "caller", alice.address, bob.address, tmp_path, log="phone.log")
        assert client.wait(60) == 0, alice.log("phone.log")
        assert server.wait(60) == 0, bob.log("phone.log")
        wait_until(lambda: bool(recorder.calls()), "the call in the index", 60.0)
        assert stop(daemon, signal.SIGTERM, 60.0) == 0, lab.recorder.log("recorder.log")
        (call,) = recorder.calls()
    assert (call["transport"], call["verdict"], call["ended_by"]) == ("tls", "recorded", "caller")
    assert (call["caller"], call["callee"]) == ("101", "102")
    read, rate = soundfile.read(recorder.folder / "recordings" / call["recording"]["path"], dtype="int16")
    middle = read[rate : 2 * rate]
    assert (who(middle[:, 0]), who(middle[:, 1])) == ("caller", "callee")
