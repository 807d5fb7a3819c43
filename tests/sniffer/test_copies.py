"""How often packets are seen, against a plain count."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.headers import udp_frame
from bystander.sniffer.copies import MOST, Copies
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.parse import FrameParser

SRC, DST = ("10.0.0.1", 4000), ("10.0.0.2", 4002)


def feed(copies: Copies, raws: list[bytes]) -> None:
    sizes = np.array([len(raw) for raw in raws], np.int64)
    data = np.frombuffer(b"".join(raws) + bytes(PAD), np.uint8)
    block = Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, np.arange(len(raws)))
    for datagrams in FrameParser().parse(block).datagrams:
        copies.feed(datagrams)


def media(seq: int, ssrc: int = 1) -> bytes:
    header = b"\x80\x08" + seq.to_bytes(2, "big") + (seq * 160).to_bytes(4, "big") + ssrc.to_bytes(4, "big")
    return udp_frame(SRC, DST, header + bytes(160))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), min_size=1, max_size=120))
def test_as_a_plain_count_says(packets: list[tuple[int, int]]) -> None:
    copies = Copies()
    feed(copies, [media(*packet) for packet in packets])
    copies.settle()
    assert copies.times == Counter(min(times, MOST) for times in Counter(packets).values())


def test_what_is_not_media_does_not_count() -> None:
    copies = Copies()
    feed(copies, [udp_frame(SRC, DST, b"INVITE sip:a@b SIP/2.0\r\n")] * 5)
    copies.settle()
    assert not copies.times and copies.usual == 1


def test_a_few_repeats_are_no_second_port() -> None:
    copies = Copies()
    feed(copies, [media(seq) for seq in range(1000)] + [media(5)])
    copies.settle()
    assert copies.usual == 1


def test_what_waits_is_bounded() -> None:
    copies = Copies()
    block = [media(seq) for seq in range(3000)]
    for _ in range(50):
        feed(copies, block)
    assert sum(len(part) for part in copies._waiting) < 65_536 + 3000
