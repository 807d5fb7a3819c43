"""The register "Rejestracja rozmów telefonicznych": who may listen, on whose authorisation, from when to when
(R13).

A listener has a copy of the vault's key, sealed to a key of their own. To give one to another person takes
somebody who has one. Whoever is revoked, or whose authorisation has lapsed, loses the copy at once; the last
copy is never destroyed, because nobody could ever listen again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from bystander.custody.desk import CustodyProblem, Desk, Refused, day
from bystander.storage.agefile import Identity, SealProblem, recipient_of, seal_bytes
from bystander.storage.digest import refresh
from bystander.storage.identity import recipient_text
from bystander.storage.index import Index
from bystander.storage.opening import vault_identities

ROLES: Final = ("listener", "supervisor", "administrator")
State = Literal["valid", "not yet valid", "lapsed", "revoked"]
#: Gives a person's key, or raises SealProblem: a passphrase is asked for, or read, outside this room.
Unlock = Callable[[], Identity]
_COLUMNS: Final = (
    "number, name, post, authorisation, authorised_on, valid_from, valid_until, role, recipient, "
    "added_ns, revoked_ns"
)


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the register. Dates are YYYY-MM-DD, both ends included; None: open."""

    number: int
    name: str
    post: str
    authorisation: str
    authorised_on: str | None
    valid_from: str | None
    valid_until: str | None
    role: str
    recipient: str | None
    added_ns: int
    revoked_ns: int | None

    def state(self, today: date) -> State:
        """Return whether the authorisation holds on a day."""
        if self.revoked_ns is not None:
            return "revoked"
        if self.valid_until is not None and today.isoformat() > self.valid_until:
            return "lapsed"
        if self.valid_from is not None and today.isoformat() < self.valid_from:
            return "not yet valid"
        return "valid"


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Who is to be entered."""

    name: str
    post: str
    authorisation: str
    role: str = "listener"
    authorised_on: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None


async def register(index: Index) -> list[Person]:
    """Return everybody who is or was in the register, in the order of entry."""
    return [Person(*row) for row in await index.rows(f"SELECT {_COLUMNS} FROM persons ORDER BY number")]


async def person(index: Index, number: int) -> Person:
    """Return one person. Raises CustodyProblem if there is none of that number."""
    rows = await index.rows(f"SELECT {_COLUMNS} FROM persons WHERE number = ?", [number])
    if not rows:
        raise CustodyProblem(f"{number}: no such person; `bystander persons list` shows them")
    return Person(*rows[0])


async def holders(desk: Desk) -> list[Person]:
    """Return those who have a copy of the vault's key."""
    copies = {copy.holder_recipient for copy in desk.keyring.copies()}
    return [one for one in await register(desk.index) if one.recipient in copies]


async def admit(desk: Desk, unlock: Unlock, what: str, **facts: object) -> tuple[Person, list[Identity]]:
    """Return who unlocks, and the vault's keys; refuse an act by anybody who is not a listener today.

    Nothing is said of the key before the register is asked: a revoked person's passphrase opens nothing.
    """
    try:
        identity = unlock()
    except SealProblem as problem:
        desk.refuse(what, "identity", str(problem), **facts)
    found = [one for one in await register(desk.index) if one.recipient == recipient_text(identity)]
    if not found:
        desk.refuse(what, "stranger", "this identity belongs to nobody in the register of persons", **facts)
    # The newest entry counts: somebody may have been revoked and entered again with the same key.
    who = found[-1]
    state = who.state(desk.today)
    if state != "valid":
        await lapse(desk)
        code = {"revoked": "revoked", "lapsed": "lapsed", "not yet valid": "not-yet-valid"}[state]
        line = f"{who.name}: the authorisation {who.authorisation} is {state}; it must be renewed first"
        desk.refuse(what, code, line, person=who.number, **facts)
    if who.role != "listener":
        desk.refuse(
            what,
            "role",
            f"{who.name}: is {who.role}, and only a listener may do that (R13)",
            person=who.number,
            **facts,
        )
    try:
        return who, vault_identities(desk.keyring, identity)
    except SealProblem as problem:
        desk.refuse(what, "no-copy", str(problem), person=who.number, **facts)


