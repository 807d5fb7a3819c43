"""Keys of SRTP in session descriptions: ``a=crypto`` (RFC 4568), read as far as it makes sense.

An attribute names one crypto suite and gives one or more master keys with which its *sender* protects what it
sends. An offer lists several, the answer takes one by its tag; which key a packet was protected with is told
by its authentication tag in the end (`srtp.py`), so every key that was ever named is worth keeping.

Keys are secrets: they never appear in a repr, a log or an exception.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

#: Master keys in one attribute, of which all but one are for later (MKI).
MAX_KEYS: Final = 8
#: RFC 4568 section 6.1: an MKI has at most this many bytes.
MAX_MKI_BYTES: Final = 128


@dataclass(slots=True, frozen=True)
class Suite:
    """A crypto suite: its name, lengths in bytes, whether it encrypts, whether packets can be opened."""

    name: str
    key_bytes: int
    salt_bytes: int
    tag_bytes: int
    supported: bool = True
    encrypts: bool = True


_SUITES: Final = (
    Suite("AES_CM_128_HMAC_SHA1_80", 16, 14, 10),  # RFC 4568
    Suite("AES_CM_128_HMAC_SHA1_32", 16, 14, 4),
    Suite("F8_128_HMAC_SHA1_80", 16, 14, 10, supported=False),
    Suite("AES_192_CM_HMAC_SHA1_80", 24, 14, 10),  # RFC 6188
    Suite("AES_192_CM_HMAC_SHA1_32", 24, 14, 4),
    Suite("AES_256_CM_HMAC_SHA1_80", 32, 14, 10),
    Suite("AES_256_CM_HMAC_SHA1_32", 32, 14, 4),
    Suite("AEAD_AES_128_GCM", 16, 12, 16),  # RFC 7714
    Suite("AEAD_AES_256_GCM", 32, 12, 16),
    # Not registered, but spoken by rtpengine, FreeSWITCH and others.
    Suite("AES_CM_128_NULL_AUTH", 16, 14, 0),
    Suite("NULL_HMAC_SHA1_80", 16, 14, 10, encrypts=False),
    Suite("NULL_HMAC_SHA1_32", 16, 14, 4, encrypts=False),
    Suite("F8_128_HMAC_SHA1_32", 16, 14, 4, supported=False),
)
#: The draft of RFC 6188 had the words in another order, and telephones still do.
_OLD_NAMES: Final = {
    f"AES_CM_{bits}_HMAC_SHA1_{tag}": f"AES_{bits}_CM_HMAC_SHA1_{tag}"
    for bits in (192, 256)
    for tag in (80, 32)
}
SUITES: Final = {suite.name: suite for suite in _SUITES}


@dataclass(slots=True, frozen=True)
class MasterKey:
    """A master key with its salt behind it, and the MKI that packets name it by (empty: they do not).

    ``lifetime`` is in packets, 0 where none is said.
    """

    secret: bytes = field(repr=False)
    lifetime: int = 0
    mki: bytes = b""


@dataclass(slots=True, frozen=True)
class Crypto:
    """One ``a=crypto``. ``keys`` is empty where the suite is unknown or no key has the right length.

    ``encrypted`` and ``authenticated`` are false where session parameters switch that off; ``derives_anew``:
    session keys are derived more than once (KDR), which is not followed.
    """

    tag: int
    suite: str
    keys: tuple[MasterKey, ...] = ()
    encrypted: bool = True
    authenticated: bool = True
    derives_anew: bool = False


@dataclass(slots=True, frozen=True)
class SrtpKey:
    """A master key as opening packets needs it: plain data. ``since_ns`` is when it was first named."""

    suite: str
    secret: bytes = field(repr=False)
    mki: bytes = b""
    encrypted: bool = True
    authenticated: bool = True
    since_ns: int = 0


def parse_crypto(value: str) -> Crypto | None:
    """Read the value of an ``a=crypto``; None if it is not even one. Never raises."""
    tokens = value.split()
    if len(tokens) < 3 or not re.fullmatch(r"[0-9]{1,9}", tokens[0], re.ASCII):
        return None
    name = tokens[1].upper()
    name = _OLD_NAMES.get(name, name)
    suite = SUITES.get(name)
    keys: list[MasterKey] = []
    if suite is not None:
        for text in tokens[2].split(";")[:MAX_KEYS]:
            key = _key(text, suite)
            if key is not None:
                keys.append(key)
    parameters = [token.upper() for token in tokens[3:]]
    rate = next((token for token in parameters if token.startswith("KDR=")), "KDR=0")
    return Crypto(
        int(tokens[0]),
        name,
        tuple(keys),
        encrypted="UNENCRYPTED_SRTP" not in parameters and (suite is None or suite.encrypts),
        authenticated="UNAUTHENTICATED_SRTP" not in parameters and (suite is None or suite.tag_bytes > 0),
        derives_anew=rate.removeprefix("KDR=") not in ("", "0"),
    )


def usable_keys(crypto: Crypto, since_ns: int) -> list[SrtpKey]:
    """Return the keys of an attribute that packets can be opened with."""
    suite = SUITES.get(crypto.suite)
    if suite is None or not suite.supported or crypto.derives_anew:
        return []
    return [
        SrtpKey(suite.name, key.secret, key.mki, crypto.encrypted, crypto.authenticated, since_ns)
        for key in crypto.keys
    ]


def _key(text: str, suite: Suite) -> MasterKey | None:
    """Read ``inline:<key and salt in base64>[|lifetime][|MKI:length]``."""
    method, _, info = text.partition(":")
    if method.strip().lower() != "inline":
        return None
    secret, *rest = info.split("|")
    try:
        # Some leave the padding out.
        material = base64.b64decode(secret.rstrip("=") + "=" * (-len(secret.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(material) != suite.key_bytes + suite.salt_bytes:
        return None
    lifetime, mki = 0, b""
    for part in rest[:2]:
        number, colon, length = part.partition(":")
        if colon:
            identifier = _mki(number, length)
            if identifier is None:
                return None
            mki = identifier
        else:
            lifetime = _lifetime(part)
    return MasterKey(material, lifetime, mki)


def _mki(number: str, length: str) -> bytes | None:
    if not (
        re.fullmatch(r"[0-9]{1,309}", number, re.ASCII) and re.fullmatch(r"[0-9]{1,3}", length, re.ASCII)
    ):
        return None
    size = int(length)
    if not 1 <= size <= MAX_MKI_BYTES or int(number) >= 1 << (8 * size):
        return None
    return int(number).to_bytes(size, "big")


def _lifetime(text: str) -> int:
    """Return the packets of ``2^20`` or ``1048576``, 0 for what is neither."""
    power = re.fullmatch(r"2\^([0-9]{1,2})", text, re.ASCII)
    if power:
        return 1 << int(power[1])
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else 0
