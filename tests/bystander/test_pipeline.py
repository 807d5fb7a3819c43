"""The pipeline: the same calls come out, however the frames went in."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks import traffic, verify
from benchmarks.headers import checksum, ethernet
from benchmarks.plan import Plan
from benchmarks.traffic import Traffic
from bystander.finish import finish
from bystander.finished import Finished, FinishedCall, Orphan
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.sniffer.calls import CallSettings
from bystander.sniffer.frames import PAD, Frames
from bystander.storage.spool import Spool

S = 1_000_000_000

#: (time in ns, frame)
Wire = list[tuple[int, bytes]]


def wire_of(settings: Traffic) -> tuple[Wire, dict[str, Any]]:
    """Generate traffic: its frames in order of time, and what is in it."""
    writer = traffic.Writer(Plan(settings))
    wire = [
        (int(at), piece.data[start : start + size].tobytes())
        for piece in writer.slices()
        for at, start, size in zip(piece.time_ns, piece.start, piece.size, strict=True)
    ]
    return wire, writer.truth()


def block(wire: Wire) -> Frames:
    sizes = np.array([len(raw) for _, raw in wire], np.int64)
    data = np.frombuffer(b"".join(raw for _, raw in wire) + bytes(PAD), np.uint8)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, np.array([at for at, _ in wire], np.int64))


class Runner:
    """Feeds frames and writes what is finished at once; ``calls`` are the call objects."""

    def __init__(self, folder: Path, spool: Spool | None = None, **changes: Any) -> None:
        self.root = folder
        self.calls: list[dict[str, Any]] = []
        self.orphans: list[dict[str, Any]] = []
        self.spool = spool or Spool(folder / "spool")
        chosen = PipelineSettings(
            root=folder, target=lambda call: Path(call.call_id.replace("@", "-") + ".wav"), **changes
        )
        self.pipeline = Pipeline(chosen, self.spool, self._finished)

    def _finished(self, done: Finished) -> None:
        told = done.describe(finish(done.job))
        (self.calls if isinstance(done, FinishedCall) else self.orphans).append(told)
        done.discard()

    def run(self, wire: Wire, size: int | None = None) -> Runner:
        size = size or len(wire)
        for start in range(0, len(wire), size):
            self.pipeline.feed(block(wire[start : start + size]))
        self.pipeline.close()
        self.spool.close()
        self.calls.sort(key=lambda call: call["call_id"])
        return self


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    numbers = iter(range(100))

    def make(**changes: Any) -> Runner:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return Runner(folder, **changes)

    yield make


LOSSY = Traffic(calls=4, seconds=5, stagger_s=3, loss=0.03, reorder=0.03, duplicates=0.05, ptime_ms=(10, 20))


def test_calls_do_not_depend_on_blocks(runner: Callable[..., Runner]) -> None:
    """The same frames in blocks of any size: the same calls, figures and bytes of audio."""
    wire, truth = wire_of(LOSSY)
    whole = runner().run(wire)
    found = verify.check(truth, whole.calls, whole.root)
    assert not found.problems, found.problems[:5]
    for size in (1000, 37):
        assert runner().run(wire, size).calls == whole.calls


def test_durable_pipelines_make_the_same_recordings(runner: Callable[..., Runner]) -> None:
    """Flushed every few seconds, or at the end: the same audio."""
    wire, _ = wire_of(Traffic(calls=2, seconds=12, loss=0.05, reorder=0.05))
    assert runner(durable=True).run(wire, 50).calls == runner().run(wire).calls


def fragmented(raw: bytes, ident: int) -> list[bytes]:
    """The frame as IPv4 fragments, the last one first."""
    header, body = raw[14:34], raw[34:]
    pieces = []
    for at in range(0, len(body), 400):
        part = body[at : at + 400]
        more = 0x2000 if at + 400 < len(body) else 0
        ip = bytearray(header)
        ip[2:4] = (20 + len(part)).to_bytes(2, "big")
        ip[4:6] = ident.to_bytes(2, "big")
        ip[6:8] = (more | at // 8).to_bytes(2, "big")
        ip[10:12] = b"\0\0"
        ip[10:12] = checksum(bytes(ip)).to_bytes(2, "big")
        pieces.append(raw[:14] + bytes(ip) + part)
    return pieces[::-1]


@pytest.mark.parametrize("start", [b"INVITE ", b"SIP/2.0 200"])
@pytest.mark.parametrize("size", [None, 1])
def test_a_fragmented_message_keeps_its_place(
    runner: Callable[..., Runner], start: bytes, size: int | None
) -> None:
    """C1: put together out of its fragments, it still comes before what was captured after it."""
    wire, truth = wire_of(Traffic(calls=1, seconds=2))
    parts: Wire = []
    for number, (at, raw) in enumerate(wire):
        if raw[42:].startswith(start) and len(raw) > 434:
            parts += [(at, piece) for piece in fragmented(raw, number)]
        else:
            parts.append((at, raw))
    assert len(parts) > len(wire)
    done = runner().run(parts, size)
    found = verify.check(truth, done.calls, done.root)
    assert not found.problems, found.problems
    assert [call["streams"] for call in done.calls] == [call["streams"] for call in runner().run(wire).calls]


def test_media_before_its_signalling_is_kept(runner: Callable[..., Runner]) -> None:
    """Record first, understand later: SIP that comes a second late costs no audio."""
    wire, truth = wire_of(Traffic(calls=1, seconds=3))
    late = sorted(
        ((at + (S if b"SIP/2.0" in raw and b"BYE" not in raw else 0), raw) for at, raw in wire),
        key=lambda frame: frame[0],
    )
    (call,) = runner().run(late, 1).calls
    sent = truth["calls"][0]["streams"]
    assert sorted(stream["packets"] for stream in call["streams"]) == sorted(s["packets"] for s in sent)
    assert call["recording"]["duration_s"] == pytest.approx(3, abs=0.15)


def test_streams_without_a_call_are_listed_or_kept(runner: Callable[..., Runner]) -> None:
    wire, _ = wire_of(Traffic(calls=1, seconds=2))
    silent = [(at, raw) for at, raw in wire if b"SIP/2.0" not in raw]
    listed = runner().run(silent)
    assert listed.calls == []
    assert [stream["packets"] for stream in listed.pipeline.unclaimed] == [100, 100]
    assert listed.pipeline.counters["unclaimed"] == 2
    kept = runner(keep_unclaimed=True).run(silent)
    assert kept.pipeline.unclaimed == []
    assert [orphan["packets"] for orphan in kept.orphans] == [100, 100]
    for orphan in kept.orphans:
        samples, rate = soundfile.read(kept.root / orphan["recording"]["path"], dtype="int16")
        assert (rate, len(samples)) == (8000, pytest.approx(16_000, abs=32))
        assert samples[:, 0].any()


def test_unclaimed_streams_are_dropped_in_time_and_their_slots_used_again(
    runner: Callable[..., Runner],
) -> None:
    wire, _ = wire_of(Traffic(calls=1, seconds=20))
    silent = [(at, raw) for at, raw in wire if b"SIP/2.0" not in raw]
    done = runner(calls=CallSettings(unclaimed_s=3.0), durable=True)
    done.run(silent, 50)
    assert done.pipeline.counters["unclaimed"] >= 4
    assert len(done.pipeline.streams) == 0
    assert sum(path.stat().st_size for path in (done.root / "spool").iterdir()) == 0


def test_a_quiet_wire_finishes_calls_when_time_passes(runner: Callable[..., Runner]) -> None:
    wire, _ = wire_of(Traffic(calls=1, seconds=2))
    done = runner()
    done.pipeline.feed(block(wire))
    assert done.calls == []
    done.pipeline.advance(wire[-1][0] + 60 * S)
    assert [call["verdict"] for call in done.calls] == ["recorded"]
    assert len(done.pipeline.streams) == 0


def test_a_clock_set_back_does_not_hold_calls_up(runner: Callable[..., Runner]) -> None:
    """C18: from 2030 back to now; calls that end after it are handed out."""
    ahead, _ = wire_of(Traffic(calls=1, seconds=1, start_ns=1_900_000_000 * S, seed=2))
    now, _ = wire_of(Traffic(calls=1, seconds=2))
    done = runner()
    done.pipeline.feed(block(ahead[:10]))
    done.pipeline.feed(block(now))
    done.pipeline.advance(now[-1][0] + 60 * S)
    assert "recorded" in [call["verdict"] for call in done.calls]


def test_times_that_are_nonsense_never_raise(runner: Callable[..., Runner]) -> None:
    """C18: any 64-bit number may stand where a time should."""
    wire, _ = wire_of(Traffic(calls=1, seconds=2))
    chance = np.random.default_rng(1)
    for size in (None, 10):
        times = chance.choice([0, 1, 2**63 - 1, -(2**63), 2**62, 5 * S], len(wire))
        wild = [
            (int(nonsense) if chance.random() < 0.3 else at, raw)
            for nonsense, (at, raw) in zip(times, wire, strict=True)
        ]
        done = runner()
        for start in range(0, len(wild), size or len(wild)):
            done.pipeline.feed(block(wild[start : start + (size or len(wild))]))
        done.spool.close()


def test_frames_captured_a_little_out_of_order(runner: Callable[..., Runner]) -> None:
    """C18: two capture queues merged badly."""
    wire, truth = wire_of(Traffic(calls=2, seconds=3))
    chance = np.random.default_rng(2)
    order = np.argsort(np.arange(len(wire)) + chance.uniform(0, 4, len(wire)), kind="stable")
    shuffled = [(wire[i][0], wire[i][1]) for i in order.tolist()]
    done = runner().run(shuffled, 100)
    assert [call["verdict"] for call in done.calls] == ["recorded"] * 2
    sent = sorted(stream["packets"] for call in truth["calls"] for stream in call["streams"])
    assert sorted(s["packets"] for call in done.calls for s in call["streams"]) == sent


class FullSpool(Spool):
    """A spool on a disk that fills up after so many chunks."""

    room = 20

    def _append(self, *chunk: Any) -> None:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super()._append(*chunk)


def test_a_full_disk_costs_chunks_and_the_call_says_so(tmp_path: Path) -> None:
    """R6: live capture goes on, and what it could not keep is in the verdict; a file's extraction stops."""
    wire, _ = wire_of(Traffic(calls=2, seconds=20))
    for durable in (True, False):
        folder = tmp_path / str(durable)
        folder.mkdir()
        full = FullSpool(folder / "full")
        full.room = 3 if durable else 0
        runner = Runner(folder, full, durable=durable)
        if durable:
            runner.run(wire, 100)
            assert "partial" in {call["verdict"] for call in runner.calls}
            assert runner.pipeline.counters["spool-errors"] > 0
        else:
            with pytest.raises(OSError, match="No space"):
                runner.run(wire, 100)


