"""Opening SRTP, against the RFCs' vectors, a sender written from the RFCs, pylibsrtp's sender, and ffmpeg."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import struct
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from bystander.codecs.packets import PacketRun
from bystander.sniffer import srtp
from bystander.sniffer.crypto import SUITES, SrtpKey, parse_crypto, usable_keys
from bystander.sniffer.libsrtp import Context
from bystander.sniffer.srtp import Opened, open_packets
from tests.srtpref import Sender, aes, counter, derive, gcm, secret_of

SSRC = 0xCAFEBABE
S = 1_000_000_000
CM80, CM32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
#: What both the RFC and the installed libsrtp do alike; AES-192 has a test of its own.
ALIKE = [name for name, suite in SUITES.items() if suite.supported and "192" not in name]


def rtp(n: int, *, seq: int = 100, ssrc: int = SSRC, payload: bytes = b"", pt: int = 8) -> bytes:
    """Packet ``n`` of a stream whose first has sequence number ``seq``."""
    header = struct.pack("!BBHII", 0x80, pt, (seq + n) & 0xFFFF, 160 * n, ssrc)
    return header + (payload or hashlib.sha256(str(n).encode()).digest() * 5)


def run_of(packets: list[bytes], first: int | None = None) -> PacketRun:
    """Whole packets as the stream table keeps them: sequence numbers extended from the first packet's."""
    numbers = [int.from_bytes(packet[2:4], "big") for packet in packets]
    extended = [numbers[0] if first is None else first]
    for number in numbers[1:]:
        extended.append(extended[-1] + (number - extended[-1] + 0x8000) % 0x10000 - 0x8000)
    n = len(packets)
    return PacketRun(
        np.array(extended, np.int64),
        np.array([int.from_bytes(packet[4:8], "big") for packet in packets], np.uint32),
        np.array([packet[1] & 0x7F for packet in packets], np.uint8),
        np.arange(n, dtype=np.int64) * 20_000_000,
        np.array([len(packet) for packet in packets], np.int32),
        np.frombuffer(b"".join(packets), np.uint8),
    )


def keys_of(*senders: Sender, since: int = 0) -> list[SrtpKey]:
    found = []
    for number, sender in enumerate(senders):
        crypto = parse_crypto(f"{number + 1} {sender.crypto}")
        assert crypto is not None
        found += usable_keys(crypto, since)
    return found


def opened(sender: Sender, plain: list[bytes], *more: Sender) -> Opened:
    return open_packets(run_of([sender.protect(p) for p in plain]), SSRC, keys_of(*more, sender))


