"""Each incoming call is checked for the announcement while it is sealed, and only with a reference (R3,
R19).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from bystander.announcement import Check, check, load
from bystander.cli import main
from bystander.errors import UserError
from bystander.finish import Mix, Written

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A vault of an office whose number is that of the called telephone of the lab."""
    (tmp_path / "pass").write_text("correct horse\n")
    arguments = ["--first-person", "A", "--post", "B", "--authorisation", "1", "--identity-out"]
    key = ["--passphrase-file", str(tmp_path / "pass")]
    assert main(["init", str(tmp_path / "v"), *arguments, str(tmp_path / "key"), *key]) == 0
    samples, rate_hz = soundfile.read(DATA / "speech/callee.flac", dtype="int16")
    soundfile.write(tmp_path / "v/said.wav", samples[rate_hz // 2 : rate_hz * 9 // 2], rate_hz)
    config = tmp_path / "v/bystander.toml"
    text = config.read_text().replace('#reference = "announcement.wav"', 'reference = "said.wav"')
    config.write_text(text.replace("[office]\n", "[office]\nnumbers = ['/bob/']\n"))
    monkeypatch.setenv("BYSTANDER_CONFIG", str(config))
    capsys.readouterr()
    return config


def calls(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["calls", "--json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_r3_an_incoming_call_is_checked(announced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--read", str(DATA / "pcma.pcap")]) == 0
    (call,) = calls(capsys)
    found = call["announcement"]
    assert isinstance(found, dict)
    assert (call["direction"], found["state"], found["star_at"]) == ("incoming", "heard", None)
    assert set(found) == {"state", "at", "heard_s", "score", "star_at"}


def test_r3_an_announcement_before_the_answer(announced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Early media: it is played, and heard, before the call is answered."""
    assert main(["run", "--read", str(DATA / "early-media.pcap")]) == 0
    (call,) = calls(capsys)
    found = call["announcement"]
    assert isinstance(found, dict) and found["state"] == "heard"
    assert str(call["started_at"]) < str(found["at"]) < str(call["answered_at"])
    assert main(["show", str(call["id"])]) == 0
    assert "  announced  whole, from " in capsys.readouterr().out


def test_a_reference_that_goes_away_costs_no_recording(tmp_path: Path) -> None:
    made = Check(tmp_path / "gone.wav", 30.0)
    assert check(made, Mix(None, None, 0, 8000), Written()) is None  # type: ignore[arg-type]


def test_r19_without_a_reference_nothing_is_computed(
    announced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announced.write_text(announced.read_text().replace("reference =", "#reference ="))
    assert main(["run", "--read", str(DATA / "pcma.pcap")]) == 0
    (call,) = calls(capsys)
    assert "announcement" not in call


def test_an_outgoing_call_is_not_checked(announced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announced.write_text(announced.read_text().replace("/bob/", "/alice/"))
    assert main(["run", "--read", str(DATA / "pcma.pcap")]) == 0
    (call,) = calls(capsys)
    assert call["direction"] == "outgoing" and "announcement" not in call


def test_a_reference_that_is_none(
    tmp_path: Path, announced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "missing.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(UserError, match="cannot read the announcement"):
        load(tmp_path / "text.wav")
    announced.with_name("said.wav").unlink()
    assert main(["run", "--read", str(DATA / "pcma.pcap")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
