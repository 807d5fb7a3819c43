"""The register "Rejestracja rozmów telefonicznych": who may listen, on whose authorisation, from when to when
(R13).

A listener has a copy of the vault's key, sealed to a key of their own. To give one to another person takes
somebody who has one. Whoever is revoked, or whose authorisation has lapsed, loses the copy at once; the last
copy is never destroyed, because nobody could ever listen again. One change is made at a time (`Desk.alone`):
two revocations at once must not each leave the other as the last.

What is done is journalled within the transaction that does it, and before anybody gets a copy: cut short,
nobody has what is on no record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from bystander.custody.desk import MOST_NUMBER, CustodyProblem, Desk, day, worded
from bystander.storage.agefile import Identity, SealProblem, recipient_of, seal_bytes
from bystander.storage.digest import refresh
from bystander.storage.identity import recipient_text
from bystander.storage.index import Index
from bystander.storage.opening import vault_identities

ROLES: Final = ("listener", "supervisor", "administrator")
State = Literal["valid", "not yet valid", "lapsed", "revoked"]
#: Those who may listen, today or later: somebody must be left of them.
ABLE: Final = ("valid", "not yet valid")
#: Gives a person's key, or raises SealProblem: a passphrase is asked for, or read, outside this room.
Unlock = Callable[[], Identity]
#: Why one whose authorisation does not hold is refused, and what can be done.
_NOT_VALID: Final = {
    "revoked": ("revoked", "only a new entry in the register changes that"),
    "lapsed": ("lapsed", "it must be renewed first"),
    "not yet valid": ("not-yet-valid", "it must begin first"),
}
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
    known = 0 < number <= MOST_NUMBER
    rows = await index.rows(f"SELECT {_COLUMNS} FROM persons WHERE number = ?", [number]) if known else []
    if not rows:
        raise CustodyProblem(f"{number}: no such person; `bystander persons list` shows them")
    return Person(*rows[0])


async def holders(desk: Desk) -> list[Person]:
    """Return those who have a copy of the vault's key; of a key entered again, the newest entry."""
    copies = {copy.holder_recipient for copy in desk.keyring.copies()}
    newest = {one.recipient: one for one in await register(desk.index) if one.recipient in copies}
    return sorted(newest.values(), key=lambda one: one.number)


async def identify(desk: Desk, unlock: Unlock, what: str, **facts: object) -> tuple[Person, Identity]:
    """Return who unlocks; refuse an act by anybody who is not in the register today.

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
    facts = {**facts, "person": who.number}
    state = who.state(desk.today)
    if state != "valid":
        await lapse(desk)
        code, what_next = _NOT_VALID[state]
        line = f"{who.name}: the authorisation {who.authorisation} is {state}; {what_next}"
        desk.refuse(what, code, line, **facts)
    if (await desk.told()).persons.get(who.number) != [who.role, who.valid_until, False]:
        line = f"{who.name}: the journal knows of no such authorisation; see `bystander verify`, and renew it"
        desk.refuse(what, "disagreement", line, **facts)
    return who, identity


async def proven(desk: Desk, unlock: Sequence[Unlock], what: str, **facts: object) -> list[int] | None:
    """Return the numbers of those who have shown by their key that it is they who act, None where nobody
    has. Raises Refused.
    """
    found = [(await identify(desk, one, what, **facts))[0].number for one in unlock]
    return sorted(set(found)) or None


async def admit(desk: Desk, unlock: Unlock, what: str, **facts: object) -> tuple[Person, list[Identity]]:
    """Return who unlocks, and the vault's keys; refuse an act by anybody who is not a listener today."""
    who, identity = await identify(desk, unlock, what, **facts)
    facts = {**facts, "person": who.number}
    if who.role != "listener":
        line = f"{who.name}: is {who.role}, and only a listener may do that (R13)"
        desk.refuse(what, "role", line, **facts)
    try:
        return who, vault_identities(desk.keyring, identity)
    except SealProblem as problem:
        desk.refuse(what, "no-copy", str(problem), **facts)


def refuse_ended(desk: Desk, persons: Sequence[Person], what: str, **facts: object) -> None:
    """Refuse to go on with an act for which somebody's authorisation has ended since it was looked at: a day
    was over, or it was revoked.
    """
    told = desk.reading.told().persons
    for who in persons:
        state = who.state(desk.today)
        if told.get(who.number, (None, None, False))[2]:
            state = "revoked"
        if state != "valid":
            code, _ = _NOT_VALID[state]
            line = f"{who.name}: the authorisation {who.authorisation} is {state} by now; it goes no further"
            desk.refuse(what, code, line, person=who.number, **facts)


