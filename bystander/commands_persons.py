"""The commands `persons ...`: the register of those who are authorised (R13)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import Reason, Yes, confirm, load, need_text, say
from bystander.commands_record import ConfigFile, Json
from bystander.desks import with_desk
from bystander.errors import UserError
from bystander.lang import Lang, t, use
from bystander.output import console, plain, print_json, warn
from bystander.unlocking import Identities, PassphraseFiles, passphrase_of, unlocking, with_care

if TYPE_CHECKING:
    from datetime import date

    from bystander.config import Config
    from bystander.custody.desk import Desk
    from bystander.custody.persons import Person
    from bystander.storage.agefile import Identity

persons = typer.Typer(name="persons", help="The register of authorised persons.")
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The person's number in the register.")]
_ONE_LEFT = "only one person can listen: if that key or passphrase is lost, no recording can ever be opened"
_NONE_LEFT = "nobody can listen today: renew the authorisation of somebody who has the key"
Authorisation = Annotated[str, typer.Option(metavar="NUMBER", help="The number of the authorisation.")]


def persons_add(
    name: Annotated[str, typer.Option(metavar="NAME", help="Name and surname.")],
    post: Annotated[str, typer.Option(metavar="POST", help="The post they hold.")],
    authorisation: Authorisation,
    authorised_on: Annotated[str | None, typer.Option(metavar="DATE", help="Its date.")] = None,
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="listener, supervisor or administrator.")
    ] = "listener",
    valid_from: Annotated[
        str | None, typer.Option(metavar="DATE", help="The first day; else at once.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day; else until revoked.")
    ] = None,
    identity_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Make a key for them; it goes there.")
    ] = None,
    recipient: Annotated[
        str | None, typer.Option(metavar="AGE1...", help="Or their own public key, as age-keygen prints it.")
    ] = None,
    new_passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The passphrase of the new key; else it is asked for.")
    ] = None,
    identity: Identities = None,
    passphrase_file: PassphraseFiles = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Enter a person. For a listener, give the --identity of somebody who can listen already."""
    from bystander.custody import persons as room
    from bystander.init import MIN_PASSPHRASE
    from bystander.storage.identity import new_identity, recipient_text, write_identity

    use(lang)
    with_care()
    settings = load(config)
    new = room.NewPerson(name, post, authorisation, role, authorised_on, valid_from, valid_until)
    if identity_out is not None and recipient is not None:
        raise UserError("give --identity-out or --recipient, not both")
    if role == "listener" and identity_out is None and recipient is None:
        raise UserError(
            "a listener needs a key: --identity-out FILE makes one, --recipient AGE1... takes theirs"
        )
    if identity_out is not None and settings.vault is not None:
        for folder in (settings.vault.keyring.parent, settings.vault.keys, settings.recording.directory):
            if identity_out.resolve().is_relative_to(folder.resolve()):
                raise UserError(
                    f"{identity_out}: a person's key is not kept in the vault; choose another folder"
                )
    if identity_out is not None and identity_out.exists():
        raise UserError(f"{identity_out}: there is such a file already; choose another name for the identity")
    fresh = new_identity() if identity_out is not None else None
    passphrase = passphrase_of(new_passphrase_file, new=True) if fresh is not None else ""
    if fresh is not None and len(passphrase) < MIN_PASSPHRASE:
        raise UserError(f"the new passphrase is too short; take {MIN_PASSPHRASE} characters or more")

    async def work(desk: Desk) -> Person:
        vault = await _vault(desk, "persons add", identity, passphrase_file) if role == "listener" else []
        key = recipient_text(fresh) if fresh is not None else recipient
        if fresh is not None and identity_out is not None:
            try:
                write_identity(identity_out, fresh, passphrase)
            except OSError as error:
                raise UserError(f"{identity_out}: cannot write the identity: {error.strerror}") from None
        try:
            return await room.add(desk, new, key, vault)
        except BaseException:
            # Who is in the register keeps the key, even if the vault's could not be given to it.
            known = {one.recipient for one in await room.register(desk.index)}
            if fresh is not None and identity_out is not None and key not in known:
                identity_out.unlink(missing_ok=True)
            raise

    made = with_desk(settings, work)
    facts = _described(made, _today(settings))
    say(facts, f"{made.number}  {plain(made.name)}: {t(made.role)}, {t(str(facts['state']))}", json=json)
    return 0


