"""A new key for the vault: killed at any step, with somebody revoked or a call filed meanwhile, nothing is
lost.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import bystander.custody.rotation
import bystander.vault
from bystander.cli import main
from bystander.custody import listening, persons
from bystander.custody.desk import CustodyProblem, Desk, Refused
from bystander.custody.journal import Journal
from bystander.custody.listening import Ask
from bystander.custody.rotation import rotate
from bystander.filing import Filing
from bystander.storage.agefile import seal_bytes
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring, KeyringProblem, fingerprint
from tests.bureau import Bureau
from tests.vaultkit import name_of

#: What a rotation does, one after the other; a kill before or after each is looked at.
STEPS: tuple[tuple[Any, str], ...] = (
    (bystander.vault, "write_file"),
    (Journal, "append"),
    (Keyring, "rotate"),
    (bystander.custody.rotation, "renew_fingerprints"),
    (bystander.vault, "settle_rotation"),
    (bystander.vault, "renew_fingerprints"),
    (bystander.vault, "sync_folder"),
)


def heard(bureau: Bureau, who: str) -> list[bytes]:
    """Return what somebody hears of the three recordings."""

    async def work(desk: Desk, number: int) -> bytes:
        ask = Ask(name_of(number), "K", "security", "j", [bureau.unlock(who)])
        return (await listening.begin(desk, ask)).audio.content[44:]

    return [bureau.at(lambda desk, number=number: work(desk, number)) for number in (1, 2, 3)]


def fingerprints(bureau: Bureau) -> dict[str, str]:
    return dict(bureau.kit.using(lambda index: index.rows("SELECT id, key_sha256 FROM calls")))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_killed_at_any_step_nothing_is_lost(office: Bureau, place: Any, name: str, *, after: bool) -> None:
    if not (child := os.fork()):
        real = getattr(place, name)

        def killed(*arguments: Any, **options: Any) -> None:
            if after:
                real(*arguments, **options)
            os._exit(9)

        setattr(place, name, killed)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        main(["persons", "rotate", "--yes", "--identity", "Anna.txt"])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert main(["persons", "list"]) == 0  # whoever opens the vault next finishes what is left
    keyring = office.kit.keyring
    assert (office.kit.folder / "keys/vault.pub").read_text() == keyring.recipient + "\n"
    assert fingerprints(office) == keyring.fingerprints()
    assert heard(office, "Anna") == heard(office, "Ewa") == [bytes([n]) * 8000 for n in (1, 2, 3)]
    assert main(["persons", "rotate", "--yes", "--identity", "Ewa.txt"]) == 0
    assert heard(office, "Anna") == [bytes([n]) * 8000 for n in (1, 2, 3)]


def test_r13_who_is_revoked_during_a_rotation_has_no_copy_of_the_new_key(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation waits for the rotation, and takes the new copy."""
    bureau.add("Jan")

    async def both(desk: Desk) -> None:
        async with await Index.open(desk.index.path) as index:
            vault = [bureau.kit.vault_identity]
            turning = rotate(desk, vault, new_identity(), lambda _key: None)
            leaving = persons.revoke(replace(desk, index=index), 3, "left")
            await asyncio.gather(turning, leaving)

    bureau.at(both)
    held = {copy.holder_recipient for copy in bureau.kit.keyring.copies()}
    assert held == {recipient_text(bureau.keys[name]) for name in ("Anna", "Ewa")}


def test_a_copy_of_a_key_that_is_gone_is_given_to_nobody(bureau: Bureau) -> None:
    old = bureau.kit.vault_identity
    bureau.at(lambda desk: rotate(desk, [old], new_identity(), lambda _key: None))
    with pytest.raises(CustodyProblem, match="rotated meanwhile"):
        bureau.add("Jan")
    with pytest.raises(KeyringProblem, match="rotated meanwhile"):
        bureau.kit.keyring.add_copy("age1x", b"sealed", recipient_text(old))
    assert len(bureau.kit.keyring.copies()) == 2
    assert len(bureau.at(lambda desk: persons.register(desk.index))) == 2


def test_r13_without_anybody_to_have_it_there_is_no_new_key(bureau: Bureau) -> None:
    for number in (1, 2):
        bureau.at(lambda desk, number=number: persons.renew(desk, number, "2026-09-02", None, None))
    bureau.now_ns += 3 * 86_400 * 10**9
    with pytest.raises(Refused, match="nobody would have"):
        bureau.at(lambda desk: rotate(desk, [bureau.kit.vault_identity], new_identity(), lambda _key: None))
    assert bureau.refusals() == ["last-copy"]


def test_a_call_that_is_filed_during_a_rotation_is_indexed_with_its_new_key(bureau: Bureau) -> None:
    """Its key was kept before, its row is written after."""
    kit = bureau.kit

    async def file(index: Index) -> None:
        entry = await index.entry(name_of(1))
        assert entry is not None
        stale = replace(entry, key_sha256=fingerprint(b"as it was sealed at first"))
        await index.add(stale)
        filing: Any = SimpleNamespace(_vault=SimpleNamespace(keyring=kit.keyring), _index=index)
        await Filing._rekeyed(filing, stale)

    kit.using(file)
    assert fingerprints(bureau) == kit.keyring.fingerprints()


def test_one_change_of_the_register_at_a_time(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bystander.storage.turns.PATIENCE_S", 0.2)

    async def work(desk: Desk) -> None:
        async with desk.alone():
            await persons.revoke(desk, 1, "left")

    with pytest.raises(CustodyProblem, match="somebody else is changing the register"):
        bureau.at(work)
    bureau.at(lambda desk: persons.revoke(desk, 1, "left"))


def test_keys_of_another_vault_are_not_lost_either(bureau: Bureau) -> None:
    """A row that the given keys do not open stops the rotation, and nothing has changed."""
    keyring: Keyring = bureau.kit.keyring
    keyring.add("20260901-000000-aaaaaa", seal_bytes(b"k", recipient_text(new_identity())))
    before, recipient = keyring.fingerprints(), keyring.recipient
    with pytest.raises(Exception, match="another key"):
        bureau.at(lambda desk: rotate(desk, [bureau.kit.vault_identity], new_identity(), lambda _key: None))
    assert (keyring.fingerprints(), keyring.recipient) == (before, recipient)
