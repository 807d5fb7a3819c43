"""SIP addresses: From, To, Contact and their URIs (RFC 3261 sections 19.1, 20.10, 25.1; tel of RFC 3966).

Written for what telephones send rather than for the grammar: a display name without quotes, a URI without
angle brackets, a tag inside them, a quote that never closes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from bystander.sniffer.address import normalise_host

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PARAMETER = re.compile(r';\s*([^\s;=,"]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,]*))?')
#: Schemes whose URI is all user, without a host.
_NUMBER_SCHEMES = frozenset(("tel", "fax", "modem", "urn"))


@dataclass(slots=True)
class Address:
    """A name-addr or addr-spec with its header parameters.

    ``uri`` as sent, without angle brackets; ``user`` the number or name without password and user
    parameters, percent escapes undone; ``host`` canonical (``normalise_host``), "" for tel URIs;
    ``display`` without quotes and escapes; ``tag`` "" when there is none.
    """

    uri: str = ""
    user: str = ""
    host: str = ""
    display: str = ""
    tag: str = ""


def parse_address(value: str) -> Address:
    """Read one From, To, Contact or similar value; what cannot be understood stays empty. Never raises."""
    display = ""
    rest = value
    quoted = _QUOTED.match(value)
    if quoted:
        display = _ESCAPE.sub(r"\1", quoted.group(1))
        rest = value[quoted.end() :]
    before, bracket, after = rest.partition("<")
    if bracket:
        uri, _, parameters = after.partition(">")
        if not quoted:
            display = before.strip().strip('"').strip()
        tag = parameter(parameters, "tag") or parameter(uri, "tag")
    else:
        uri, semicolon, parameters = rest.strip().partition(";")
        tag = parameter(semicolon + parameters, "tag")
    uri = uri.strip()
    user, host = split_uri(uri)
    return Address(uri, user, host, " ".join(display.split()), tag)


def parameter(text: str, name: str) -> str:
    """Return the value of ``;name=value`` in a run of parameters, quotes taken off, or "" when absent."""
    for match in _PARAMETER.finditer(text):
        if match.group(1).lower() == name:
            value = (match.group(2) or "").strip()
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = _ESCAPE.sub(r"\1", value[1:-1])
            return value
    return ""


def split_uri(uri: str) -> tuple[str, str]:
    """Return (user, host) of a URI; a tel URI, or text without a scheme and an @, is all user."""
    match = _SCHEME.match(uri)
    scheme = match.group()[:-1].lower() if match else ""
    rest = uri[match.end() :] if match else uri
    if scheme in _NUMBER_SCHEMES:
        return _readable(rest.partition(";")[0]), ""
    at = rest.find("@")
    if at < 0:
        if scheme in ("sip", "sips"):
            return "", _host(rest)
        return _readable(rest), ""
    # A user may itself hold an @ that somebody forgot to escape; the host cannot, nor ; or ? before it ends.
    end = min((i for i in (rest.find(";", at), rest.find("?", at)) if i >= 0), default=len(rest))
    at = rest.rfind("@", at, end)
    user = rest[:at].partition(";")[0].partition(":")[0]
    return _readable(user), _host(rest[at + 1 :])


def _host(text: str) -> str:
    if text.startswith("["):
        return normalise_host(text.partition("]")[0])
    return normalise_host(re.split(r"[:;?,\s>]", text, maxsplit=1)[0])


def _readable(user: str) -> str:
    """Undo percent escapes, unless what they hide cannot be shown."""
    user = user.strip()
    if "%" not in user:
        return user
    plain = unquote(user, errors="replace")
    return plain if plain.isprintable() and "\ufffd" not in plain else user
