"""Bad captures, bad folders, bad names: one clear line, and what was finished kept."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scenery import START_NS, Line, Outcome, S, Scene

from bystander.errors import UserError
from bystander.extract import extract
from bystander.sniffer.errors import CaptureError

Play = Callable[..., Outcome]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which takes root")


def short_call(line: Line, begin: float = 0, seconds: float = 2) -> None:
    line.invite(begin)
    line.answer(begin + 0.1)
    line.scene.talk(line.says(), begin + 0.1, begin + seconds)
    line.scene.talk(line.replies(), begin + 0.1, begin + seconds)
    line.bye(begin + seconds)


def run(*arguments: str | Path, timeout: float = 60) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "bystander", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr


def litter(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith(".part") or ".spool" in path.name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount file systems of so many KiB."""
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def test_cut_at_every_byte(scene: Scene, line: Line, tmp_path: Path) -> None:
    """C18: whatever the offset, the frames before it count and nothing but one kind of error comes out."""
    short_call(line, seconds=0.3)
    whole = scene.pcap()
    capture, out = tmp_path / "cut.pcap", tmp_path / "out"
    for cut in [*range(120), *range(120, len(whole), 61), *range(len(whole) - 40, len(whole))]:
        capture.write_bytes(whole[:cut])
        try:
            result = extract([capture], out)
        except CaptureError as error:
            assert cut < 24
            assert "\n" not in str(error)
            assert str(capture) in str(error)
            continue
        assert cut >= 24
        assert len(result["calls"]) <= 1
        assert len(result["problems"]) == (0 if _at_a_record(whole, cut) else 1)
    assert not litter(out)


def _at_a_record(pcap: bytes, cut: int) -> bool:
    at = 24
    while at < cut:
        at += 16 + int(struct.unpack_from("<I", pcap, at + 8)[0])
    return at == cut


def test_a_cut_capture_gives_its_calls_and_exit_1(scene: Scene, line: Line, tmp_path: Path) -> None:
    short_call(line)
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(scene.pcap()[:-7])
    status, _, said = run("extract", capture, "-o", tmp_path / "out")
    assert status == 1
    assert said.count("\n") == 1
    assert "cut in the middle of a record" in said
    assert len(json.loads((tmp_path / "out" / "calls.json").read_text())["calls"]) == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "foreign", "folder", "gzip of nothing", "text", "loop"])
def test_what_is_no_capture_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pcap"
    match kind:
        case "empty":
            path.touch()
        case "foreign":
            path.write_bytes(os.urandom(5000))
        case "folder":
            path.mkdir()
        case "gzip of nothing":
            path.write_bytes(bytes.fromhex("1f8b08000000000000030300000000000000000000"))
        case "text":
            path.write_text("INVITE sip:x SIP/2.0\r\n" * 50)
        case "loop":
            path.symlink_to(path)
    status, out, said = run("extract", path, "-o", tmp_path / "out")
    assert (status, out) == (1, "")
    assert said.count("\n") == 1
    assert said.startswith("bystander: ")
    assert str(path) in said
    assert not litter(tmp_path)


def test_a_pipe_is_a_capture(scene: Scene, line: Line, tmp_path: Path) -> None:
    """tcpdump -w - and the like."""
    short_call(line)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "bystander", "extract", pipe, "-o", tmp_path / "out", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        whole = scene.pcap()
        with pipe.open("wb") as wire:
            for at in range(0, len(whole), 1000):
                wire.write(whole[at : at + 1000])
                wire.flush()
        out, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert json.loads(out)["calls"][0]["verdict"] == "recorded"


def test_the_same_capture_twice_is_heard_once(scene: Scene, line: Line, tmp_path: Path) -> None:
    """C13: every packet is there twice; the call is one call and none of its packets counts double."""
    short_call(line)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(scene.pcap())
    heard = Outcome(extract([capture, capture], tmp_path / "out"), tmp_path / "out")
    assert {(stream["packets"], stream["duplicates"]) for stream in heard.call["streams"]} == {(95, 95)}
    assert heard.heard(0.05, 1.8) == ("caller", "callee")


def test_the_folder_is_a_file(scene: Scene, line: Line, tmp_path: Path) -> None:
    short_call(line)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(scene.pcap())
    status, _, said = run("extract", capture, "-o", capture)
    assert status == 1
    assert said.count("\n") == 1
    assert f"cannot write to {capture}" in said


