"""`supervise` at the command line: for people, as JSON, and on paper (R16)."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from tests.bureau import Bureau
from tests.custody.paper import words


def test_r16_for_people_in_english_and_polish(configured: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    period = ("--from", "2026-08-01", "--to", "2026-08-31")
    assert main(["supervise", *period, "--lang", "en"]) == 0
    english = capsys.readouterr().out
    assert english.startswith("2026-08-01 – 2026-08-31\n")
    assert re.search(r"^calls +3  \(incoming 3\)  \(recorded 3\)$", english, re.MULTILINE)
    assert re.search(r"^overdue +recordings \d, protocols 0$", english, re.MULTILINE)
    assert re.search(r"^recorded of the time +0 %$", english, re.MULTILINE)
    assert main(["supervise", *period, "--lang", "pl"]) == 0
    polish = capsys.readouterr().out
    assert re.search(r"^rozmowy +3  \(przychodzące 3\)  \(nagrane 3\)$", polish, re.MULTILINE)
    assert re.search(r"^osoby upoważnione +2  \(ważne 2\)$", polish, re.MULTILINE)
    shown = [[line for line in text.splitlines() if line[:1] != " "] for text in (english, polish)]
    assert len(shown[0]) == len(shown[1]) == 17


def test_r4_the_seed_of_a_report_draws_the_same_again(configured: Bureau, run: Callable[..., Any]) -> None:
    first = run("supervise", "--from", "2026-08-01", "--to", "2026-08-31")
    seed = first["spot_checks"]["seed"]
    again = run("supervise", "--from", "2026-08-01", "--to", "2026-08-31", "--seed", seed, "--sample", 3)
    assert again["spot_checks"]["seed"] == seed
    assert [facts["seed"] for facts in configured.journal("supervised")] == [seed, seed]


def test_without_a_period_it_is_this_month_until_today(configured: Bureau, run: Callable[..., Any]) -> None:
    made = run("supervise")
    assert made["from"].endswith("-01") and made["made_at"][:7] == f"{datetime.now(UTC):%Y-%m}"


def test_what_verify_finds_is_in_it(configured: Bureau, run: Callable[..., Any]) -> None:
    gone = next(configured.kit.root.rglob("*.wav.age"))
    assert not any(gone.name in fault for fault in run("supervise")["verify"]["faults"])
    gone.unlink()
    assert any(gone.name in fault for fault in run("supervise")["verify"]["faults"])


def test_what_is_no_period(configured: Bureau, refused: Callable[..., str]) -> None:
    assert "ends before it begins" in refused("supervise", "--from", "2026-08-31", "--to", "2026-08-01")
    assert "not a time" in refused("supervise", "--from", "soon")
    assert configured.journal("supervised") == []


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")
def test_r16_on_paper(configured: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["supervise", "--from", "2026-08-01", "--to", "2026-08-31", "-o", "r.pdf", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"]["total"] == 3
    found = words(Path("r.pdf").read_bytes())
    assert "za okres od 1 sierpnia 2026 r. do 31 sierpnia 2026 r." in found
    assert Path("r.pdf").stat().st_mode & 0o777 == 0o600
