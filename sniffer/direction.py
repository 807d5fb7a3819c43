"""Which way a call went, seen from the office: incoming, outgoing, internal."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_SEPARATORS: Final = re.compile(r"[-. ()/]")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Office:
    """What belongs to the office; all empty means that nothing is known of it.

    ``numbers``   a prefix of digits (``"+4822"``), or a regular expression in slashes (``"/^1\\d\\d$/"``)
    ``networks``  where its telephones are, in CIDR notation
    ``trunks``    addresses of the way out: whoever signals from there is not in the office
    """

    numbers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    trunks: tuple[str, ...] = ()

    def has(self, number: str, host: str) -> bool | None:
        """Return whether a party is the office's; None when nothing tells.

        The number decides where numbers are given; else the host its messages came from or went to. A trunk's
        host outweighs a network that contains it.
        """
        number = _SEPARATORS.sub("", number)
        if any(_matches(pattern, number) for pattern in self.numbers):
            return True
        if host and any(_within(trunk, host) for trunk in self.trunks):
            return False
        if host and any(_within(network, host) for network in self.networks):
            return True
        if self.numbers or (self.networks and host):
            return False
        return None

    def check(self) -> None:
        """Raise ValueError, naming the value, if a pattern or a network cannot be understood."""
        for pattern in self.numbers:
            if _is_expression(pattern):
                try:
                    re.compile(pattern[1:-1])
                except re.error as error:
                    raise ValueError(f"office number {pattern}: {error}") from None
        for network in (*self.networks, *self.trunks):
            ipaddress.ip_network(network, strict=False)


def direction(caller: bool | None, callee: bool | None) -> str:
    """Return the direction of a call from whether each party is the office's (None: not known)."""
    if caller and callee:
        return "internal"
    if caller and callee is False:
        return "outgoing"
    if callee and caller is False:
        return "incoming"
    return "unknown"


def _is_expression(pattern: str) -> bool:
    return len(pattern) > 2 and pattern[0] == pattern[-1] == "/"


def _matches(pattern: str, number: str) -> bool:
    if _is_expression(pattern):
        return _expression(pattern[1:-1]).search(number) is not None
    return bool(pattern) and number.startswith(pattern)


@lru_cache(256)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(8192)
def _within(network: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in _network(network)
    except ValueError:
        return False


@lru_cache(256)
def _network(network: str) -> _Network:
    return ipaddress.ip_network(network, strict=False)
