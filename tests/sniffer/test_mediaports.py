"""C12: what else goes over media ports is told by what it is, and none of it is RTP."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import mediaports
from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.mediaports import MediaPorts
from bystander.sniffer.rtp import looks_like_rtp, read_rtp

PHONE, FAR = ("10.0.0.1", 4000), ("192.0.2.9", 5000)
PHONE6, FAR6 = ("2001:db8::1", 4000), ("2001:db8::9", 5000)
RTP = struct.pack("!BBHII", 0x80, 8, 7, 1600, 0xCAFE) + bytes(range(160))
STUN = struct.pack("!HHI", 1, 8, 0x2112A442) + bytes(12) + bytes(8)


def zrtp(kind: bytes = b"Confirm1") -> bytes:
    return struct.pack("!HHII", 0x1000, 9, 0x5A525450, 0xCAFE) + b"PZ\x00\x06" + kind + bytes(12)


def dtls(kind: int = 22, version: int = 0xFEFF, epoch: int = 0) -> bytes:
    return struct.pack("!BHHIHH", kind, version, epoch, 0, 1, 20) + bytes(20)


def channel(data: bytes, number: int = 0x4001, padding: int = 0) -> bytes:
    return struct.pack("!HH", number, len(data)) + data + bytes(padding)


def look(ports: MediaPorts, payload: bytes, src=PHONE, dst=FAR) -> Datagrams | None:  # type: ignore[no-untyped-def]
    return ports.observe(synthetic(src, dst, payload, 1))


@pytest.mark.parametrize(
    ("payload", "counted"),
    [
        (STUN, "stun"),
        (zrtp(b"Hello   "), "zrtp"),
        (dtls(), "dtls"),
        (dtls(23, 0xFEFD), "dtls"),
        (channel(RTP), "channel-data"),
    ],
)
def test_c12_each_is_counted_and_is_no_rtp(payload: bytes, counted: str) -> None:
    ports = MediaPorts()
    look(ports, payload)
    assert {name: count for name, count in ports.counters.items() if count} == {counted: 1}
    assert not looks_like_rtp(synthetic(PHONE, FAR, payload, 1)).any()


@pytest.mark.parametrize(
    "payload",
    [
        RTP,
        STUN[:4] + bytes(4) + STUN[8:],  # RFC 3489 had no cookie: not told from chance
        STUN[:19],
        struct.pack("!BHH", 22, 0x0303, 20) + bytes(20),  # TLS, not DTLS
        b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n",
        channel(RTP)[:-5],
        channel(b"not media"),
        b"\x40" + bytes(3),
        b"",
    ],
)
def test_what_only_begins_so_is_not(payload: bytes) -> None:
    ports = MediaPorts()
    assert look(ports, payload) is None
    assert sum(ports.counters.values()) == 0


@pytest.mark.parametrize(
    ("payload", "name"),
    [(zrtp(), "zrtp"), (zrtp(b"Conf2ACK"), "zrtp"), (dtls(epoch=1), "dtls"), (dtls(22, 0xFEFD, 1), "dtls")],
)
def test_a_key_exchange_is_remembered_for_both_ways(payload: bytes, name: str) -> None:
    ports = MediaPorts()
    assert ports.key_exchange(PHONE, FAR) is None
    look(ports, payload, FAR, PHONE)
    look(ports, payload, FAR6, PHONE6)
    assert ports.key_exchange(PHONE, FAR) == ports.key_exchange(FAR, PHONE) == name
    assert ports.key_exchange(PHONE6, FAR6) == name
    assert ports.key_exchange(PHONE, ("192.0.2.9", 5001)) is None


def test_an_offer_of_keys_that_nobody_takes_up_is_none() -> None:
    """RFC 6189 §5.2, RFC 8643: the telephone goes on in clear, and is recorded."""
    ports = MediaPorts()
    for _ in range(3):
        look(ports, zrtp(b"Hello   "))
        look(ports, zrtp(b"Hello   "), FAR, PHONE)
        look(ports, dtls())
    assert ports.key_exchange(PHONE, FAR) is None


def test_a_handshake_in_clear_both_ways_is_one() -> None:
    """DTLS 1.3 has no record of a later epoch that could be recognised."""
    ports = MediaPorts()
    look(ports, dtls())
    look(ports, dtls(), FAR, PHONE)
    assert ports.key_exchange(FAR, PHONE) == "dtls"


def test_what_is_agreed_upon_stays_so() -> None:
    ports = MediaPorts()
    for payload in (dtls(epoch=1), dtls()):
        look(ports, payload)
    assert ports.key_exchange(PHONE, FAR) == "dtls"


def test_dtls_that_only_carries_data_is_no_key_exchange() -> None:
    """A VPN's records say nothing of media."""
    ports = MediaPorts()
    look(ports, dtls(23))
    assert (ports.counters["dtls"], ports.key_exchange(PHONE, FAR)) == (1, None)


def test_flows_are_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediaports, "MAX_FLOWS", 16)
    ports = MediaPorts()
    for port in range(4000, 4040):
        look(ports, zrtp(), ("10.0.0.1", port))
    assert (len(ports), ports.counters["flows-forgotten"], ports.counters["zrtp"]) == (16, 24, 40)
    assert ports.key_exchange(("10.0.0.1", 4039), FAR) == "zrtp"
    assert ports.key_exchange(("10.0.0.1", 4000), FAR) is None


@pytest.mark.parametrize(("src", "dst"), [(PHONE, FAR), (PHONE6, FAR6)])
@pytest.mark.parametrize("padding", [0, 3])
def test_media_is_taken_out_of_turn_channels(
    src: tuple[str, int], dst: tuple[str, int], padding: int
) -> None:
    """RFC 8656 §12.4; over UDP the padding may be there or not."""
    inside = look(MediaPorts(), channel(RTP[:-3], padding=padding), src, dst)
    assert inside is not None
    assert inside.endpoints(0) == (src, dst)
    assert inside.payload(0) == RTP[:-3]
    assert looks_like_rtp(inside).all()
    packets, broken = read_rtp(inside, np.arange(1))
    plain, _ = read_rtp(synthetic(src, dst, RTP[:-3], 1), np.arange(1))
    assert broken == 0
    assert (packets.seq[0], packets.ts[0], packets.size[0]) == (7, 1600, 157)
    assert packets.key[0] == plain.key[0]


@given(st.binary(max_size=60))
def test_anything_at_all(payload: bytes) -> None:
    inside = look(MediaPorts(), payload)
    assert inside is None or 0 < inside.size[0] <= len(payload) - 4
