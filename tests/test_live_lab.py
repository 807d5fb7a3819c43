"""The real daemon on the lab's mirror, with much at once: fifty calls; and a call that is encrypted, relayed,
held and tunnelled. Every channel is held against the speech, facts against what TShark reads on the tap.
"""

from __future__ import annotations

import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab import proxy, sipp, speech, truth
from phonelab.compare import align, silent
from phonelab.network import PROGRAMS, Lab, missing, stop, wait_until
from phonelab.phone import Phone, call, hang_up
from phonelab.recorder import Recorder

NEEDED = (*PROGRAMS, "sipp", "kamailio", "rtpengine", "tshark")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(missing(NEEDED)), reason=f"the lab: {missing(NEEDED)}"),
]

SIDES = ("caller", "callee")
RATE_HZ = speech.RATE_HZ
PAIRS, CALLS_EACH, TALK_S = 5, 10, 6.0


def ns(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000) * 1_000_000


def test_fifty_calls_at_once(tmp_path: Path) -> None:
    """C10, C11: fifty calls of five pairs of hosts, one SSRC for all of them; each has its own two voices."""
    start_s = {f"{side}{pair}": 2.0 * pair for pair in range(PAIRS) for side in SIDES}
    with Lab(tmp_path) as lab:
        hosts = {}
        for number, name in enumerate(start_s):
            hosts[name] = lab.host(name, f"10.90.0.{10 + number}")
            samples = name.rstrip("0123456789")
            sipp.write_rtp(samples, hosts[name].directory / "speech.pcap", TALK_S, start_s=start_s[name])
        lab.mirror(*(host for name, host in hosts.items() if name.startswith("callee")))
        recorder = Recorder(lab)
        daemon = recorder.start()
        with lab.capture(tmp_path / "tap.pcap"):
            servers = [sipp.serve(hosts[f"callee{n}"], "uas-speech", CALLS_EACH) for n in range(PAIRS)]
            callers = [
                sipp.dial(
                    hosts[f"caller{n}"], "uac-speech", hosts[f"callee{n}"], f"callee{n}",
                    round((TALK_S + 0.5) * 1000), CALLS_EACH, 5.0,
                )
                for n in range(PAIRS)
            ]  # fmt: skip
            for program in (*callers, *servers):
                program.finish()
        wait_until(lambda: len(recorder.calls()) >= PAIRS * CALLS_EACH, "fifty calls in the index", 60.0)
        recorded = {entry["call_id"]: entry for entry in recorder.calls()}
        assert stop(daemon, signal.SIGTERM, 60.0) == 0
        made = {told["call_id"]: told for told in truth.calls(tmp_path / "tap.pcap")}
        assert len(made) == PAIRS * CALLS_EACH
        assert max(told["answered_ns"] for told in made.values()) < min(
            told["bye_ns"] for told in made.values()
        )
        assert recorded.keys() == made.keys()
        for call_id, told in made.items():
            prove(recorder, recorded[call_id], told, start_s)


def prove(recorder: Recorder, entry: dict[str, Any], told: dict[str, Any], start_s: dict[str, float]) -> None:
    """A recording has the two voices of its own call, sample by sample, where TShark saw its packets."""
    assert (entry["verdict"], entry["recording"]["sample_rate"]) == ("recorded", RATE_HZ)
    audio, _ = recorder.audio(entry)
    for channel, side in enumerate(SIDES):
        (wire,) = (s for s in told["streams"] if s["by"] == side)
        (mine,) = (s for s in entry["streams"] if s["by"] == side)
        assert (mine["src"], mine["dst"], mine["packets"]) == (wire["src"], wire["dst"], wire["packets"])
        found = align(audio[:, channel], speech.load(side))
        assert found.median_db() > 35
        # Of the words that were said, all are there but those of packets that did not come.
        words = speech.load(side)[round(start_s[entry[side]] * RATE_HZ) :][: round(TALK_S * RATE_HZ)]
        spoken = align(words, speech.load(side))
        assert found.true.sum() >= 0.9 * spoken.true.sum() - wire["missing"]
        # When the first word of the file was said, by the recording and by the first packet.
        first = (
            np.median(found.start[found.true] - found.position[found.true]) + start_s[entry[side]] * RATE_HZ
        )
        late_s = (ns(entry["recording"]["starts_at"]) - wire["first_ns"]) / 1e9 + first / RATE_HZ
        assert abs(late_s) < 0.06, (entry["call_id"], side)


