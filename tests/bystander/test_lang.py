"""Every text that the commands say is there in both languages, and no translation is of nothing."""

from __future__ import annotations

import ast
import io
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from bystander.acts import confirm
from bystander.cli import app, main
from bystander.custody import persons, protocols
from bystander.custody.desk import PURPOSES
from bystander.errors import UserError
from bystander.lang import prefer, refusal, said, shown, t, use
from bystander.polish import REFUSED, TEXTS
from bystander.render import STREAM_COLUMNS
from bystander.sniffer.transfers import INVERSE
from bystander.verdict import VERDICTS
from tests.bureau import Bureau
from tests.spoken import given

ROOT = Path(__file__).parents[2]
#: Names that the index and the journal keep, and a report counts by.
KEPT = {
    *persons.ROLES, *get_args(persons.State), *PURPOSES, *protocols.FIELDS, *VERDICTS,
    *("requested", "consented", "refused", "handed over"),
    *("answered", "cancelled", "busy", "failed", "unanswered", "incomplete"),
    *("incoming", "outgoing", "internal", "unknown"),
    *("stopped", "killed", "drops", "not-started", "no-space"),
    *("term", "request", "mend"),
    *("caller", "callee", "timeout", "capture-end", "blind", "attended", "call", "stream"),
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    *("recording", "not recording", "not running", "held", "overdue", "unfinished erasures"),
    *("active_calls", "kernel_drops", "why"),
    *("recorder", "audio", "newest", "disk", "vault", "coverage", "not covered"),
}  # fmt: skip

#: Words that both languages have.
SAME = {
    "administrator",
    "media",
    "{seconds:.3f} s",
    "jitter {ms:.1f} ms",
    "MOS {mos:.1f}",
    "{count:.1f} {unit}",
}


def modules(*rooms: str) -> Iterator[ast.Module]:
    for room in rooms:
        for path in sorted((ROOT / room).glob("*.py")):
            yield ast.parse(path.read_text())


def labels() -> set[str]:
    """The names of what `show` says of a call and of its streams."""
    facts = next(node for module in modules("bystander") for node in module.body
                 if isinstance(node, ast.FunctionDef) and node.name == "_facts")  # fmt: skip
    yielded = [node.value.elts[0] for node in ast.walk(facts)
               if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple)]  # fmt: skip
    found = {node.value for node in yielded if isinstance(node, ast.Constant)} - {""}
    assert len(found) > 15
    relations = {relation.replace("-", " ") for relation in INVERSE}
    times = {"started", "answered", "ended"}
    return {f"show: {name}" for name in found | relations | times} | {
        f"streams: {name}" for name in STREAM_COLUMNS
    }


def codes() -> set[str]:
    """The codes with which acts are refused."""
    found = {"revoked", "lapsed", "not-yet-valid"}  # the states of an authorisation, in persons.admit
    for module in modules("custody", "bystander"):
        for node in ast.walk(module):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "refuse"
            ):
                code = node.args[1]
                found |= {code.value} if isinstance(code, ast.Constant) else set()
    return found


def test_every_text_is_in_both_languages_and_none_is_unused() -> None:
    literal = given("bystander")
    assert len(literal) > 40
    assert literal | KEPT | labels() == set(TEXTS)


def test_every_refusal_is_in_both_languages_and_on_paper() -> None:
    assert {str(code) for code in codes()} == set(REFUSED)
    template = (ROOT / "custody/forms/supervision.typ").read_text()
    table = template.partition("#let refusals-of = (")[2].partition("\n)")[0]
    assert set(re.findall(r'"?([a-z-]+)"?: "', table)) == set(REFUSED)


def test_what_is_filled_in_is_filled_in_in_both() -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    def words(text: str) -> set[int]:
        return {spec.count("|") for _, _, spec, _ in string.Formatter().parse(text) if spec and "|" in spec}

    for english, polish in TEXTS.items():
        assert fields(english) == fields(polish), english
        # One word or several; one, two to four, and more.
        assert words(english) <= {1} and words(polish) <= {2}, english
    assert all(fields(text) <= {"what"} for text in REFUSED.values())


