"""The daemon in trouble: killed between the files and the index, full disks, an index that is held."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.traffic import Traffic, write
from bystander.config import load
from bystander.daemon import run
from bystander.sniffer.capturefile import CHUNK_BYTES
from bystander.storage.index import Index, IndexProblem
from tests.resting import took_all

#: Calls that end one after another, at times that are no whole milliseconds.
TRAFFIC = Traffic(calls=16, seconds=12, stagger_s=20.0123)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which takes root")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traffic") / "calls.pcap"
    write(TRAFFIC, path)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bystander.toml"
    path.write_text(
        '[recording]\ndirectory = "recordings"\nspool = "spool"\nindex = "index.sqlite"\nlinger_s = 0.5\n'
        "[metrics]\nenabled = false\n[space]\nreserve_mb = 0\n"
    )
    return path


def start(config: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bystander", "run", "-c", config, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(config: Path, *arguments: str | Path) -> tuple[int, str]:
    process = start(config, *arguments)
    _, said = process.communicate(timeout=180)
    return process.returncode, said


def indexed(config: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "bystander", "calls", "-c", config, "--json"]
    found: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def complaints(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("bystander: ")]


def everything_is_accounted_for(config: Path, verdicts: set[str]) -> None:
    """Every call once; every file named by the index, and none beside them."""
    calls = indexed(config)
    assert len(calls) == len({call["call_id"] for call in calls}) == TRAFFIC.calls
    assert {call["verdict"] for call in calls} <= verdicts
    recordings = load(config).recording.directory
    named = {call["recording"]["path"] for call in calls}
    found = {str(path.relative_to(recordings)) for path in recordings.rglob("*") if path.is_file()}
    assert found == named | {name.replace(".wav", ".pcap") for name in named}
    spool = load(config).recording.spool
    assert sum(path.stat().st_size for path in spool.glob("*.spool")) == 0
    assert not (spool / "signalling.log").exists()


@pytest.mark.parametrize("blocks", [2, 3])
def test_killed_at_any_moment(config: Path, capture: Path, blocks: int) -> None:
    """R6: some calls are over and indexed, some over and being written, some in progress."""
    data = capture.read_bytes()
    pipe = config.parent / "pipe"
    os.mkfifo(pipe)
    process = start(config, "--read", pipe)
    with pipe.open("wb") as wire:
        cut = blocks * CHUNK_BYTES + 70_000
        wire.write(data[:cut])
        wire.flush()
        assert process.stderr is not None
        if blocks > 2:
            assert " recorded" in process.stderr.readline()
        patience = time.monotonic() + 180
        while not took_all(process, wire):
            assert time.monotonic() < patience, "the recorder does not come to rest"
        process.send_signal(signal.SIGKILL)
    process.communicate()
    rest = config.parent / "rest.pcap"
    rest.write_bytes(data[:24] + _records_from(data, blocks * CHUNK_BYTES))
    status, said = finish(config, "--read", rest)
    assert status == 0, said
    everything_is_accounted_for(config, {"recorded", "partial"})


def _records_from(data: bytes, byte: int) -> bytes:
    at = 24
    while at < byte:
        at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
    return data[at:]


def test_files_written_and_not_indexed_are_written_again(config: Path, capture: Path) -> None:
    """The same names: no file is left beside the index, where no term would ever erase it."""
    assert _run_with_a_stuck_index(config, capture) == 1
    recordings = load(config).recording.directory
    left = {path.name for path in recordings.rglob("*.wav")}
    assert len(left) == TRAFFIC.calls
    assert not indexed(config)
    assert (load(config).recording.spool / "signalling.log").exists()
    status, said = finish(config, "--read", _nothing(config))
    assert status == 0, said
    assert {path.name for path in recordings.rglob("*.wav")} == left
    everything_is_accounted_for(config, {"partial"})


def _run_with_a_stuck_index(config: Path, capture: Path) -> int:
    async def refuse(*_: Any) -> None:
        raise IndexProblem("index.sqlite: cannot use the index: database is locked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Index, "add", refuse)
        return run(load(config), read=[capture])


def _nothing(config: Path) -> Path:
    path = config.parent / "nothing.pcap"
    path.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    return path


def test_an_index_that_is_held_says_so(config: Path, capture: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _run_with_a_stuck_index(config, capture) == 1
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert "16 finished calls are not in the index; they stay in" in said[0]


def test_recordings_that_cannot_be_written_stay_in_the_spool(config: Path, capture: Path) -> None:
    """One line says so, one says what is left; with the folder put right nothing is lost."""
    recordings = load(config).recording.directory
    recordings.write_text("in the way")
    status, said = finish(config, "--read", capture)
    assert status == 1
    assert len(complaints(said)) == 2
    assert "it will be tried again" in said
    assert "16 finished calls are not in the index" in said
    recordings.unlink()
    status, said = finish(config, "--read", _nothing(config))
    assert status == 0, said
    everything_is_accounted_for(config, {"partial"})


def test_the_log_keeps_calls_that_wait_for_the_disk(
    config: Path, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun anew in the meantime, the log still has the signalling of what is not in the index yet."""
    from bystander.recorder import Recorder

    closing = Recorder.run

    async def rotate_at_the_end(recorder: Recorder, *arguments: Any) -> int:
        status = await closing(recorder, *arguments)
        recorder._log = type(recorder._log)(load(config).recording.spool)
        recorder._log.begin_anew(recorder._messages_to_keep())
        return status

    monkeypatch.setattr(Recorder, "run", rotate_at_the_end)
    assert _run_with_a_stuck_index(config, capture) == 1
    monkeypatch.undo()
    status, said = finish(config, "--read", _nothing(config))
    assert status == 0, said
    everything_is_accounted_for(config, {"partial"})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str, int], Path]]:
    mounted: list[Path] = []

    def mount(name: str, kib: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@root_only
@pytest.mark.parametrize("kib", [0, 16, 600])
def test_a_full_spool(config: Path, capture: Path, small_disk: Callable[[str, int], Path], kib: int) -> None:
    """Audio is lost and called so; every call is in the index, those that fitted with their recordings."""
    folder = small_disk("spool", kib or 4)
    if not kib:
        (folder / "lock").write_bytes(bytes(4096))
    _, said = finish(config, "--read", capture)
    assert "Traceback" not in said
    assert len(complaints(said)) == 1, said
    assert "audio was lost" in said
    calls = indexed(config)
    assert len(calls) == TRAFFIC.calls
    assert {call["verdict"] for call in calls} <= {"partial", "no-media", "recorded"}
    assert "partial" in {call["verdict"] for call in calls} or "no-media" in {c["verdict"] for c in calls}


@root_only
def test_a_full_recordings_disk(config: Path, capture: Path, small_disk: Callable[[str, int], Path]) -> None:
    """What was finished before is kept; what was not is written when there is room."""
    folder = small_disk("recordings", 1500)
    status, said = finish(config, "--read", capture)
    assert status == 1
    assert "No space left on device" in said
    done = indexed(config)
    assert 0 < len(done) < TRAFFIC.calls
    assert not list(folder.rglob("*.part"))
    subprocess.run(["mount", "-o", "remount,size=50m", folder], check=True)
    status, said = finish(config, "--read", _nothing(config))
    assert status == 0, said
    everything_is_accounted_for(config, {"recorded", "partial"})


@root_only
@pytest.mark.parametrize("part", ["spool", "recordings", "index"])
def test_read_only(config: Path, capture: Path, small_disk: Callable[[str, int], Path], part: str) -> None:
    folder = small_disk("disk", 4000)
    text = config.read_text()
    for name, path in (("spool", "spool"), ("recordings", "recordings"), ("index", "index.sqlite")):
        if name == part:
            text = text.replace(f'"{path}"', f'"disk/{path}"')
    config.write_text(text)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    status, said = finish(config, "--read", capture)
    assert status == 1
    assert "Read-only file system" in said
    assert len(complaints(said)) == (2 if part == "recordings" else 1), said


def test_sigterm_twice(config: Path, capture: Path) -> None:
    pipe = config.parent / "pipe"
    os.mkfifo(pipe)
    process = start(config, "--read", pipe)
    data = capture.read_bytes()
    with pipe.open("wb") as wire:
        wire.write(data[: CHUNK_BYTES + 1000])
        wire.flush()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        try:
            wire.write(data[CHUNK_BYTES + 1000 :])
        except BrokenPipeError:
            pass
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    calls = indexed(config)
    assert calls
    assert not (config.parent / "spool" / "signalling.log").exists()
