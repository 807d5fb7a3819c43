"""Another recorder's sessions: metadata, labels, and who is heard on which side (RFC 7865, RFC 7866)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.siprec import (
    MAX_DOCUMENT_BYTES,
    MAX_PARTICIPANTS,
    MAX_STREAMS,
    Metadata,
    parse_metadata,
)

SRC, SRS = ("10.0.0.1", 5060), ("10.0.0.2", 5060)
#: After the example of RFC 7865: each participant sends one stream and receives the other's.
DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns='urn:ietf:params:xml:ns:recording:1'>
 <datamode>complete</datamode>
 <session session_id="hVpd7YQgRW2nD22h7q60JQ=="><sipSessionID>ab30;remote=47755a</sipSessionID></session>
 <participant participant_id="srfBElmCRp2QB23b7Mpk0w==">
  <nameID aor="sip:+48221234567@biloxi.example"><name xml:lang="it">Bob
   Bianchi</name></nameID></participant>
 <participant participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
  <nameID aor="sip:102@biloxi.example"><name>Paul</name></nameID></participant>
 <stream stream_id="UAAMm5GRQKSCMVvLyl4rFw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>96</label></stream>
 <stream stream_id="i1Pz3to5hGk8fuXl+PbwCw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>97</label></stream>
 <participantstreamassoc participant_id="srfBElmCRp2QB23b7Mpk0w==">
  <send>i1Pz3to5hGk8fuXl+PbwCw==</send><recv>UAAMm5GRQKSCMVvLyl4rFw==</recv></participantstreamassoc>
 <participantstreamassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
  <send>UAAMm5GRQKSCMVvLyl4rFw==</send><recv>i1Pz3to5hGk8fuXl+PbwCw==</recv></participantstreamassoc>
</recording>"""


def test_the_document_of_the_rfc() -> None:
    found = parse_metadata(DOCUMENT)
    assert found is not None
    assert found.sessions == ["hVpd7YQgRW2nD22h7q60JQ=="]
    assert [(one.aor, one.name, one.sends) for one in found.participants.values()] == [
        ("sip:+48221234567@biloxi.example", "Bob Bianchi", ["i1Pz3to5hGk8fuXl+PbwCw=="]),
        ("sip:102@biloxi.example", "Paul", ["UAAMm5GRQKSCMVvLyl4rFw=="]),
    ]
    assert found.labels == {"UAAMm5GRQKSCMVvLyl4rFw==": "96", "i1Pz3to5hGk8fuXl+PbwCw==": "97"}


def test_half_a_document_tells_what_stands_before_the_damage() -> None:
    found = parse_metadata(DOCUMENT[: DOCUMENT.index(b"<stream ")])
    assert found is not None
    assert len(found.participants) == 2


@pytest.mark.parametrize(
    "document",
    [
        b"", b"<recording/>", b"<html><participant participant_id='1'/></html>", b"\xff\xfe\x00",
        b"<?xml version='1.0' encoding='nonsense'?><recording/>", b"x" * (MAX_DOCUMENT_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_metadata(document: bytes) -> None:
    assert parse_metadata(document) is None


def test_entities_are_refused() -> None:
    """A few lines that would grow to gigabytes, and one that would read a file."""
    lines = [b"<!ENTITY a0 'ha'>"]
    lines += [b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12)]
    bomb = b"<!DOCTYPE recording [" + b"".join(lines) + b"]><recording><participant participant_id='1'>"
    assert parse_metadata(bomb + b"<nameID aor='&a11;'/></participant></recording>") is None
    outside = b"<!DOCTYPE r SYSTEM 'file:///etc/passwd'><recording><session session_id='1'/></recording>"
    assert parse_metadata(outside) is None


def test_sizes_are_bounded() -> None:
    one = b"<participant participant_id='%d'/><stream stream_id='%d'><label>%d</label></stream>"
    many = b"".join(one % (n, n, n) for n in range(500))
    found = parse_metadata(b"<recording>" + many + b"<x>" * 100)
    assert found is not None
    assert (len(found.participants), len(found.labels)) == (MAX_PARTICIPANTS, MAX_STREAMS)
    long = parse_metadata(b"<recording><session session_id='%s'/></recording>" % (b"s" * 10_000))
    assert long is not None
    assert len(long.sessions[0]) <= 300


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode), st.integers(0, len(DOCUMENT)))
def test_damaged_documents_never_raise(junk: bytes, at: int) -> None:
    for document in (junk, DOCUMENT[:at] + junk + DOCUMENT[at:], DOCUMENT[:at] + junk):
        assert isinstance(parse_metadata(document), Metadata | None)