@root_only
def test_a_folder_that_is_read_only(
    scene: Scene, line: Line, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    short_call(line)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(scene.pcap())
    folder = small_disk(64)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    status, _, said = run("extract", capture, "-o", folder)
    assert status == 1
    assert said.count("\n") == 1
    assert "Read-only" in said


@root_only
@pytest.mark.parametrize("kib", [24, 150, 250, 400])
def test_a_full_disk_keeps_what_was_finished(
    scene: Scene, line: Line, tmp_path: Path, small_disk: Callable[[int], Path], kib: int
) -> None:
    """One line, exit 1; the WAVs that fitted are whole and listed, nothing else is left."""
    for number in range(8):
        one = Line(scene, f"call-{number}@phone", caller_media=("10.1.0.1", 4000 + 2 * number))
        one.callee_media = ("10.0.0.2", 20000 + 2 * number)
        short_call(one, begin=number * 10, seconds=3)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(scene.pcap())
    folder = small_disk(kib)
    status, _, said = run("extract", capture, "-o", folder)
    assert status == 1
    assert said.count("\n") == 1, said
    assert "No space left on device" in said
    assert not litter(folder)
    wavs = {path.name for path in folder.glob("*.wav")}
    if kib > 100:
        listed = json.loads((folder / "calls.json").read_text())["calls"]
        assert {call["recording"]["path"] for call in listed if call["recording"]} == wavs
        assert len(wavs) > 0
    assert all(path.stat().st_size == 44 + 4 * 23200 for path in folder.glob("*.wav"))


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a" * 300,
        "zażółć",
        "a\x1b[2Jb",
        "con\x00nul",
        "-rf",
        "a b%2f",
        "☎" * 99,
    ],
)
def test_names_stay_in_the_folder(scene: Scene, line: Line, play: Play, tmp_path: Path, name: str) -> None:
    """Names come from the wire: they make no folders, no hidden files, no options, no control characters."""
    line.caller = line.callee = line.name = name
    short_call(line, seconds=0.5)
    heard = play(scene)
    path = heard.call["recording"]["path"]
    assert re.fullmatch(r"[A-Za-z0-9][\w+-]*\.wav", path, re.ASCII)
    assert len(path) < 130
    assert {found.name for found in tmp_path.iterdir()} == {"scene.pcap", "out"}
    assert len(list(heard.folder.iterdir())) == 2


def test_the_same_parties_in_the_same_second(scene: Scene, play: Play) -> None:
    """Numbered; nor does the name of one party make it the numbered name of another."""
    for number, callee in enumerate(("102", "102", "102_2", "102")):
        one = Line(scene, f"call-{number}@phone", caller_media=("10.1.0.1", 4000 + 2 * number))
        one.callee_media = ("10.0.0.2", 20000 + 2 * number)
        one.callee = callee
        short_call(one, begin=number / 10, seconds=1)
    heard = play(scene)
    paths = {call["recording"]["path"] for call in heard.calls}
    assert len(paths) == 4
    assert all((heard.folder / path).is_file() for path in paths)


@pytest.mark.parametrize("seconds", [0, 1, 2**31, 2**32 - 5])
def test_absurd_times(scene: Scene, line: Line, tmp_path: Path, seconds: int) -> None:
    """The capture's clock stood anywhere between 1970 and 2106."""
    short_call(line)
    data = bytearray(scene.pcap())
    at = 24
    while at < len(data):
        before, _, size = struct.unpack_from("<III", data, at)
        struct.pack_into("<I", data, at, before - START_NS // S + seconds)
        at += 16 + size
    capture = tmp_path / "a.pcap"
    capture.write_bytes(data)
    heard = Outcome(extract([capture], tmp_path / "out"), tmp_path / "out")
    assert heard.call["verdict"] == "recorded"
    assert heard.call["duration_s"] == pytest.approx(1.9, abs=0.01)
    assert heard.heard(0.05, 1.8) == ("caller", "callee")


@pytest.mark.parametrize("which", ["first", "middle", "last", "invite", "bye"])
@pytest.mark.parametrize("wrong", [0, 5, 2**32 - 1])
def test_one_absurd_time(scene: Scene, line: Line, tmp_path: Path, which: str, wrong: int) -> None:
    """C18: one frame's time is nonsense; the call is there, and about as long as it was."""
    line.invite(1)
    line.answer(1.1)
    scene.talk(line.says(), 1.1, 5)
    scene.talk(line.replies(), 1.1, 5)
    line.bye(5)
    scene.send(0, ("10.9.9.9", 5), ("10.9.9.8", 6), b"nothing")
    scene.send(7, ("10.9.9.9", 5), ("10.9.9.8", 6), b"nothing")
    data = bytearray(scene.pcap())
    records, at = [], 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        records.append((at, bytes(data[at + 16 : at + 16 + size])))
        at += 16 + size
    chosen = {"first": 0, "middle": len(records) // 2, "last": len(records) - 1}.get(which)
    if chosen is None:
        word = which.upper().encode() + b" sip"
        chosen = next(i for i, (_, frame) in enumerate(records) if word in frame)
    struct.pack_into("<I", data, records[chosen][0], wrong)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(data)
    result = extract([capture], tmp_path / "out")
    assert len(result["calls"]) == 1
    call = result["calls"][0]
    assert call["state"] == "answered"
    assert call["recording"]["duration_s"] < 20
    heard = Outcome(result, tmp_path / "out")
    assert heard.heard(0.05, 3.5) == ("caller", "callee")


def test_no_room_for_the_list(scene: Scene, line: Line, tmp_path: Path) -> None:
    """calls.json is a folder: one line, and the recording is there."""
    short_call(line)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(scene.pcap())
    (tmp_path / "out" / "calls.json").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot write") as caught:
        extract([capture], tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert len(list((tmp_path / "out").glob("*.wav"))) == 1
    assert not litter(tmp_path)
