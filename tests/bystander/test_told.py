"""Every line in which a room tells people what is wrong has its Polish, with all that is filled in."""

from __future__ import annotations

import ast
import errno
import os
import re
import sqlite3
import string
from pathlib import Path

import pytest

from bystander.cli import main
from bystander.config import load
from bystander.errors import UserError
from bystander.lang import prefer, told, use
from bystander.polish import LINES
from bystander.polish_errors import ERRORS
from bystander.polish_findings import FINDINGS
from bystander.polish_foreign import SYSTEM
from bystander.polish_rooms import ROOMS as OF_ROOMS
from tests.spoken import ROOMS, ROOT, lines, templates, untold


def fields(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


@pytest.fixture(autouse=True)
def polish() -> None:
    prefer(None)
    use("pl")


def test_every_line_is_said_in_polish_with_all_that_is_filled_in() -> None:
    assert len(lines()) > 280
    assert untold() == []


def test_no_line_is_translated_that_nobody_says() -> None:
    every = []
    for room in ROOMS:
        for path in (ROOT / room).glob("*.py"):
            if not path.name.startswith("polish"):
                every += [text for node in ast.walk(ast.parse(path.read_text())) for text in templates(node)]
    said = "\n".join(every)
    own = ERRORS | FINDINGS | OF_ROOMS
    assert [line for line in own if line.removeprefix("{}") not in said] == []
    assert len(own) > 250


def test_translations_fill_in_the_same() -> None:
    for english, polish in LINES.items():
        assert len(fields(english)) == len(fields(polish)), english
    assert not [text for text in LINES.values() if set(text) - set(string.printable + "ąćęłńóśźżŁŚŻÓ–…„”")]


def test_reasons_within_a_line_are_told_too() -> None:
    full = os.strerror(errno.ENOSPC)
    assert (
        told(f"/v/x: cannot use the index: {full}") == "/v/x: nie można użyć indeksu: brak miejsca na dysku"
    )
    assert told(f"/m/out: cannot write the copies: {full}; name a new folder on a medium with room") == (
        "/m/out: nie można zapisać kopii: brak miejsca na dysku; podaj nowy katalog na nośniku, na którym "
        "jest miejsce"
    )
    line = "20260831-120001-abcdef: held for A: 1; nothing was erased; tell the person that it must be kept"
    assert told(f"{line} until then") == (
        "20260831-120001-abcdef: zabezpieczone do sprawy A: 1; niczego nie usunięto; poinformuj tę osobę, że "
        "do tego czasu nagranie trzeba zachować"
    )
    assert told("x.pcap: cut in the middle of a record at byte 40; what came before is used") == (
        "x.pcap: ucięty w środku rekordu w bajcie 40; wykorzystano to, co było wcześniej"
    )
    assert told("something: that nobody knows") == "something: that nobody knows"
    use("en")
    assert told(f"/v/x: cannot use the index: {full}") == f"/v/x: cannot use the index: {full}"


def test_a_line_full_of_signs_is_looked_at_in_no_time() -> None:
    # A folder that somebody hands over chooses the names in it.
    assert told("; : " * 2000).startswith("; : ")


def test_the_systems_errors_are_told() -> None:
    for number, polish in SYSTEM.items():
        assert told(f"/a/b: {os.strerror(number)}") == f"/a/b: {polish}"


def test_what_sqlite_says_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "x"
    broken.write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    with pytest.raises(sqlite3.DatabaseError) as problem:
        sqlite3.connect(broken).execute("SELECT * FROM sqlite_master")
    assert told(str(problem.value)) == "to nie jest baza danych"
    with pytest.raises(sqlite3.OperationalError) as problem:
        sqlite3.connect(tmp_path / "no/such").execute("SELECT 1")
    assert told(str(problem.value)) == "nie można otworzyć pliku"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["show"], "brak argumentu 'ID'; zobacz `"),
        (["show", "x", "y"], "zbędne argumenty (y); zobacz `"),
        (["calls", "--limit", "x"], "błędna wartość dla '--limit': "),
        (["calls", "--limit", "0"], "błędna wartość dla '--limit': "),
        (["calls", "--state", "gone"], "błędna wartość dla '--state': "),
        (["cals"], "nie ma takiego polecenia: 'cals'"),
        (["calls", "--lmit"], "nie ma takiej opcji: --lmit"),
        (["hold", "add"], "brak opcji '--case'; zobacz `"),
        (["calls", "--number"], "opcja '--number' wymaga wartości; zobacz `"),
    ],
)
def test_wrong_usage(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lang", "pl", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"bystander: {line}")
    assert not re.search(r"\b(should|valid|Invalid|see|Did|one of)\b", said)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[capture]\nring_mb = 0", "[capture] ring_mb: powinno być nie mniejsze niż 1 (jest: 0)"),
        ("[capture]\nring_mb = 'x'", "[capture] ring_mb: powinna to być liczba całkowita (jest: 'x')"),
        ("[capture]\nringmb = 1", "[capture] ringmb: nie ma takiego klucza; czy chodzi o ring_mb?"),
        ("[captur]\nx = 1", "[captur]: nie ma takiej sekcji; czy chodzi o capture?"),
        ("[office]\ntimezone = 'Mars'", "[office] timezone: nie ma takiej strefy czasowej; zapisz ją jako"),
        (
            "[office]\nnumbers = 1",
            "[office] numbers: powinna to być lista w nawiasach kwadratowych (jest: 1)",
        ),
    ],
)
def test_faults_of_the_configuration(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(UserError) as problem:
        load(file)
    assert line in told(str(problem.value))
