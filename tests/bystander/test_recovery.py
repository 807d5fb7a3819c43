"""What a killed recorder leaves, however it was cut off."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bystander.recovery import NAME, SignallingLog, finished_before, read_log, read_streams
from bystander.report import rfc3339
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.sip import Arrival, Message, parse_message
from bystander.sniffer.streams import Figures
from bystander.storage.entry import time_ns
from bystander.storage.spool import Spool

FIGURES = Figures(packets=9, lost=0, duplicates=0, reordered=0, jitter_ms=0.5, last_ns=5, epoch_ns=3)


def test_the_log_cut_at_every_byte(tmp_path: Path, arrivals: list[Arrival]) -> None:
    """A record cut short is the end; all that stand before it are read back as they were."""
    log = SignallingLog(tmp_path)
    ends = []
    for arrival in arrivals:
        log.append(arrival)
        ends.append((tmp_path / NAME).stat().st_size)
    log.close(remove=False)
    whole = (tmp_path / NAME).read_bytes()
    for cut in range(len(whole) + 1):
        (tmp_path / NAME).write_bytes(whole[:cut])
        found = list(read_log(tmp_path))
        assert len(found) == sum(end <= cut for end in ends)
        for one, other in zip(found, arrivals, strict=False):
            assert (one.time_ns, one.src, one.dst, one.raw) == (
                other.time_ns, other.src, other.dst, other.raw
            )  # fmt: skip


@given(st.binary(max_size=300))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_log_of_anything(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    list(read_log(tmp_path))


def test_the_log_goes_on_after_what_was_cut(tmp_path: Path, arrivals: list[Arrival]) -> None:
    """Begun anew with what is still wanted, it holds that and what comes after."""
    log = SignallingLog(tmp_path)
    for arrival in arrivals:
        log.append(arrival)
    log.begin_anew(arrivals[:2])
    log.append(arrivals[-1])
    log.close(remove=False)
    assert [one.raw for one in read_log(tmp_path)] == [one.raw for one in (*arrivals[:2], arrivals[-1])]
    assert not list(tmp_path.glob("*.part"))


@given(st.integers(0, 4 * 10**18))
def test_a_call_in_the_index_is_known_again(started_ns: int) -> None:
    """Whatever its nanoseconds: the index keeps milliseconds, rounded."""
    call: Any = SimpleNamespace(call_id="a@b", started_ns=started_ns)
    kept = (call.call_id, time_ns(rfc3339(started_ns)) // 1_000_000)
    assert finished_before(call, {kept})
    assert not finished_before(call, {("other", kept[1])})


@pytest.mark.parametrize(
    "spoil",
    [
        {"id": "x"}, {"src": []}, {"dst": None}, {"figures": {}}, {"figures": 5},
        {"payload_types": 3}, {"ssrc": None}, {"first_ns": [1]},
    ],
)  # fmt: skip
def test_a_stream_that_does_not_say_what_it_is(tmp_path: Path, spoil: dict[str, Any]) -> None:
    """One damaged spool file costs its own stream, not the start of the recorder."""
    facts = {
        "id": 7, "src": ["10.0.0.1", 4000], "dst": ["10.0.0.2", 4002], "ssrc": 5, "first_ns": 3,
        "payload_types": [8], "figures": asdict(FIGURES),
    }  # fmt: skip
    spool = Spool(tmp_path)
    for stream, said in ((1, facts), (2, facts | spoil)):
        spool.describe(stream, lambda said=said: json.loads(json.dumps(said)))
        spool.audio(stream, 0, 8, np.zeros(160, np.uint8))
    spool.close()
    found = read_streams(tmp_path)
    assert [(one.id, one.src, one.figures) for one in found] == [(7, ("10.0.0.1", 4000), FIGURES)]


def test_realms_outlive_a_kill(tmp_path: Path, arrivals: list[Arrival]) -> None:
    """Calls in two networks with one address plan are two to the process that comes after, too."""
    log = SignallingLog(tmp_path)
    for realm in ("vlan 10", ""):
        for one in arrivals:
            src, dst = (within(one.src[0], realm), one.src[1]), (within(one.dst[0], realm), one.dst[1])
            message = parse_message(one.raw)
            assert isinstance(message, Message)
            log.append(Arrival(one.time_ns, src, dst, one.transport, message, one.raw))
    log.close(remove=False)
    found = list(read_log(tmp_path))
    assert len(found) == 2 * len(arrivals)
    for number, one in enumerate(found):
        names = (one.src[0], one.dst[0], one.message.call_id)
        assert [realm_of(name) for name in names] == ["vlan 10" if number < len(arrivals) else ""] * 3
        assert str(one.src[0]) == arrivals[number % len(arrivals)].src[0]
    facts = {
        "id": 7, "src": ["10.0.0.1", 4000], "dst": ["10.0.0.2", 4002], "ssrc": 5, "first_ns": 3,
        "payload_types": [8], "figures": asdict(FIGURES), "realm": "vlan 10",
    }  # fmt: skip
    spool = Spool(tmp_path)
    spool.describe(1, lambda: json.loads(json.dumps(facts)))
    spool.audio(1, 0, 8, np.zeros(160, np.uint8))
    spool.close()
    (stream,) = read_streams(tmp_path)
    assert stream.src == (within("10.0.0.1", "vlan 10"), 4000)
    assert stream.dst == (within("10.0.0.2", "vlan 10"), 4002)
