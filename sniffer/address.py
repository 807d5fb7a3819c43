"""Transport addresses as text: the one form in which signalling and media name a host and a port."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TypeAlias

#: ``("10.0.0.1", 5060)``: IPv4 dotted or IPv6 compressed lower-case text (or a host name), and a port.
Endpoint: TypeAlias = tuple[str, int]


#: A DNS name, brackets and some blanks: the cache must not hold arbitrarily long keys.
_LONGEST = 300


def format_endpoint(endpoint: Endpoint) -> str:
    """Write an endpoint as ``10.0.0.1:4000`` or ``[2001:db8::1]:4000`` (RFC 3986 section 3.2.2)."""
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def normalise_host(text: str) -> str:
    """Return the canonical text of an IP address, or the lower-case host name.

    Brackets, an IPv6 zone, blanks and the zero padding of some telephones (``010.000.000.001``) are
    taken off, so that the result compares equal to the address of a captured packet. What is longer than
    any DNS name is cut.
    """
    return _normalised(text[:_LONGEST])


@lru_cache(maxsize=4096)
def _normalised(text: str) -> str:
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    if ":" in host:
        host = host.partition("%")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    octets = host.split(".")
    if len(octets) == 4 and all(o.isascii() and o.isdigit() and len(o) <= 3 for o in octets):
        numbers = [int(o) for o in octets]
        if max(numbers) <= 255:
            return ".".join(map(str, numbers))
    return host.lower().rstrip(".")


def is_ip(host: str) -> bool:
    """Tell whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
