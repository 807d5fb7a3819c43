"""Copies for an applicant with the mayor's consent (R15), and for the person recorded (R18)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bystander.custody import disclosure, handover, persons, printing, rights, supervision
from bystander.custody.desk import CustodyProblem, Desk, Refused, Rules
from bystander.custody.disclosure import Request
from bystander.custody.export import verify_export
from bystander.custody.handover import Parcel
from bystander.custody.persons import Unlock
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.signing import RecorderKey
from tests.bureau import Bureau
from tests.vaultkit import name_of


@pytest.fixture
def parcel(bureau: Bureau, tmp_path: Path) -> Parcel:
    key = RecorderKey.load(bureau.kit.folder / "keys")
    return Parcel(tmp_path / "medium/copies", printing.Office("Urząd"), key, "1")


@pytest.fixture
def consent(bureau: Bureau) -> int:
    """A request for recordings 1 and 2, consented to."""
    asked = Request(
        "Sąd Rejonowy", "2026-08-30", "akta II K 1/26", "K 7", "security", [name_of(1), name_of(2)]
    )
    number = bureau.at(lambda desk: disclosure.request(desk, asked)).number
    bureau.at(lambda desk: disclosure.decide(desk, number, "consent", "Prezydent", "2026-08-31"))
    return number


def hand_over(
    bureau: Bureau, number: int, parcel: Parcel, *who: str, only: Sequence[str] = ()
) -> dict[str, Any]:
    unlock: list[Unlock] = [bureau.unlock(name) for name in who or ("Anna",)]
    return bureau.at(lambda desk: handover.hand_over(desk, number, only, unlock, None, parcel))


def calls_of(bureau: Bureau, *numbers: int) -> list[dict[str, Any]]:
    found = [bureau.kit.using(lambda index, n=n: index.call(name_of(n))) for n in numbers]
    return [one for one in found if one is not None]


def test_r15_what_was_consented_to_and_nothing_else(bureau: Bureau, parcel: Parcel, consent: int) -> None:
    done = hand_over(bureau, consent, parcel)
    assert verify_export(parcel.folder, done["recorder_key"]) == []
    for number in (1, 2):
        content = (parcel.folder / f"{name_of(number)}.wav").read_bytes()
        assert content[:4] == b"RIFF" and content[44:] == bytes([number]) * 8000
    assert not (parcel.folder / f"{name_of(3)}.wav").exists()
    manifest = json.loads((parcel.folder / "manifest.json").read_text())
    assert (manifest["applicant"], manifest["consent_by"], manifest["consent_on"]) == (
        "Sąd Rejonowy", "Prezydent", "2026-08-31",
    )  # fmt: skip
    assert [one["recorded_sha256"] == one["sha256"] for one in manifest["recordings"]] == [True, True]
    assert (parcel.folder / "protokol-przekazania.pdf").read_bytes().startswith(b"%PDF")
    (before,), (after,) = bureau.journal("export"), bureau.journal("exported")
    assert before["recordings"] == after["recordings"] == [name_of(1), name_of(2)]
    assert after["manifest_sha256"] == done["manifest_sha256"]
    (kept,) = bureau.at(lambda desk: disclosure.disclosures(desk.index))
    assert (kept.state, kept.exported_by, kept.receiver) == ("handed over", 1, "Sąd Rejonowy")


def test_r15_some_of_it(bureau: Bureau, parcel: Parcel, consent: int) -> None:
    hand_over(bureau, consent, parcel, only=[name_of(2)])
    assert [path.name for path in parcel.folder.glob("*.wav")] == [f"{name_of(2)}.wav"]


def test_r15_two_persons_where_the_office_wants_two(bureau: Bureau, parcel: Parcel, consent: int) -> None:
    bureau.rules = Rules(two_persons=True)
    with pytest.raises(Refused) as told:
        hand_over(bureau, consent, parcel)
    assert told.value.code == "one-person" and not parcel.folder.exists()
    hand_over(bureau, consent, parcel, "Anna", "Ewa")
    manifest = json.loads((parcel.folder / "manifest.json").read_text())
    assert manifest["handed_over_by"] == "Anna, inspektor; Ewa, inspektor"
    assert bureau.journal("export")[0]["persons"] == [1, 2]


def test_r15_restricted_while_the_passphrase_was_asked_for(
    bureau: Bureau, parcel: Parcel, consent: int
) -> None:
    def slowly() -> Any:
        bureau.kit.using(_restrict)
        return bureau.keys["Anna"]

    async def _restrict(index: Any) -> None:
        desk = Desk(index, bureau.kit.keyring, bureau.kit.journal, bureau.kit.root, None, "t", bureau.now_ns)
        await rights.restrict(desk, [name_of(1)], "objection", "sprzeciw")

    with pytest.raises(Refused) as told:
        _in_thread(lambda: bureau.at(lambda desk: handover.hand_over(
            desk, consent, (), [_elsewhere(slowly)], None, parcel)))  # fmt: skip
    assert told.value.code == "restricted" and not parcel.folder.parent.exists()


async def _revoked(desk: Desk) -> None:
    await persons.revoke(desk, 1, "left")


async def _restricted(desk: Desk) -> None:
    await rights.restrict(desk, [name_of(2)], "objection", "sprzeciw")


@pytest.mark.parametrize("what", ["export", "copy"])
@pytest.mark.parametrize(
    ("meanwhile", "code"), [(None, "lapsed"), (_revoked, "revoked"), (_restricted, "restricted")]
)
def test_r13_r15_r18_what_happens_while_copies_are_written_is_heeded(
    bureau: Bureau, parcel: Parcel, consent: int, monkeypatch: pytest.MonkeyPatch, what: str,
    meanwhile: Callable[[Desk], Any] | None, code: str,
) -> None:  # fmt: skip
    """One recording is written already, and the other is not yet: neither is left."""
    bureau.at(lambda desk: persons.renew(desk, 1, "2026-09-01", None, None))
    calls = calls_of(bureau, 1, 2)
    times = [bureau.now_ns]
    bureau.clock = lambda: times[-1]
    opened, written = handover.open_audio, []

    def slowly(desk: Desk, entry: Any, vault: Any) -> Any:
        written.append(entry.id)
        times.append(bureau.now_ns + 10 * 3600 * 10**9)  # midnight, in Warsaw
        if meanwhile is not None:
            times.pop()
            _in_thread(lambda: Bureau.at(bureau, meanwhile))
        return opened(desk, entry, vault)

    monkeypatch.setattr(handover, "open_audio", slowly)
    unlock: list[Unlock] = [bureau.unlock("Anna")]

    async def work(desk: Desk) -> object:
        if what == "export":
            return await handover.hand_over(desk, consent, (), unlock, None, parcel)
        return await handover.copy_to_person(desk, calls, "K 7", "art. 15", unlock, parcel)

    with pytest.raises(Refused) as told:
        bureau.at(work)
    assert told.value.code == code == bureau.refusals()[-1]
    assert written == [name_of(1)] and list(parcel.folder.parent.iterdir()) == []
    assert not bureau.journal("exported")


def _elsewhere(work: Callable[[], Any]) -> Callable[[], Any]:
    """Do something with a loop of its own from within a loop."""
    return lambda: _in_thread(work)


def _in_thread(work: Callable[[], Any]) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_a_damaged_recording_is_handed_over_to_nobody(bureau: Bureau, parcel: Parcel, consent: int) -> None:
    path = next(bureau.kit.root.rglob(f"{name_of(2)}.wav.age"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CustodyProblem):
        hand_over(bureau, consent, parcel)
    assert list(parcel.folder.parent.iterdir()) == []
    assert not bureau.journal("exported")
    assert bureau.at(lambda desk: disclosure.disclosures(desk.index))[0].state == "consented"


def test_r7_nothing_lies_open_in_the_vault(bureau: Bureau, parcel: Parcel, consent: int) -> None:
    for folder in (
        bureau.kit.folder / "out",
        bureau.kit.root / "2026/out",
        bureau.kit.folder / "keys/../out",
    ):
        with pytest.raises(CustodyProblem, match="lies in the vault"):
            hand_over(bureau, consent, replace(parcel, folder=folder))
    assert not bureau.journal("export")


@pytest.mark.parametrize("taken", ["a folder with something in it", "a file", "too long a name"])
def test_r16_a_copy_that_cannot_be_written_is_no_copy_in_the_report(
    bureau: Bureau, parcel: Parcel, consent: int, taken: str
) -> None:
    """And nobody is asked for a passphrase for it."""
    asked: list[int] = []
    if taken == "too long a name":
        parcel.folder.mkdir(parents=True)
        parcel = replace(parcel, folder=parcel.folder / ("x" * 300))
    elif taken == "a file":
        parcel.folder.parent.mkdir()
        parcel.folder.write_text("mine")
    else:
        parcel.folder.mkdir(parents=True)
        (parcel.folder / "mine").write_text("mine")
    with pytest.raises(CustodyProblem, match="choose a"):
        bureau.at(lambda desk: handover.hand_over(
            desk, consent, (), [lambda: asked.append(1)], None, parcel))  # type: ignore[list-item]  # fmt: skip
    assert not asked and not bureau.journal("export")
    report = bureau.at(lambda desk: supervision.report(desk, 0, 2**62, []))
    assert report["copies"] == []


def test_r15_sealed_to_the_receiver(bureau: Bureau, parcel: Parcel, consent: int) -> None:
    receiver = recipient_text(new_identity())
    hand_over(bureau, consent, replace(parcel, seal_to=receiver))
    assert not [path for path in parcel.folder.iterdir() if bytes([1]) * 400 in path.read_bytes()]
    assert bureau.journal("export")[0]["sealed"] is True


def test_r18_the_person_recorded_gets_wav_and_json(bureau: Bureau, parcel: Parcel) -> None:
    calls = calls_of(bureau, 1, 3)

    async def work(desk: Desk) -> list[str]:
        unlock: list[Unlock] = [bureau.unlock("Ewa")]
        return await handover.copy_to_person(desk, calls, "RODO 3/26", "art. 15 RODO", unlock, parcel)

    assert bureau.at(work) == [name_of(1), name_of(3)]
    assert verify_export(parcel.folder) == []
    assert json.loads((parcel.folder / "calls.json").read_text()) == calls
    assert sorted(path.stem for path in parcel.folder.glob("*.wav")) == [name_of(1), name_of(3)]
    (entry,) = bureau.journal("rights-copy")
    assert entry == {
        "persons": [2], "case": "RODO 3/26", "purpose": "data-protection",
        "recordings": [name_of(1), name_of(3)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("case", "why", "who", "code"),
    [("", "w", "Anna", "no-case"), ("K", "", "Anna", "no-justification"), ("K", "w", None, "no-identity")],
)
def test_r12_r18_a_copy_takes_reasons_and_a_person(
    bureau: Bureau, parcel: Parcel, case: str, why: str, who: str | None, code: str
) -> None:
    unlock = [bureau.unlock(who)] if who else []
    with pytest.raises(Refused) as told:
        bureau.at(lambda desk: handover.copy_to_person(desk, calls_of_in(bureau), case, why, unlock, parcel))
    assert told.value.code == code == bureau.refusals()[-1]
    assert not parcel.folder.parent.exists()


def calls_of_in(bureau: Bureau) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _in_thread(lambda: calls_of(bureau, 1))
    return found