def two_media(kit: Any, host: str, ports: tuple[int, int], mode: str, labels: bool) -> bytes:
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    for port, label in zip(ports, ("96", "97"), strict=True):
        lines += [f"m=audio {port} RTP/AVP 8", f"a={mode}", *([f"a=label:{label}"] if labels else [])]
    return "\r\n".join([*lines, ""]).encode()


def session(kit: Any, document: bytes | None = DOCUMENT, headers: tuple[str, ...] = ()) -> list[Any]:
    """A recording session with both sides, and what flows in it: label 96 from port 4000, 97 from 4002."""
    scene = kit.Scene(from_header="<sip:src@sbc.example>", to_header="<sip:srs@recorder.example>")
    offer = two_media(kit, SRC[0], (4000, 4002), "sendonly", True)
    content, body = "application/sdp", offer
    if document is not None:
        content = "multipart/mixed;boundary=foobar"
        body = b"--foobar\r\nContent-Type: application/sdp\r\n\r\n" + offer
        body += b"\r\n--foobar\r\nContent-Type: application/rs-metadata+xml\r\n"
        body += b"Content-Disposition: recording-session\r\n\r\n" + document + b"\r\n--foobar--\r\n"
    again = scene.request(5, "INVITE", 2, offer, dialog=True)
    answer = two_media(kit, SRS[0], (6000, 6002), "recvonly", False)
    return [
        scene.request(0, "INVITE", 1, body, content=content, headers=headers),
        scene.response(0.2, 200, 1, answer),
        scene.request(0.3, "ACK", 1, dialog=True, branch="ack"),
        again,
        scene.response(5.1, 200, 2, answer),
        scene.request(10, "BYE", 3, dialog=True),
        scene.response(10.1, 200, 3, method="BYE"),
        kit.stream((SRC[0], 4000), (SRS[0], 6000), 0.5, 10),
        kit.stream((SRC[0], 4002), (SRS[0], 6002), 0.5, 10),
    ]


def test_parties_are_the_participants_and_sides_are_theirs(kit: Any) -> None:
    """Both streams come from the one that records; the one labelled 97 is the first participant's."""
    call = kit.one(kit.play(session(kit), until=60))
    assert (call.caller, call.callee, call.caller_name) == ("+48221234567", "102", "Bob Bianchi")
    assert kit.voices(call) == {(SRC[0], 4002): "caller", (SRC[0], 4000): "callee"}
    assert call.holds == []
    assert call.siprec is not None
    assert call.siprec.known.sessions == ["hVpd7YQgRW2nD22h7q60JQ=="]


def test_without_metadata_the_labels_tell_the_sides_apart(kit: Any) -> None:
    call = kit.one(kit.play(session(kit, None, ("Require: siprec",)), until=60))
    assert (call.caller, call.callee) == ("src", "srs")
    assert kit.voices(call) == {(SRC[0], 4000): "caller", (SRC[0], 4002): "callee"}


def test_an_ordinary_call_is_no_recording_session(kit: Any) -> None:
    scene = kit.Scene()
    assert kit.one(kit.play([*scene.normal(), *scene.media()], until=60)).siprec is None


def test_metadata_that_comes_later_counts(kit: Any) -> None:
    """First the session, then who is in it (RFC 7866 section 9.1: an update)."""
    messages = session(kit, None, ("Require: siprec",))
    scene = kit.Scene(from_header="<sip:src@sbc.example>", to_header="<sip:srs@recorder.example>")
    update = scene.request(2, "UPDATE", 4, DOCUMENT, dialog=True, content="application/rs-metadata+xml")
    call = kit.one(kit.play([*messages, update], until=60))
    assert (call.caller, call.callee) == ("+48221234567", "102")
    assert kit.voices(call) == {(SRC[0], 4002): "caller", (SRC[0], 4000): "callee"}
