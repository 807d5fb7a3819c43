"""SIP over WebSocket: upgrade, frames, fragments, compression, and beginning in the middle (RFC 7118)."""

from __future__ import annotations

import random
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import websocket
from bystander.sniffer.websocket import (
    MAX_MESSAGE_BYTES,
    WebSocketFramer,
    begins_http,
    begins_websocket,
    unmask,
)
from tests.websocketkit import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Deflate,
    frame,
    switching,
    upgrade,
)

MASK = b"\x37\xfa\x21\x3d"


def message(number: int, size: int = 200) -> bytes:
    line = b"SIP/2.0 200 OK" if number % 2 else b"REGISTER sip:example.org SIP/2.0"
    return line + b"\r\nCall-ID: %d\r\nCSeq: 1 X\r\n\r\n" % number + b"v" * size


ONE, TWO, THREE = message(1), message(2), message(3, 70_000)


def framer(*, opened: bool = True) -> WebSocketFramer:
    made = WebSocketFramer(Counter(), in_step=opened)
    if opened:
        assert made.feed(upgrade()) == []
        assert made.confirmed
    return made


def test_an_upgrade_to_sip_is_recognised_and_any_other_is_foreign() -> None:
    for begin, head in ((upgrade, upgrade("sip")), (switching, switching("sip"))):
        made = WebSocketFramer(Counter(), in_step=True)
        made.feed(head)
        assert made.confirmed
        assert not made.foreign
        other = WebSocketFramer(Counter(), in_step=True)
        other.feed(begin("mqtt"))
        assert other.foreign
        assert not other.confirmed


def test_a_refused_upgrade_may_be_tried_again() -> None:
    made = WebSocketFramer(Counter(), in_step=True)
    made.feed(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nsorry" + switching() + frame(ONE))
    assert made.confirmed
    assert made.feed(frame(TWO)) == [TWO]


@pytest.mark.parametrize("mask", [b"", MASK])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_frames_of_every_length_are_read(mask: bytes, opcode: int) -> None:
    made = framer()
    stream = b"".join(frame(sip, opcode, mask=mask) for sip in (ONE, THREE, TWO))
    assert made.feed(stream) == [ONE, THREE, TWO]
    assert len(made) == 0


def test_a_message_in_fragments_with_a_ping_between_them() -> None:
    made = framer()
    stream = frame(ONE[:40], fin=False, mask=MASK) + frame(b"hello", PING, mask=MASK)
    stream += frame(ONE[40:90], CONTINUATION, fin=False, mask=MASK) + frame(b"", PONG, mask=MASK)
    stream += frame(ONE[90:], CONTINUATION, mask=MASK) + frame(b"\x03\xe8", CLOSE, mask=MASK)
    assert made.feed(stream) == [ONE]
    assert made.counters["ws-control"] == 3


def test_keep_alives_and_strangers_are_no_messages() -> None:
    made = framer()
    assert made.feed(frame(b"\r\n\r\n") + frame(b"{}") + frame(ONE)) == [ONE]
    assert (made.counters["keep-alives"], made.counters["ws-other"]) == (1, 1)


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_messages(takeover: bool) -> None:
    made, deflate = framer(), Deflate(takeover=takeover)
    stream = b"".join(deflate.message(sip, MASK) for sip in (ONE, TWO, ONE, THREE))
    assert made.feed(stream) == [ONE, TWO, ONE, THREE]


def test_a_compressed_message_in_fragments() -> None:
    made = framer()
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(ONE) + packed.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert made.feed(frame(data[:30], fin=False, compressed=True) + frame(data[30:], CONTINUATION)) == [ONE]


def test_a_bomb_is_not_inflated() -> None:
    made = framer()
    bomb = Deflate().message(b"INVITE sip:a SIP/2.0\r\n" + bytes(50 << 20))
    assert made.feed(bomb + frame(ONE)) == [ONE]
    assert made.counters["ws-undecodable"] == 1


def test_a_small_frame_does_not_become_a_megabyte() -> None:
    made = framer()
    bomb = Deflate().message(b"INVITE sip:a SIP/2.0\r\n" + b"a:b\r\n" * 100_000)
    assert len(bomb) < 2000
    assert made.feed(bomb + frame(ONE)) == [ONE]
    assert made.counters["ws-undecodable"] == 1


def test_what_repeats_the_message_before_is_small_and_inflates_all_the_same() -> None:
    made, deflate = framer(), Deflate()
    long = ONE.split(b"\r\n\r\n")[0] + b"\r\nX: " + random.Random(1).randbytes(9000).hex().encode()
    for _ in range(3):
        packed = deflate.message(long + b"\r\n\r\n")
        assert made.feed(packed) == [long + b"\r\n\r\n"]
    assert len(packed) < 400


def test_a_context_that_was_missed_costs_those_messages_only() -> None:
    deflate = Deflate()
    deflate.message(ONE)
    made = framer()
    assert made.feed(deflate.message(ONE)) == []  # refers back to what was not seen
    assert made.counters["ws-undecodable"] == 1
    assert made.feed(frame(TWO)) == [TWO]


def test_what_is_too_long_is_passed_over() -> None:
    made = framer()
    for piece in (frame(bytes(MAX_MESSAGE_BYTES + 1)), frame(ONE)):
        for at in range(0, len(piece), 100_000):
            assert len(made) <= 200_000
            found = made.feed(piece[at : at + 100_000])
    assert found == [ONE]
    many = frame(b"x" * 65535, fin=False) + frame(b"x" * 65535, CONTINUATION, fin=False) * 20
    assert made.feed(many) == []
    assert len(made) <= MAX_MESSAGE_BYTES
    assert made.feed(frame(b"", CONTINUATION) + frame(TWO)) == [TWO]
    assert made.counters["oversize"] == 2


@pytest.mark.parametrize("mask", [b"", MASK])
@pytest.mark.parametrize("before", [b"", b"q" * 50, b"\x81\x7e\x00", frame(b"ping", PING), b"\xff" * 700])
def test_start_in_mid_connection(mask: bytes, before: bytes) -> None:
    """C4: a frame is found by its header and what begins behind it, also in the middle of a segment."""
    made = framer(opened=False)
    stream = before + frame(ONE, mask=mask) + frame(TWO, BINARY, mask=mask)
    assert made.feed(stream) == [ONE, TWO]
    assert made.confirmed
    assert made.counters["resynchronised"] == 1


def test_start_in_mid_connection_with_compression() -> None:
    made, deflate = framer(opened=False), Deflate(takeover=False)
    assert made.feed(b"\x07" * 200) == []
    assert made.feed(deflate.message(ONE, MASK)) == [ONE]


def test_a_gap_costs_no_more_than_the_message_it_is_in() -> None:
    made = framer()
    stream = frame(ONE, mask=MASK)
    assert made.feed(stream[:150]) == []
    cut = made.gap()
    assert cut is not None
    assert ONE.startswith(cut)
    assert made.feed(frame(TWO, mask=MASK)) == [TWO]
    assert made.counters["cut-messages"] == 1


@given(st.data())
def test_any_segmentation_gives_the_messages(data: st.DataObject) -> None:
    messages = [
        message(number, data.draw(st.integers(0, 400))) for number in range(data.draw(st.integers(1, 5)))
    ]
    masked, deflate = data.draw(st.booleans()), Deflate()
    stream = switching() if not masked else upgrade()
    for sip in messages:
        mask = data.draw(st.binary(min_size=4, max_size=4)) if masked else b""
        if data.draw(st.booleans()):
            stream += deflate.message(sip, mask)
            continue
        cuts = sorted(data.draw(st.lists(st.integers(0, len(sip)), max_size=3)))
        for number, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(sip)], strict=True)):
            last = number == len(cuts)
            stream += frame(sip[begin:end], CONTINUATION if number else TEXT, mask=mask, fin=last)
            if data.draw(st.booleans()):
                stream += frame(b"?", PING, mask=mask)
    made = WebSocketFramer(Counter(), in_step=True)
    found, at = [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 300))
        found += made.feed(stream[at : at + size])
        at += size
    assert found == messages
    assert len(made) == 0


