"""SRTCP: opened as libsrtp and the RFCs protect it, in every suite; damaged or foreign it is not."""

from __future__ import annotations

import random

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import srtcp as module
from bystander.sniffer.crypto import SUITES, SrtpKey, parse_crypto, usable_keys
from bystander.sniffer.srtcp import SrtcpOpener
from tests.sniffer import rtcpmade as made
from tests.srtpref import Sender, secret_of

SSRC = 0xDECAFBAD
CM80 = "AES_CM_128_HMAC_SHA1_80"
#: AES-192 depends on the installed libsrtp (test_srtp.py).
SPOKEN = [name for name, suite in SUITES.items() if suite.supported and "192" not in name]
REPORT = made.sender_report(SSRC, 0xABCDEF << 32, 77, 5, 800) + made.description(SSRC, b"someone@host")


class Like:
    """As much of a stream as the opener asks for."""

    def __init__(self, ident: int = 1) -> None:
        self.id = ident


def opener(*keys: SrtpKey) -> SrtcpOpener:
    return SrtcpOpener(lambda stream: list(keys))


def key_of(sender: Sender) -> SrtpKey:
    """The key as an ``a=crypto`` names it."""
    crypto = parse_crypto(f"1 {sender.crypto}")
    assert crypto is not None
    (key,) = usable_keys(crypto, 0)
    return key


def opened(one: SrtcpOpener, packet: bytes, stream: int = 1) -> bytes | None:
    return one.open(Like(stream), packet)  # type: ignore[arg-type]


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("mki", [b"", b"\1", b"\0\0\1\2"])
@pytest.mark.parametrize("suite", SPOKEN)
def test_every_suite_as_the_rfcs_have_it(suite: str, mki: bytes, encrypted: bool) -> None:
    """Its tag is of 80 bits also where that of SRTP has 32, or there is none; it may be in clear."""
    sender = Sender(suite, secret_of(suite), mki=mki)
    one = opener(key_of(sender))
    for index in (1, 2, 70_000, 2**31 - 1):
        packet = sender.protect_rtcp(REPORT, index, encrypted=encrypted and sender.encrypted)
        assert opened(one, packet) == REPORT
        assert (packet[8 : len(REPORT)] == REPORT[8:]) is not (encrypted and sender.encrypted)


@pytest.mark.parametrize(
    ("profile", "suite"),
    [
        (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, CM80),
        (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32, "AES_CM_128_HMAC_SHA1_32"),
        (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, "AEAD_AES_128_GCM"),
        (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, "AEAD_AES_256_GCM"),
    ],
)
def test_what_libsrtp_protects(profile: int, suite: str) -> None:
    policy = pylibsrtp.Policy(secret_of(suite), pylibsrtp.Policy.SSRC_ANY_OUTBOUND, 0, profile)
    sender = pylibsrtp.Session(policy)
    one = opener(SrtpKey(suite, secret_of(suite)))
    for ssrc in (SSRC, 7):
        for packet in (made.sender_report(ssrc, 5, 6), made.receiver_report(ssrc), made.bye(ssrc)):
            assert opened(one, sender.protect_rtcp(packet)) == packet


@given(st.sampled_from(["AEAD_AES_128_GCM", CM80]), st.integers(0, 10**6), st.booleans())
def test_what_is_damaged_does_not_open_and_changes_nothing(suite: str, seed: int, shorter: bool) -> None:
    sender = Sender(suite, secret_of(suite))
    one = opener(key_of(sender))
    packet = sender.protect_rtcp(REPORT, 1)
    chance = random.Random(seed)
    damaged = bytearray(packet)
    if shorter:
        del damaged[chance.randrange(len(packet)) :]
    else:
        damaged[chance.randrange(len(packet))] ^= 1 << chance.randrange(8)
    assert opened(one, bytes(damaged)) is None
    assert opened(one, packet) == REPORT
    assert opened(one, packet) is None, "a second time it is a replay"


@given(st.binary(max_size=2100))
def test_no_bytes_raise(packet: bytes) -> None:
    keys = [
        SrtpKey(suite, secret_of(suite), mki) for suite in (CM80, "AEAD_AES_128_GCM") for mki in (b"", b"\1")
    ]
    assert opened(opener(*keys), packet) is None


def test_of_many_keys_the_right_one_is_found_and_kept() -> None:
    senders = [Sender(CM80, secret_of(CM80, seed)) for seed in range(8)]
    one = opener(SrtpKey("F8_128_HMAC_SHA1_80", secret_of(CM80)), *map(key_of, senders))
    assert opened(one, senders[3].protect_rtcp(REPORT, 1)) == REPORT
    assert opened(one, senders[5].protect_rtcp(REPORT, 1)) == REPORT  # a new key in mid-call
    foreign = Sender(CM80, secret_of(CM80, 99))
    for index in range(40):
        assert opened(one, foreign.protect_rtcp(REPORT, index)) is None
    assert opened(one, senders[5].protect_rtcp(REPORT, 2)) == REPORT


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONTEXTS", 3)
    monkeypatch.setattr(module, "MAX_STREAMS", 4)
    senders = [Sender(CM80, secret_of(CM80, seed)) for seed in range(8)]
    one = SrtcpOpener(lambda stream: [key_of(senders[stream.id])])
    for number, sender in enumerate(senders):
        assert opened(one, sender.protect_rtcp(REPORT, 1), number) == REPORT
        assert len(one) <= 3
        assert len(one._tried) <= 4
    assert opened(one, senders[0].protect_rtcp(REPORT, 2), 0) == REPORT
