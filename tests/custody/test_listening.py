"""Every way to a recording's audio without authority, tried; and what the journal has of it (R2, R7,
R12-R14).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bystander.custody import listening, persons, protocols, rights
from bystander.custody.desk import CustodyProblem, Desk, Refused, Rules
from bystander.custody.journal import JournalProblem
from bystander.custody.listening import Ask
from bystander.retention.erasure import Cause, Eraser
from bystander.storage.agefile import SealProblem
from bystander.storage.entry import time_ns
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.index import Index
from tests.bureau import DAY_NS, Bureau, full_journal, write_keys
from tests.vaultkit import name_of

FILLED = dict.fromkeys(protocols.REQUIRED, "said")
WHY = ("--case", "K 7/26", "--purpose", "quality", "--justification", "complaint 5")
KEY = ("--identity", "Anna.txt")


def ask(bureau: Bureau, *who: str, **changes: Any) -> Ask:
    asked = Ask(
        name_of(1), "K 7/26", "quality", "complaint 5", [bureau.unlock(name) for name in who or ("Anna",)]
    )
    return replace(asked, **changes)


def refusal(bureau: Bureau, asked: Ask) -> str:
    """Ask, be refused, and return why; the journal must have it, and no protocol may be open."""
    before = len(bureau.refusals())
    with pytest.raises(Refused) as told:
        bureau.at(lambda desk: listening.begin(desk, asked))
    assert bureau.refusals()[before:] == [told.value.code]
    assert "\n" not in str(told.value)
    assert bureau.at(lambda desk: protocols.protocols(desk.index)) == []
    assert not bureau.journal("listen")
    return told.value.code


def test_r12_an_authorised_person_hears_it_and_the_journal_knows(bureau: Bureau) -> None:
    hearing = bureau.at(lambda desk: listening.begin(desk, ask(bureau, from_s=0.05, to_s=0.2)))
    assert hearing.audio.frames == 2000 and hearing.audio.duration_s == 0.25
    assert hearing.audio.wav(0.05, 0.2)[44:] == bytes([1]) * (1200 * 4)
    bureau.at(lambda desk: listening.end(desk, hearing, 0.15, bureau.now_ns + 1))
    (entry,) = bureau.journal("listen")
    assert entry == {
        "protocol": 1, "persons": [1], "purpose": "quality", "case": "K 7/26", "recording": name_of(1),
        "from_s": 0.05, "to_s": 0.2,
    }  # fmt: skip
    (after,) = bureau.journal("listened")
    assert (after["from_s"], after["to_s"]) == (0.05, 0.15)
    (kept,) = bureau.at(lambda desk: protocols.protocols(desk.index))
    assert (kept.person, kept.to_s, kept.completed_ns) == (1, 0.15, None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"case": " "}, "no-case"),
        ({"purpose": ""}, "no-purpose"),
        ({"purpose": "curiosity"}, "wrong-purpose"),
        ({"purpose": "Quality"}, "wrong-purpose"),
        ({"justification": ""}, "no-justification"),
        ({"unlock": []}, "no-identity"),
        ({"recording": "20990101-000000-aaaaaa"}, "unknown"),
        ({"two_persons": True}, "one-person"),
    ],
)
def test_r2_r12_nothing_is_heard_without_a_reason(bureau: Bureau, changes: dict[str, Any], code: str) -> None:
    assert refusal(bureau, ask(bureau, **changes)) == code


def test_r13_the_revoked(bureau: Bureau) -> None:
    copies = len(bureau.kit.keyring.copies())
    bureau.at(lambda desk: persons.revoke(desk, 1, "left the office"))
    assert len(bureau.kit.keyring.copies()) == copies - 1
    assert refusal(bureau, ask(bureau)) == "revoked"


def test_r13_the_lapsed_lose_their_copy_at_once(bureau: Bureau) -> None:
    bureau.add("Jan", valid_until="2026-09-05")
    bureau.now_ns += int(timedelta(days=4).total_seconds()) * 10**9
    assert bureau.at(lambda desk: listening.begin(desk, ask(bureau, "Jan"))).persons[0].name == "Jan"


def test_r13_lapsed_and_not_yet_valid(bureau: Bureau) -> None:
    bureau.add("Jan", valid_from="2026-09-03", valid_until="2026-09-05")
    assert refusal(bureau, ask(bureau, "Jan")) == "not-yet-valid"
    bureau.now_ns += 5 * DAY_NS
    assert refusal(bureau, ask(bureau, "Jan")) == "lapsed"
    held = {copy.holder_recipient for copy in bureau.kit.keyring.copies()}
    assert recipient_text(bureau.keys["Jan"]) not in held
    assert bureau.journal("person-lapsed") == [{"person": 3}]


@pytest.mark.parametrize("role", ["administrator", "supervisor"])
def test_r8_who_administers_or_supervises_cannot_listen(bureau: Bureau, role: str) -> None:
    bureau.add("Adam", role=role)
    assert refusal(bureau, ask(bureau, "Adam")) == "role"
    assert len(bureau.kit.keyring.copies()) == 2


def test_a_stranger_and_a_wrong_passphrase(bureau: Bureau) -> None:
    bureau.keys["Nobody"] = new_identity()
    assert refusal(bureau, ask(bureau, "Nobody")) == "stranger"

    def wrong() -> Any:
        raise SealProblem("key: the passphrase is wrong")

    assert refusal(bureau, ask(bureau, unlock=[wrong])) == "identity"


def test_a_person_whose_copy_is_gone(bureau: Bureau) -> None:
    bureau.kit.keyring.drop_copy(recipient_text(bureau.keys["Anna"]))
    assert refusal(bureau, ask(bureau)) == "no-copy"


def test_r18_a_restricted_recording(bureau: Bureau) -> None:
    bureau.at(lambda desk: rights.restrict(desk, [name_of(1)], "restriction", "asked for it"))
    assert refusal(bureau, ask(bureau)) == "restricted"
    assert bureau.at(lambda desk: listening.begin(desk, ask(bureau, recording=name_of(2)))).protocol == 1


def test_r10_an_erased_recording(bureau: Bureau) -> None:
    bureau.kit.erasing(
        lambda eraser: eraser.erase([name_of(1)], Cause("request", "t", "r", "g"), bureau.now_ns)
    )
    assert refusal(bureau, ask(bureau)) == "erased"


def test_r14_an_unfinished_protocol_blocks_the_next(bureau: Bureau) -> None:
    bureau.rules = Rules(protocol_days=2)
    bureau.at(lambda desk: listening.begin(desk, ask(bureau)))
    bureau.at(lambda desk: listening.begin(desk, ask(bureau)))  # there is time yet
    bureau.now_ns += 2 * DAY_NS
    with pytest.raises(Refused, match="protocol 1") as told:
        bureau.at(lambda desk: listening.begin(desk, ask(bureau)))
    assert told.value.code == "unfinished-protocol" and bureau.refusals() == ["unfinished-protocol"]
    assert bureau.at(lambda desk: listening.begin(desk, ask(bureau, "Ewa"))).persons[0].name == "Ewa"
    for number in (1, 2):
        bureau.at(lambda desk, number=number: protocols.fill(desk, number, FILLED))
    assert bureau.at(lambda desk: listening.begin(desk, ask(bureau))).protocol == 4


def test_r14_the_second_person_owes_the_protocol_too(bureau: Bureau) -> None:
    bureau.rules = Rules(two_persons=True, protocol_days=0)
    assert refusal(bureau, ask(bureau)) == "one-person"
    assert refusal(bureau, ask(bureau, "Anna", "Anna")) == "one-person"
    hearing = bureau.at(lambda desk: listening.begin(desk, ask(bureau, "Anna", "Ewa")))
    assert [who.name for who in hearing.persons] == ["Anna", "Ewa"]
    with pytest.raises(Refused, match="Ewa"):
        bureau.at(lambda desk: listening.begin(desk, ask(bureau, "Ewa", "Anna")))


def test_a_damaged_recording_is_told_and_no_protocol_is_opened(bureau: Bureau) -> None:
    path = next(bureau.kit.root.rglob(f"{name_of(1)}.wav.age"))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CustodyProblem):
        bureau.at(lambda desk: listening.begin(desk, ask(bureau)))
    assert bureau.at(lambda desk: protocols.protocols(desk.index)) == []


# -- at the command line ------------------------------------------------------------------------------------


def test_listen_through_a_player_by_pipe(office: Bureau, run: Callable[..., Any]) -> None:
    done = run("listen", name_of(1), *WHY, *KEY, "--player", "cat > heard.wav")
    assert (done["protocol"], done["from_s"], done["to_s"], done["persons"]) == (1, 0.0, 0.25, ["Anna"])
    heard = Path("heard.wav").read_bytes()
    assert heard[:4] == b"RIFF" and heard[44:] == bytes([1]) * 8000


def test_who_stops_the_player_has_heard_so_much(office: Bureau, run: Callable[..., Any]) -> None:
    done = run("listen", name_of(1), *WHY, *KEY, "--player", "head -c 44 >/dev/null")
    assert done["to_s"] <= 0.25
    assert office.journal("listened")[0]["to_s"] == done["to_s"]


def test_a_player_that_fails(office: Bureau, refused: Callable[..., str]) -> None:
    assert "--player" in refused("listen", name_of(1), *WHY, *KEY, "--player", "exit 3")
    assert [facts["protocol"] for facts in office.journal("listened")] == [1]


def test_nothing_plain_is_left_on_the_disk(office: Bureau, run: Callable[..., Any]) -> None:
    before = {path for path in Path().rglob("*") if path.is_file()}
    run("listen", name_of(1), *WHY, *KEY, "--player", "cat >/dev/null")
    made = {path for path in Path().rglob("*") if path.is_file()} - before
    assert not [path for path in made if bytes([1]) * 400 in path.read_bytes()]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*WHY[2:], *KEY), "no-case"),
        ((*WHY[:2], *WHY[4:], *KEY), "no-purpose"),
        ((*WHY[:2], "--purpose", "fun", *WHY[4:], *KEY), "wrong-purpose"),
        ((*WHY[:4], *KEY), "no-justification"),
        (WHY, "no-identity"),
        ((*WHY, "--identity", "Anna.key", "--passphrase-file", "wrong"), "identity"),
        ((*WHY, "--identity", "missing.key", "--passphrase-file", "right"), "identity"),
        ((*WHY, *KEY, "--two-persons"), "one-person"),
    ],
)
def test_refused_at_the_command_line_and_journalled(
    office: Bureau, refused: Callable[..., str], arguments: tuple[str, ...], code: str
) -> None:
    refused("listen", name_of(1), *arguments, "--player", "cat > heard.wav")
    assert not Path("heard.wav").exists()
    assert office.refusals() == [code]


def test_two_persons_at_the_command_line(office: Bureau, run: Callable[..., Any]) -> None:
    second = ("--identity", "Ewa.txt")
    done = run("listen", name_of(1), *WHY, *KEY, *second, "--two-persons", "--player", "cat >/dev/null")
    assert done["persons"] == ["Anna", "Ewa"]


# -- while it is being opened -------------------------------------------------------------------------------


async def _revoke(desk: Desk) -> None:
    await persons.revoke(desk, 1, "left")


async def _restrict(desk: Desk) -> None:
    await rights.restrict(desk, [name_of(1)], "restriction", "asked for it")


async def _erase(desk: Desk) -> None:
    eraser = Eraser(desk.index, desk.keyring, desk.root, desk.journal)
    await eraser.erase([name_of(1)], Cause("request", "t", "r", "g"), desk.now_ns)


@pytest.mark.parametrize(
    ("act", "code"), [(_revoke, "revoked"), (_restrict, "restricted"), (_erase, "erased")]
)
def test_r13_r18_r10_what_happens_while_it_is_opened_is_heeded(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, act: Callable[[Desk], Any], code: str
) -> None:
    """The key was there, the audio is in memory, and then the authority ends: nothing is handed out."""
    real = protocols.overdue

    async def meanwhile(desk: Desk, who: persons.Person) -> list[int]:
        async with await Index.open(desk.index.path) as index:
            if act is not _erase:
                await act(replace(desk, index=index))
        return await real(desk, who)

    opened = listening.open_audio

    def then(*arguments: Any) -> Any:
        audio = opened(*arguments)
        if act is _erase:
            thread = threading.Thread(target=bureau.at, args=[act])
            thread.start()
            thread.join()
        return audio

    monkeypatch.setattr(protocols, "overdue", meanwhile)
    monkeypatch.setattr(listening, "open_audio", then)
    assert refusal(bureau, ask(bureau)) == code


@pytest.mark.parametrize(
    ("valid_until", "code"), [("2026-09-01", "lapsed"), ("2026-09-02", None), (None, None)]
)
def test_r13_midnight_comes_while_the_passphrase_is_looked_for(
    bureau: Bureau, valid_until: str | None, code: str | None
) -> None:
    """Begun a second before the end of the last day; in Warsaw, where it is summer."""
    bureau.add("Jan", valid_until=valid_until)
    times = [time_ns("2026-09-01T21:59:59Z")]
    bureau.now_ns, bureau.clock = times[0], lambda: times[-1]

    def slowly() -> Any:
        times.append(time_ns("2026-09-01T22:00:00Z"))
        return bureau.keys["Jan"]

    asked = ask(bureau, unlock=[slowly])
    if code is not None:
        assert refusal(bureau, asked) == code
    else:
        assert bureau.at(lambda desk: listening.begin(desk, asked)).persons[0].name == "Jan"


@pytest.mark.parametrize("until", ["opened", "played"])
def test_r13_midnight_comes_while_it_is_opened(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, until: str
) -> None:
    bureau.add("Jan", valid_until="2026-09-01")
    times = [time_ns("2026-09-01T21:59:59Z")]
    bureau.now_ns, bureau.clock = times[0], lambda: times[-1]
    opened = listening.open_audio

    def late(*arguments: Any) -> Any:
        times.append(time_ns("2026-09-01T22:00:00Z"))
        return opened(*arguments)

    if until == "opened":
        monkeypatch.setattr(listening, "open_audio", late)
        assert refusal(bureau, ask(bureau, "Jan")) == "lapsed"
        return

    async def work(desk: Desk) -> None:
        hearing = await listening.begin(desk, ask(bureau, "Jan"))
        listening.withdraw(desk, hearing)  # the day is not over
        times.append(time_ns("2026-09-01T22:00:00Z"))
        with pytest.raises(Refused, match="by now"):
            listening.withdraw(desk, hearing)

    bureau.at(work)
    assert bureau.refusals() == ["lapsed"]


def test_r13_midnight_comes_before_the_player_begins(
    configured: Bureau, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault has been closed behind it, and not a sample has been given away."""
    write_keys("Anna")
    noon = datetime.now(ZoneInfo("Europe/Warsaw")).replace(hour=12) + timedelta(days=1)
    last = f"{noon:%Y-%m-%d}"
    configured.at(lambda desk: persons.renew(desk, 1, last, None, None))
    before = int(noon.timestamp()) * 10**9

    def clock() -> int:
        return before + (DAY_NS if configured.journal("listen") else 0)

    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", clock)
        said = refused("listen", name_of(1), *WHY, *KEY, "--player", "cat > heard.wav")
    assert "lapsed" in said
    assert not Path("heard.wav").exists()
    assert configured.refusals() == ["lapsed"]
    (entry,) = configured.journal("listened")
    assert (entry["from_s"], entry["to_s"]) == (0.0, 0.0)


