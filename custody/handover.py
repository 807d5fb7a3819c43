"""Handing over copies: to an applicant, with the mayor's consent (R15), and to the person recorded (R18)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bystander.custody import disclosure, printing
from bystander.custody.audio import open_audio
from bystander.custody.desk import CustodyProblem, Desk, worded
from bystander.custody.disclosure import outside_number
from bystander.custody.export import Copy, Rows, refuse_taken, write_export
from bystander.custody.listening import refuse_unreasoned
from bystander.custody.persons import Person, Unlock, refuse_ended, together
from bystander.retention.erasure import as_text
from bystander.storage.agefile import Identity, recipient_of
from bystander.storage.entry import time_ns
from bystander.storage.index import Entry
from bystander.storage.signing import RecorderKey


@dataclass(frozen=True, slots=True)
class Parcel:
    """Where copies go, in whose name, signed with which key, and sealed to whom (an age recipient, or
    None).
    """

    folder: Path
    office: printing.Office
    key: RecorderKey
    version: str
    seal_to: str | None = None


async def hand_over(
    desk: Desk,
    number: int,
    only: Sequence[str],
    unlock: Sequence[Unlock],
    receiver: str | None,
    parcel: Parcel,
) -> dict[str, Any]:
    """Write what a request was consented to, or ``only`` some of it. Raises Refused, CustodyProblem,
    SealProblem.
    """
    await disclosure.permitted(desk, number, only)
    _check(desk, parcel)
    persons, vault = await together(desk, unlock, "export", disclosure=number)
    # Once more: keys were asked for meanwhile.
    found, names = await disclosure.permitted(desk, number, only)
    receiver = worded(receiver, "the receiver", line=True) if receiver is not None else found.applicant
    entries = [await desk.recording("export", name) for name in names]
    giver = "; ".join(f"{who.name}, {who.post}" for who in persons)
    about = {
        **_about(desk, parcel),
        "disclosure": number,
        "applicant": found.applicant,
        "requested_on": found.applied_on,
        "consent_by": found.decided_by,
        "consent_on": found.decided_on,
        "handed_over_by": giver,
        "receiver": receiver,
    }

    def protocol(rows: Rows) -> dict[str, bytes]:
        form = printing.HandoverForm(
            number=number,
            on=desk.today.isoformat(),
            giver=giver,
            receiver=receiver,
            requested_on=found.applied_on,
            rows=tuple(rows),
        )
        return {"protokol-przekazania.pdf": printing.handover(parcel.office, form)}

    # Journalled first: what was handed over without an entry cannot be taken back.
    first = persons[0].number
    facts = {"disclosure": number, "persons": [who.number for who in persons], "recordings": names}
    desk.note("export", sealed=parcel.seal_to is not None, **facts)
    copies = _copies(desk, entries, vault, persons, "export", disclosure=number)
    digest = write_export(parcel.folder, copies, about, protocol, parcel.key, parcel.seal_to)
    await disclosure.note_export(desk, number, first, receiver, names, digest)
    return {
        "disclosure": number,
        "directory": str(parcel.folder),
        "recordings": names,
        "manifest_sha256": digest,
        "recorder_key": parcel.key.public_hex,
    }


async def copy_to_person(
    desk: Desk,
    calls: Sequence[dict[str, Any]],
    case: str,
    justification: str,
    unlock: Sequence[Unlock],
    parcel: Parcel,
) -> list[str]:
    """Write somebody's own recordings for them, WAV and JSON; return the ids. Raises Refused,
    CustodyProblem.
    """
    refuse_unreasoned(desk, "copy", case, "data-protection", justification)
    await desk.refuse_restricted("copy", [call["id"] for call in calls], case=case)
    _check(desk, parcel)
    persons, vault = await together(desk, unlock, "copy", case=case)
    await desk.refuse_restricted("copy", [call["id"] for call in calls], case=case)
    with_audio = [call["id"] for call in calls if call.get("recording")]
    entries = [await desk.recording("copy", name) for name in with_audio]
    every = (json.dumps(list(calls), ensure_ascii=False, indent=1) + "\n").encode()
    desk.note(
        "rights-copy", persons=[who.number for who in persons], case=case.strip(),
        purpose="data-protection", recordings=with_audio,
    )  # fmt: skip
    copies = _copies(desk, entries, vault, persons, "copy", case=case.strip())
    about = _about(desk, parcel)
    write_export(
        parcel.folder, copies, about, lambda _rows: {"calls.json": every}, parcel.key, parcel.seal_to
    )
    return [call["id"] for call in calls]


def _check(desk: Desk, parcel: Parcel) -> None:
    """Look at what can be looked at before somebody is asked for a passphrase. Raises CustodyProblem."""
    if parcel.seal_to is not None:
        recipient_of(parcel.seal_to)
    refuse_taken(parcel.folder)
    for folder in (desk.root, desk.keyring.path.parent):
        if parcel.folder.resolve().is_relative_to(folder.resolve()):
            raise CustodyProblem(
                f"{parcel.folder}: lies in the vault; nothing lies open there: choose another"
            )


def _copies(
    desk: Desk,
    entries: Sequence[Entry],
    vault: Sequence[Identity],
    persons: Sequence[Person],
    what: str,
    **facts: object,
) -> Iterator[Copy]:
    """Yield recordings as copies, as long as they may be given out: it takes its time, and a day may end,
    somebody be revoked or a recording be restricted. Raises Refused, CustodyProblem.
    """
    for entry in entries:
        refuse_ended(desk, persons, what, **facts)
        if entry.id in desk.reading.told().restricted:
            line = f"{entry.id}: its processing has just been restricted"
            desk.refuse(what, "restricted", line, recording=entry.id, **facts)
        yield _copy(desk, entry, vault)


def _copy(desk: Desk, entry: Entry, vault: Sequence[Identity]) -> Copy:
    """Return a recording as a copy to hand over. Raises CustodyProblem."""
    audio = open_audio(desk, entry, vault)
    call = entry.call
    began = desk.local(time_ns(call["started_at"]))
    about = {
        "id": entry.id,
        **{key: call.get(key) for key in ("started_at", "direction", "caller", "callee")},
        "duration_s": round(audio.duration_s, 3),
        "recorded_sha256": entry.wav_sha256,
    }
    minutes, seconds = divmod(round(audio.duration_s), 60)
    row = (
        f"{began:%Y-%m-%d %H:%M:%S}",
        outside_number(call),
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}",
    )
    return Copy(f"{entry.id}.wav", audio.as_wav(), about, row)


def _about(desk: Desk, parcel: Parcel) -> dict[str, Any]:
    return {"bystander": parcel.version, "office": parcel.office.name, "made_at": as_text(desk.now_ns)}
