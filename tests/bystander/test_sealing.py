"""Sealing in a process of its own: what comes out, and what happens when it is killed."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bystander import sealing
from bystander.codecs.g711 import PCMA
from bystander.codecs.timeline import Run
from bystander.finish import Job, StreamMedia, finish
from bystander.sealing import Sealer, SealOrder, seal
from bystander.storage.agefile import identity_of, open_bytes
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.spool import Media

S = 1_000_000_000
VAULT = new_identity()


def job(target: Path, seconds: int = 2, write: bool = True) -> Job:
    samples = np.tile(np.arange(0x10, 0x20, dtype=np.uint8), 500 * seconds)
    streams = [
        StreamMedia(by, {}, False, 50, 0, S, 0, None, Media(runs=[Run(0, PCMA, samples)]))
        for by in ("caller", "callee")
    ]
    return Job(target, streams, 0, seconds * S, durable=True, write=write)


def order(scratch: Path, container: str = "wav") -> SealOrder:
    return SealOrder(recipient_text(VAULT), container, b"evidence", scratch)  # type: ignore[arg-type]


def key_of(sealed: sealing.SealedCall) -> object:
    return identity_of(open_bytes(sealed.key_blob, VAULT, "its key").decode())


@pytest.fixture
def sealer() -> object:
    worker = Sealer()
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("container", "ending"), [("wav", ".wav.age"), ("flac", ".flac.age"), ("g711", ".wav.age")]
)
def test_what_is_sealed_is_what_would_have_been_written(
    sealer: Sealer, tmp_path: Path, container: str, ending: str
) -> None:
    plain = finish(job(tmp_path / "plain.wav"))
    sealed = sealer.seal(job(tmp_path / "2026/08/31/x.wav"), order(tmp_path, container))
    path = sealed.written.path
    assert path == tmp_path / f"2026/08/31/x{ending}"
    assert sealed.audio is not None
    inside = open_bytes(path.read_bytes(), key_of(sealed), "it")
    assert hashlib.sha256(inside).hexdigest() == sealed.audio.sha256 == sealed.written.sha256
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sealed.audio.sealed_sha256
    sound, rate = soundfile.read(io.BytesIO(inside), dtype="int16")
    expected, _ = soundfile.read(tmp_path / "plain.wav", dtype="int16")
    assert rate == 8000 and np.array_equal(sound, expected)
    assert sealed.written.frames == plain.frames
    evidence = open_bytes(sealed.evidence_path.read_bytes(), key_of(sealed), "it")
    assert evidence == b"evidence"


def test_a_call_without_audio_has_its_signalling_sealed(sealer: Sealer, tmp_path: Path) -> None:
    sealed = sealer.seal(job(tmp_path / "x.wav", write=False), order(tmp_path))
    assert (sealed.audio, sealed.written.path) == (None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pcap.age"]


def test_every_recording_has_a_key_of_its_own(sealer: Sealer, tmp_path: Path) -> None:
    first, second = (sealer.seal(job(tmp_path / name), order(tmp_path)) for name in ("a.wav", "b.wav"))
    assert str(key_of(first)) != str(key_of(second))


def test_killed_before_it_is_started_again(sealer: Sealer, tmp_path: Path) -> None:
    sealer.seal(job(tmp_path / "a.wav"), order(tmp_path))
    pid = sealer.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    sealed = sealer.seal(job(tmp_path / "b.wav"), order(tmp_path))
    assert sealed.written.path is not None
    assert sealer.pid != pid


def test_the_recorders_end_is_its_end_and_sigterm_is_not(sealer: Sealer, tmp_path: Path) -> None:
    sealer.seal(job(tmp_path / "a.wav"), order(tmp_path))
    pid = sealer.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    sealer.seal(job(tmp_path / "b.wav"), order(tmp_path))
    assert sealer.pid == pid
    sealer.close()
    assert sealer.pid is None


def test_a_disk_that_does_not_take_it(sealer: Sealer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        sealer.seal(job(tmp_path / "file/x.wav"), order(tmp_path))
    assert sealer.seal(job(tmp_path / "x.wav"), order(tmp_path)).audio is not None


def test_it_ends_when_there_is_nothing_to_do(
    sealer: Sealer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R7: no memory that has held a recording's key stays for long."""
    sealer.seal(job(tmp_path / "a.wav"), order(tmp_path))
    pid = sealer.pid
    deadline = time.monotonic() + 20
    while sealer.pid is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sealer.pid is None
    assert sealer.seal(job(tmp_path / "b.wav"), order(tmp_path)).audio is not None
    assert sealer.pid not in (None, pid)


def test_the_recorder_itself_never_has_the_key(sealer: Sealer, tmp_path: Path) -> None:
    """R7: what comes back from the process does not open anything without the vault's private key."""
    sealed = sealer.seal(job(tmp_path / "a.wav"), order(tmp_path))
    secret = str(key_of(sealed)).encode()
    import pickle

    assert secret not in pickle.dumps(sealed)


def test_half_written_files_of_a_kill_are_written_anew(tmp_path: Path) -> None:
    target = tmp_path / "x.wav"
    (tmp_path / "x.wav.age.part").write_bytes(b"half of an earlier one that was longer" * 10_000)
    sealed = seal(job(target), order(tmp_path))
    assert sealed.written.path is not None
    assert open_bytes(sealed.written.path.read_bytes(), key_of(sealed), "it").startswith(b"RIFF")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pcap.age", "x.wav.age"]
