"""Somebody who can write the index gives out authority there: the journal has it otherwise."""

from __future__ import annotations

import pytest

from bystander.custody import disclosure, listening, persons, protocols, rights
from bystander.custody.agreement import disagreements
from bystander.custody.desk import Desk
from bystander.custody.disclosure import Request
from bystander.custody.listening import Ask
from bystander.retention.erasure import Cause
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from tests.bureau import Bureau
from tests.vaultkit import name_of

ONE, TWO = name_of(1), name_of(2)


@pytest.fixture
def september(bureau: Bureau) -> Bureau:
    """A month's work: somebody lapsed, somebody revoked, two requests, two listenings, a restriction."""
    bureau.add("Jan", valid_until="2026-09-05")
    bureau.add("Adam", role="administrator")
    bureau.add("Ola")

    async def work(desk: Desk) -> None:
        await persons.renew(desk, 2, "2026-12-31", "12/2026", None)
        await persons.revoke(desk, 5, "left")
        for decision in ("consent", "refusal"):
            asked = Request("Sąd", "2026-09-01", "akta", "K 7", "security", [ONE])
            number = (await disclosure.request(desk, asked)).number
            await disclosure.decide(desk, number, decision, "Prezydent")
        await disclosure.note_export(desk, 1, 1, "Sąd", [ONE], "0" * 64)
        await disclosure.request(desk, Request("Policja", "2026-09-01", "g", "K 8", "security", [TWO]))
        for _ in range(2):
            await listening.begin(desk, Ask(ONE, "K", "quality", "j", [bureau.unlock("Anna")]))
        await protocols.fill(desk, 1, dict.fromkeys(protocols.REQUIRED, "opisano"))
        await rights.restrict(desk, [ONE, TWO], "restriction", "r")
        await rights.unrestrict(desk, [ONE], "r")

    bureau.at(work)
    return bureau


def found(bureau: Bureau) -> list[str]:
    return bureau.kit.using(lambda index: disagreements(index, bureau.kit.journal.entries()))


def test_what_was_done_by_the_commands_agrees(september: Bureau) -> None:
    assert found(september) == []
    september.kit.erasing(lambda one: one.erase([ONE], Cause("request", "t", "r", "g"), september.now_ns))
    assert found(september) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE persons SET valid_until = '2099-12-31' WHERE number = 3", "person 3 is valid until 2099"),
        ("UPDATE persons SET valid_until = NULL WHERE number = 3", "person 3 is valid until revoked"),
        ("UPDATE persons SET revoked_ns = NULL WHERE number = 5", "person 5 is revoked by the journal"),
        ("UPDATE persons SET revoked_ns = 1 WHERE number = 1", "person 1 is revoked in the register"),
        ("UPDATE persons SET role = 'listener' WHERE number = 4", "person 4 is listener"),
        ("DELETE FROM persons WHERE number = 4", "person 4 is missing"),
        ("INSERT INTO persons (number, name, post, authorisation, role, added_ns) VALUES "
         "(9, 'X', 'p', '1', 'listener', 1)", "person 9 is in the register"),
        ("UPDATE disclosures SET decision = 'consent' WHERE number = 3", "request 3: the decision"),
        ("UPDATE disclosures SET decision = 'consent' WHERE number = 2", "request 2: the decision"),
        ("UPDATE disclosures SET exported_ns = NULL WHERE number = 1", "request 1: index"),
        ("DELETE FROM protocols WHERE number = 2", "protocol 2 is missing"),
        ("UPDATE protocols SET completed_ns = 1 WHERE number = 2", "protocol 2: index"),
        (f"UPDATE protocols SET recording = '{TWO}' WHERE number = 2", "protocol 2: the journal"),
        (f"INSERT INTO disclosed (disclosure, id) VALUES (1, '{TWO}')", "request 1: index"),
        ("DELETE FROM restricted", f"{TWO}: is not restricted in the index"),
        (f"UPDATE restricted SET id = '{ONE}'", f"{ONE}: is restricted in the index"),
    ],
)  # fmt: skip
def test_what_was_written_past_them_does_not(september: Bureau, change: str, said: str) -> None:
    async def tamper(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute(change)
            for table in ("persons", "disclosures", "protocols", "restricted"):
                await connection.execute(refresh(table, "true"))

    september.kit.using(tamper)
    assert any(line.startswith(said) for line in found(september)), found(september)
