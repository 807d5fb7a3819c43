"""Signals that ask for a stop: noted from the first moment on, whoever is told of them later."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from benchmarks.traffic import Traffic, write
from bystander.config import load
from bystander.daemon import run
from bystander.pipeline import Pipeline
from bystander.recorder import Recorder
from bystander.recovery import read_log
from bystander.sniffer.sip import Arrival
from bystander.stopping import noted

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_wakes_a_loop_that_has_nothing_to_do(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    async def wait() -> None:
        stop = asyncio.Event()
        stopping.tell(asyncio.get_running_loop(), stop.set)
        os.kill(os.getpid(), number)
        await stop.wait()

    with noted() as stopping:
        asyncio.run(wait())
        assert stopping.asked
        os.kill(os.getpid(), number)  # once more, with the loop closed: nobody is left to be told
    assert signal.getsignal(number) is before


def test_a_signal_before_anybody_is_there_to_be_told() -> None:
    told = []

    async def begin() -> None:
        stopping.tell(asyncio.get_running_loop(), lambda: told.append(1))

    with noted() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert not told
        asyncio.run(begin())
    assert told == [1]


def test_a_recorder_under_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noted() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The configuration of a recorder that was killed with three calls in its hands."""
    config, capture = tmp_path / "bystander.toml", tmp_path / "calls.pcap"
    config.write_text(
        '[recording]\ndirectory = "r"\nspool = "s"\nindex = "i.sqlite"\n[metrics]\nenabled = false\n'
    )
    write(Traffic(calls=3, seconds=2), capture)

    class KilledError(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "close", killed)
        with pytest.raises(KilledError):
            run(load(config), read=[capture])
    assert len({arrival.message.call_id for arrival in read_log(tmp_path / "s")}) == 3
    return config


def _nothing(config: Path) -> Path:
    path = config.with_name("nothing.pcap")
    path.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    return path


def test_killed_again_while_it_takes_up_what_was_left(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R6: the signalling of calls in progress is in the spool at every moment."""
    spool = left.with_name("s")
    before = [arrival.raw for arrival in read_log(spool)]
    found: list[list[bytes]] = []
    taken_up = Pipeline.replay

    def look(pipeline: Pipeline, arrival: Arrival) -> None:
        found.append([one.raw for one in read_log(spool)])
        taken_up(pipeline, arrival)

    monkeypatch.setattr(Pipeline, "replay", look)
    assert run(load(left), read=[_nothing(left)]) == 0
    assert found == [before] * len(before)


def test_told_to_stop_while_it_takes_up_what_was_left(
    left: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends in good order: what was left is finished."""
    taken_up = Recorder.recover

    async def recover(recorder: Recorder) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await taken_up(recorder)

    caplog.set_level("INFO")
    monkeypatch.setattr(Recorder, "recover", recover)
    assert run(load(left), read=[_nothing(left)]) == 0
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("recovered ")
    assert len([line for line in said if line.startswith("20261123-")]) == 3
    assert not (left.with_name("s") / "signalling.log").exists()
