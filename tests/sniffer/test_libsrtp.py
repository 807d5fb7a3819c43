"""libsrtp through pylibsrtp: what it opens is in `test_srtp.py`; here what it refuses and lacks."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from bystander.sniffer import libsrtp
from bystander.sniffer.crypto import SUITES, SrtpKey
from bystander.sniffer.libsrtp import Context, UnsupportedError
from tests.srtpref import Sender, secret_of

CM80 = "AES_CM_128_HMAC_SHA1_80"


def rtp(seq: int, size: int = 160) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, seq, 160 * seq, 7) + bytes(size)


@pytest.mark.parametrize("suite", SUITES)
def test_every_supported_suite_is_in_the_installed_library(suite: str) -> None:
    key = SrtpKey(suite, secret_of(suite))
    if SUITES[suite].supported:
        assert Context(key, 7).set_roc(3)
    else:
        with pytest.raises(UnsupportedError):
            Context(key, 7)


def test_keys_of_another_length_or_suite_are_refused() -> None:
    key = SrtpKey(CM80, secret_of(CM80))
    for wrong in (
        replace(key, secret=key.secret[:-1]),
        replace(key, secret=key.secret + b"x"),
        replace(key, suite="AES_256_CM_HMAC_SHA1_80"),
        replace(key, suite="ROT13"),
        SrtpKey("AEAD_AES_128_GCM", secret_of("AEAD_AES_128_GCM"), encrypted=False),
        SrtpKey("AEAD_AES_256_GCM", secret_of("AEAD_AES_256_GCM"), authenticated=False),
    ):
        with pytest.raises(UnsupportedError):
            Context(wrong, 7)


def test_what_does_not_authenticate_changes_nothing() -> None:
    for suite in (CM80, "AEAD_AES_256_GCM"):
        sender, other = Sender(suite, secret_of(suite)), Sender(suite, secret_of(suite, 2))
        context = Context(SrtpKey(suite, sender.secret), 7)
        assert context.open(other.protect(rtp(1))) is None
        packet = sender.protect(rtp(1))
        assert context.open(packet[:-1]) is None
        assert context.open(packet) == rtp(1)
        assert context.open(packet) is None, "a second time it is a replay"
        for junk in (b"", b"\x80", bytes(12), bytes(3000), b"\xff" * 200):
            assert context.open(junk) is None
        assert context.open(sender.protect(rtp(2))) == rtp(2)


def test_a_library_without_those_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counter begins at 0, and a suite that it does not know is not supported: nothing raises."""

    class Older:
        srtp_crypto_policy_set_rtp_default = libsrtp._library().srtp_crypto_policy_set_rtp_default

    monkeypatch.setattr(libsrtp, "_library", Older)
    sender = Sender(CM80, secret_of(CM80))
    context = Context(SrtpKey(CM80, sender.secret), 7)
    assert not context.set_roc(1)
    assert context.open(sender.protect(rtp(1))) == rtp(1)
    with pytest.raises(UnsupportedError):
        Context(SrtpKey("AES_256_CM_HMAC_SHA1_80", secret_of("AES_256_CM_HMAC_SHA1_80")), 7)
