"""Whole packets to media: what is opened, what is plain after all, and that ciphertext is never heard."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from benchmarks.voices import bank
from bystander.codecs.packets import PacketRun
from bystander.decryption import open_whole
from bystander.sniffer.crypto import SrtpKey, parse_crypto, usable_keys
from bystander.sniffer.protection import PERHAPS, PLAIN, PROTECTED
from bystander.sniffer.replayed import Replayed
from tests.srtpref import Sender, secret_of

SSRC = 7
CM80 = "AES_CM_128_HMAC_SHA1_80"


def rtp(n: int, payload: bytes, pt: int = 8) -> bytes:
    return struct.pack("!BBHII", 0x80, pt, n, 160 * n, SSRC) + payload


def run_of(packets: list[bytes]) -> PacketRun:
    n = len(packets)
    return PacketRun(
        np.array([int.from_bytes(packet[2:4], "big") for packet in packets], np.int64),
        np.array([int.from_bytes(packet[4:8], "big") for packet in packets], np.uint32),
        np.array([packet[1] & 0x7F for packet in packets], np.uint8),
        1_790_000_000_000_000_000 + np.arange(n, dtype=np.int64) * 20_000_000,
        np.array([len(packet) for packet in packets], np.int32),
        np.frombuffer(b"".join(packets), np.uint8),
    )


def voice(n: int, size: int = 160) -> list[bytes]:
    """Packets of a voice, as the benchmarks make it."""
    said = bank(8)[: n * size].tobytes()
    return [said[k * size : (k + 1) * size] for k in range(n)]


def keys(sender: Sender) -> list[SrtpKey]:
    crypto = parse_crypto("1 " + sender.crypto)
    assert crypto is not None
    return usable_keys(crypto, 0)


def heard(media: Replayed | None) -> bytes:
    return b"".join(run.samples.tobytes() for run in media.runs) if media is not None else b""


@pytest.fixture
def sender() -> Sender:
    return Sender(CM80, secret_of(CM80))


@pytest.mark.parametrize("state", [PERHAPS, PROTECTED])
def test_what_its_key_opens(sender: Sender, state: str) -> None:
    said = voice(30)
    whole = [run_of([sender.protect(rtp(k, part)) for k, part in enumerate(said)])]
    became, media = open_whole(whole, SSRC, keys(sender), state)
    assert (became.protected, became.decrypted, became.failures) == (True, True, 0)
    assert heard(media) == b"".join(said)


@pytest.mark.parametrize("state", [PLAIN, PERHAPS])
@pytest.mark.parametrize("size", [160, 176])
@pytest.mark.parametrize("known", [True, False])
def test_plain_after_all(sender: Sender, state: str, size: int, known: bool) -> None:
    """Also of lengths that look as if there were a tag: speech is not spread evenly over all bytes."""
    said = voice(30, size)
    whole = [run_of([rtp(k, part) for k, part in enumerate(said)])]
    became, media = open_whole(whole, SSRC, keys(sender) if known else [], state)
    assert (became.protected, became.decrypted, became.failures) == (False, False, 0)
    assert heard(media)[:160] == said[0][:160]
    assert len(heard(media)) >= 30 * 160


@pytest.mark.parametrize("state", [PLAIN, PERHAPS, PROTECTED])
@pytest.mark.parametrize("n", [2, 30, 300])
@pytest.mark.parametrize("known", [True, False])
def test_ciphertext_is_never_heard(sender: Sender, state: str, n: int, known: bool) -> None:
    """Whatever the descriptions said, with another key or none."""
    whole = [run_of([sender.protect(rtp(k, part)) for k, part in enumerate(voice(n))])]
    wrong = keys(Sender(CM80, secret_of(CM80, 2))) if known else []
    became, media = open_whole(whole, SSRC, wrong, state)
    assert heard(media) == b""
    assert not became.decrypted
    assert became.protected
    assert became.failures == (n if known or state == PROTECTED else 0)


def test_plain_packets_before_and_after_in_a_stream_that_is_perhaps_protected(sender: Sender) -> None:
    said = voice(60)
    packets = [rtp(k, part) for k, part in enumerate(said)]
    packets[20:40] = [sender.protect(packet) for packet in packets[20:40]]
    became, media = open_whole([run_of(packets)], SSRC, keys(sender), PERHAPS)
    assert (became.decrypted, became.failures) == (True, 0)
    assert heard(media) == b"".join(said)


def test_other_codecs_are_believed_only_without_keys(sender: Sender) -> None:
    packets = [rtp(k, bytes(20), 18) for k in range(40)]
    for known, kept in (([], 40), (keys(sender), 0)):
        _, media = open_whole([run_of(packets)], SSRC, known, PERHAPS)
        assert sum(len(run) for run in (media.kept if media is not None else [])) == kept
    _, media = open_whole([run_of(packets)], SSRC, [], PLAIN)
    assert sum(len(run) for run in (media.kept if media is not None else [])) == 40
