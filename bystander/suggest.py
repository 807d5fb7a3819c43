"""Which lines of the configuration a mirror asks for, from what was seen on it."""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from itertools import takewhile
from typing import Final

from bystander.doctor import Facts, Host
from bystander.lang import said

#: The ring holds about so many seconds of what was seen, at its mean rate; peaks are several times as high.
_RING_S: Final = 4
_RING_LEAST_MB, _RING_MOST_MB = 64, 1024
_MOST_NETWORKS: Final = 6
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def suggested_lines(facts: Facts) -> list[str]:
    """Return the lines, each to be looked at by a person: what was seen in a minute is not all there is."""
    lines = ["[capture]"]
    if facts.live:
        lines.append(f'interface = "{facts.source}"')
    lines.append(f"ring_mb = {_ring_mb(facts)}")
    kinds = dict.fromkeys((*facts.separate, *facts.overlaps.kinds))
    if kinds:
        lines.append(f"separate = [{', '.join(map(_quoted, kinds))}]")
    hosts = list(facts.signalling.hosts.values())
    inside, outside = _sides(hosts)
    numbers = _numbers(hosts)
    if numbers or inside or outside:
        lines += ["", "[office]"]
    if numbers:
        lines.append(f"numbers = [{', '.join(numbers)}]")
    if inside:
        lines.append(f"networks = [{', '.join(_quoted(str(network)) for network in _networks(inside))}]")
    if outside:
        lines.append(f"trunks = [{', '.join(_quoted(str(address)) for address in sorted(outside, key=int))}]")
    return lines


def _ring_mb(facts: Facts) -> int:
    rate = facts.survey.bytes / max(1.0, facts.seconds)
    wanted = rate * _RING_S / (1 << 20)
    size = _RING_LEAST_MB
    while size < wanted and size < _RING_MOST_MB:
        size *= 2
    return size


def _sides(hosts: list[Host]) -> tuple[list[_Address], list[_Address]]:
    """Tell the office's addresses from those of the operator.

    Telephones and their server have private addresses; the server's peers beyond have public ones. Where all
    are private, whoever neither registers nor is registered with is taken for a trunk if others do.
    """
    known = {host.address: ipaddress.ip_address(host.address) for host in hosts if host.messages}
    registering = any(host.registers for host in hosts)
    inside: list[_Address] = []
    outside: list[_Address] = []
    for host in hosts:
        address = known.get(host.address)
        if address is None:
            continue
        foreign = address.is_global or (registering and not (host.registers or host.registrar))
        (outside if foreign else inside).append(address)
    # Of an office that is all on public addresses nothing tells who is in it.
    return (inside, outside) if inside else ([], [])


def _networks(addresses: list[_Address]) -> list[_Network]:
    """Return the networks that addresses are in: /24 (IPv6: /64), wider while there are too many."""
    for v4, v6 in ((24, 64), (16, 48), (8, 32)):
        found: set[_Network] = {
            ipaddress.ip_network(f"{address}/{v4 if address.version == 4 else v6}", strict=False)
            for address in addresses
        }
        if len(found) <= _MOST_NETWORKS:
            break
    return sorted(found, key=lambda network: (network.version, int(network.network_address)))


def _numbers(hosts: list[Host]) -> list[str]:
    """Return patterns of the numbers that telephones register as: one for each length, as narrow as it is."""
    registered = {
        user for host in hosts if host.registers for user in host.users if user.lstrip("+").isdigit()
    }
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for user in registered:
        by_length[len(user)].append(user)
    patterns = []
    for length, users in sorted(by_length.items()):
        if len(users) == 1:
            patterns.append(_quoted(users[0]))
            continue
        prefix = _common(users)
        digits = length - len(prefix)
        patterns.append(
            f"'/^{prefix.replace('+', chr(92) + '+')}\\d{{{digits}}}$/'" if digits else _quoted(prefix)
        )
    return patterns


def _common(users: list[str]) -> str:
    first, last = min(users), max(users)
    return "".join(a for a, b in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=True)))


def _quoted(text: str) -> str:
    return f'"{text}"'


def agents(hosts: list[Host]) -> Counter[str]:
    """Count the kinds of telephones and servers, as they call themselves."""
    return Counter(host.agent or said("says nothing of itself") for host in hosts if host.messages)
