"""The forms from the entries of a vault, at the command line (R3, R14, R15)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.custody import listening
from bystander.custody.listening import Ask
from tests.bureau import Bureau
from tests.custody.paper import words
from tests.vaultkit import name_of

pytestmark = pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")


def listened(bureau: Bureau) -> None:
    """Anna has listened; protocol 1 is open."""
    ask = Ask(name_of(1), "K 7/26", "security", "skarga nr 5", [bureau.unlock("Anna")])
    bureau.at(lambda desk: listening.begin(desk, ask))


@pytest.fixture
def printed(configured: Bureau, run: Callable[..., Any]) -> Callable[..., str]:
    """Run a command that prints, and return what is on the paper."""

    def go(*arguments: object) -> str:
        assert run(*arguments, "-o", "form.pdf") == {"file": "form.pdf"}
        assert Path("form.pdf").stat().st_mode & 0o777 == 0o600
        return words(Path("form.pdf").read_bytes())

    return go


def test_r14_a_protocol_is_printed_from_its_entries(
    configured: Bureau, run: Callable[..., Any], printed: Callable[..., str]
) -> None:
    listened(configured)
    found = printed("protocol", "print", 1)
    assert "1) Anna, inspektor" in found and "Cel: bezpieczeństwo informacji" in found
    assert "godzina rozmowy: 31 sierpnia 2026 r., 14:00:01" in found
    before = found.count("....")
    for name in ("parties", "location", "breach", "causes", "actions", "inquiry"):
        run("protocol", "fill", 1, f"--{name}", f"wpis {name}")
    run("protocol", "fill", 1, "--position", "bez uwag", "--position-on", "2026-12-24")
    found = printed("protocol", "print", 1)
    assert all(f"wpis {name}" in found for name in ("parties", "location", "breach", "causes", "inquiry"))
    assert "w sprawie: bez uwag" in found and "Data: 24 grudnia 2026 r." in found
    assert found.count("....") < before
    assert configured.journal("printed") == [{"form": "protocol", "protocol": 1}] * 2


def test_the_mayors_position_is_of_today_unless_it_is_dated(
    configured: Bureau, run: Callable[..., Any]
) -> None:
    listened(configured)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d", run("protocol", "fill", 1, "--position", "bez uwag")["fields"]["position_on"]
    )
    assert main(["protocol", "fill", "1", "--position-on", "soon"]) == 1


def test_r15_a_request_is_printed_from_its_entries(
    configured: Bureau, run: Callable[..., Any], printed: Callable[..., str]
) -> None:
    facts = (
        "--applicant",
        "Sąd Rejonowy",
        "--ground",
        "sprawa II K 1/26",
        "--case",
        "7",
        "--purpose",
        "security",
    )
    run("disclose", "request", name_of(1), *facts, "--applied-on", "2026-11-20")
    found = printed("disclose", "print", 1)
    assert "Dane wnioskodawcy: Sąd Rejonowy" in found and "Uzasadnienie: sprawa II K 1/26" in found
    assert "rozmowa z dnia 31 sierpnia 2026 r., numer telefonu +48600000001" in found
    run(
        "disclose",
        "decide",
        1,
        "--refuse",
        "--by",
        "Jan Nowak",
        "--on",
        "2026-11-22",
        "--reason",
        "brak podstaw",
    )
    found = printed("disclose", "print", 1)
    assert "Uzasadnienie decyzji: brak podstaw" in found and "Data: 22 listopada 2026 r." in found
    assert "Jan Nowak podpis Prezydenta Miasta" in found


def test_r15_the_request_as_an_empty_form(configured: Bureau, printed: Callable[..., str]) -> None:
    assert "1) rozmowa z dnia ...." in printed("disclose", "print")


def test_r3_the_clause_is_printed_on_request(configured: Bureau, printed: Callable[..., str]) -> None:
    config = configured.kit.folder / "bystander.toml"
    config.write_text(config.read_text() + "[retention]\nmonths = 6\n")
    found = printed("rights", "clause")
    assert "jest Urząd Miasta Próbnego" in found and "przez 6 miesięcy od dnia nagrania" in found