def test_the_reference_is_aes() -> None:
    """FIPS 197 appendix C."""
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    for size, expected in (
        (16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (24, "dda97ca4864cdfe06eaf70a0ec0d7191"),
        (32, "8ea2b7ca516745bfeafc49904b496089"),
    ):
        assert aes(bytes(range(size)), block).hex() == expected


def test_the_reference_keeps_to_rfc_3711() -> None:
    """Appendix B.2 (counter mode) and B.3 (key derivation)."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    assert counter(key, 0xF0F1F2F3F4F5F6F7F8F9FAFBFCFD0000, 32).hex() == (
        "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"
    )
    key, salt = (
        bytes.fromhex(t) for t in ("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6")
    )
    assert derive(key, salt, 0, 16).hex() == "c61e7a93744f39ee10734afe3ff7a087"
    assert derive(key, salt, 2, 14).hex() == "30cbbc08863d8c85d49db34a9ae1"
    assert derive(key, salt, 1, 20).hex() == "cebe321f6ff7716b6fd4ab49af256a156d38baa4"


def test_the_reference_keeps_to_rfc_6188() -> None:
    """Sections 7.2 and 7.4: key derivation of AES-256 and AES-192."""
    key = bytes.fromhex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6")
    salt = bytes.fromhex("3b04803de51ee7c96423ab5b78d2")
    assert (
        derive(key, salt, 0, 32).hex() == "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"
    )
    assert derive(key, salt, 2, 14).hex() == "fa31791685ca444a9e07c6c64e93"
    key = bytes.fromhex("73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1")
    salt = bytes.fromhex("c8522f3acd4ce86d5add78edbb11")
    assert derive(key, salt, 0, 24).hex() == "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb"
    assert derive(key, salt, 1, 20).hex() == "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb"


def test_the_reference_keeps_to_rfc_7714() -> None:
    """Sections 16.1.1 and 16.2.1: SRTP packets of both sizes of key."""
    header = bytes.fromhex("8040f17b8041f8d35501a0b2")
    iv, text = bytes.fromhex("51753c6580c2726f20718414"), b"Gallia est omnis divisa in partes tres"
    assert gcm(bytes(range(16)), iv, header, text).hex() == (
        "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
    )
    assert gcm(bytes(range(32)), iv, header, text).hex() == (
        "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"
    )


@pytest.mark.parametrize("mki", [b"", b"\1", b"\0\0\0\7"])
@pytest.mark.parametrize("suite", ALIKE)
def test_every_suite_is_opened(suite: str, mki: bytes) -> None:
    """With a header extension, CSRCs and padding, which are outside and inside what is encrypted."""
    plain = [rtp(n) for n in range(3)]
    head = struct.pack("!BBHIIIHHI", 0xB1, 8, 103, 480, SSRC, 7, 0xBEDE, 1, 5)
    plain.append(head + b"\x55" * 160 + b"\0\0\0\4")
    result = opened(Sender(suite, secret_of(suite), mki=mki), plain)
    assert result.run.payloads() == plain
    assert result.failures == 0


@pytest.mark.parametrize("suite", ["AES_192_CM_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_32"])
def test_aes_192_as_the_rfc_or_as_old_libsrtp_has_it(suite: str) -> None:
    """libsrtp's issue 763: it took AES-256 to derive the keys, from key and salt filled up with zeros."""
    plain = [rtp(n) for n in range(3)]
    by_rfc, by_libsrtp = Sender(suite, secret_of(suite)), Sender(suite, secret_of(suite))
    filled = secret_of(suite).ljust(46, b"\0")
    for label, name in ((0, "key"), (1, "auth"), (2, "salt")):
        length = len(getattr(by_libsrtp, name))
        setattr(by_libsrtp, name, derive(filled[:32], filled[32:], label, length))
    results = [opened(sender, plain).run.payloads() for sender in (by_rfc, by_libsrtp)]
    assert plain in results
    assert [] in results


@pytest.mark.parametrize("suite", [CM80, CM32, "AES_256_CM_HMAC_SHA1_80"])
@pytest.mark.parametrize(("encrypted", "authenticated"), [(False, True), (True, False), (False, False)])
def test_session_parameters(suite: str, encrypted: bool, authenticated: bool) -> None:
    """UNENCRYPTED_SRTP and UNAUTHENTICATED_SRTP of RFC 4568 section 6.3.2."""
    plain = [rtp(n, seq=65_534) for n in range(4)]
    sender = Sender(suite, secret_of(suite), encrypted=encrypted, authenticated=authenticated, mki=b"\1\2")
    assert opened(sender, plain).run.payloads() == plain


def test_of_several_lines_the_right_one_is_found() -> None:
    plain = [rtp(n) for n in range(5)]
    others = [Sender(name, secret_of(name, 2)) for name in ALIKE if SUITES[name].tag_bytes]
    for sender in (
        Sender(CM32, secret_of(CM32, 3)),
        Sender("AEAD_AES_256_GCM", secret_of("AEAD_AES_256_GCM", 3)),
    ):
        assert opened(sender, plain, *others).run.payloads() == plain


def test_a_key_with_another_mki_is_not_it() -> None:
    plain = [rtp(0), rtp(1)]
    one, two = (Sender(CM80, secret_of(CM80, n), mki=bytes([n])) for n in (1, 2))
    assert opened(two, plain, one).run.payloads() == plain
    assert opened(Sender(CM80, secret_of(CM80, 2), mki=b"\1"), plain).failures == 0
    wrong = open_packets(run_of([two.protect(p) for p in plain]), SSRC, keys_of(one))
    assert (len(wrong.run), wrong.failures) == (0, 2)


def test_the_wrong_key_opens_nothing() -> None:
    sender, other = Sender(CM80, secret_of(CM80, 1)), Sender(CM80, secret_of(CM80, 2))
    packets = [sender.protect(rtp(n)) for n in range(40)]
    result = open_packets(run_of(packets), SSRC, keys_of(other))
    assert (len(result.run), result.failures, bool(result.left.all())) == (0, 40, True)
    assert open_packets(run_of(packets), SSRC, []).failures == 40


def test_damaged_packets_are_counted_and_left_out() -> None:
    plain = [rtp(n) for n in range(60)]
    sender = Sender(CM80, secret_of(CM80))
    packets = [sender.protect(packet) for packet in plain]
    for n in (0, 7, 8, 59):
        packets[n] = packets[n][:-3] + bytes([packets[n][-3] ^ 1]) + packets[n][-2:]
    result = open_packets(run_of(packets), SSRC, keys_of(sender))
    assert np.flatnonzero(result.left).tolist() == [0, 7, 8, 59]
    assert result.run.payloads() == [packet for n, packet in enumerate(plain) if n not in (0, 7, 8, 59)]


@pytest.mark.parametrize("roc", [1, 2, 66, 1023])
@pytest.mark.parametrize("suite", [CM80, "AEAD_AES_128_GCM"])
def test_c6_a_stream_that_was_joined_after_its_counter_had_wrapped(suite: str, roc: int) -> None:
    plain = [rtp(n, seq=65_530) for n in range(12)]
    sender = Sender(suite, secret_of(suite), roc=roc)
    other = Sender(CM80, secret_of(CM80, 9))
    assert opened(sender, plain, other).run.payloads() == plain


def test_a_counter_beyond_the_bound_is_not_sought_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Counter[str]()
    before = Context.open

    def counted(context: Context, packet: bytes) -> bytes | None:
        tried["open"] += 1
        return before(context, packet)

    monkeypatch.setattr(Context, "open", counted)
    monkeypatch.setattr(srtp, "MAX_ATTEMPTS", 5000)
    sender = Sender(CM80, secret_of(CM80), roc=70_000)
    keys = keys_of(*(Sender(CM80, secret_of(CM80, n)) for n in range(60)), sender)
    packets = [sender.protect(rtp(n, payload=b"x")) for n in range(1000)]
    assert open_packets(run_of(packets), SSRC, keys).failures == 1000
    assert 1024 < tried["open"] <= 5000


def lib_sender(suite: str, profile: int) -> tuple[Session, list[SrtpKey]]:
    """pylibsrtp's own sender, which is quick."""
    policy = Policy(secret_of(suite), Policy.SSRC_ANY_OUTBOUND, 0, profile)
    return Session(policy), keys_of(Sender(suite, secret_of(suite)))


@pytest.mark.parametrize(
    ("suite", "profile"),
    [
        (CM80, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
        (CM32, Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
        ("AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    ],
)
def test_c14_the_counter_wraps_in_a_long_stream(suite: str, profile: int) -> None:
    """More than 2^16 packets, from near the end of the sequence numbers on, some lost, some out of order."""
    session, keys = lib_sender(suite, profile)
    plain = [rtp(n, seq=65_000, payload=bytes([n & 255]) * 20) for n in range(67_000)]
    packets = [session.protect(packet) for packet in plain]
    order = [*range(500), *range(534, 536), *range(500, 534), *range(700, 66_000), 66_002, 66_000, 66_001]
    run = run_of([packets[n] for n in order])
    result = open_packets(run, SSRC, keys)
    assert result.failures == 0
    assert result.run.payloads() == [plain[n] for n in order]


def test_after_a_gap_that_nobody_can_count() -> None:
    """Forty thousand packets were not captured: libsrtp's guess of the counter would be one short."""
    session, keys = lib_sender(CM80, Policy.SRTP_PROFILE_AES128_CM_SHA1_80)
    plain = [rtp(n, seq=60_000, payload=b"x" * 20) for n in range(50_000)]
    packets = [session.protect(packet) for packet in plain]
    run = run_of(packets[:100] + packets[45_000:])
    run.seq = np.array([*range(60_000, 60_100), *range(105_000, 110_000)], np.int64)
    assert open_packets(run, SSRC, keys).run.payloads() == plain[:100] + plain[45_000:]


@pytest.mark.parametrize("roc_after", [0, 2])
def test_a_new_key_on_the_same_stream(roc_after: int) -> None:
    """Whether the counter goes on (RFC 3711 section 8.1) or begins anew (RFC 4568 section 7.1.4).

    The description comes a little after the first packets that use it, and packets overtake one another.
    """
    old = Sender(CM80, secret_of(CM80, 1), roc=2)
    new = Sender(CM32, secret_of(CM32, 2), roc=roc_after)
    plain = [rtp(n, seq=30_000) for n in range(100)]
    packets = [(old if n < 50 else new).protect(packet) for n, packet in enumerate(plain)]
    keys = keys_of(old) + keys_of(new, since=52 * 20_000_000)
    order = [*range(48), 50, 48, 51, 49, *range(52, 100)]
    result = open_packets(run_of([packets[n] for n in order]), SSRC, keys)
    assert result.run.payloads() == [plain[n] for n in order]


def test_a_new_key_without_authentication() -> None:
    old, new = (Sender(CM80, secret_of(CM80, n), authenticated=False) for n in (1, 2))
    plain = [rtp(n) for n in range(40)]
    packets = [(old if n < 20 else new).protect(packet) for n, packet in enumerate(plain)]
    keys = keys_of(old) + keys_of(new, since=20 * 20_000_000)
    assert open_packets(run_of(packets), SSRC, keys).run.payloads() == plain


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([CM80, CM32]),
    st.integers(0, 65_535),
    st.integers(0, 40),
    st.lists(st.integers(0, 60), min_size=1, max_size=40, unique=True),
    st.randoms(),
)
def test_any_start_counter_loss_and_order(
    suite: str, seq: int, roc: int, numbers: list[int], random: object
) -> None:
    """Sequence numbers up to 60 apart, in any order within that."""
    plain = {n: rtp(n, seq=seq, payload=b"abcd") for n in range(61)}
    sender = Sender(suite, secret_of(suite), roc=roc)
    packets = {n: sender.protect(packet) for n, packet in plain.items()}
    run = run_of([packets[n] for n in numbers])
    # The stream table counts from its first packet, whatever counter the sender is at.
    first = run.seq[0]
    assert first == (seq + numbers[0]) & 0xFFFF
    assert open_packets(run, SSRC, keys_of(sender)).run.payloads() == [plain[n] for n in numbers]


@given(st.lists(st.binary(min_size=12, max_size=60), min_size=1, max_size=5), st.sampled_from(ALIKE))
@settings(max_examples=50, deadline=None)
def test_junk_never_raises(packets: list[bytes], suite: str) -> None:
    sender = Sender(suite, secret_of(suite), mki=b"\1\2\3")
    open_packets(run_of(packets), SSRC, keys_of(sender))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="not installed: ffmpeg")
@pytest.mark.parametrize("suite", [CM80, CM32])
def test_what_ffmpeg_sends_is_opened(suite: str, tmp_path: Path) -> None:
    """A sender that shares no code with libsrtp."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(10)
    key = base64.b64encode(secret_of(suite)).decode()
    samples = np.frombuffer(os.urandom(8000), np.uint8)
    (tmp_path / "audio.raw").write_bytes(samples.tobytes())
    subprocess.run(
        ["ffmpeg", "-v", "error", "-re", "-f", "alaw", "-ar", "8000", "-ac", "1", "-i",
         tmp_path / "audio.raw", "-c", "copy", "-f", "rtp", "-srtp_out_suite", suite, "-srtp_out_params", key,
         f"srtp://127.0.0.1:{receiver.getsockname()[1]}?pkt_size=172"],
        check=True, timeout=60,
    )  # fmt: skip
    receiver.settimeout(0.2)
    packets = []
    try:
        while True:
            packets.append(receiver.recv(2048))
    except TimeoutError:
        pass
    receiver.close()
    rtp_only = [packet for packet in packets if packet[1] & 0x60 != 0x40]
    ssrc = int.from_bytes(rtp_only[0][8:12], "big")
    result = open_packets(run_of(rtp_only), ssrc, keys_of(Sender(suite, secret_of(suite))))
    assert result.failures == 0
    heard = b"".join(packet[12:] for packet in result.run.payloads())
    assert heard == samples.tobytes()[: len(heard)]
    assert len(heard) > 7000