@given(
    st.lists(st.binary(max_size=200) | st.sampled_from([frame(ONE, mask=MASK), frame(TWO)]), max_size=8),
    st.booleans(),
)
def test_rubbish_never_raises_and_ends(pieces: list[bytes], in_step: bool) -> None:
    made = WebSocketFramer(Counter(), in_step=in_step)
    for number, piece in enumerate(pieces):
        assert all(found in (ONE, TWO) or found.lstrip(b"\r\n") for found in made.feed(piece))
        if number % 3 == 2:
            made.gap()
        begins_websocket(piece)
    assert len(made) <= 2 * MAX_MESSAGE_BYTES


@pytest.mark.parametrize("filler", [b"\x81\x7e", b"\x81\xfe", b"\xc1\x7e", b"\xc1\xfe\xff\xff", b"\x01\x7f"])
def test_a_stream_of_possible_headers_costs_no_more_than_its_length(filler: bytes) -> None:
    """Anything worse than linear would take minutes here."""
    made = framer(opened=False)
    piece = filler * (65_000 // len(filler))
    for _ in range(5):
        made.feed(piece)
    assert len(made) <= 1 << 20


@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4))
def test_unmasking_is_its_own_reverse(payload: bytes, mask: bytes) -> None:
    assert unmask(unmask(payload, mask), mask) == payload
    assert unmask(payload, mask) == frame(payload, mask=mask)[6:]


def test_beginnings() -> None:
    assert begins_http(b"G") is None
    assert begins_http(b"GETX") is False
    assert begins_http(b"HTTP/1.1 101") is True
    assert begins_websocket(upgrade())
    assert not begins_websocket(b"GET / HTTP/1.1\r\n\r\n")
    assert begins_websocket(frame(ONE))
    assert begins_websocket(frame(ONE, mask=MASK))
    assert not begins_websocket(frame(b"x" * 300))


@pytest.mark.parametrize(
    ("head", "is_frame"), [(b"\x89\x00", True), (b"\x09\x00", False), (b"\x89\x7e", False)]
)
def test_control_frames_are_short_and_in_one_piece(head: bytes, is_frame: bool) -> None:
    """RFC 6455 section 5.5: what is not is no frame, so that the next one is looked for."""
    assert (websocket._header(head + bytes(200), 0) is not False) == is_frame
