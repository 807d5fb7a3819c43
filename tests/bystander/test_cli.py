"""The command line as people and scripts meet it: output, exit status, and one line for whatever fails."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander import __version__, cli, extract
from bystander.cli import main
from bystander.errors import UserError
from bystander.sniffer.errors import CaptureError

Capsys = pytest.CaptureFixture[str]
CAPTURE = Path(__file__).parents[1] / "data" / "pcmu.pcap"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BYSTANDER_CONFIG", raising=False)
    monkeypatch.delenv("BYSTANDER_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("bystander.config.DEFAULT_PATH", tmp_path / "no" / "bystander.toml")


@pytest.fixture
def refused(capsys: Capsys) -> Callable[..., str]:
    """Run a command that must fail with one line on stderr and nothing on stdout; return the line."""

    def run(*arguments: object, status: int = 1) -> str:
        assert main([str(argument) for argument in arguments]) == status
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("bystander: ")
        assert told.err.count("\n") == 1
        return told.err.removeprefix("bystander: ").rstrip("\n")

    return run


def test_version_and_help(capsys: Capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bystander {__version__}\n"
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("extract", "run", "calls", "show", "inspect", "status"))
    for command in ("extract", "run", "calls", "show", "inspect", "status"):
        assert main([command, "-h"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["extract"], "Missing"),
        (["extract", "x.pcap"], "Missing option '-o'"),
        (["calls", "--state", "happy"], "Invalid value for '--state': 'happy' is not one of 'answered', "),
        (["calls", "--limit", "0"], "Invalid value for '--limit'"),
        (["calls", "--nope"], "No such option: --nope"),
        (["run", "a.pcap"], "unexpected argument a.pcap; capture files follow --read"),
        (["run", "--interface", "eth0", "--read", "a.pcap"], "--interface and --read exclude each other"),
    ],
)
def test_wrong_usage_is_status_2(refused: Callable[..., str], arguments: list[str], said: str) -> None:
    line = refused(*arguments, status=2)
    assert said in line
    assert "--help`" in line


def test_no_command_is_wrong_usage(capsys: Capsys) -> None:
    assert main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Usage: ")


def test_extract_refuses_what_is_no_capture(refused: Callable[..., str], tmp_path: Path) -> None:
    missing, empty, foreign = (tmp_path / name for name in ("missing", "empty", "foreign"))
    empty.touch()
    foreign.write_text("hello " * 100)
    for path in (missing, empty, foreign):
        assert str(path) in refused("extract", path, "-o", tmp_path / "out")


def test_extract_refuses_a_wrong_number_of_the_office(refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused("extract", CAPTURE, "-o", tmp_path / "out", "--office-number", "/(/")
    assert line.startswith("[office] numbers: office number /(/: ")
    assert not (tmp_path / "out").exists()


def test_extract_to_a_place_that_is_a_file(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    assert str(tmp_path / "out") in refused("extract", CAPTURE, "-o", tmp_path / "out")


@pytest.fixture
def result(make_call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the extraction returns; its last settings are under "settings"."""
    found: dict[str, Any] = {
        "bystander": __version__,
        "calls": [make_call(0)],
        "unclaimed_streams": [],
        "counters": {},
        "problems": [],
    }

    def fake(captures: list[Path], out: Path, settings: Any, **options: Any) -> dict[str, Any]:
        found["asked"] = (captures, out, settings, options)
        return {name: value for name, value in found.items() if name != "asked"}

    monkeypatch.setattr(extract, "extract", fake)
    return found


def test_extract_tells_what_it_did(result: dict[str, Any], capsys: Capsys, tmp_path: Path) -> None:
    assert main(["extract", "a", "b", "-o", str(tmp_path), "--office-number", "22", "--keep-unclaimed"]) == 0
    assert capsys.readouterr().out == f"1 call, 1 recording in {tmp_path}\n"
    captures, out, settings, options = result["asked"]
    assert (captures, out) == ([Path("a"), Path("b")], tmp_path)
    assert settings.office.numbers == ("22",)
    assert options == {"keep_unclaimed": True, "progress": None}


