"""R6: a real call goes on, heard intact at both ends, whatever becomes of the recorder on the mirror."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import speech
from phonelab.compare import BLOCK, align
from phonelab.network import TAP, Lab, missing, stop, wait_until
from phonelab.phone import Phone, call, hang_up
from phonelab.recorder import Recorder

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(missing()), reason=f"the lab: {missing()}")]


class Network:
    """Two telephones, and a recorder on the mirror of one's switch port."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.caller_host = lab.host("alice", "10.90.0.1")
        self.callee_host = lab.host("bob", "10.90.0.2")
        lab.mirror(self.callee_host)
        self.caller = Phone(self.caller_host, "alice", speech.write_wav("caller", lab.directory / "a.wav", 2))
        self.callee = Phone(self.callee_host, "bob", speech.write_wav("callee", lab.directory / "b.wav", 2))
        self.recorder = Recorder(lab)

    def calls(self, call_id: str) -> list[dict[str, Any]]:
        """What the index has of a call."""
        return [entry for entry in self.recorder.calls() if entry["call_id"] == call_id]

    def recorded(self, entries: list[dict[str, Any]], channel: int) -> list[np.ndarray[Any, Any]]:
        """One channel of each recording of a call."""
        return [self.recorder.audio(entry)[0][:, channel] for entry in entries if entry["recording"]]

    def begin(self) -> str:
        """A call is set up; returns its Call-ID."""
        mark = len(self.caller.events)
        call(self.caller, self.callee)
        return str(self.caller.wait_for("CALL_ESTABLISHED", mark)["id"])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield Network(lab)


def blocks_heard(phone: Phone, name: str, seconds: float) -> np.ndarray[Any, Any]:
    """Where in the speech the blocks lie that a telephone heard in its last call; fails when any is
    missing."""
    heard, rate_hz = soundfile.read(phone.heard()[-1], dtype="float64")
    assert rate_hz == speech.RATE_HZ
    aligned = align(heard, speech.load(name))
    positions = aligned.position[aligned.true]
    # In the speech itself, every block of 100 ms with a voice in it, as long as the call was.
    spoken = align(speech.load(name)[: round(seconds * rate_hz)], speech.load(name))
    gaps = [int(p) for p in spoken.position if np.abs(positions - p).min() >= BLOCK]
    # A loaded machine lets a telephone be late for a packet; an interruption would be many blocks in a row.
    assert len(gaps) <= 0.04 * len(spoken.position), f"{phone.user} did not hear the speech at samples {gaps}"
    return positions


def test_a_call_outlives_the_recorder(network: Network) -> None:
    """R6: SIGKILL in mid-call, and a new start, are not heard; nothing is sent; the call is in the index."""
    recorder = network.recorder.start()
    began = time.monotonic()
    call_id = network.begin()
    time.sleep(7.0)
    stop(recorder, signal.SIGKILL)
    killed_s = time.monotonic() - began
    recorder = network.recorder.start()
    restarted_s = time.monotonic() - began
    time.sleep(6.0)
    lasted_s = time.monotonic() - began
    hang_up(network.caller, network.callee)
    wait_until(lambda: bool(network.calls(call_id)), "the call in the index", 60.0)
    assert stop(recorder, signal.SIGTERM, 60.0) == 0

    assert network.lab.recorder.counter(TAP, "tx_packets") == 0
    for phone, name in ((network.callee, "caller"), (network.caller, "callee")):
        positions = blocks_heard(phone, name, lasted_s - 0.5)
        assert positions.max() / speech.RATE_HZ > restarted_s + 2

    # What was recorded before and after is there: all but what no flush had reached, and the time of the
    # restart.
    entries = network.calls(call_id)
    for channel, name in enumerate(("caller", "callee")):
        parts = [align(part, speech.load(name)) for part in network.recorded(entries, channel)]
        said_s = np.concatenate([p.position[p.true] for p in parts]) / speech.RATE_HZ
        assert (said_s < killed_s).sum() >= 15, (
            f"nothing of what the {name} said before the recorder was killed"
        )
        assert (said_s > restarted_s).sum() >= 15, f"nothing of what the {name} said after it came back"


def test_sigterm_ends_calls_in_progress(network: Network) -> None:
    """SIGTERM in mid-call: exit 0, the call in the index with its WAV; the telephones talk on."""
    recorder = network.recorder.start()
    began = time.monotonic()
    call_id = network.begin()
    time.sleep(4.0)
    assert stop(recorder, signal.SIGTERM, 60.0) == 0
    ended_s = time.monotonic() - began
    time.sleep(1.0)
    hang_up(network.callee, network.caller)

    entry = network.calls(call_id)[0]
    assert (entry["state"], entry["ended_by"]) == ("answered", "capture-end")
    assert 3.0 < entry["recording"]["duration_s"] <= ended_s
    for channel, name in enumerate(("caller", "callee")):
        aligned = align(network.recorded([entry], channel)[0], speech.load(name))
        assert aligned.true.sum() >= 15
    assert network.lab.recorder.counter(TAP, "tx_packets") == 0
    for phone, name in ((network.callee, "caller"), (network.caller, "callee")):
        blocks_heard(phone, name, ended_s + 0.5)
