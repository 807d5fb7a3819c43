"""What is fuzzed: each target takes one random case, and may refuse it only in the ways it documents."""

from __future__ import annotations

import gzip
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from bystander.codecs.packets import PacketRun
from bystander.finished import FinishedCall, Orphan
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.sdp import parse_sdp
from bystander.sniffer.sip import parse_message
from bystander.storage.spool import Spool, read_facts, read_media
from fuzz import seeds
from fuzz.keys import KeysTarget
from fuzz.mutations import mutate, splice

#: Every link type that the parser knows, and one that it does not.
_LINK_TYPES: Final = (1, 1, 1, 1, 1, 1, 0, 9, 12, 14, 50, 51, 101, 104, 108, 113, 147, 219, 228, 229, 276)
_START_NS: Final = 1_795_464_000_000_000_000
#: Frames of one case: a block.
_MOST_FRAMES: Final = 64
_MOST_STREAMS: Final = 512


class Target(Protocol):
    """Something that reads what others wrote."""

    name: str

    def run(self, rng: random.Random) -> None:
        """Take one case. Raising is a finding."""

    def summary(self) -> str:
        """What the cases came to, to see that they reach beyond the first check."""


def block(frames: list[bytes], times_ns: list[int], linktype: int) -> Frames:
    """Frames as a capture source hands them over; some are longer on the wire than captured."""
    sizes = np.array([len(frame) for frame in frames], dtype=np.int64)
    data = np.frombuffer(b"".join(frames) + bytes(PAD), dtype=np.uint8).copy()
    offset = np.cumsum(sizes) - sizes
    return Frames(data, offset, sizes, sizes.copy(), np.array(times_ns, dtype=np.int64), linktype)


class FramesTarget:
    """Sound, spoiled and random frames through the whole pipeline, one block a case.

    The clock runs on between cases, with leaps both ways now and then, so that calls linger and end, streams
    expire and tables turn over.
    """

    name = "frames"

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bystander-fuzz-")
        self._spool = Spool(Path(self._folder.name))
        # A row of each stream's audio is most of the memory: few enough that they are all in use soon.
        settings = PipelineSettings(root=Path(self._folder.name), max_streams=_MOST_STREAMS)
        self._pipeline = Pipeline(settings, self._spool, self._finished)
        self._now_ns = _START_NS
        self._ended: Counter[str] = Counter()

    def _finished(self, ended: FinishedCall | Orphan) -> None:
        self._ended[ended.call.state if isinstance(ended, FinishedCall) else "orphan"] += 1
        ended.discard()

    def _frame(self, rng: random.Random) -> bytes:
        kind = rng.random()
        frame = rng.choice(seeds.frames())
        if kind < 0.3:
            return frame
        if kind < 0.85:
            return mutate(frame, rng)
        if kind < 0.95:
            return splice(frame, rng.choice(seeds.frames()), rng)
        return rng.randbytes(rng.randrange(200))

    def run(self, rng: random.Random) -> None:
        frames = [self._frame(rng) for _ in range(rng.randrange(_MOST_FRAMES))]
        if rng.random() < 0.3:  # a stretch as it was captured, so that dialogs and streams come about
            at = rng.randrange(len(seeds.frames()))
            frames += seeds.frames()[at : at + _MOST_FRAMES]
        times = []
        for _ in frames:
            self._now_ns += rng.choice((0, 1000, 20_000_000))
            times.append(self._now_ns)
        self._pipeline.feed(block(frames, times, rng.choice(_LINK_TYPES)))
        if rng.random() < 0.02:
            self._now_ns += rng.choice((-20_000_000_000, 5_000_000_000, 60_000_000_000, 7_200_000_000_000))
            self._pipeline.advance(self._now_ns)

    def summary(self) -> str:
        ended = ", ".join(f"{count} {state}" for state, count in sorted(self._ended.items()))
        frames, streams = self._pipeline.counters["frames"], len(self._pipeline.streams)
        return f"{frames} frames, calls {ended or 'none'}, {streams} streams at the end"


class SipTarget:
    """Spoiled SIP messages and bodies through the parsers."""

    name = "sip"

    def __init__(self) -> None:
        self._read: Counter[str] = Counter()

    def run(self, rng: random.Random) -> None:
        data = mutate(rng.choice(seeds.messages()), rng)
        if rng.random() < 0.2:
            data = splice(data, rng.choice(seeds.messages()), rng)
        message = parse_message(data)
        if isinstance(message, str):
            self._read["refused"] += 1
        else:
            self._read["read"] += 1
            described = (message.header("x-none"), message.from_, message.to, message.sdp)
            self._read["with SDP"] += described[3] is not None
        parse_sdp(data)

    def summary(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self._read.items()))


class FilesTarget:
    """Spoiled capture files through the reader, which may only say CaptureError."""

    name = "files"

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bystander-fuzz-")
        self._read: Counter[str] = Counter()

    def run(self, rng: random.Random) -> None:
        data = mutate(rng.choice(seeds.captures()), rng)
        if rng.random() < 0.2:
            data = gzip.compress(data, compresslevel=1)
            data = mutate(data, rng) if rng.random() < 0.5 else data
        path = Path(self._folder.name, "case")
        path.write_bytes(data)
        try:
            with open_captures([path]) as source:
                for frames in source.blocks():
                    self._read["frames"] += len(frames)
                    if len(frames) and int((frames.offset + frames.captured).max()) > len(frames.data):
                        raise AssertionError("a frame lies outside its buffer")
                self._read["with problems"] += bool(source.problems)
        except CaptureError:
            self._read["refused"] += 1

    def summary(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self._read.items()))


class SpoolTarget:
    """Spoiled spool files through the reader of what a killed process left."""

    name = "spool"

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bystander-fuzz-")
        folder = Path(self._folder.name)
        spool = Spool(folder)
        facts = {"src": ["10.0.0.1", 4000], "dst": ["10.0.0.2", 4002], "ssrc": 1, "first_ns": _START_NS}
        spool.describe(1, lambda: facts)
        samples = np.arange(4000, dtype=np.int64).astype(np.uint8)
        spool.audio(1, 0, 8, samples)
        spool.audio(1, 4000, 0, samples)
        one = np.ones(3, dtype=np.int64)
        sizes = one.astype(np.int32) * 5
        run = PacketRun(one, one.astype(np.uint32), one.astype(np.uint8), one, sizes, samples[:15])
        spool.packets(1, run)
        path, _ = spool.take(1)
        assert path is not None
        self._path = path
        self._sound = self._path.read_bytes()
        self._read: Counter[str] = Counter()
        spool.close()

    def run(self, rng: random.Random) -> None:
        self._path.write_bytes(mutate(self._sound, rng))
        media = read_media(self._path)
        self._read["runs"] += len(media.runs)
        self._read["kept"] += 0 if media.packets is None else len(media.packets)
        self._read["described"] += read_facts(self._path) is not None

    def summary(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self._read.items()))


TARGETS: Final[dict[str, type[Target]]] = {
    target.name: target for target in (FramesTarget, SipTarget, FilesTarget, SpoolTarget, KeysTarget)
}