def persons_list(lang: Lang = None, json: Json = False, config: ConfigFile = None) -> int:
    """List the register, and who has a copy of the vault's key."""
    from bystander.custody import persons as room

    use(lang)
    settings = load(config)

    async def work(desk: Desk) -> tuple[list[Person], set[int]]:
        return await room.register(desk.index), {one.number for one in await room.holders(desk)}

    found, holding = with_desk(settings, work)
    today = _today(settings)
    able = [one for one in found if one.number in holding and one.state(today) == "valid"]
    if json:
        print_json([_described(one, today) | {"has_key": one.number in holding} for one in found])
    else:
        screen = console()
        for one in found:
            dates = f"{one.valid_from or '…'} – {one.valid_until or '…'}"
            key = t("has the key") if one.number in holding else ""
            screen.print(
                f"{one.number:>3}  {plain(one.name):<28} {plain(one.post):<24} {t(one.role):<14} "
                f"{plain(one.authorisation):<14} {dates:<25} {t(one.state(today)):<14} {key}".rstrip(),
                soft_wrap=True,
            )
    if len(able) <= 1:
        warn(t(_ONE_LEFT if able else _NONE_LEFT))
    return 0


def persons_revoke(
    number: Number,
    reason: Reason,
    yes: Yes = False,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """End a person's authorisation at once.

    Their copy of the vault's key is destroyed.
    """
    from bystander.custody import persons as room

    use(lang)
    settings = load(config)
    need_text(reason=reason)
    if not yes:
        confirm(t("End the authorisation of person {number}?", number=number))
    done = with_desk(settings, lambda desk: room.revoke(desk, number, reason))
    say(_described(done, _today(settings)), f"{plain(done.name)}: {t('revoked')}", json=json)
    return 0


def persons_renew(
    number: Number,
    valid_until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The new last day; else open.")
    ] = None,
    authorisation: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="A new authorisation's number.")
    ] = None,
    authorised_on: Annotated[str | None, typer.Option(metavar="DATE", help="Its date.")] = None,
    identity: Identities = None,
    passphrase_file: PassphraseFiles = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Prolong a person's authorisation.

    One that has lapsed needs the --identity of somebody who can listen.
    """
    from bystander.custody import persons as room

    use(lang)
    with_care()
    settings = load(config)

    async def work(desk: Desk) -> Person:
        vault = await _vault(desk, "persons renew", identity, passphrase_file) if identity else []
        return await room.renew(desk, number, valid_until, authorisation, authorised_on, vault)

    done = with_desk(settings, work)
    facts = _described(done, _today(settings))
    say(facts, f"{plain(done.name)}: {t(str(facts['state']))}, {done.valid_until or '…'}", json=json)
    return 0


def persons_rotate(
    identity: Identities = None,
    passphrase_file: PassphraseFiles = None,
    yes: Yes = False,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Make a new key for the vault, and seal all keys to it.

    What copies of the old one there may be open nothing any more.
    """
    from bystander.custody.rotation import rotate
    from bystander.storage.identity import new_identity
    from bystander.vault import announce_rotation, finish_rotation

    use(lang)
    with_care()
    settings = load(config)
    if settings.vault is None:
        raise UserError("this configuration has no [vault]; there is no key to rotate")
    keys = settings.vault.keys
    if not yes:
        confirm(t("Make a new key for the vault?"))

    async def work(desk: Desk) -> int:
        vault = await _vault(desk, "persons rotate", identity, passphrase_file)
        try:
            return await rotate(desk, vault, new_identity(), lambda key: announce_rotation(keys, key))
        finally:
            finish_rotation(settings, desk.keyring)

    done = with_desk(settings, work)
    say({"recordings": done}, f"{t('a new key for the vault; recordings sealed to it')}: {done}", json=json)
    return 0


async def _vault(
    desk: Desk, what: str, identities: list[Path] | None, passphrases: list[Path] | None
) -> list[Identity]:
    from bystander.custody import persons as room

    unlock = unlocking(identities, passphrases)
    if not unlock:
        desk.refuse(what, "no-identity", "give --identity, the key of somebody who can listen already (R13)")
    return (await room.admit(desk, unlock[0], what))[1]


def _today(settings: Config) -> date:
    from datetime import UTC, datetime

    return datetime.now(UTC).astimezone(settings.zone()).date()


def _described(one: Person, today: date) -> dict[str, Any]:
    from bystander.retention.erasure import as_text

    return {
        "number": one.number,
        "name": one.name,
        "post": one.post,
        "authorisation": one.authorisation,
        "authorised_on": one.authorised_on,
        "valid_from": one.valid_from,
        "valid_until": one.valid_until,
        "role": one.role,
        "state": one.state(today),
        "recipient": one.recipient,
        "added_at": as_text(one.added_ns),
        "revoked_at": None if one.revoked_ns is None else as_text(one.revoked_ns),
    }
