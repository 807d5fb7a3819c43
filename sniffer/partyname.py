"""When two names mean one party: a number with and without the prefixes of exchange and country."""

from __future__ import annotations


def party_key(party: str) -> str:
    """Return what is compared of a party's number (its last seven digits) or name (case aside)."""
    digits = "".join(character for character in party if character.isdecimal())
    return digits[-7:] if len(digits) >= len(party) - 1 and digits else party.casefold()