async def add(desk: Desk, new: NewPerson, recipient: str | None, vault: Sequence[Identity] = ()) -> Person:
    """Enter a person; a listener gets a copy of the vault's key, sealed to ``recipient``. Raises
    CustodyProblem.

    ``vault`` are the vault's keys, newest first, from :func:`admit` of somebody who has them.
    """
    new = _checked(new)
    if new.role == "listener":
        if recipient is None or not vault:
            raise CustodyProblem(
                "a listener needs a key, and somebody who can listen already to give the vault's to it"
            )
        recipient = str(recipient_of(recipient))
    taken = [
        one for one in await register(desk.index) if recipient is not None and one.recipient == recipient
    ]
    if any(one.revoked_ns is None for one in taken):
        raise CustodyProblem(f"this key is {taken[-1].name}'s already; each person has a key of their own")
    async with desk.index.transaction() as connection:
        cursor = await connection.execute(
            "INSERT INTO persons (name, post, authorisation, authorised_on, valid_from, valid_until, "
            "role, recipient, added_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(new.name, new.post, new.authorisation, new.authorised_on, new.valid_from, new.valid_until),
                *(new.role, recipient, desk.now_ns),
            ],
        )
        number = cursor.lastrowid
        assert number is not None
        await connection.execute(refresh("persons", "number = ?"), [number])
    entered = await person(desk.index, number)
    if new.role == "listener" and recipient is not None and entered.state(desk.today) != "lapsed":
        _give(desk, recipient, vault)
    desk.note("person-added", person=number, role=new.role, authorisation=new.authorisation)
    return entered


async def revoke(desk: Desk, number: int, reason: str) -> Person:
    """End a person's authorisation and destroy their copy of the vault's key. Raises CustodyProblem.

    Refused for the last who can listen.
    """
    who = await person(desk.index, number)
    if who.revoked_ns is not None:
        raise CustodyProblem(f"{who.name}: revoked already")
    if await _is_last(desk, who):
        desk.refuse(
            "revoke",
            "last-copy",
            f"{who.name}: has the only copy of the vault's key; add another listener first, or nobody "
            f"can ever listen",
            person=number,
        )
    async with desk.index.transaction() as connection:
        await connection.execute("UPDATE persons SET revoked_ns = ? WHERE number = ?", [desk.now_ns, number])
        await connection.execute(refresh("persons", "number = ?"), [number])
    if who.recipient is not None:
        desk.keyring.drop_copy(who.recipient)
    desk.note("person-revoked", person=number, reason=reason)
    return await person(desk.index, number)


async def renew(
    desk: Desk,
    number: int,
    valid_until: str | None,
    authorisation: str | None,
    authorised_on: str | None,
    vault: Sequence[Identity] = (),
) -> Person:
    """Prolong an authorisation (``valid_until`` None: until revoked). Raises CustodyProblem.

    A listener whose copy of the vault's key was destroyed when it lapsed gets one again from ``vault``.
    """
    who = await person(desk.index, number)
    if who.revoked_ns is not None:
        raise CustodyProblem(f"{who.name}: revoked; enter them again with `bystander persons add`")
    until = day(valid_until, "valid until") if valid_until else None
    if until is not None and until < desk.today.isoformat():
        raise CustodyProblem(f"valid until {until}: that day is over")
    lost = who.role == "listener" and who.number not in {one.number for one in await holders(desk)}
    if lost and not vault:
        raise CustodyProblem(
            f"{who.name}: the copy of the vault's key was destroyed; give --identity of somebody who "
            f"can listen"
        )
    async with desk.index.transaction() as connection:
        await connection.execute(
            "UPDATE persons SET valid_until = ?, authorisation = coalesce(?, authorisation), "
            "authorised_on = coalesce(?, authorised_on) WHERE number = ?",
            [until, authorisation, day(authorised_on, "authorised on") if authorised_on else None, number],
        )
        await connection.execute(refresh("persons", "number = ?"), [number])
    if lost and who.recipient is not None:
        _give(desk, who.recipient, vault)
    renewed = await person(desk.index, number)
    desk.note("person-renewed", person=number, authorisation=renewed.authorisation, valid_until=until)
    return renewed