async def together(
    desk: Desk, unlock: Sequence[Unlock], what: str, *, two: bool = False, **facts: object
) -> tuple[list[Person], list[Identity]]:
    """Return all who unlock, and the vault's keys; refuse fewer than are demanded: two, if ``two`` says so or
    the configuration does.
    """
    if not unlock:
        desk.refuse(what, "no-identity", "no identity: give --identity, the file with your key", **facts)
    found: dict[int, Person] = {}
    vault: list[Identity] = []
    for one in unlock:
        who, vault = await admit(desk, one, what, **facts)
        found[who.number] = who
    if len(found) < (2 if two or desk.rules.two_persons else 1):
        line = "two persons must do that together; give --identity twice, each with its passphrase"
        desk.refuse(what, "one-person", line, person=next(iter(found)), **facts)
    if len(found) > 2:
        raise CustodyProblem("two persons at most sign a protocol; give one identity or two")
    return list(found.values()), vault


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
    async with desk.alone():
        _refuse_stale(desk, vault)
        taken = [
            one for one in await register(desk.index) if recipient is not None and one.recipient == recipient
        ]
        if any(one.revoked_ns is None for one in taken):
            raise CustodyProblem(
                f"this key is {taken[-1].name}'s already; each person has a key of their own"
            )
        async with desk.index.transaction() as connection:
            cursor = await connection.execute(
                "INSERT INTO persons (name, post, authorisation, authorised_on, valid_from, valid_until, "
                "role, recipient, added_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(new.name, new.post, new.authorisation, new.authorised_on),
                    *(new.valid_from, new.valid_until, new.role, recipient, desk.now_ns),
                ],
            )
            number = cursor.lastrowid
            assert number is not None
            await connection.execute(refresh("persons", "number = ?"), [number])
            desk.note(
                "person-added", person=number, role=new.role, authorisation=new.authorisation,
                valid_from=new.valid_from, valid_until=new.valid_until,
            )  # fmt: skip
        entered = await person(desk.index, number)
        if new.role == "listener" and recipient is not None and entered.state(desk.today) in ABLE:
            _give(desk, recipient, vault)
    return entered


async def revoke(desk: Desk, number: int, reason: str) -> Person:
    """End a person's authorisation and destroy their copy of the vault's key. Raises CustodyProblem.

    Refused for the last who can listen.
    """
    reason = worded(reason, "the reason")
    async with desk.alone():
        who = await person(desk.index, number)
        if who.revoked_ns is not None:
            raise CustodyProblem(f"{who.name}: revoked already")
        if await _is_last(desk, who):
            line = (
                f"{who.name}: has the only copy of the vault's key; add another listener first, or nobody "
                f"can ever listen"
            )
            desk.refuse("revoke", "last-copy", line, person=number)
        async with desk.index.transaction() as connection:
            await connection.execute(
                "UPDATE persons SET revoked_ns = ? WHERE number = ?", [desk.now_ns, number]
            )
            await connection.execute(refresh("persons", "number = ?"), [number])
            desk.note("person-revoked", person=number, reason=reason)
        if who.recipient is not None:
            desk.keyring.drop_copy(who.recipient)
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
    until = day(valid_until, "valid until") if valid_until else None
    if until is not None and until < desk.today.isoformat():
        raise CustodyProblem(f"valid until {until}: that day is over")
    on = day(authorised_on, "authorised on") if authorised_on else None
    if authorisation is not None:
        authorisation = worded(authorisation, "the authorisation", line=True)
    async with desk.alone():
        _refuse_stale(desk, vault)
        who = await person(desk.index, number)
        if who.revoked_ns is not None:
            raise CustodyProblem(f"{who.name}: revoked; enter them again with `bystander persons add`")
        if until is not None and who.valid_from is not None and until < who.valid_from:
            raise CustodyProblem(f"valid from {who.valid_from} until {until}: that ends before it begins")
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
                [until, authorisation, on, number],
            )
            await connection.execute(refresh("persons", "number = ?"), [number])
            said = authorisation or who.authorisation
            desk.note("person-renewed", person=number, authorisation=said, valid_until=until)
        if lost and who.recipient is not None:
            _give(desk, who.recipient, vault)
    return await person(desk.index, number)


async def lapse(desk: Desk) -> list[Person]:
    """Destroy the copies of those whose authorisation is over; return them. The last copy stays, unusable,
    and so does, while the clock has leapt, that of one whose authorisation is over by the clock alone.
    """
    if not await _over(desk):
        return []
    ended = []
    async with desk.alone():
        for who in await _over(desk):
            if await _is_last(desk, who) or who.recipient is None:
                continue
            desk.keyring.drop_copy(who.recipient)
            desk.note("person-lapsed", person=who.number)
            ended.append(who)
    return ended


def _refuse_stale(desk: Desk, vault: Sequence[Identity]) -> None:
    """Refuse keys that were the vault's until it was rotated: a copy of them would open nothing."""
    if vault and recipient_text(vault[0]) != desk.keyring.recipient:
        raise CustodyProblem("the vault's key was rotated meanwhile; nothing was done: try again")


def _give(desk: Desk, recipient: str, vault: Sequence[Identity]) -> None:
    desk.keyring.add_copy(
        recipient, seal_bytes(str(vault[0]).encode("ascii"), recipient), recipient_text(vault[0])
    )


def _may_listen(desk: Desk, who: Person) -> bool:
    return who.role == "listener" and who.state(desk.today) in ABLE


async def _over(desk: Desk) -> list[Person]:
    """Return those who have a copy and may not have it any more."""
    return [
        who for who in await holders(desk) if who.role != "listener" or who.state(desk.sure_day) not in ABLE
    ]


async def _is_last(desk: Desk, who: Person) -> bool:
    """Tell whether nobody else who has a copy may still listen, today or later."""
    having = await holders(desk)
    others = [one for one in having if one.recipient != who.recipient and _may_listen(desk, one)]
    return any(one.recipient == who.recipient for one in having) and not others


def _checked(new: NewPerson) -> NewPerson:
    name, post, authorisation = (
        worded(value, f"the {what}", line=True)
        for what, value in (("name", new.name), ("post", new.post), ("authorisation", new.authorisation))
    )
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
    return NewPerson(name, post, authorisation, new.role, *dates)
