"""`hold`, `retention` and `erase` as people and scripts meet them (R10, R11, R18)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bystander import acts
from bystander.cli import main
from bystander.recovery import SignallingLog
from bystander.retention import clock
from bystander.sniffer.sip import Arrival
from bystander.storage.entry import recording_id, time_ns
from bystander.storage.identity import recipient_text
from tests.vaultkit import CONFIG, Kit, make, name_of

Capsys = pytest.CaptureFixture[str]
Run = Callable[..., Any]
OFFICE = '\n[office]\ntimezone = "Europe/Warsaw"\n'
OVER = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%S.000Z}"
LATER = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT%H:%M:%S.000Z}"


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """A vault with recordings 1 and 2, beyond their term, and 3, within it."""
    monkeypatch.delenv("BYSTANDER_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    kit = make(tmp_path / "vault")
    (kit.folder / "keys/vault.pub").write_text(recipient_text(kit.vault_identity) + "\n")
    (kit.folder / "bystander.toml").write_text(OFFICE + CONFIG)
    monkeypatch.setenv("BYSTANDER_CONFIG", str(kit.folder / "bystander.toml"))
    kit.add(1, 2, delete_after=OVER)
    kit.add(3, delete_after=LATER)
    kit.using(lambda index: clock.confirm(index, clock.Reading.now()))
    yield kit
    kit.keyring.close()


@pytest.fixture
def run(capsys: Capsys) -> Run:
    """Run a command and return what it prints as JSON."""

    def go(*arguments: object, status: int = 0) -> Any:
        assert main([*(str(argument) for argument in arguments), "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return go


@pytest.fixture
def refused(capsys: Capsys) -> Callable[..., str]:
    """Run a command that must fail with one line on stderr and nothing on stdout; return the line."""

    def go(*arguments: object, status: int = 1) -> str:
        assert main([str(argument) for argument in arguments]) == status
        told = capsys.readouterr()
        assert (told.out, told.err.count("\n")) == ("", 1)
        return told.err.removeprefix("bystander: ").rstrip("\n")

    return go


def hold(run: Run, *recordings: object, case: str = "K 7/26") -> Any:
    return run("hold", "add", *recordings, "--case", case, "--reason", "complaint of Mr Kowalski")


# -- hold ---------------------------------------------------------------------------------------------------


def test_r11_holds_are_placed_listed_and_released(vault: Kit, run: Run, capsys: Capsys) -> None:
    done = hold(run, name_of(1), "20260831-120002", "call-0003@office.example")
    names = [name_of(1), name_of(2), name_of(3)]
    assert done == {"hold": 1, "case": "K 7/26", "recordings": names, "of_the_same_case": []}
    (one,) = run("hold", "list")
    assert (one["case"], one["reason"], one["recordings"], one["active"], one["days"]) == (
        "K 7/26", "complaint of Mr Kowalski", 3, 3, 0
    )  # fmt: skip
    assert main(["hold", "list"]) == 0
    assert "K 7/26" in (shown := capsys.readouterr().out) and "3 of 3" in shown and "0 days" in shown
    (freed,) = run("hold", "release", "K 7/26", name_of(1), "--reason", "not of the case", "--by", "court")
    assert freed == {"hold": 1, "case": "K 7/26", "recordings": [name_of(1)]}
    run("hold", "release", "1", "--reason", "concluded")
    assert run("hold", "list") == []
    (one,) = run("hold", "list", "--all")
    assert (one["release_reason"], one["active"]) == ("not of the case; concluded", 0)


def related_to(number: int, relation: str) -> list[dict[str, str]]:
    return [{"call_id": f"call-{number:04d}@office.example", "relation": relation}]


def test_r11_c8_a_hold_covers_the_calls_of_the_same_case(vault: Kit, run: Run, capsys: Capsys) -> None:
    """A call that was transferred into another; the one that ended first does not know of it yet."""
    vault.add(4, delete_after=LATER)
    vault.add(5, delete_after=LATER, related=related_to(4, "transferred-from"))
    done = hold(run, name_of(4))
    assert done["recordings"] == [name_of(4), name_of(5)]
    assert done["of_the_same_case"] == [name_of(5)]
    assert hold(run, name_of(5), "--only-these", case="II")["recordings"] == [name_of(5)]
    assert main(["hold", "add", name_of(5), "--case", "III", "--reason", "because"]) == 0
    assert f"of the same case: {name_of(4)}" in capsys.readouterr().out
    # What comes to the case later is covered, too; another call is not.
    vault.add(6, delete_after=LATER, related=related_to(5, "transferred-from"))
    vault.add(7, delete_after=LATER)
    (six, seven) = [run("show", name_of(number)) for number in (6, 7)]
    assert six["held_by"] == ["II", "III", "K 7/26"]
    assert [(one["id"], one["relation"]) for one in six["case"]] == [
        (name_of(4), "transferred-from"), (name_of(5), "transferred-from")
    ]  # fmt: skip
    assert (seven["held_by"], seven["case"]) == ([], [])


def test_the_journal_knows_the_case_and_not_the_reason(vault: Kit, run: Run) -> None:
    hold(run, name_of(1))
    run("hold", "release", "K 7/26", "--reason", "Mr Kowalski withdrew it")
    entries = list(vault.journal.entries())
    assert [entry.act for entry in entries] == ["hold", "release"]
    for entry in entries:
        assert entry.facts == {"hold": 1, "case": "K 7/26", "count": 1, "recordings": [name_of(1)]}
        assert "Kowalski" not in json.dumps(entry.facts)


def test_a_whole_query_in_one_act(vault: Kit, run: Run, refused: Callable[..., str]) -> None:
    assert hold(run, "--number", "*000002", "--since", "2026-08-31")["recordings"] == [name_of(2)]
    every = hold(run, "--since", "2026-08-31", "--until", "2026-08-31", "--direction", "incoming", case="II")
    assert len(every["recordings"]) == 3
    nothing = refused("hold", "add", "--number", "999", "--case", "K", "--reason", "r")
    assert nothing == "no such calls; `bystander calls` lists them"


def test_a_long_list_is_journalled_in_parts(vault: Kit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "_IN_ENTRY", 2)
    hold(run, "--since", "2026-08-31")
    entries = list(vault.journal.entries())
    assert [len(entry.facts["recordings"]) for entry in entries] == [2, 1]


def test_a_call_in_progress_is_held_before_it_has_a_row(
    vault: Kit, run: Run, refused: Callable[..., str], arrivals: list[Arrival]
) -> None:
    """By its id, its beginning, its Call-ID, or a query; and never by half of two names."""
    (vault.folder / "spool").mkdir()
    log = SignallingLog(vault.folder / "spool")
    for arrival in arrivals[:4]:
        log.append(arrival)
    log.close(remove=False)
    name = recording_id(arrivals[0].time_ns, "0@office")
    for wanted in (name, "20261123", "0@office"):
        assert hold(run, wanted)["recordings"] == [name]
    assert hold(run, "--number", "101", "--since", "2026-11-01")["recordings"] == [name]
    held = vault.using(lambda index: index.rows("SELECT DISTINCT id, call_id FROM held"))
    assert held == [(name, "0@office")]
    said = refused("hold", "add", "2026", "--case", "K", "--reason", "r")
    assert "several recordings fit" in said
    said = refused("erase", name, "--reason", "r", "--ground", "g", "--yes")
    assert said == f"{name}: still in progress; that can be done when the call is over"
    assert run("retention", "reconcile") == {"found": [], "mended": {}, "left": 0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "--case", "K", "--reason", "r"], "nothing to hold; name recordings, or give --number"),
        (["add", name_of(1), "--case", " ", "--reason", "r"], "--case is empty; say it in words"),
        (["add", name_of(1), "--case", "K", "--reason", ""], "--reason is empty; say it in words"),
        (["add", "nobody", "--case", "K", "--reason", "r"], "nobody: there is no such recording; `bystander"),
        (["add", "20260831", "--case", "K", "--reason", "r"], "20260831: several recordings fit"),
        (["release", "K 9/26", "--reason", "r"], "K 9/26: no active hold; `bystander hold list` shows them"),
    ],
)
def test_what_cannot_be_held(
    vault: Kit, refused: Callable[..., str], arguments: list[str], said: str
) -> None:
    assert refused("hold", *arguments).startswith(said)
    assert vault.acts() == []


# -- retention ----------------------------------------------------------------------------------------------


def test_r10_the_plan_shows_and_the_sweep_erases(vault: Kit, run: Run, capsys: Capsys) -> None:
    hold(run, name_of(2))
    plan = run("retention", "plan")
    assert [(one["id"], one["rule"], one["held_by"]) for one in plan] == [
        (name_of(1), "default", []), (name_of(2), "default", ["K 7/26"])
    ]  # fmt: skip
    assert len(run("retention", "plan", "--at", LATER[:10])) >= 2
    assert main(["retention", "plan"]) == 0
    shown = capsys.readouterr().out
    assert "1 recording to be erased, 1 held back" in shown and "held for K 7/26" in shown
    assert len(vault.ids()) == 3
    done = run("retention", "sweep", "--yes")
    assert done == {"erased": 1, "held": 1, "left": 0, "refused": None, "problem": None}
    assert vault.ids() == vault.keyring.ids() == [name_of(2), name_of(3)]
    assert vault.acts() == ["hold", "erase-plan", "erase-done"]


def test_what_cannot_be_undone_asks(vault: Kit, refused: Callable[..., str]) -> None:
    """Without a terminal there is nobody to ask."""
    said = "this cannot be undone, and there is no terminal to ask at; give --yes"
    assert refused("retention", "sweep") == said
    assert refused("erase", name_of(1), "--reason", "r", "--ground", "g") == said
    assert refused("retention", "confirm-clock") == said
    assert len(vault.ids()) == 3


@pytest.mark.parametrize(("answer", "left"), [("n\n", 3), ("\n", 3), ("y\n", 1)])
def test_the_answer_counts(
    vault: Kit, monkeypatch: pytest.MonkeyPatch, answer: str, left: int, capsys: Capsys
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    status = main(["retention", "sweep"])
    told = capsys.readouterr().err
    assert "Erase 2 recordings for good?" in told
    assert (status, "not confirmed; nothing was done" in told) == (0 if left == 1 else 1, left == 3)
    assert len(vault.ids()) == left


class Terminal:
    """A person at a terminal with one answer."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:
        return self._answer