def test_r14_no_protocol_without_its_entry_and_no_hearing_without_either(bureau: Bureau) -> None:
    """The disk takes no more of the journal."""
    with full_journal(), pytest.raises(JournalProblem):
        bureau.at(lambda desk: listening.begin(desk, ask(bureau)))
    assert bureau.at(lambda desk: protocols.protocols(desk.index)) == []


@pytest.mark.parametrize(
    "span", [(0.25, None), (0.2, 0.1), (float("nan"), None), (0.0, float("nan")), (-1, 0.1)]
)
def test_no_part_that_is_none(bureau: Bureau, span: tuple[float, float | None]) -> None:
    with pytest.raises(CustodyProblem, match="nothing lies"):
        bureau.at(lambda desk: listening.begin(desk, ask(bureau, from_s=span[0], to_s=span[1])))
    assert bureau.at(lambda desk: protocols.protocols(desk.index)) == []


@pytest.mark.parametrize("text", ["\u200b", "...", "\x1b]0;x\x07", "\udce9\udce9", "K\u202e7"])
def test_r12_a_reason_says_something(bureau: Bureau, text: str) -> None:
    assert refusal(bureau, ask(bureau, case=text)) == "no-case"
    assert refusal(bureau, ask(bureau, justification=text)) == "no-justification"


