"""SRTP and a recorder that is killed: whole packets are in the spool, keys in the signalling log beside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenes"))

from scenery import Line, Outcome, Scene
from test_srtp import Keys, key, open_call, say

from bystander.finish import finish
from bystander.finished import Finished
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.recovery import SignallingLog, read_log, read_streams
from bystander.sniffer.frames import PAD, Frames
from bystander.storage.spool import Spool

S = 1_000_000_000
T0 = 1_795_464_000 * S


def block(frames: list[tuple[float, bytes]]) -> Frames:
    sizes = np.array([len(raw) for _, raw in frames], np.int64)
    data = np.frombuffer(b"".join(raw for _, raw in frames) + bytes(PAD), np.uint8)
    times = np.array([T0 + round(at * S) for at, _ in frames], np.int64)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, times)


class Recorder:
    """A recorder at work on a folder, that takes up what one before it has left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[dict[str, Any]] = []
        left, messages = read_streams(folder / "spool"), list(read_log(folder / "spool"))
        self.spool = Spool(folder / "spool")
        self.log = SignallingLog(folder / "spool")
        settings = PipelineSettings(root=folder, target=lambda _call: Path("call.wav"), durable=True)
        first = 1 + max((stream.id for stream in left), default=0)
        self.pipeline = Pipeline(settings, self.spool, self._finished, self.log.append, first)
        self.log.begin_anew(messages)
        for arrival in messages:
            self.pipeline.replay(arrival)
        for stream in left:
            self.pipeline.recover(stream)

    def _finished(self, done: Finished) -> None:
        self.calls.append(done.describe(finish(done.job)))

    def feed(self, frames: list[tuple[float, bytes]]) -> None:
        for start in range(0, len(frames), 100):
            self.pipeline.feed(block(frames[start : start + 100]))


def test_a_killed_recorder_goes_on(tmp_path: Path) -> None:
    scene = Scene()
    line = Line(scene)
    keys = Keys(key(seed=1), key("AEAD_AES_128_GCM", seed=2))
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 20)
    say(scene, line.replies(), keys.callee, 1, 20)
    line.bye(20)
    frames = sorted(scene.frames, key=lambda item: item[0])
    killed = Recorder(tmp_path)
    killed.feed([frame for frame in frames if frame[0] < 10])
    found = b"".join(path.read_bytes() for path in (tmp_path / "spool").glob("slot-*"))
    for sender in (keys.caller, keys.callee):
        assert sender.secret not in found, "keys stand in the signalling only"
    after = Recorder(tmp_path)
    after.feed([frame for frame in frames if frame[0] >= 10.5])
    after.pipeline.close()
    (call,) = after.calls
    assert call["verdict"] == "partial"
    assert len(call["streams"]) == 4
    assert all(stream["decrypted"] and not stream["srtp_auth_failures"] for stream in call["streams"])
    heard = Outcome({"calls": [call]}, tmp_path)
    assert soundfile.info(tmp_path / "call.wav").frames == 19 * 8000
    assert heard.heard(0.1, 8.0) == ("caller", "callee")
    assert heard.heard(9.6, 18.9) == ("caller", "callee")


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Not even in what an error message would say of a job."""
    scene = Scene()
    line = Line(scene)
    keys = Keys(key(seed=1), key(seed=2))
    open_call(line, keys)
    say(scene, line.says(), keys.caller, 1, 2)
    line.bye(2)
    jobs = []
    recorder = Recorder(tmp_path)
    recorder.pipeline._out._finished = lambda done: jobs.append(done.job)
    recorder.feed(sorted(scene.frames, key=lambda item: item[0]))
    recorder.pipeline.close()
    assert [key.secret for key in jobs[0].streams[0].keys] == [keys.caller.secret]
    assert repr(keys.caller.secret)[2:-1] not in repr(jobs)
