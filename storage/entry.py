"""What is kept of a call: its name, its row, and the object that is read back."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_SEPARATORS = str.maketrans("", "", " -().\t/")
ADDED = (
    "id, call, delete_after, sealed, (SELECT json_group_array(DISTINCT case_no) FROM held JOIN holds "
    "ON holds.number = held.hold WHERE held.id = calls.id AND held.released_ns IS NULL)"
)
SEALED = (
    *("term_rule", "wav_sha256", "wav_sealed_sha256", "wav_sealed_bytes", "evidence_sha256"),
    *("evidence_sealed_sha256", "evidence_sealed_bytes", "key_sha256"),
)
FILES = ", ".join(("wav_path", "evidence_path", "audio_bytes", *SEALED))
_COLUMNS = (
    *("id", "call_id", "started_ns", "ended_ns", "duration_s", "caller_key", "callee_key", "direction"),
    *("state", "verdict", "wav_path", "evidence_path", "audio_bytes", "call", "delete_after", "sealed"),
    *SEALED,
)
ADD = (
    f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + column for column in _COLUMNS)}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in _COLUMNS[1:])}"
)


def recording_id(started_ns: int, name: str) -> str:
    """A name for a recording: its start in UTC and six base32 characters, `20261123-204600-k3f9qa`.

    Names sort by time and are short enough to type; the tail (30 bits) keeps calls of one second apart and
    cannot be guessed from the date of the call. It is made of ``name``, the Call-ID: a recorder killed
    between the files and the index writes the same files again, not others beside them.
    """
    start = datetime.fromtimestamp(started_ns // 1_000_000_000, UTC)
    digest = hashlib.sha256(f"{started_ns} {name}".encode("utf-8", "surrogateescape")).digest()
    tail = base64.b32encode(digest).decode("ascii").lower()[:6]
    return f"{start:%Y%m%d-%H%M%S}-{tail}"


def number_key(number: str) -> str:
    """A telephone number or user name as it is searched for: case and separators away, reversed."""
    return (number.translate(_SEPARATORS) or number).casefold()[::-1]


def time_ns(text: str) -> int:
    """An RFC 3339 time as integer nanoseconds UTC; a time without an offset is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One call to be indexed: `call` is the object of `calls.json`; paths are as the recorder wrote them, or
    None.

    `delete_after` is the last millisecond of the term, RFC 3339 UTC (None: no term), and `term_rule` the rule
    that set it. Of a sealed recording the SHA-256 of what was sealed and of the sealed file are kept, in hex,
    and that of its row in the keyring.
    """

    id: str
    call: dict[str, Any]
    wav_path: str | None = None
    evidence_path: str | None = None
    audio_bytes: int = 0
    delete_after: str | None = None
    sealed: bool = False
    term_rule: str | None = None
    wav_sha256: str | None = None
    wav_sealed_sha256: str | None = None
    wav_sealed_bytes: int = 0
    evidence_sha256: str | None = None
    evidence_sealed_sha256: str | None = None
    evidence_sealed_bytes: int = 0
    key_sha256: str | None = None


def row_of(entry: Entry) -> dict[str, Any]:
    call = entry.call
    return {
        "id": entry.id,
        "call_id": call["call_id"],
        "started_ns": time_ns(call["started_at"]),
        "ended_ns": time_ns(call["ended_at"]) if call.get("ended_at") else None,
        "duration_s": call.get("duration_s"),
        "caller_key": number_key(call.get("caller") or ""),
        "callee_key": number_key(call.get("callee") or ""),
        "direction": call["direction"],
        "state": call["state"],
        "verdict": call.get("verdict"),
        "wav_path": entry.wav_path,
        "evidence_path": entry.evidence_path,
        "audio_bytes": entry.audio_bytes,
        "call": json.dumps(call, ensure_ascii=False, separators=(",", ":")),
        "delete_after": entry.delete_after,
        "sealed": int(entry.sealed),
        **{column: getattr(entry, column) for column in SEALED},
    }


def call_of(row: Sequence[Any]) -> dict[str, Any]:
    call: dict[str, Any] = json.loads(row[1])
    return {
        "id": row[0],
        **call,
        "delete_after": row[2],
        "held_by": sorted(json.loads(row[4])),
        "sealed": bool(row[3]),
    }
