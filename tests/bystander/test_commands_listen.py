"""`listen` and `protocol ...`, typed as a person types them (R2, R12, R14)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from tests.bureau import Bureau, write_keys
from tests.vaultkit import name_of

WHY = ("--case", "K 7/26", "--purpose", "quality", "--justification", "complaint 5")
LISTEN = ("listen", name_of(1), *WHY, "--identity", "Anna.txt")
REST = ("--location", "b", "--breach", "c", "--causes", "d", "--actions", "e", "--inquiry", "f")
Run = Callable[..., Any]


def test_r12_with_a_passphrase_and_what_is_printed(
    office: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ("--identity", "Anna.key", "--passphrase-file", "right")
    assert main(["listen", name_of(1)[:-3], *WHY, *key, "--player", "cat > heard.wav", "--lang", "pl"]) == 0
    told = capsys.readouterr()
    assert told.err == "" and "odsłuchano: 0.0–0.2 s; protokół 1" in told.out
    assert Path("heard.wav").read_bytes()[44:] == bytes([1]) * 8000
    (entry,) = office.journal("listen")
    assert entry == {
        "protocol": 1, "recording": name_of(1), "persons": [1], "case": "K 7/26", "purpose": "quality",
        "from_s": 0.0, "to_s": 0.25,
    }  # fmt: skip


def test_r14_the_protocol_from_the_listening_to_the_mayors_position(office: Bureau, run: Run) -> None:
    run(*LISTEN, "--player", "cat >/dev/null")
    assert [one["state"] for one in run("protocol", "list", "--open")] == ["open"]
    assert run("protocol", "fill", 1, "--parties", "Jan Kowalski")["missing"][0] == "location"
    assert run("protocol", "fill", 1, *REST)["state"] == "complete"
    assert run("protocol", "list", "--open") == []
    shown = run("protocol", "show", 1)
    assert (shown["fields"]["parties"], shown["case"], shown["persons"]) == ("Jan Kowalski", "K 7/26", [1])


def test_r14_what_is_refused_of_a_protocol(office: Bureau, run: Run, refused: Callable[..., str]) -> None:
    assert "no such protocol" in refused("protocol", "show", 1)
    run(*LISTEN, "--player", "cat >/dev/null")
    assert "nothing to fill" in refused("protocol", "fill", 1)
    assert "empty" in refused("protocol", "fill", 1, "--parties", " ")
    assert "control" in refused("protocol", "fill", 1, "--parties", "\x1b[2J")


def test_r14_a_hostile_text_does_not_reach_the_terminal(
    office: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that another program wrote into the index."""

    async def write(index: Any) -> None:
        async with index.transaction() as connection:
            await connection.execute(
                "INSERT INTO protocols (recording, case_no, purpose, justification, person, opened_ns, "
                "from_s, fields) VALUES ('r', ?, 'quality', 'j', 1, 1, 0, ?)",
                ["\x1b]0;owned\x07", '{"parties": "\\u001b[2J\\u202eabc"}'],
            )

    office.kit.using(write)
    for command in (["protocol", "list"], ["protocol", "show", "1"]):
        assert main(command) == 0
        assert not set(capsys.readouterr().out) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_r14_who_is_interrupted_has_listened_and_it_is_noted(office: Bureau, told: signal.Signals) -> None:
    """The terminal is closed, or the machine goes down, in the middle of it: the second is on record."""
    command = [sys.executable, "-m", "bystander", *LISTEN, "--player", "touch playing; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not Path("playing").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(told)
        process.communicate(timeout=60)
    assert len(office.journal("listen")) == 1
    (after,) = office.journal("listened")
    assert after["protocol"] == 1 and 0 <= after["to_s"] <= 0.25


def test_a_text_of_several_lines_is_shown_as_such(
    configured: Bureau, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_keys("Anna")
    why = ("--case", "K", "--purpose", "quality", "--justification", "j")
    run("listen", name_of(1), *why, "--identity", "Anna.txt", "--player", "cat > /dev/null")
    run("protocol", "fill", 1, "--parties", "Jan Kowalski\nOla Nowa")
    assert main(["protocol", "show", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["parties", "Jan", "Kowalski"] and lines[2].split() == ["Ola", "Nowa"]