def test_c7_a_call_encrypted_on_one_hop_held_and_tunnelled(tmp_path: Path) -> None:
    """Through kamailio and rtpengine with AEAD_AES_256_GCM on the callee's hop, a key pressed, a hold, the
    mirror packed into VXLAN by the kernel: one call, one recording, both voices whole."""
    with Lab(tmp_path) as lab:
        alice, bob = lab.host("alice", "10.90.0.1"), lab.host("bob", "10.90.0.2")
        server = lab.host("proxy", "10.90.0.4")
        try:
            lab.mirror(server, tap=lab.tunnel("vxlan", "id", 4711, "dstport", 4789, "nolearning"))
        except RuntimeError as error:
            pytest.skip(f"this kernel has no VXLAN: {error}")
        recorder = Recorder(lab)
        daemon = recorder.start()
        relay = proxy.Proxy(server, relay=True, near=proxy.PLAIN, far=proxy.SECURE)
        phones = [
            Phone(
                host, host.name, speech.write_wav(name, tmp_path / f"{name}.wav", 2),
                account=relay.account(host.name), encryption=encryption,
            )
            for host, name, encryption in ((alice, "caller", ""), (bob, "callee", "srtp-mand"))
        ]  # fmt: skip
        a, b = phones
        for phone in phones:
            phone.registered()
        with lab.capture(tmp_path / "tap.pcap"):
            call(a, b, relay.uri("bob"))
            time.sleep(2.0)
            a.command("sndcode", "7")
            time.sleep(2.0)
            mark = len(b.events)
            a.command("hold")
            b.wait_for("CALL_REMOTE_SDP", mark)
            time.sleep(2.0)
            mark = len(b.events)
            a.command("resume")
            b.wait_for("CALL_REMOTE_SDP", mark)
            time.sleep(3.0)
            hang_up(b, a)
        wait_until(lambda: bool(recorder.calls()), "the call in the index", 60.0)
        (entry,) = recorder.calls()
        assert stop(daemon, signal.SIGTERM, 60.0) == 0
        for phone in phones:
            phone.close()
        (told,) = truth.calls(tmp_path / "tap.pcap")
        audio, rate_hz = recorder.audio(entry)

    facts = {name: entry[name] for name in ("call_id", "caller", "callee", "verdict", "ended_by")}
    assert facts == {
        "call_id": told["call_id"], "caller": "alice", "callee": "bob", "verdict": "recorded",
        "ended_by": "callee",
    }  # fmt: skip
    assert [(press["digit"], press["by"], press["method"]) for press in entry["dtmf"]] == [
        ("7", "caller", "rfc4733")
    ]
    for stream in entry["streams"]:
        assert stream["srtp"] == ("10.90.0.2:" in stream["src"] + stream["dst"])
        assert stream["tunnel"] == "vxlan"
    (held,) = entry["holds"]
    assert held["by"] == "caller"
    first, last = ((ns(held[edge]) - ns(entry["recording"]["starts_at"])) / 1e9 for edge in ("from", "to"))
    for channel, name in enumerate(SIDES):
        sound = audio[:, channel]
        assert silent(sound[round((first + 0.15) * rate_hz) : round((last - 0.15) * rate_hz)])
        for begin, end in ((0.0, first), (last + 0.2, len(sound) / rate_hz)):
            found = align(sound[round(begin * rate_hz) : round(end * rate_hz)], speech.load(name))
            assert found.median_db() > 35
            assert found.true.sum() > 15
