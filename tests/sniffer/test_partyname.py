"""When two names mean one party."""

from __future__ import annotations

import pytest

from bystander.sniffer.partyname import party_key


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("+48221234567", "1234567", True),
        ("0221234567", "221234567", True),
        ("101", "102", False),
        ("Alice", "alice", True),
        ("alice1", "bob1", False),
        ("", "101", False),
    ],
)
def test_prefixes_and_case_do_not_count(one: str, two: str, same: bool) -> None:
    assert (party_key(one) == party_key(two)) is same