def test_a_clock_set_forward_refuses_and_is_journalled_once_a_day(
    vault: Kit, run: Run, capsys: Capsys
) -> None:
    long_ago = time_ns("2026-01-01T00:00:00Z")
    vault.using(lambda index: clock.confirm(index, clock.Reading(long_ago, 0, "")))
    for _ in range(2):
        assert main(["retention", "sweep", "--yes"]) == 1
        assert "run `bystander retention confirm-clock`" in capsys.readouterr().err
    assert vault.acts() == ["erase-refused"]
    assert run("retention", "sweep", "--yes", status=1)["refused"]
    assert len(vault.ids()) == 3
    run("retention", "confirm-clock", "--yes")
    assert run("retention", "sweep", "--yes")["erased"] == 2
    assert vault.acts() == ["erase-refused", "clock-confirmed", "erase-plan", "erase-done"]


def test_a_cap(vault: Kit, run: Run) -> None:
    assert run("retention", "sweep", "--yes", "--limit", "1")["left"] == 1
    assert len(vault.ids()) == 2


def test_a_file_that_resists_is_told_and_the_status_says_so(vault: Kit, run: Run) -> None:
    stubborn = vault.root / "2026/08/31" / f"{name_of(1)}.wav.age"
    stubborn.unlink()
    stubborn.mkdir()
    done = run("retention", "sweep", "--yes", status=1)
    assert (done["erased"], done["left"], str(stubborn) in done["problem"]) == (0, 2, True)
    stubborn.rmdir()
    assert run("retention", "sweep", "--yes")["erased"] == 2


