"""What docs/ says, against the code: what it names is there, and its numbers are the code's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bystander import digits, extract, filing, heplistener, recovery, saying, tshark, undecoded, writer
from bystander.cli import app, main
from bystander.sniffer import (
    arena,
    callfacts,
    claims,
    fragments,
    leg,
    losses,
    mediaports,
    offers,
    owners,
    probation,
    protection,
    reports,
    session,
    srtp,
    tcp,
    tls,
    transfers,
    tunnels,
)
from tests.test_ordinance import defined

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/data"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MIB = 1 << 20


def rows(page: str) -> dict[str, str]:
    """Return the rows of the tables of a page: the first cell -> the rest."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return {
        match[1]: match[2] for match in re.finditer(r"^\| (.*?) \| (.*) \|$", text, re.MULTILINE) if match[1]
    }


CASES = {case: row for case, row in rows("corner-cases.md").items() if re.fullmatch(r"C\d+", case)}


def test_every_corner_case_has_its_row() -> None:
    assert list(CASES) == [f"C{number}" for number in range(1, 26)]


@pytest.mark.parametrize("case", CASES)
def test_what_proves_a_corner_case_exists(case: str) -> None:
    named = re.findall(r"`([^`]+)`", CASES[case].rpartition(" | ")[2])
    tests = [name for name in named if ".py" in name or name.startswith("::")]
    assert tests
    file = ""
    for name in tests:
        named_file, _, test = name.partition("::")
        file = named_file or file
        path = ROOT / "tests" / file
        assert path.is_file(), name
        assert not test or test.rpartition("::")[2] in defined(path), name
    for capture in set(named) - set(tests):
        assert (DATA / f"{capture}.pcap").is_file(), capture


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What calls.json holds of captures that between them have every kind of thing in it."""
    names = ("srtp", "hold", "digits", "digits-info", "video", "transfer-attended", "impaired", "relayed")
    captures = [DATA / f"{name}.pcap" for name in names]
    return extract.extract(captures, tmp_path_factory.mktemp("extracted"), keep_unclaimed=True)


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            # Counters are named by what traffic had; what they count has a name of its own.
            if key not in {"bad", "evicted", "media_ports", "sip_methods", "sip_statuses", "tunnels"}:
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_every_field_of_calls_json_is_described(extracted: dict[str, Any]) -> None:
    written = set(keys(extracted))
    sought = {
        "encryption",
        "kind",
        "duration_ms",
        "mos_lq",
        "receiver_lost",
        "consulted",
        "sha256",
        "relation",
    }
    assert sought <= written, "the captures no longer show what this test is for"
    in_code = re.findall(r"`([^`\n]+)`", (ROOT / "docs/calls-json.md").read_text(encoding="utf-8"))
    named = {word for text in in_code for word in re.findall(r"\w+", text)}
    assert written - named <= {"calls", "bystander"}, "named nowhere, or only in passing"


#: A row of docs/architecture.md and the numbers in it, as the code has them.
BOUNDS: dict[str, list[int]] = {
    "streams followed": [extract.PipelineSettings.__dataclass_fields__["max_streams"].default],
    "streams of a call": [owners.MAX_STREAMS_PER_CALL, 4 * owners.MAX_STREAMS_PER_CALL],
    "flows on probation": [probation.MAX_WAITING, probation.MAX_PER_BLOCK],
    "calls": [callfacts.CallSettings.__dataclass_fields__["max_calls"].default],
    "streams without a claim": [callfacts.CallSettings.__dataclass_fields__["max_unclaimed"].default],
    "holes waiting for stragglers": [losses._MOST_HOLES],
    "RTCP packets of a block": [reports._MOST_WAITING],
    "key exchanges remembered": [mediaports.MAX_FLOWS],
    "claims": [claims.MAX_CLAIMS_PER_CALL, claims.MAX_CLAIMS_PER_ENDPOINT],
    "keys of SRTP, descriptions of its protection": [protection.MAX_KEYS, protection.MAX_SAID],
    "attempts to open SRTP": [srtp.MAX_ATTEMPTS, srtp.MAX_ROC],
    "evidence": [leg.MAX_EVIDENCE_MESSAGES, leg.MAX_EVIDENCE_BYTES // MIB, undecoded.MAX_BYTES // MIB],
    "transactions, offers, holds": [
        session.MAX_TRANSACTIONS,
        offers.MAX_EXCHANGES,
        offers.MAX_HOLDS,
    ],
    "keys pressed": [leg.MAX_DIGITS, digits.MAX_PRESSES],
    "transfers that wait for their call": [
        transfers.MAX_PENDING,
        transfers.WAIT_NS // 10**9,
        transfers.MAX_TRANSFERS,
        transfers.MAX_RELATED,
    ],
    "layers of tunnels opened; ways through them counted": [tunnels.MAX_LAYERS, tunnels.MAX_WAYS],
    "HEP packets waiting, connections": [heplistener.MAX_WAITING, heplistener.MAX_CONNECTIONS],
    "fragments": [
        fragments.Reassembler.__init__.__kwdefaults__["max_datagrams"],
        fragments.Reassembler.__init__.__kwdefaults__["max_bytes"] // MIB,
        int(fragments.Reassembler.__init__.__kwdefaults__["max_age_s"]),
    ],
    "TLS connections": [
        tls.MAX_CONNECTIONS,
        tshark.LiveOpener.MAX_WAITING_BYTES // MIB,
        tshark.LiveOpener.MAX_KEPT_BYTES_TOGETHER // MIB,
    ],
    "directions of TCP": [
        tcp.SipOverTcp.__init__.__kwdefaults__["max_directions"],
        tcp.SipOverTcp.__init__.__kwdefaults__["max_bytes"] // MIB,
        int(tcp.SipOverTcp.__init__.__kwdefaults__["hold_s"]),
    ],
    "calls waiting to be written": [writer.ENOUGH, filing.MOST_WAITING],
    "audio of a stream in memory": [arena.ROW // 1024],
    "lines of the log that wait": [saying.MOST_WAITING],
    "signalling log of the spool": [recovery._ROTATE_BYTES // MIB],
}


@pytest.mark.parametrize("table", BOUNDS)
def test_c24_bounds_are_what_the_code_has(table: str) -> None:
    bound = rows("architecture.md")[table].partition(" | ")[0]
    said = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", bound)]
    assert [number for number in said if number in BOUNDS[table]] == BOUNDS[table], bound


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = {page: set(anchors(text))}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        if anchor:
            assert anchor in headings.setdefault(there, set(anchors(there.read_text("utf-8")))), target


def anchors(text: str) -> Iterator[str]:
    """Yield the anchors of a page's headings, as they are made on the web."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_are_there(page: Path) -> None:
    files = {
        path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts and "build" not in path.parts
    }
    for name in re.findall(r"`([\w/.-]+\.py)(?:::[^`]*)?`", page.read_text(encoding="utf-8")):
        assert name.rpartition("/")[2] in files, name
        if "/" in name:
            assert (ROOT / name).is_file() or (ROOT / "tests" / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_a_page_shows_are_there(page: Path) -> None:
    program = typer.main.get_command(app)
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).splitlines():
        words = line.partition(" #")[0].split()
        if not words or words[0] != "bystander":
            continue
        command: Any = program
        for word in words[1:]:
            if word.strip("|") in getattr(command, "commands", ()):
                command = command.commands[word.strip("|")]
            else:
                break
        options = {
            name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]
        }
        assert command is not program, line
        if not hasattr(command, "commands"):
            for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", line.partition("   ")[0]):
                assert option in options, f"{option}: {line}"


def test_the_manifest_knows_the_captures() -> None:
    manifest = json.loads((DATA / "manifest.json").read_text())["captures"]
    assert {capture["file"] for capture in manifest} == {path.name for path in DATA.glob("*.pcap")}


def test_the_readme_shows_what_the_demo_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = re.search(r"extract (tests/data\S+) -o (\S+) --show --office-number '(.*)'", MAKEFILE)
    assert recipe is not None
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    captures = sorted(str(path) for path in ROOT.glob(recipe[1]))
    office = recipe[3].replace("$$", "$")
    assert main(["extract", *captures, "-o", recipe[2], "--show", "--office-number", office]) == 0
    printed = capsys.readouterr().out.splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = [block for block in re.findall(r"^```\n(.*?)^```", readme, re.M | re.S) if "↗" in block]
    for line in shown.splitlines():
        assert line == "..." or line in printed
