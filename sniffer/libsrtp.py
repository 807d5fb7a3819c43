"""Master keys under libsrtp, as pylibsrtp brings it: of one SSRC's SRTP, of any SSRC's SRTCP.

pylibsrtp knows the suites of DTLS-SRTP only, and cannot say which roll-over counter a stream is at. The
library inside it can; its functions are called by their public names (srtp.h of libsrtp 2, whose binary
interface has not changed since 2.0). Where a function is not to be found, the suite is not supported, or the
counter starts at 0, and the call's verdict says so.

libsrtp up to 2.7 derives the session keys of AES-192 otherwise than RFC 6188 says (its issue 763): senders
with the same library are understood, others are not.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

from pylibsrtp import Error, Policy, Session, _binding

from bystander.sniffer.crypto import SUITES, SrtpKey

#: The function of libsrtp that sets up each suite.
_SETTERS: Final = {
    "AES_CM_128_HMAC_SHA1_80": "rtp_default",
    "AES_CM_128_HMAC_SHA1_32": "aes_cm_128_hmac_sha1_32",
    "AES_192_CM_HMAC_SHA1_80": "aes_cm_192_hmac_sha1_80",
    "AES_192_CM_HMAC_SHA1_32": "aes_cm_192_hmac_sha1_32",
    "AES_256_CM_HMAC_SHA1_80": "aes_cm_256_hmac_sha1_80",
    "AES_256_CM_HMAC_SHA1_32": "aes_cm_256_hmac_sha1_32",
    "AEAD_AES_128_GCM": "aes_gcm_128_16_auth",
    "AEAD_AES_256_GCM": "aes_gcm_256_16_auth",
    "AES_CM_128_NULL_AUTH": "aes_cm_128_null_auth",
    # The session parameters of their keys say that nothing is encrypted.
    "NULL_HMAC_SHA1_80": "rtp_default",
    "NULL_HMAC_SHA1_32": "aes_cm_128_hmac_sha1_32",
}
#: The same for SRTCP where that is another.
_CONTROL_SETTERS: Final = {
    "aes_cm_128_hmac_sha1_32": "rtp_default",
    "aes_cm_192_hmac_sha1_32": "aes_cm_192_hmac_sha1_80",
    "aes_cm_256_hmac_sha1_32": "aes_cm_256_hmac_sha1_80",
    "aes_cm_128_null_auth": "rtp_default",
}
_CONTROL_TAG_BYTES: Final = 10
#: Header and SSRC of SRTCP, and its index.
_CONTROL_LEAST_BYTES: Final = 12
_CONFIDENTIALITY: Final = 1
#: pylibsrtp's buffer; no telephone sends packets of this size.
MAX_BYTES: Final = 1500


class _CryptoPolicy(ctypes.Structure):
    """``srtp_crypto_policy_t`` of libsrtp 2."""

    _fields_ = (
        ("cipher_type", ctypes.c_uint32),
        ("cipher_key_len", ctypes.c_int),
        ("auth_type", ctypes.c_uint32),
        ("auth_key_len", ctypes.c_int),
        ("auth_tag_len", ctypes.c_int),
        ("sec_serv", ctypes.c_int),
    )


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(_binding.__file__)


class UnsupportedError(Exception):
    """libsrtp as installed cannot open packets of this kind."""


class Context:
    """Opens the packets of one SSRC that were protected with one master key, about in their order.

    A packet that does not authenticate changes nothing. Raises :class:`UnsupportedError` when it is made.
    """

    def __init__(self, key: SrtpKey, ssrc: int) -> None:
        suite = SUITES.get(key.suite)
        if (
            suite is None
            or key.suite not in _SETTERS
            or len(key.secret) != suite.key_bytes + suite.salt_bytes
        ):
            raise UnsupportedError(key.suite)
        # AEAD always encrypts and authenticates; its tag is part of the payload (RFC 7714 section 9.2).
        aead = key.suite.startswith("AEAD_")
        if aead and not (key.encrypted and key.authenticated):
            raise UnsupportedError(key.suite)
        self._ssrc = ssrc
        self._mki = key.mki
        self._tag_bytes = suite.tag_bytes if key.authenticated and not aead else 0
        self._bare = not key.encrypted and not key.authenticated
        try:
            profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM if aead else Policy.SRTP_PROFILE_AES128_CM_SHA1_80
            policy = Policy(key.secret, Policy.SSRC_SPECIFIC, ssrc, profile)
            _set_up(policy, key)
            self._session = Session(policy)
        except (AttributeError, Error, ValueError):
            raise UnsupportedError(key.suite) from None

    def set_roc(self, roc: int) -> bool:
        """Say what the roll-over counter of the next packet is; False if the library does not take it."""
        try:
            setter = _library().srtp_set_stream_roc
        except AttributeError:
            return False
        session = ctypes.c_void_p(int(_binding.ffi.cast("uintptr_t", self._session._srtp[0])))
        return int(setter(session, ctypes.c_uint32(self._ssrc), ctypes.c_uint32(roc))) == 0

    def open(self, packet: bytes) -> bytes | None:
        """Return the RTP packet that was protected, or None if it does not authenticate."""
        if self._mki:
            # Behind the payload of AES-CM, before its tag (RFC 3711 section 3.1); after AEAD's (RFC 7714).
            packet = self._without_mki(packet)
            if not packet:
                return None
        if self._bare:
            return packet
        try:
            return bytes(self._session.unprotect(packet))
        except (Error, ValueError):
            return None

    def _without_mki(self, packet: bytes) -> bytes:
        """Return a packet without the MKI of this key; nothing if it has another."""
        end = len(packet) - self._tag_bytes
        if packet[max(0, end - len(self._mki)) : end] != self._mki:
            return b""
        return packet[: end - len(self._mki)] + packet[end:]


def _set_up(policy: Policy, key: SrtpKey) -> None:
    """Tell libsrtp the suite. Raises AttributeError where the installed one does not know it."""
    setter = getattr(_library(), f"srtp_crypto_policy_set_{_SETTERS[key.suite]}")
    setter.restype = None
    for part in (policy._policy.rtp, policy._policy.rtcp):
        address = int(_binding.ffi.cast("uintptr_t", _binding.ffi.addressof(part)))
        setter(ctypes.c_void_p(address))
        if key.encrypted and key.authenticated:
            continue
        # No function sets these; the structure is public, and is only touched if it is as we know it.
        fields = _CryptoPolicy.from_address(address)
        if _binding.ffi.sizeof(part) != ctypes.sizeof(fields) or fields.cipher_key_len != len(key.secret):
            raise AttributeError("another libsrtp")
        if not key.encrypted:
            fields.sec_serv &= ~_CONFIDENTIALITY
        else:
            fields.auth_type = fields.auth_key_len = fields.auth_tag_len = 0
            fields.sec_serv = _CONFIDENTIALITY


class ControlContext:
    """Opens the SRTCP of all senders that protect with one master key, in any order.

    A packet that does not authenticate changes nothing, nor does one that came before. Raises
    :class:`UnsupportedError` when it is made.
    """

    def __init__(self, key: SrtpKey) -> None:
        suite = SUITES.get(key.suite)
        if (
            suite is None
            or key.suite not in _SETTERS
            or len(key.secret) != suite.key_bytes + suite.salt_bytes
        ):
            raise UnsupportedError(key.suite)
        self._mki = key.mki
        self._tag_bytes = 0 if key.suite.startswith("AEAD_") else _CONTROL_TAG_BYTES
        try:
            # Packets say whether they are encrypted, and libsrtp wants to know beforehand.
            self._sessions = {encrypted: _control_session(key, encrypted) for encrypted in (False, True)}
        except (AttributeError, Error, ValueError):
            raise UnsupportedError(key.suite) from None

    def open(self, packet: bytes) -> bytes | None:
        """Return the RTCP packet that was protected, or None if it does not authenticate."""
        end = len(packet) - self._tag_bytes
        if self._mki:
            # Behind the index: before the tag (RFC 3711 §3.4), and last with AEAD (RFC 7714 §9.3).
            begin = end - len(self._mki)
            if begin < 0 or packet[begin:end] != self._mki:
                return None
            packet, end = packet[:begin] + packet[end:], begin
        if end < _CONTROL_LEAST_BYTES:
            return None
        try:
            return bytes(self._sessions[packet[end - 4] >> 7 == 1].unprotect_rtcp(packet))
        except (Error, ValueError):
            return None


def _control_session(key: SrtpKey, encrypted: bool) -> Session:
    aead = key.suite.startswith("AEAD_")
    profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM if aead else Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    policy = Policy(key.secret, Policy.SSRC_ANY_INBOUND, 0, profile)
    name = _SETTERS[key.suite]
    # The tag of SRTCP has 80 bits, and is always there (RFC 3711 §3.4, RFC 4568 §6.2).
    setter = getattr(_library(), f"srtp_crypto_policy_set_{_CONTROL_SETTERS.get(name, name)}")
    setter.restype = None
    for part in (policy._policy.rtp, policy._policy.rtcp):
        address = int(_binding.ffi.cast("uintptr_t", _binding.ffi.addressof(part)))
        setter(ctypes.c_void_p(address))
        if not encrypted:
            fields = _CryptoPolicy.from_address(address)
            if _binding.ffi.sizeof(part) != ctypes.sizeof(fields) or fields.cipher_key_len != len(key.secret):
                raise AttributeError("another libsrtp")
            fields.sec_serv &= ~_CONFIDENTIALITY
    return Session(policy)
