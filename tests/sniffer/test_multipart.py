"""Several bodies in one message, in every way they are packed (RFC 5621)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.multipart import Body, bodies
from bystander.sniffer.sip import Message, parse_message

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 8\r\n"
ISUP = b"\x01\x11\x48\x00\x0a\x03\x02\x0a\x07\x83\x90\x21\x43\x65\x0f\x0d\x0a--notb1\x00\xff"


def part(content: bytes, *headers: str) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + content


def multipart(boundary: str, *parts: bytes) -> bytes:
    mark = b"--" + boundary.encode()
    return (
        b"preamble\r\n" + b"".join(mark + b"\r\n" + one + b"\r\n" for one in parts) + mark + b"--\r\nepilogue"
    )


def message(content_type: str, body: bytes) -> Message:
    head = f"INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Type: {content_type}\r\n"
    found = parse_message(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert isinstance(found, Message)
    return found


def port(found: Message) -> int | None:
    return found.sdp.media[0].port if found.sdp else None


def test_isup_beside_sdp_keeps_every_byte() -> None:
    """SIP-I (ITU-T Q.1912.5): binary, and it may hold what looks like a boundary."""
    disposition = "Content-Disposition: signal;handling=optional"
    isup = part(ISUP, "Content-Type: application/ISUP;version=itu-t92+", disposition)
    described = part(SDP % 4000, "Content-Type: application/sdp")
    found = message("multipart/mixed;boundary=b1", multipart("b1", described, isup))
    assert port(found) == 4000
    assert list(found.bodies())[1] == Body("application/isup", "signal", ISUP)


def test_a_multipart_in_a_multipart() -> None:
    xml, described = part(b"<x/>", "Content-Type: text/xml"), part(SDP % 4002, "c: application/sdp")
    inner = part(multipart("in", xml, described), 'Content-Type: multipart/alternative; boundary="in"')
    outer = multipart("out", part(ISUP, "Content-Type: application/isup"), inner)
    found = message('multipart/mixed; boundary="out"', outer)
    assert [kind for kind, _ in found.parts()] == ["application/isup", "text/xml", "application/sdp"]
    assert port(found) == 4002


@pytest.mark.parametrize("encoding", ["base64", "BASE64", "quoted-printable", "binary", "8bit", "nonsense"])
def test_transfer_encodings(encoding: str) -> None:
    content = SDP % 4004
    if encoding.lower() == "base64":
        content = base64.encodebytes(content)
    elif encoding == "quoted-printable":
        content = content.replace(b"=", b"=3D")
    one = part(content, "Content-Type: application/sdp", f"Content-Transfer-Encoding: {encoding}")
    assert port(message("multipart/mixed;boundary=b", multipart("b", one))) == 4004


def test_of_several_descriptions_that_of_the_session_is_taken() -> None:
    """RFC 3959: another describes early media; its disposition says so."""
    early = part(SDP % 1, "Content-Type: application/sdp", "Content-Disposition: early-session")
    real = part(SDP % 2, "Content-Type: application/sdp", "Content-Disposition: session;handling=required")
    for order in ((early, real), (real, early)):
        assert port(message("multipart/mixed;boundary=b", multipart("b", *order))) == 2


def test_damaged_base64_is_left_as_it_is() -> None:
    one = part(b"\xff\xfe not base64 at all =", "Content-Type: x/y", "Content-Transfer-Encoding: base64")
    (body,) = bodies("multipart/mixed;boundary=b", "", "", multipart("b", one))
    assert body.media_type == "x/y"


ENCODINGS = st.sampled_from(["", "base64", "quoted-printable"])


@given(st.text(max_size=60), st.text(max_size=20), ENCODINGS, st.binary(max_size=300))
def test_whatever_comes_never_raises(kind: str, disposition: str, encoding: str, content: bytes) -> None:
    content = content.replace(b"\x00", b"--b\r\n")
    for content_type in (kind, f"multipart/mixed;boundary={kind}", "multipart/mixed;boundary=b"):
        assert len(list(bodies(content_type, disposition, encoding, content))) <= 4096