def test_c20_reconcile_finds_asks_and_mends(vault: Kit, run: Run, capsys: Capsys) -> None:
    old = vault.root / "2026/08/31" / f"{name_of(9)}.wav.age"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    (vault.root / "2026/08/31" / f"{name_of(1)}.wav.age").unlink()
    vault.keyring.destroy([name_of(3)])
    assert main(["retention", "reconcile"]) == 1
    told = capsys.readouterr()
    assert told.out.count("\n") == 3 and told.err.endswith("give --yes\n")
    assert old.exists()
    done = run("retention", "reconcile", "--yes", status=1)
    assert {one["kind"] for one in done["found"]} == {
        "file-without-row",
        "row-without-file",
        "row-without-key",
    }
    assert (done["mended"], done["left"]) == ({"file-without-row": 1, "row-without-file": 1}, 1)
    assert not old.exists()
    assert [one["kind"] for one in run("retention", "reconcile", status=1)["found"]] == ["row-without-key"]


# -- erase --------------------------------------------------------------------------------------------------


def test_r18_erase_at_once_with_reason_and_ground(vault: Kit, run: Run) -> None:
    done = run("erase", name_of(3), "--reason", "demand of 24 November", "--ground", "art. 17", "--yes")
    assert done == {"erased": [name_of(3)]}
    assert vault.ids() == [name_of(1), name_of(2)]
    plan, _ = vault.journal.entries()
    assert (plan.facts["cause"], plan.facts["reason"], plan.facts["ground"]) == (
        "request", "demand of 24 November", "art. 17"
    )  # fmt: skip


def test_c21_a_held_recording_refuses_all_and_names_the_case(
    vault: Kit, run: Run, refused: Callable[..., str]
) -> None:
    hold(run, name_of(2))
    said = refused("erase", name_of(1), name_of(2), "--reason", "r", "--ground", "g", "--yes")
    assert said == f"{name_of(2)}: held for K 7/26; nothing was erased"
    assert len(vault.ids()) == 3
    assert vault.acts() == ["hold", "erase-refused"]


def test_what_is_erased_is_not_recorded_again_from_the_spool(
    vault: Kit, run: Run, arrivals: list[Arrival]
) -> None:
    """The signalling of a call of a minute ago may still be in the log."""
    (vault.folder / "spool").mkdir()
    log = SignallingLog(vault.folder / "spool")
    raw = arrivals[0].raw.replace(b"0@office", b"call-0003@office.example")
    early = arrivals[0].time_ns - 365 * 86_400 * 10**9
    log.append(replace(arrivals[0], time_ns=early, raw=raw))
    log.close(remove=False)
    run("erase", name_of(3), "--reason", "r", "--ground", "g", "--yes")
    assert b"call-0003" not in (vault.folder / "spool/signalling.log").read_bytes()


def test_names_that_are_no_recordings(vault: Kit, refused: Callable[..., str]) -> None:
    said = refused("erase", "nobody", "--reason", "r", "--ground", "g", "--yes")
    assert said == "nobody: there is no such recording; `bystander calls` lists them"
    assert refused("erase", name_of(1), "--reason", " ", "--ground", "g", "--yes").startswith("--reason is")
    assert vault.acts() == []
