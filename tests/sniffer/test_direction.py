"""Which way a call went."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.sniffer.calls import CallSettings
from bystander.sniffer.direction import Office


@pytest.mark.parametrize(
    ("office", "direction"),
    [
        (Office(), "unknown"),
        (Office(numbers=("1",)), "internal"),
        (Office(numbers=("101",)), "outgoing"),
        (Office(numbers=("/^102$/",)), "incoming"),
        (Office(numbers=("9",)), "unknown"),
        (Office(networks=("10.0.0.0/24",)), "internal"),
        (Office(networks=("10.0.0.0/24",), trunks=("10.0.0.2",)), "outgoing"),
        (Office(networks=("10.0.0.0/24",), trunks=("10.0.0.1/32",)), "incoming"),
    ],
)
def test_direction(kit: Any, office: Office, direction: str) -> None:
    assert kit.one(kit.play(kit.Scene().normal(), 15, CallSettings(office=office))).direction == direction


@pytest.mark.parametrize("office", [Office(numbers=("/(/",)), Office(networks=("10.0.0.0/99",))])
def test_settings_that_cannot_be_understood_are_named(office: Office) -> None:
    with pytest.raises(ValueError, match=r"\(|/99"):
        office.check()


def test_numbers_are_compared_without_their_punctuation() -> None:
    assert Office(numbers=("+4822",)).has("+48 (22) 123-45-67", "") is True
    assert Office().has("+4822", "10.0.0.1") is None
