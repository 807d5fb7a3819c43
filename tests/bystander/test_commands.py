"""Every command is where the table says it is, and no command loads another's module."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import typer

from bystander.cli import app, main
from bystander.commands import PLACES

ROOM = Path(__file__).parents[2] / "bystander"


def program() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("name", PLACES)
def test_a_command_is_made_when_it_is_asked_for(name: str) -> None:
    command = program().commands[name]
    assert command.name == name
    place = PLACES[name]
    if isinstance(place, tuple):
        assert list(command.commands) == list(place[1])
        assert all(one.help for one in command.commands.values())
    assert command.help


@pytest.mark.parametrize("name", ["", *(name for name in PLACES if isinstance(PLACES[name], tuple))])
def test_each_command_of_a_list_is_told_in_one_whole_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal of 80 columns, where the framework cuts off what is longer."""
    with patch.dict(os.environ, {"COLUMNS": "80"}):
        main([*name.split(), "--help"])
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert len(listed) == len(PLACES[name][1] if name else PLACES)
    assert [line for line in listed if line.endswith("...")] == []


def test_a_name_that_is_no_command_is_none() -> None:
    commands = program().commands
    assert "exfiltrate" not in commands
    assert commands.get("exfiltrate") is None
    assert list(commands) == list(PLACES)
    assert len(commands) == len(PLACES)


def test_every_function_that_is_a_command_is_in_the_table() -> None:
    """A command that is written and not entered would be there for nobody."""
    entered = set()
    for name, place in PLACES.items():
        if isinstance(place, str):
            entered.add(place)
        else:
            entered |= {f"{place[0]}:{name}_{command.replace('-', '_')}" for command in place[1]}
    written = {
        f"{path.stem}:{node.name}"
        for path in ROOM.glob("commands_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and ast.unparse(node.returns or node) == "int"  # an exit status: the others are for other modules
    }
    assert entered == written


def test_a_command_loads_no_other() -> None:
    code = (
        "import sys; from bystander.cli import main; main(['extract', '--help']); "
        "print([name for name in sys.modules if name.startswith('bystander.commands_')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == "['bystander.commands_record']"