def test_extract_shows_a_table(result: dict[str, Any], capsys: Capsys, tmp_path: Path) -> None:
    result["unclaimed_streams"] = [{}]
    assert main(["extract", "a", "-o", str(tmp_path), "--show"]) == 0
    said = capsys.readouterr().out
    assert "+48600100200 → 101" in said
    assert "\x1b" not in said
    assert said.endswith(f"1 call, 1 recording in {tmp_path}; 1 stream belonged to no call seen\n")


def test_extract_prints_json(result: dict[str, Any], capsys: Capsys, tmp_path: Path) -> None:
    assert main(["extract", "a", "-o", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == result["calls"]


def test_c18_a_damaged_capture_is_a_failure_that_keeps_what_was_read(
    result: dict[str, Any], capsys: Capsys, tmp_path: Path
) -> None:
    result["problems"] = ["a.pcap: cut in mid-record"]
    assert main(["extract", "a.pcap", "-o", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("1 call, 1 recording")
    assert told.err == "bystander: a.pcap: cut in mid-record\n"


def test_extract_adds_options_to_the_configuration(result: dict[str, Any], installation: Path) -> None:
    arguments = ["-o", "x", "-c", str(installation), "--office-network", "10.0.0.0/8", "--office-number", "1"]
    assert main(["extract", "a", *arguments]) == 0
    office = result["asked"][2].office
    assert (office.timezone, office.networks, office.numbers) == ("Europe/Warsaw", ("10.0.0.0/8",), ("1",))


@pytest.mark.parametrize("command", [["calls"], ["show", "x"], ["inspect", "x"], ["status"], ["run"]])
def test_without_a_configuration(refused: Callable[..., str], command: list[str], tmp_path: Path) -> None:
    line = refused(*command)
    assert line.endswith("there is no such configuration file; give -c FILE, or set BYSTANDER_CONFIG")
    (tmp_path / "bad.toml").write_text("[capture]\nring = 1\n")
    line = refused(*command, "-c", tmp_path / "bad.toml")
    assert line.startswith(f"{tmp_path / 'bad.toml'}:2: [capture] ring: there is no such key")


def test_without_an_index(refused: Callable[..., str], installation: Path) -> None:
    (installation.parent / "kept" / "index.sqlite").unlink()
    assert "there is no index yet" in refused("calls", "-c", installation)


def test_calls_as_json(installation: Path, capsys: Capsys) -> None:
    def found(*arguments: str) -> list[dict[str, Any]]:
        assert main(["calls", "-c", str(installation), "--json", *arguments]) == 0
        listed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return listed

    assert [call["id"] for call in found()] == ["third", "second", "first"]
    assert found("--limit", "1")[0]["id"] == "third"
    first = found("--number", "*200", "--direction", "incoming", "--verdict", "recorded")[0]
    assert first["id"] == "first"
    assert (first["delete_after"], first["held_by"], first["sealed"]) == (None, [], False)
    assert first["recording"]["path"] == "2026/0.wav"
    assert [call["id"] for call in found("--since", "2026-11-23", "--until", "2026-11-23")] == [
        "second",
        "first",
    ]
    assert [call["id"] for call in found("--until", "2026-11-23 22:46")] == ["first"]
    assert [call["id"] for call in found("--state", "busy")] == ["third"]
    assert found("--number", "nobody") == []


def test_calls_for_people(installation: Path, capsys: Capsys) -> None:
    assert main(["calls", "-c", str(installation), "--limit", "2"]) == 0
    said = capsys.readouterr().out
    assert said.index("busy 486") < said.index("  second") < said.index("the newest 2; there are more")
    assert main(["calls", "-c", str(installation), "--number", "9"]) == 0
    assert capsys.readouterr().out == "no such calls\n"


def test_a_time_that_is_none(refused: Callable[..., str], installation: Path) -> None:
    assert refused("calls", "-c", installation, "--since", "soon").startswith("'soon': not a time")


def test_the_configuration_may_come_from_the_environment(
    installation: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.setenv("BYSTANDER_CONFIG", str(installation))
    assert main(["calls", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_show_has_facts_streams_waveform_and_ladder(installation: Path, capsys: Capsys) -> None:
    assert main(["show", "fir", "-c", str(installation)]) == 0
    said = capsys.readouterr().out
    places = [said.index(part) for part in ("↘ +48600100200 → 101", "0x1a2b3c4d", "⣿⣿⣿⣿", "INVITE", "BYE ×2")]
    assert places == sorted(places)
    assert main(["show", "0@office", "--json", "-c", str(installation)]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "first"


def test_show_without_files_says_so(installation: Path, capsys: Capsys) -> None:
    assert main(["show", "second", "-c", str(installation)]) == 0
    assert "the recording's file is not there" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["show", "inspect"])
def test_an_id_that_is_none(refused: Callable[..., str], installation: Path, command: str) -> None:
    line = refused(command, "nonsense", "-c", installation)
    assert line == "nonsense: there is no such recording; `bystander calls` lists them"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not there")
def test_inspect(installation: Path, capsys: Capsys) -> None:
    assert main(["inspect", "first", "-c", str(installation)]) == 0
    said = capsys.readouterr().out
    assert "10.0.0.1:5070 → 10.0.0.2:5060  INVITE, CSeq 1, media on port 4000" in said
    assert said.endswith("TShark agrees\n")
    assert main(["inspect", "first", "--json", "-c", str(installation)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["id"], report["agrees"], len(report["messages"])) == ("first", True, 7)


def test_inspect_without_evidence_or_tshark(
    refused: Callable[..., str], installation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused("inspect", "second", "-c", installation) == "second: no signalling was kept of this call"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert refused("inspect", "first", "-c", installation).startswith("tshark is not installed; ")


def test_status(installation: Path, capsys: Capsys) -> None:
    assert main(["status", "-c", str(installation)]) == 0
    assert capsys.readouterr().out.startswith("recorder     not running\ncalls        3 ")
    assert main(["status", "--json", "-c", str(installation)]) == 0
    assert json.loads(capsys.readouterr().out)["recorder"] == {"state": "not running"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("what: why; what\nnext"), "what: why; what next"),
        (CaptureError("cannot open"), "cannot open"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x"),
            "/x: No space left on device; make room on that disk",
        ),
        (PermissionError(errno.EPERM, "Not permitted"), "Not permitted; use an account that may"),
        (ZeroDivisionError("\x1b[31m"), "internal error: ZeroDivisionError: �[31m; please report it"),
        (RuntimeError(), "internal error: RuntimeError; please report it"),
    ],
)
def test_no_traceback_ever_reaches_a_person(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(extract, "extract", fail)
    assert refused("extract", "a", "-o", "b").startswith(said)


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(extract, "extract", interrupt)
    assert main(["extract", "a", "-o", "b"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == ""


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bystander", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, **options)


def test_the_process_exits_with_the_status() -> None:
    assert process("--version").returncode == 0
    failed = process("extract", "/nonexistent/a.pcap", "-o", "/nonexistent/b")
    assert (failed.returncode, failed.stdout, failed.stderr.count(b"\n")) == (1, b"", 1)
    assert process("nonsense").returncode == 2


def test_a_reader_that_has_had_enough_is_no_failure(installation: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "bystander", "calls", "--json", "-c", str(installation)]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_one_line(installation: Path) -> None:
    command = [sys.executable, "-m", "bystander", "calls", "--json", "-c", str(installation)]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr == b"bystander: No space left on device; make room on that disk\n"


def test_starting_up_loads_nothing_heavy() -> None:
    code = (
        "import sys, bystander.cli\n"
        "heavy = {'numpy', 'scapy', 'pyshark', 'aiosqlite', 'rich', 'pydantic', 'soundfile'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout == "[]\n"