def test_r14_the_journal_has_from_which_second_to_which(office: Bureau, run: Callable[..., Any]) -> None:
    span = ("--from", "0.05", "--to", "0.2")
    done = run("listen", name_of(1), *WHY, "--identity", "Anna.txt", *span, "--player", "cat > heard.wav")
    assert (done["from_s"], done["to_s"]) == (0.05, 0.2)
    assert Path("heard.wav").read_bytes()[44:] == bytes([1]) * (1200 * 4)
    (entry,) = office.journal("listened")
    assert (entry["recording"], entry["from_s"], entry["to_s"]) == (name_of(1), 0.05, 0.2)


def test_r7_no_file_is_opened_for_writing_but_those_of_the_vault(office: Bureau, tmp_path: Path) -> None:
    """What `listen` opens, as the kernel sees it: no temporary file gets a recording."""
    trace = tmp_path / "trace"
    command = [
        *("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=open,openat,creat,memfd_create,connect"),
        *(sys.executable, "-m", "bystander", "listen", name_of(1), *WHY, "--identity", "Anna.txt"),
        *("--player", "cat > /dev/null"),
    ]
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    assert not [line for line in lines if "memfd_create" in line or "sa_family=AF_INET" in line]
    written = {
        found[1]
        for line in lines
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE", line) and (found := re.search(r'"([^"]+)"', line))
    }
    vault = str(office.kit.folder)
    strange = {name for name in written if not name.startswith((vault, "/dev/null", "/dev/tty", "/proc/"))}
    assert not {name for name in strange if not name.endswith((".pyc", "/__pycache__"))
                and "__pycache__" not in name}, strange  # fmt: skip
