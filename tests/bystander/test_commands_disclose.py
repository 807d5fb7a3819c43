"""`disclose ...`, `export` and `verify-export`, typed as a person types them (R15)."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.custody import export
from tests.bureau import Bureau
from tests.vaultkit import name_of

WHY = (
    "--applicant",
    "Komenda Policji",
    "--ground",
    "art. 217 kpk",
    "--case",
    "Ds 1/26",
    "--purpose",
    "security",
)
ANNA = ("--identity", "Anna.txt")
Run = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def consent(office: Bureau, run: Run) -> int:
    """A request for recordings 1 and 2, consented to."""
    number: int = run("disclose", "request", name_of(1), name_of(2), *WHY)["disclosure"]
    run("disclose", "decide", number, "--consent", "--by", "Prezydent")
    return number


def test_r15_calls_by_number_and_date(office: Bureau, run: Run) -> None:
    """The recordings began on 31 August, at two in the afternoon by the office's time."""
    made = run("disclose", "request", "--number", "*00002", "--date", "2026-08-31", *WHY)
    assert made["recordings"] == [name_of(2)]
    made = run("disclose", "request", name_of(3), "--number", "101", "--date", "2026-08-31", *WHY)
    assert made["recordings"] == [name_of(1), name_of(2), name_of(3)]


def test_r15_what_no_request_is_for(office: Bureau, refused: Refused, run: Run) -> None:
    assert "no such recordings" in refused(
        "disclose", "request", "--number", "101", "--date", "2026-08-30", *WHY
    )
    assert "give --number and --date" in refused("disclose", "request", "--number", "101", *WHY)
    assert "no such recordings" in refused("disclose", "request", *WHY)
    refused("disclose", "request", "--number", "101", "--date", "31.08.2026", *WHY)
    assert run("disclose", "list") == []


def test_r15_from_the_request_to_the_check_by_its_receiver(
    office: Bureau, run: Run, consent: int, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run("export", consent, "--to", "medium/copies", *ANNA)
    assert done["recordings"] == [name_of(1), name_of(2)]
    assert run("verify-export", "medium/copies", "--key", done["recorder_key"]) == {
        "faults": [],
        "key_compared": True,
    }
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd="medium/copies", capture_output=True, check=False
    )
    assert checked.returncode == 0
    assert Path(f"medium/copies/{name_of(1)}.wav").read_bytes()[44:] == bytes([1]) * 8000
    (kept,) = run("disclose", "list")
    assert (kept["state"], kept["receiver"], kept["manifest_sha256"]) == (
        "handed over", "Komenda Policji", done["manifest_sha256"],
    )  # fmt: skip
    assert main(["verify-export", "medium/copies"]) == 0
    assert "give --key" in capsys.readouterr().err
    Path(f"medium/copies/{name_of(1)}.wav").write_bytes(b"RIFF")
    assert main(["verify-export", "medium/copies"]) == 1
    assert f"{name_of(1)}.wav: was changed" in capsys.readouterr().err


def test_r15_verify_export_needs_no_vault(
    office: Bureau, run: Run, consent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("export", consent, "--to", "copies", *ANNA)
    monkeypatch.setenv("BYSTANDER_CONFIG", "nowhere.toml")
    assert run("verify-export", "copies")["faults"] == []


def test_r15_sealed_to_the_receivers_key_and_opened_by_age(office: Bureau, run: Run, consent: int) -> None:
    try:
        made = subprocess.run(["age-keygen", "-o", "police.txt"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("age is not installed")
    run("export", consent, "--to", "copies", "--seal-to", made.stderr.split()[-1], *ANNA)
    sealed = f"copies/{name_of(2)}.wav.age"
    opened = subprocess.run(["age", "-d", "-i", "police.txt", sealed], capture_output=True, check=True).stdout
    assert opened[44:] == bytes([2]) * 8000
    assert run("verify-export", "copies")["faults"] == []


def test_r15_refusals_are_kept_and_seen(
    office: Bureau, run: Run, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    run("disclose", "request", name_of(1), *WHY)
    assert "one of them" in refused("disclose", "decide", 1, "--by", "P")
    assert "one of them" in refused("disclose", "decide", 1, "--by", "P", "--consent", "--refuse")
    run("disclose", "decide", 1, "--refuse", "--by", "Prezydent", "--reason", "brak podstawy")
    assert "decided already" in refused("disclose", "decide", 1, "--consent", "--by", "Prezydent")
    (kept,) = run("disclose", "list")
    assert (kept["state"], kept["decided_by"], kept["reason"]) == ("refused", "Prezydent", "brak podstawy")
    assert main(["disclose", "list", "--lang", "pl"]) == 0
    assert "odmowa" in capsys.readouterr().out


def test_r15_an_export_that_is_told_to_end_leaves_nothing(
    office: Bureau,
    run: Run,
    consent: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = export.write_file

    def ended(target: Path, *arguments: Any, **options: Any) -> None:
        real(target, *arguments, **options)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(export, "write_file", ended)
    assert main(["export", str(consent), "--to", "medium/copies", *ANNA]) == 130
    assert list(Path("medium").iterdir()) == []
    assert len(office.journal("export")) == 1 and not office.journal("exported")
    assert "Traceback" not in capsys.readouterr().err


def test_r15_names_are_data_on_paper_and_in_json(office: Bureau, run: Run) -> None:
    """Typst source, paths, JSON and markup in the fields are what they are: text."""
    hostile = '#read("/etc/passwd") $x$ *b* \\ "q" ../../x <a@b> [[/red]]'
    why = ("--applicant", hostile, "--ground", hostile, "--case", hostile, "--purpose", "security")
    run("disclose", "request", name_of(1), *why)
    run("disclose", "decide", 1, "--consent", "--by", hostile, "--reason", hostile)
    run("disclose", "print", 1, "-o", "request.pdf")
    run("export", 1, "--to", "copies", "--receiver", hostile, *ANNA)
    manifest = json.loads(Path("copies/manifest.json").read_text())
    assert manifest["applicant"] == manifest["receiver"] == hostile
    assert run("disclose", "list")[0]["ground"] == hostile
    assert main(["disclose", "list"]) == 0