def test_a_call_joined_midway_is_partial(runner: Callable[..., Runner]) -> None:
    """C6: the capture began during the call."""
    wire, _ = wire_of(Traffic(calls=1, seconds=3))
    (call,) = runner().run([frame for frame in wire if not frame[1][42:].startswith(b"INVITE")]).calls
    assert call["verdict"] == "partial"


def test_capture_loss_during_a_call_makes_it_partial(runner: Callable[..., Runner]) -> None:
    """C23: and only that call."""
    wire, truth = wire_of(Traffic(calls=2, seconds=2, stagger_s=20))
    done = runner()
    done.pipeline.note_loss(wire[0][0] + S, wire[0][0] + S)
    done.run(wire, 100)
    verdicts = {call["call_id"]: call["verdict"] for call in done.calls}
    assert list(map(verdicts.get, (call["call_id"] for call in truth["calls"]))) == ["partial", "recorded"]


def test_an_interrupted_call_is_partial(runner: Callable[..., Runner]) -> None:
    wire, _ = wire_of(Traffic(calls=1, seconds=3))
    done = runner()
    done.pipeline.feed(block(wire[: len(wire) // 2]))
    done.pipeline.close(interrupted=True)
    assert [(call["verdict"], call["ended_by"]) for call in done.calls] == [("partial", "capture-end")]


def test_nothing_captured_is_nothing_found(runner: Callable[..., Runner]) -> None:
    done = runner()
    done.pipeline.feed(block([]))
    assert done.run([], 1).calls == []


def test_what_is_not_telephony_is_counted(runner: Callable[..., Runner]) -> None:
    wire: Wire = [
        (S, ethernet("10.0.0.1", "10.0.0.2") + b"\x46"),
        (S, bytes(20)),
        (2 * S, ethernet("10.0.0.1", "10.0.0.2") + bytes(5)),
    ]
    done = runner().run(wire)
    assert (done.calls, done.pipeline.counters["frames"]) == ([], 3)
    assert done.pipeline.bad["ip-header"] == 2


def test_an_orphan_is_told_from_a_call(runner: Callable[..., Runner]) -> None:
    wire, _ = wire_of(Traffic(calls=1, seconds=1))
    found: list[Finished] = []
    done = runner(keep_unclaimed=True)
    done.pipeline._out._finished = found.append
    done.pipeline.feed(block([frame for frame in wire if b"SIP/2.0" not in frame[1]]))
    done.pipeline.close()
    assert [type(each) for each in found] == [Orphan, Orphan]


def test_a_call_in_progress_keeps_the_bytes_of_its_messages_and_not_their_headers(tmp_path: Path) -> None:
    raw = (
        b"INVITE sip:2@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
        b"Call-ID: 1@10.0.0.1\r\nFrom: <sip:1@10.0.0.1>;tag=a\r\nTo: <sip:2@10.0.0.2>\r\n"
        b"CSeq: 1 INVITE\r\n\r\n"
    )
    seen: list[str] = []
    pipeline = Pipeline(
        PipelineSettings(root=tmp_path),
        Spool(tmp_path / "spool"),
        lambda _finished: None,
        lambda arrival: seen.append(arrival.message.header("cseq")),
    )
    pipeline.feed_apart(10**18, ("10.0.0.1", 5060), ("10.0.0.2", 5060), "udp", raw)
    (kept,) = pipeline.calls.messages_in_progress()
    assert (kept.raw, kept.message.call_id, kept.message.headers) == (raw, "1@10.0.0.1", {})
    assert seen == ["1 INVITE"]


@pytest.mark.parametrize("size", [1, 10, None])
def test_media_that_goes_on_a_little_after_the_bye_is_the_calls(
    runner: Callable[..., Runner], size: int | None
) -> None:
    """A telephone that has not read the BYE yet still speaks: its stream is not cut off at the next look."""
    wire, _ = wire_of(Traffic(calls=1, seconds=6))
    byes = [frame for frame in wire if b"CSeq: 2 BYE" in frame[1]]
    others = [frame for frame in wire if frame not in byes]
    moment = others[-1][0] - S
    early = [(moment + at, raw) for at, (_, raw) in enumerate(byes)]
    done = runner().run(sorted(others + early, key=lambda frame: frame[0]), size)
    (call,) = done.calls
    assert (call["ended_by"], done.orphans) == ("callee", [])
    assert [stream["packets"] for stream in call["streams"]] == [300, 300]
