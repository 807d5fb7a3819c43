"""A digest in every row of the index and of the keyring, so that damage is found (`verify`).

SQLite notices a damaged tree, not a damaged value: a flipped bit in a number or a time would be read back as
if it had been written so. The digest covers a row's columns by name; it is no defence against somebody who
can write the file, who could write the digest too: against that stand the journal's signatures.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

#: The columns that the digest of each table covers; all but the digest itself.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "calls": (
        *("number", "id", "call_id", "started_ns", "ended_ns", "duration_s", "caller_key", "callee_key"),
        *("direction", "state", "verdict", "wav_path", "evidence_path", "audio_bytes", "delete_after"),
        *("sealed", "call", "term_rule", "wav_sha256", "wav_sealed_sha256", "wav_sealed_bytes"),
        *("evidence_sha256", "evidence_sealed_sha256", "evidence_sealed_bytes", "key_sha256"),
    ),
    "coverage": ("number", "from_ns", "to_ns", "cause", "dropped"),
    "holds": (
        *("number", "case_no", "reason", "placed_by", "placed_ns"),
        *("released_by", "released_ns", "release_reason"),
    ),
    "held": ("hold", "id", "call_id", "released_ns"),
    "plans": ("plan", "cause", "actor", "made_ns", "reason", "ground"),
    "erasing": ("id", "plan", "files"),
    "clock": ("one", "wall_ns", "boot_ns", "boot_id"),
    "persons": (
        *("number", "name", "post", "authorisation", "authorised_on", "valid_from", "valid_until"),
        *("role", "recipient", "added_ns", "revoked_ns"),
    ),
    "protocols": (
        *("number", "recording", "case_no", "purpose", "justification", "person", "second_person"),
        *("opened_ns", "ended_ns", "from_s", "to_s", "fields", "completed_ns"),
    ),
    "disclosures": (
        *("number", "applicant", "applied_on", "ground", "case_no", "purpose", "requested_ns"),
        *("requested_by", "decision", "decided_by", "decided_on", "decision_reason", "decided_ns"),
        *("exported_ns", "exported_by", "receiver", "manifest_sha256"),
    ),
    "disclosed": ("disclosure", "id"),
    "restricted": ("id", "hold", "cause", "reason", "placed_ns"),
    # of the keyring
    "keys": ("id", "sealed", "added_ns"),
    "vault_keys": ("number", "recipient", "made_ns"),
    "vault_key_copies": ("vault_key", "holder_recipient", "sealed", "added_ns"),
}
_BYTES: Final = 8


def row_digest(*values: str | int | float | bytes | None) -> bytes:
    """Return the digest of a row: the first 8 bytes of the SHA-256 of its values, types included."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogateescape")).digest()[:_BYTES]


def register(connection: sqlite3.Connection) -> None:
    """Make `row_digest(...)` known to SQL on this connection."""
    connection.create_function("row_digest", -1, row_digest, deterministic=True)


def expression(table: str) -> str:
    """Return the SQL that gives the digest of a row of ``table``."""
    return f"row_digest({', '.join(COLUMNS[table])})"


def refresh(table: str, condition: str) -> str:
    """Return the statement that brings the digests of some rows up to date, for the same transaction."""
    return f"UPDATE {table} SET digest = {expression(table)} WHERE {condition}"
