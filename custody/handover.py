"""Handing over copies: to an applicant, with the mayor's consent (R15), and to the person recorded (R18)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bystander.custody import disclosure, printing
from bystander.custody.audio import open_audio
from bystander.custody.desk import Desk
from bystander.custody.disclosure import outside_number
from bystander.custody.export import Copy, write_export
from bystander.custody.listening import refuse_unreasoned
from bystander.custody.persons import Person, Unlock, admit
from bystander.retention.erasure import as_text
from bystander.storage.agefile import Identity, recipient_of
from bystander.storage.entry import time_ns
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
    found, names = await disclosure.permitted(desk, number, only)
    if parcel.seal_to is not None:
        recipient_of(parcel.seal_to)
    who, vault = await _admitted(desk, "export", unlock, disclosure=number)
    receiver = receiver or found.applicant
    copies, rows = [], []
    for name in names:
        copy, row = await _copy(desk, name, vault)
        copies.append(copy)
        rows.append((*row, copy.sha256))
    about = {
        **_about(desk, parcel),
        "disclosure": number,
        "applicant": found.applicant,
        "requested_on": found.applied_on,
        "consent_by": found.decided_by,
        "consent_on": found.decided_on,
        "handed_over_by": who.name,
        "receiver": receiver,
    }
    form = printing.HandoverForm(
        number=number,
        on=desk.today.isoformat(),
        giver=f"{who.name}, {who.post}",
        receiver=receiver,
        requested_on=found.applied_on,
        rows=tuple(rows),
    )
    more = {"protokol-przekazania.pdf": printing.handover(parcel.office, form)}
    # Journalled first: what was handed over without an entry cannot be taken back.
    desk.note(
        "export", disclosure=number, person=who.number, recordings=names, sealed=parcel.seal_to is not None
    )
    digest = write_export(parcel.folder, copies, about, more, parcel.key, parcel.seal_to)
    await disclosure.note_export(desk, number, who.number, receiver, names, digest)
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
    person, vault = await _admitted(desk, "copy", unlock, case=case)
    with_audio = [call["id"] for call in calls if call.get("recording")]
    copies = [(await _copy(desk, name, vault))[0] for name in with_audio]
    more = {"calls.json": (json.dumps(list(calls), ensure_ascii=False, indent=1) + "\n").encode()}
    desk.note(
        "rights-copy", person=person.number, case=case, purpose="data-protection", recordings=with_audio
    )
    write_export(parcel.folder, copies, _about(desk, parcel), more, parcel.key, parcel.seal_to)
    return [call["id"] for call in calls]


async def _admitted(
    desk: Desk, what: str, unlock: Sequence[Unlock], **facts: object
) -> tuple[Person, list[Identity]]:
    if not unlock:
        desk.refuse(what, "no-identity", "no identity: give --identity, the file with your key", **facts)
    return await admit(desk, unlock[0], what, **facts)


async def _copy(desk: Desk, name: str, vault: Sequence[Identity]) -> tuple[Copy, tuple[str, str, str]]:
    """Return a recording as a copy to hand over, and its row in the table of annex 4."""
    entry = await desk.recording("export", name)
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
    return Copy(f"{entry.id}.wav", audio.as_wav(), about), row


def _about(desk: Desk, parcel: Parcel) -> dict[str, Any]:
    return {"bystander": parcel.version, "office": parcel.office.name, "made_at": as_text(desk.now_ns)}
