"""How a line of the journal is bound to the one before it.

A line ends with its hash, the hash before it, its number and its signature, always in the same form, and its
hash is over all its bytes but hash and signature. So a line can be proved by its bytes alone, without reading
what it says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bystander.storage.signing import verify

_END: Final = re.compile(
    rb'"hash":"([0-9a-f]{64})",("prev":"([0-9a-f]{64})","seq":([1-9][0-9]{0,18})),"sig":"([0-9a-f]{128})"\}\n\Z'
)


@dataclass(frozen=True, slots=True)
class Link:
    """What a line says of its place: its number, its hash and that before it, in hex, and its signature."""

    seq: int
    hash: str
    prev: str
    sig: bytes

    def is_signed(self, public_hex: str) -> bool:
        """Return whether a recorder has signed this line."""
        return verify(public_hex, bytes.fromhex(self.hash), self.sig)


def link(line: bytes) -> Link | None:
    """Return what a line is bound by, or None where its hash is not that of its bytes."""
    end = _END.search(line)
    if end is None:
        return None
    said = end[1].decode("ascii")
    if hashlib.sha256(b"%b%b}" % (line[: end.start()], end[2])).hexdigest() != said:
        return None
    return Link(int(end[4]), said, end[3].decode("ascii"), bytes.fromhex(end[5].decode("ascii")))


def canonical(said: Mapping[str, Any]) -> bytes:
    """Return an object as the journal writes it: JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def hash_of(body: Mapping[str, Any]) -> str:
    """Return the hash of an entry without hash and signature, in hex."""
    return hashlib.sha256(canonical(body)).hexdigest()
