"""A new key for the vault (R7, R13): what copies of the old one there may be open nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bystander.custody.desk import CustodyProblem, Desk
from bystander.custody.persons import ABLE, holders, lapse
from bystander.storage.agefile import Identity, SealProblem, open_bytes, seal_bytes
from bystander.storage.identity import recipient_text
from bystander.storage.rekeyed import renew_fingerprints


async def rotate(
    desk: Desk, vault: Sequence[Identity], fresh: Identity, announce: Callable[[str], None]
) -> int:
    """Make ``fresh`` the vault's key, and seal every recording's key to it; return how many recordings
    that were. Raises Refused, CustodyProblem, KeyringProblem.

    Every listener whose authorisation is not over gets a copy. ``announce`` writes the public key down before
    the keyring changes, which it does in one transaction: cut short before, nothing has happened, and it is
    done again; cut short after, the announced key says that the rest is still to be done.
    """
    recipient = recipient_text(fresh)
    async with desk.alone():
        to = sorted({
            one.recipient
            for one in await holders(desk)
            if one.recipient is not None and one.state(desk.today) in ABLE
        })  # fmt: skip
        if not to:
            line = "nobody would have the new key: no listener's authorisation is valid"
            desk.refuse("rotate", "last-copy", line)
        copies = [(holder, seal_bytes(str(fresh).encode("ascii"), holder)) for holder in to]
        announce(recipient)
        desk.note("rotate", vault_key=recipient, copies=len(copies))
        done = desk.keyring.rotate(recipient, lambda sealed: _resealed(sealed, vault, recipient), copies)
        renew_fingerprints(desk.index.path, desk.keyring)
        desk.note("rotated", vault_key=recipient, copies=len(copies), keys=len(done))
    await lapse(desk)
    return len(done)


def _resealed(sealed: bytes, vault: Sequence[Identity], recipient: str) -> bytes:
    for number, key in enumerate(vault, 1):
        try:
            return seal_bytes(open_bytes(sealed, key, "a recording's key"), recipient)
        except SealProblem:
            if number == len(vault):
                raise
    raise CustodyProblem("no key of the vault was given")