def test_polish_is_written_in_polish_letters_and_nothing_stays_english() -> None:
    every = [*TEXTS.values(), *REFUSED.values()]
    assert set("".join(every)) & set("ąćęłńóśźż") == set("ąćęłńóśźż")
    assert not [text for text in every if set(text) - set(string.printable + "ąćęłńóśźżŁŚŻÓ–…„”")]
    assert {english for english, polish in TEXTS.items() if english == polish} == SAME


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "pl_PL.UTF-8"}, "pl"),
        ({"LANG": "pl"}, "pl"),
        ({"LANG": "pl_PL@euro"}, "pl"),
        ({"LANG": "plt_MG.UTF-8"}, "en"),
        ({"LANG": "pl_PL.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "pl_PL.UTF-8"}, "pl"),
        ({"LANG": "pl_PL.UTF-8", "LC_ALL": ""}, "pl"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    use(None)
    assert t("calls") == {"en": "calls", "pl": "rozmowy"}[language]
    use("en")
    assert t("calls") == "calls"
    use("pl")
    assert t("Passphrase of {name}: ", name="{x}") == "Hasło do {x}: "


def test_the_programs_option_is_for_every_command_and_a_commands_own_goes_first() -> None:
    prefer("pl")
    use(None)
    assert t("calls") == "rozmowy"
    use("en")
    assert t("calls") == "calls"
    prefer(None)
    assert t("calls") == "calls"
    with pytest.raises(UserError):
        prefer("de")


def test_lists_and_figures_in_polish(configured: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*arguments: str) -> str:
        assert main(["--lang", "pl", *arguments]) in (0, 1)
        return capsys.readouterr().out

    assert re.search(r"^poniedziałek 2026-08-31\n↘ .* nagrane +zapieczętowane$", shown("calls"), re.MULTILINE)
    assert shown("calls", "--number", "999") == "brak takich rozmów\n"
    assert re.search(r"^rozmowy +3 +\(odebrane 3\)$", shown("status"), re.MULTILINE)
    assert shown("hold", "list") == "nic nie jest zabezpieczone\n"
    plan = shown("retention", "plan", "--at", "2027-01-31")
    assert re.search(r"^do usunięcia: 3 nagrania, zatrzymane: 0$", plan, re.MULTILINE)
    assert re.search(r"^nieprawidłowości: \d+ \(.* 3 rozmowy.* \d+ plik(i|ów)", shown("verify"), re.MULTILINE)
    assert shown("persons", "list", "--lang", "en").count("listener") == 2


@pytest.mark.parametrize(
    ("number", "polish"),
    [
        *(
            (0, "0 strumieni"),
            (1, "1 strumień"),
            (2, "2 strumienie"),
            (4, "4 strumienie"),
            (5, "5 strumieni"),
        ),
        *((12, "12 strumieni"), (14, "14 strumieni"), (21, "21 strumieni"), (22, "22 strumienie")),
        *((112, "112 strumieni"), (1003, "1003 strumienie")),
    ],
)
def test_words_go_with_numbers(number: int, polish: str) -> None:
    use("en")
    streams = said("{streams} RTP {streams:stream|streams}", streams=number)
    assert streams == f"{number} RTP stream{'s' * (number != 1)}"
    assert shown(streams) == streams
    use("pl")
    assert shown(streams) == f"{polish} RTP"
    # JSON is written from the same object.
    assert json.loads(json.dumps(streams)) == streams


def test_numbers_are_written_as_the_language_does() -> None:
    text = "{packets:,} RTCP {packets:packet|packets}"
    share = said("{lost} of {sent} RTP packets are missing ({share:.2%}).", lost=1, sent=1500, share=1 / 1500)
    use("en")
    assert t(text, packets=1204) == "1,204 RTCP packets"
    assert shown(share) == "1 of 1500 RTP packets are missing (0.07%)."
    use("pl")
    assert t(text, packets=1204) == "1\u00a0204 pakiety RTCP"
    assert shown(share) == "Brakujące pakiety RTP: 1 z 1500 (0,07%)."
    some = said("{listed} and {more} more", listed="a, b", more=3)
    assert shown(said("VLAN tags seen: {tags} (outer/inner).", tags=some)).startswith(
        "Znaczniki VLAN: a, b i"
    )


def test_every_command_takes_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [(name, command) for name, command in get_command(app).commands.items()]  # type: ignore[attr-defined]
    for name, command in commands:
        commands += [(f"{name} {more}", one) for more, one in getattr(command, "commands", {}).items()]
    assert len(commands) > 35
    for name, command in commands:
        options = {option for one in command.params for option in one.opts}
        assert "--lang" in options or hasattr(command, "commands"), name
    assert main(["hold", "list", "--lang", "de"]) == 1
    assert "take en or pl" in capsys.readouterr().err


def test_a_call_in_polish(installation: Path, configured: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    shown = ["show", "first", "-c", str(installation)]
    assert main([*shown, "--lang", "pl"]) == 0
    screen = capsys.readouterr().out
    assert screen.startswith("↘ +48600100200 → 101   odebrane 200   nagrane\n")
    assert re.search(r"^  zakończone +2026-11-23 [\d:.]+ \(dzwoniący\)$", screen, re.MULTILINE)
    assert re.search(r"^  zawieszenie +odbierający, od [\d:.]+ do końca$", screen, re.MULTILINE)
    assert re.search(r"^ +20,000 s, 2 kanały, 8000 Hz$", screen, re.MULTILINE)
    assert not re.search(r"\b(started|by|until|caller|channels?)\b", screen)
    assert json_of(capsys, *shown, "--lang", "pl") == json_of(capsys, *shown)
    held = ["hold", "add", "20260831-120001", "--case", "K 1", "--reason", "r", "--lang", "pl"]
    assert main(held) == 0
    assert capsys.readouterr().out == "zabezpieczenie 1 do sprawy K 1: 1 nagranie\n"


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("answer", "agreed"), [("t\n", True), ("tak\n", True), ("Y\n", True), ("x\nn\n", False)]
)
def test_questions_are_answered_in_either_language(
    answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    use("pl")
    if agreed:
        confirm(t("Make a new key for the vault?"))
    else:
        with pytest.raises(UserError, match="nothing was done"):
            confirm(t("Make a new key for the vault?"))
    asked = "Utworzyć nowy klucz sejfu? [t/N]: "
    assert capsys.readouterr().err == asked * len(answer.splitlines())


def test_doctor_in_polish(capsys: pytest.CaptureFixture[str]) -> None:
    capture = str(ROOT / "tests/data/srtp.pcap")
    assert main(["doctor", capture, "--lang", "pl"]) == 0
    screen = capsys.readouterr().out
    assert re.search(
        r"^rozmowy +odebrane: 1; słychać obie strony: 1, jedną: 0, żadnej: 0$", screen, re.MULTILINE
    )
    assert "! Strumienie szyfrowane (SRTP): 2 z 2;" in screen
    assert not re.search(r"\b(the|of|and|are|seen|frames)\b", screen)
    told = []
    for language in ("en", "pl"):
        assert main(["doctor", capture, "--json", "--lang", language]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_a_language_that_there_is_not() -> None:
    with pytest.raises(UserError, match="take en or pl"):
        use("de")
    use("en")


def test_a_refusal_names_what_it_is_of() -> None:
    use("pl")
    assert refusal("erased", "20260831-x: was erased; nothing of it is left").startswith(
        "20260831-x: nagranie"
    )
    assert refusal("no-case", "no case: give --case") == "brak numeru sprawy; podaj --case (R12)"
    assert refusal("of tomorrow", "the line") == "the line"
    use("en")
    assert refusal("no-case", "no case: give --case") == "no case: give --case"


def test_the_commands_say_it_in_polish(
    configured: Bureau, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "pl_PL.UTF-8")
    assert main(["persons", "list"]) == 0
    assert re.search(r"Anna +inspektor +odsłuchujący .* ważne +ma klucz", capsys.readouterr().out)
    assert main(["disclose", "list"]) == 0
    assert capsys.readouterr().out == "brak wniosków\n"
    assert main(["protocol", "list", "--lang", "en"]) == 0
    assert capsys.readouterr().out == "no protocols\n"
    assert main(["rights", "find", "+48600000001"]) == 0
    assert "nagrane" in capsys.readouterr().out
    assert main(["listen", "x", "--purpose", "quality"]) == 1
    assert capsys.readouterr().err == "bystander: brak numeru sprawy; podaj --case (R12)\n"


def test_json_is_the_same_in_every_language(configured: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for language in ("en", "pl"):
        assert main(["persons", "list", "--json", "--lang", language]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
