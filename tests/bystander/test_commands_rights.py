"""`rights ...`, typed as a person types them (R18)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.retention import holds
from tests.bureau import Bureau
from tests.vaultkit import name_of

NUMBER = "+48600000001"
ONE = name_of(1)
WHY = ("--case", "RODO 3/26", "--justification", "art. 15 RODO")
ERASE = ("rights", "erase", NUMBER, "--reason", "cofnięcie zgody", "--ground", "art. 17 ust. 1 RODO", "--yes")
Run = Callable[..., Any]
Refused = Callable[..., str]


def test_r18_find_by_number_and_period(office: Bureau, run: Run) -> None:
    assert [call["id"] for call in run("rights", "find", NUMBER)] == [ONE]
    assert [call["id"] for call in run("rights", "find", "+48 600-000-001")] == [ONE]
    assert len(run("rights", "find", "101", "--since", "2026-08-31", "--until", "2026-08-31")) == 3
    assert run("rights", "find", "101", "--until", "2026-08-30") == []
    assert run("rights", "find", "999") == []
    found = office.journal("rights-find")
    assert [facts["count"] for facts in found][-3:] == [3, 0, 0]
    assert not [facts for facts in found if NUMBER in json.dumps(facts)]


@pytest.mark.parametrize("number", ["600000001", "0048600000001", "+48600000001", "48 600 000 001"])
def test_r18_a_number_with_and_without_its_prefix(
    configured: Bureau, run: Run, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    """An exchange may send either, and who asks for their calls gets to know of both."""
    configured.kit.add(4, caller="600000001")
    exactly = {NUMBER: [ONE], "600000001": [name_of(4)]}.get(number, [])
    for json_wanted in ([], ["--json"]):
        assert main(["rights", "find", number, *json_wanted]) == 0
        told = capsys.readouterr()
        assert [name for name in (ONE, name_of(4)) if name in told.out] == exactly
        assert told.err.startswith(f"bystander: {2 - len(exactly)} call") and '"*600000001"' in told.err
    assert len(run("rights", "find", "*600000001")) == 2
    assert main(["rights", "find", "*600000001"]) == main(["rights", "find", "101"]) == 0
    assert capsys.readouterr().err == ""


def test_r18_copy_gives_wav_and_json(office: Bureau, run: Run) -> None:
    done = run("rights", "copy", NUMBER, "--to", "copies", *WHY, "--identity", "Anna.txt")
    assert done["recordings"] == [ONE]
    assert Path(f"copies/{ONE}.wav").read_bytes()[44:] == bytes([1]) * 8000
    (call,) = json.loads(Path("copies/calls.json").read_text())
    assert (call["id"], call["caller"], call["callee"]) == (ONE, NUMBER, "101")
    assert run("verify-export", "copies")["faults"] == []
    assert office.journal("rights-copy")[0]["recordings"] == [ONE]


def test_r18_restrict_and_lift(office: Bureau, run: Run, refused: Refused) -> None:
    assert run("rights", "restrict", NUMBER, "--reason", "spór")["recordings"] == [ONE]
    (call,) = run("rights", "find", NUMBER)
    assert call["restricted"] and call["held_by"] == ["ograniczenie przetwarzania (art. 18 RODO)"]
    reasoned = ("--case", "K", "--purpose", "quality", "--justification", "j", "--identity", "Anna.txt")
    assert "restriction" in refused("listen", ONE, *reasoned, "--player", "cat > heard.wav")
    assert run("rights", "unrestrict", NUMBER, "--reason", "wyjaśniono")["recordings"] == [ONE]
    assert "none of them is restricted" in refused("rights", "unrestrict", NUMBER, "--reason", "x")
    assert run("rights", "find", NUMBER)[0]["restricted"] is False


def test_r18_what_is_restricted_is_not_released_as_a_hold(office: Bureau, run: Run, refused: Refused) -> None:
    """The term would end it, and it is to be kept."""
    run("rights", "restrict", NUMBER, "--reason", "spór")
    for which in ("ograniczenie przetwarzania (art. 18 RODO)", "1"):
        assert "rights unrestrict" in refused("hold", "release", which, "--reason", "x")
    assert run("rights", "find", NUMBER)[0]["held_by"]
    run("hold", "add", name_of(2), "--case", "1", "--reason", "x")
    assert run("hold", "release", "1", "--reason", "x")[0]["recordings"] == [name_of(2)]


def test_r18_an_objection_is_noted_and_decided(office: Bureau, run: Run) -> None:
    assert run("rights", "object", NUMBER, "--reason", "art. 21") == {
        "recordings": [ONE],
        "cause": "objection",
    }
    assert run("rights", "find", NUMBER)[0]["held_by"] == ["sprzeciw (art. 21 RODO)"]
    assert run("rights", "unrestrict", NUMBER, "--reason", "uwzględniono")["recordings"] == [ONE]
    acts = [entry.act for entry in office.kit.journal.entries()]
    assert acts.index("objection") < acts.index("unrestricted")


def test_r18_erased_at_once_and_nothing_is_left(office: Bureau, run: Run) -> None:
    marks = office.kit.marks(1)
    assert run(*ERASE) == {"erased": [ONE]}
    office.kit.keyring.close()
    for path in office.kit.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [mark for mark in marks if mark in content], path
    (entry,) = office.journal("erase-plan")
    assert (entry["cause"], entry["ground"], entry["recordings"]) == ("request", "art. 17 ust. 1 RODO", [ONE])
    assert office.kit.ids() == [name_of(2), name_of(3)]


def test_r18_r11_refused_while_held_with_what_to_tell_the_person(office: Bureau, refused: Refused) -> None:
    async def hold(index: Any) -> None:
        await holds.add(index, [(ONE, "call-0001@office.example")], "II K 12/26", "dowód", "t", 1)

    office.kit.using(hold)
    line = refused(*ERASE)
    assert "held for II K 12/26" in line and "tell the person" in line
    (entry,) = office.journal("erase-refused")
    assert (entry["why"], entry["ground"], entry["recordings"]) == ("held", "art. 17 ust. 1 RODO", [ONE])
    assert ONE in office.kit.ids() and office.kit.keyring.get(ONE)


@pytest.mark.parametrize(
    "arguments",
    [
        ("rights", "erase", NUMBER, "--reason", "r", "--ground", "g"),
        ("rights", "erase", NUMBER, "--reason", " ", "--ground", "g", "--yes"),
        ("rights", "erase", NUMBER, "--reason", "r", "--ground", "", "--yes"),
        ("rights", "erase", "999", "--reason", "r", "--ground", "g", "--yes"),
        ("rights", "erase", "*", "--reason", "r", "--ground", "g", "--yes"),
        ("rights", "erase", " ", "--reason", "r", "--ground", "g", "--yes"),
        ("rights", "erase", "\udce9", "--reason", "r", "--ground", "g", "--yes"),
        ("rights", "restrict", NUMBER, "--reason", ""),
        ("rights", "restrict", NUMBER, "--reason", "\x1b[2J"),
        ("rights", "restrict", "999", "--reason", "r"),
        ("rights", "copy", "999", "--to", "copies", *WHY, "--identity", "Anna.txt"),
    ],
)
def test_r18_what_is_not_done(office: Bureau, refused: Refused, arguments: tuple[str, ...]) -> None:
    refused(*arguments)
    assert len(office.kit.ids()) == 3 and not Path("copies").exists()
    assert not office.at(lambda desk: desk.index.rows("SELECT 1 FROM restricted"))


def test_what_people_read_in_polish(office: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rights", "restrict", NUMBER, "--reason", "spór", "--lang", "pl"]) == 0
    assert capsys.readouterr().out == "ograniczono: 1\n"
    assert main(["rights", "find", NUMBER, "--lang", "pl"]) == 0
    assert "ograniczono" in capsys.readouterr().out
