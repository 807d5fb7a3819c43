"""RTP headers on the wire, against scapy's reading of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.rtp import looks_like_rtcp, looks_like_rtp, read_rtp

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def one(payload: bytes) -> Datagrams:
    return synthetic(A, B, payload, 5)


def payload_of(raw: bytes) -> bytes | None:
    """The RTP payload of a datagram, None if its header does not add up."""
    packets, broken = read_rtp(one(raw), np.zeros(1, np.int64))
    assert len(packets) + broken == 1
    if broken:
        return None
    start = int(packets.offset[0])
    return packets.data[start : start + int(packets.size[0])].tobytes()


def rtp(
    payload: bytes, *, csrcs: int = 0, extension: bytes | None = None, padding: int = 0, pt: int = 8
) -> bytes:
    first = 0x80 | csrcs | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    head = bytes([first, pt]) + (1000).to_bytes(2, "big") + (160).to_bytes(4, "big") + b"\x12\x34\x56\x78"
    head += b"".join(n.to_bytes(4, "big") for n in range(csrcs))
    if extension is not None:
        head += b"\xbe\xde" + (len(extension) // 4).to_bytes(2, "big") + extension
    return head + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


@given(
    st.binary(max_size=400),
    st.integers(0, 15),
    st.none() | st.integers(0, 20).map(lambda words: bytes(4 * words)),
    st.integers(0, 255),
)
def test_csrcs_extension_and_padding_are_no_audio(
    payload: bytes, csrcs: int, extension: bytes | None, padding: int
) -> None:
    """C14"""
    assert payload_of(rtp(payload, csrcs=csrcs, extension=extension, padding=padding)) == payload


@given(st.binary(min_size=12, max_size=80))
def test_random_headers_are_read_as_rfc_3550_says_or_counted(raw: bytes) -> None:
    raw = bytes([0x80 | (raw[0] & 0x3F)]) + raw[1:]
    at, end = 12 + 4 * (raw[0] & 15), len(raw)
    if raw[0] & 0x10:
        at += 4 + 4 * int.from_bytes(raw[at + 2 : at + 4], "big") if at + 4 <= end else len(raw)
    good = True
    if raw[0] & 0x20:
        good = raw[-1] > 0
        end -= raw[-1]
    assert payload_of(raw) == (raw[at:end] if good and at <= end else None)


@pytest.mark.parametrize(
    "broken",
    [
        rtp(b"")[:12].replace(b"\x80", b"\x8f", 1),  # 15 CSRCs, none there
        rtp(b"abc", extension=b"")[:14].replace(b"\x80", b"\x90", 1),  # an extension cut off
        b"\x90" + rtp(b"")[1:12] + b"\xbe\xde\xff\xff",  # an extension longer than any datagram
        b"\xa0" + rtp(b"")[1:12] + b"ab\x00",  # padding of no bytes
        b"\xa0" + rtp(b"")[1:12] + b"ab\x09",  # padding longer than the payload
    ],
)
def test_headers_that_do_not_add_up_are_counted(broken: bytes) -> None:
    assert payload_of(broken) is None


def test_fields() -> None:
    packets, _ = read_rtp(one(b"\x80\x88" + rtp(b"audio")[2:]), np.zeros(1, np.int64))
    assert (int(packets.seq[0]), int(packets.ts[0]), int(packets.pt[0])) == (1000, 160, 8)
    assert int(packets.time_ns[0]) == 5


def test_keys_tell_ssrcs_and_flows_apart() -> None:
    """C11"""
    raw = rtp(b"x")
    keys = {
        int(read_rtp(datagram, np.zeros(1, np.int64))[0].key[0])
        for datagram in (
            one(raw),
            one(raw[:8] + b"\x12\x34\x56\x79" + raw[12:]),
            synthetic(B, A, raw, 0),
            synthetic(("10.0.0.1", 4002), B, raw, 0),
            synthetic(("fe80::1", 4000), ("fe80::2", 5000), raw, 0),
        )
    }
    assert len(keys) == 5


STUN = bytes.fromhex("000100002112a442") + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(22)
CHANNEL_DATA = b"\x40\x00\x00\x10" + rtp(b"x")


@pytest.mark.parametrize(
    ("raw", "media", "control"),
    [
        (rtp(bytes(160)), True, False),
        (rtp(bytes(160), pt=0x80 | 8), True, False),
        (rtp(b"")[:12], True, False),
        (rtp(b"")[:11], False, False),
        (b"\x80\xc8\x00\x06" + bytes(24), False, True),  # sender report
        (b"\x81\xc9\x00\x01" + bytes(4), False, True),  # receiver report, eight bytes
        (b"\x80\xcd\x00\x02" + bytes(8), False, True),  # transport feedback
        (STUN, False, False),
        (DTLS, False, False),
        (CHANNEL_DATA, False, False),
        (b"INVITE sip:a@b SIP/2.0\r\n\r\n", False, False),
        (bytes(4), False, False),
        (b"", False, False),
    ],
)
def test_what_is_media(raw: bytes, media: bool, control: bool) -> None:
    """C12: STUN, DTLS and RTCP share the ports of RTP."""
    assert looks_like_rtp(one(raw)).tolist() == [media]
    assert looks_like_rtcp(one(raw)).tolist() == [control]


def test_some_of_a_block_are_read() -> None:
    raws = [rtp(bytes([n]) * (n + 1), csrcs=n % 3) for n in range(9)]
    ones = [one(raw) for raw in raws]
    starts = np.cumsum([0, *(len(o.data) for o in ones[:-1])])
    block = Datagrams(
        np.concatenate([o.data for o in ones]),
        np.concatenate([o.rows.view("V56") for o in ones]).view(ones[0].rows.dtype),
        np.concatenate([o.flow for o in ones]),
        np.concatenate([o.offset for o in ones]) + starts,
        np.concatenate([o.size for o in ones]),
        np.concatenate([o.time_ns for o in ones]),
    )
    which = np.array([1, 4, 8])
    packets, _ = read_rtp(block, which)
    found = [
        packets.data[a : a + n].tobytes()
        for a, n in zip(packets.offset.tolist(), packets.size.tolist(), strict=True)
    ]
    assert found == [bytes([n]) * (n + 1) for n in which.tolist()]
    assert packets.which.tolist() == which.tolist()
    some = packets.take(np.array([True, False, True]))
    assert some.which.tolist() == [1, 8]