async def lapse(desk: Desk) -> list[Person]:
    """Destroy the copies of those whose authorisation is over; return them. The last copy stays, unusable."""
    ended = []
    for who in await holders(desk):
        over = who.state(desk.today) in ("lapsed", "revoked")
        if not over or await _is_last(desk, who) or who.recipient is None:
            continue
        if any(
            one.recipient == who.recipient and one.state(desk.today) == "valid"
            for one in await register(desk.index)
        ):
            continue
        desk.keyring.drop_copy(who.recipient)
        desk.note("person-lapsed", person=who.number)
        ended.append(who)
    return ended


async def rotate(
    desk: Desk, vault: Sequence[Identity], fresh: Identity, announce: Callable[[str], None]
) -> int:
    """Make ``fresh`` the vault's key, and seal every recording's key to it; return how many recordings
    that were.

    Every listener whose authorisation is not over gets a copy. ``announce`` writes the public key down before
    the keyring changes. Cut short, it is done again from the beginning.
    """
    recipient = recipient_text(fresh)
    holding = [one for one in await holders(desk) if one.state(desk.today) in ("valid", "not yet valid")]
    to = sorted({one.recipient for one in holding if one.recipient is not None})
    if not to:
        raise Refused("last-copy", "nobody would have the new key: no listener's authorisation is valid")
    copies = [(holder, seal_bytes(str(fresh).encode("ascii"), holder)) for holder in to]
    announce(recipient)
    fingerprints = desk.keyring.rotate(recipient, lambda sealed: _resealed(sealed, vault, recipient), copies)
    async with desk.index.transaction() as connection:
        await connection.executemany(
            "UPDATE calls SET key_sha256 = ? WHERE id = ?",
            [(new, name) for name, new in fingerprints.items()],
        )
        await connection.execute(refresh("calls", "sealed"))
    desk.note("rotated", vault_key=recipient, copies=len(copies), keys=len(fingerprints))
    return len(fingerprints)


def _resealed(sealed: bytes, vault: Sequence[Identity], recipient: str) -> bytes:
    from bystander.storage.agefile import open_bytes

    for number, key in enumerate(vault, 1):
        try:
            return seal_bytes(open_bytes(sealed, key, "a recording's key"), recipient)
        except SealProblem:
            if number == len(vault):
                raise
    raise CustodyProblem("no key of the vault was given")


def _give(desk: Desk, recipient: str, vault: Sequence[Identity]) -> None:
    desk.keyring.add_copy(recipient, seal_bytes(str(vault[0]).encode("ascii"), recipient))


async def _is_last(desk: Desk, who: Person) -> bool:
    """Tell whether nobody else who has a copy may still listen, today or later."""
    having = await holders(desk)
    others = [
        one
        for one in having
        if one.recipient != who.recipient and one.state(desk.today) in ("valid", "not yet valid")
    ]
    return any(one.recipient == who.recipient for one in having) and not others


def _checked(new: NewPerson) -> NewPerson:
    for what, value in (("name", new.name), ("post", new.post), ("authorisation", new.authorisation)):
        if not value.strip():
            raise CustodyProblem(f"the {what} is empty; the register needs it (R13)")
    if new.role not in ROLES:
        raise CustodyProblem(f"{new.role!r}: no such role; take {', '.join(ROLES)}")
    dates = [
        day(value, what) if value else None
        for what, value in (
            ("authorised on", new.authorised_on),
            ("valid from", new.valid_from),
            ("valid until", new.valid_until),
        )
    ]
    if dates[1] and dates[2] and dates[1] > dates[2]:
        raise CustodyProblem(f"valid from {dates[1]} until {dates[2]}: that ends before it begins")
    return NewPerson(new.name.strip(), new.post.strip(), new.authorisation.strip(), new.role, *dates)
