"""The SIP parser against what telephones, torture tests and chance send."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.sip import (
    COMPACT,
    Message,
    looks_like_sip,
    parse_message,
    split_values,
)
from bystander.sniffer.sipaddress import split_uri

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.11\r\ns=-\r\nc=IN IP4 10.0.0.11\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
HEADERS = [
    ("Via", "SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bK1;rport"),
    ("Via", "SIP/2.0/UDP 10.0.0.11:5060;branch=z9hG4bK2"),
    ("From", '"Anna Nowak" <sip:2001@pbx.example.com>;tag=49583'),
    ("To", "<sip:2002@pbx.example.com>"),
    ("Call-ID", "asd88asd77a@1.2.3.4"),
    ("CSeq", "17 INVITE"),
    ("Contact", "<sip:2001@10.0.0.11:5060>"),
    ("Content-Type", "application/sdp"),
    ("Content-Length", str(len(SDP))),
]
SHORT = {name: short for short, name in COMPACT.items()}
TORTURE = Path(__file__).parents[3] / "shared" / "corpus" / "torture"


def write(
    headers: list[tuple[str, str]],
    body: bytes = b"",
    start: str = "INVITE sip:2002@10.0.0.20 SIP/2.0",
    end: str = "\r\n",
) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    return (end.join(lines) + end + end).encode() + body


def read(data: bytes) -> Message:
    message = parse_message(data)
    assert isinstance(message, Message), message
    return message


def with_header(name: str, value: str) -> list[tuple[str, str]]:
    return [(n, value if n == name else v) for n, v in HEADERS]


def test_a_request_is_read() -> None:
    message = read(write(HEADERS, SDP))
    assert (message.method, message.uri, message.status) == ("INVITE", "sip:2002@10.0.0.20", 0)
    assert (message.call_id, message.cseq, message.cseq_method) == ("asd88asd77a@1.2.3.4", 17, "INVITE")
    assert (message.from_tag, message.to_tag, message.branch) == ("49583", "", "z9hG4bK1")
    assert message.vias == 2
    assert (message.from_.display, message.to.user) == ("Anna Nowak", "2002")
    assert message.header("contact") == "<sip:2001@10.0.0.11:5060>"
    assert message.header("subject", "none") == "none"
    assert (message.body, message.truncated) == (SDP, False)
    assert message.sdp is not None
    assert message.sdp is message.sdp
    assert message.sdp.media[0].endpoint == ("10.0.0.11", 4000)


def test_a_response_is_read() -> None:
    message = read(write(HEADERS, SDP, start="SIP/2.0 183 Session Progress"))
    assert (message.method, message.uri) == (None, "")
    assert (message.status, message.reason) == (183, "Session Progress")
    assert message.cseq_method == "INVITE"


@pytest.mark.parametrize("start", ["SIP/2.0 200", "SIP/2.0 200 ", "sip/2.0  200   "])
def test_a_reason_phrase_may_be_missing(start: str) -> None:
    message = read(write(HEADERS, start=start))
    assert (message.status, message.reason) == (200, "")


@pytest.mark.parametrize(
    "start",
    [
        "invite sip:a@b sip/2.0",
        "INVITE   sip:a@b \t SIP/2.0 ",
        "INVITE <sip:a@b> SIP/2.0",
        "INVITE sip:a@b; lr SIP/2.0",
        "INVITE tel:+4822 SIP/2.0",
    ],
)
def test_sloppy_request_lines_are_accepted(start: str) -> None:
    """C5."""
    message = read(write(HEADERS, SDP, start=start))
    assert message.method == "INVITE"
    assert message.sdp is not None
    assert looks_like_sip(write(HEADERS, SDP, start=start))


def test_an_unknown_method_is_a_request() -> None:
    assert read(write(HEADERS, start="NEWMETHOD sip:a@b SIP/2.0")).method == "NEWMETHOD"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (b"\x00\x01\x02", "not-sip"),
        (b"GET / HTTP/1.1\r\n\r\n", "not-sip"),
        (b"OPTIONS rtsp://a RTSP/1.0\r\n\r\n", "not-sip"),
        (b"INVITE sip:a@b\r\n\r\n", "not-sip"),
        (b"SIP/2.0 OK\r\n\r\n", "not-sip"),
        (b"OPTIONS sip:a@b SIP/7.0\r\n\r\n", "version"),
        (b"SIP/1.0 200 OK\r\n\r\n", "version"),
        (b"SIP/2.0 4294967301 better not break the receiver\r\n\r\n", "status-code"),
        (b"SIP/2.0 20 OK\r\n\r\n", "status-code"),
    ],
)
def test_what_is_no_sip_is_named(data: bytes, reason: str) -> None:
    assert parse_message(data) == reason
    assert not looks_like_sip(data)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", ["", "\r\n", "\n\n", "\r\n\r\n\r\n"])
def test_bare_line_feeds_and_leading_blank_lines(end: str, blank: str) -> None:
    """C5."""
    data = blank.encode() + write(HEADERS, SDP, end=end)
    assert looks_like_sip(data)
    assert read(data) == read(write(HEADERS, SDP))


def test_line_ends_may_be_mixed() -> None:
    """C5: a CRLF header section, but a bare LF before the body, and the other way round."""
    data = write(HEADERS, SDP)
    assert read(data.replace(b"\r\n\r\n", b"\n\n", 1)).body == SDP
    assert read(data.replace(b"\r\n\r\n", b"\n\r\n", 1)).body == SDP


@pytest.mark.parametrize(
    ("line", "length"), [(f"Content-Length: {len(SDP)}   ", 0), (f"Content-Length : {len(SDP)}\t", 0)]
)
def test_blanks_around_content_length_keep_the_body(line: str, length: int) -> None:
    """C5: TShark drops the body here."""
    data = write(HEADERS, SDP + b"junk").replace(f"Content-Length: {len(SDP)}".encode(), line.encode())
    assert read(data).body == SDP


def test_content_length_larger_than_the_body_marks_and_keeps_it() -> None:
    message = read(write(with_header("Content-Length", "9999"), SDP))
    assert message.truncated
    assert message.sdp is not None
    assert message.sdp.media[0].endpoint == ("10.0.0.11", 4000)


def test_half_a_line_of_a_truncated_body_is_not_believed() -> None:
    """C18: half a line could name half a port."""
    cut = SDP.index(b"4000") + 2
    message = read(write(HEADERS, SDP[:cut]))
    assert message.truncated
    assert message.sdp is not None
    assert message.sdp.media == []


def test_content_length_smaller_than_the_datagram_cuts_it() -> None:
    message = read(write(with_header("Content-Length", "3"), b"abcINVITE sip:x SIP/2.0\r\n\r\n"))
    assert (message.body, message.truncated) == (b"abc", False)


@pytest.mark.parametrize("value", ["", "-999", "many", "99999999999999999999", "1e3", "٣"])
def test_content_length_that_is_no_number_is_ignored(value: str) -> None:
    message = read(write(with_header("Content-Length", value), SDP))
    assert (message.body, message.truncated) == (SDP, False)


def test_content_length_may_be_missing_in_a_datagram() -> None:
    assert read(write([h for h in HEADERS if h[0] != "Content-Length"], SDP)).body == SDP


def test_a_header_section_cut_by_the_snap_length_is_still_a_message() -> None:
    """C18: what came before the last, incomplete line is used."""
    data = write(HEADERS, SDP)
    message = read(data[: data.index(b"CSeq") + 7])
    assert message.truncated
    assert message.call_id == "asd88asd77a@1.2.3.4"
    assert "cseq" not in message.headers


def test_each_name_is_decoded_by_itself() -> None:
    """C5: one Latin-1 name does not spoil a UTF-8 one."""
    data = write(HEADERS).replace(b"Anna Nowak", "Żółć".encode())
    data = data.replace(b"To: <", b'To: "J\xf6rg" <')
    message = read(data)
    assert message.from_.display == "Żółć"
    assert message.to.display == "Jörg"


def test_vias_in_one_line_are_counted() -> None:
    message = read(
        write([("v", 'SIP/2.0/UDP a;x=",";branch=one, SIP/2.0/UDP b;branch=two'), ("v", "SIP/2.0/UDP c")])
    )
    assert (message.vias, message.branch) == (3, "one")
    assert message.values("via")[2] == "SIP/2.0/UDP c"


def test_the_branch_is_that_of_the_topmost_via_only() -> None:
    assert read(write([("Via", "SIP/2.0/UDP a"), ("Via", "SIP/2.0/UDP b;branch=two")])).branch == ""
    assert read(write([("Via", "SIP/2.0/UDP a, SIP/2.0/UDP b;branch=two")])).branch == ""


@pytest.mark.parametrize(
    ("value", "cseq", "method"),
    [
        ("1 INVITE", 1, "INVITE"),
        ("0009 \t INVITE", 9, "INVITE"),
        ("9\tINVITE", 9, "INVITE"),
        ("7", 7, "INVITE"),
        ("36893488147419103232 OPTIONS", 0, "OPTIONS"),
        ("x y", 0, "Y"),
        ("", 0, "INVITE"),
    ],
)
def test_cseq(value: str, cseq: int, method: str) -> None:
    message = read(write([("CSeq", value)]))
    assert (message.cseq, message.cseq_method) == (cseq, method)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ('"x, y" <sip:a,b@h>, <sip:c>', ['"x, y" <sip:a,b@h>', "<sip:c>"]),
        (r'"x\", y" <sip:a>, b', [r'"x\", y" <sip:a>', "b"]),
        (",, a,,", ["a"]),
        (",", []),
    ],
)
def test_values_are_split_at_the_right_commas(line: str, values: list[str]) -> None:
    assert split_values(line) == values


def multipart(boundary: str, *parts: bytes) -> bytes:
    mark = f"--{boundary}".encode()
    return (
        b"preamble\r\n"
        + b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts)
        + mark
        + b"--\r\nepilogue"
    )


ISUP = b"Content-Type: application/ISUP\r\n\r\n\x01\x00\r\n\x60"
SDP_PART = b"content-type : Application/SDP ;x=y\r\nContent-Disposition: session\r\n\r\n" + SDP


@pytest.mark.parametrize("content_type", ["multipart/mixed;boundary=b1", 'Multipart/Mixed; Boundary = "b1"'])
def test_sdp_is_found_in_a_multipart_body(content_type: str) -> None:
    """C5."""
    message = read(write([("c", content_type)], multipart("b1", ISUP, SDP_PART)))
    assert [kind for kind, _ in message.parts()] == ["application/isup", "application/sdp"]
    assert next(message.parts())[1] == b"\x01\x00\r\n\x60"
    assert message.sdp is not None
    assert message.sdp.media[0].port == 4000


def test_sdp_is_found_in_a_nested_multipart_body() -> None:
    inner = b'Content-Type: multipart/alternative;\r\n boundary="in+(ner)"\r\n\r\n' + multipart(
        "in+(ner)", SDP_PART
    )
    message = read(write([("Content-Type", "multipart/mixed;boundary=out")], multipart("out", ISUP, inner)))
    assert message.sdp is not None


def test_multipart_without_a_closing_boundary_is_read() -> None:
    body = multipart("b", SDP_PART)
    message = read(write([("c", "multipart/mixed;boundary=b")], body[: body.rindex(b"--b--")]))
    assert message.sdp is not None


def test_endless_nesting_of_multiparts_ends() -> None:
    body = SDP
    kind = "application/sdp"
    for level in range(50):
        body = multipart(f"b{level}x", f"Content-Type: {kind}\r\n\r\n".encode() + body)
        kind = f"multipart/mixed;boundary=b{level}x"
    assert read(write([("c", kind)], body)).sdp is None


def test_sdp_without_a_content_type_is_recognised() -> None:
    assert read(write([("Call-ID", "x")], SDP)).sdp is not None
    assert read(write([("Call-ID", "x"), ("c", "text/plain")], SDP)).sdp is None


def respell(draw: st.DrawFn, name: str, value: str) -> bytes:
    """Write a header line in one of the many ways that mean the same."""
    short = SHORT.get(name.lower())
    name = draw(
        st.sampled_from([name, name.lower(), name.upper(), *([short, short.upper()] if short else [])])
    )
    colon = draw(st.sampled_from([":", ": ", " : ", "\t:\t", ":\r\n ", ": \r\n\t", ":\n  "]))
    words = value.split(" ")
    text = words[0]
    for word in words[1:]:
        text += draw(st.sampled_from([" ", " ", "\r\n ", "\n\t", "\r\n   "])) + word
    return (name + colon + text + draw(st.sampled_from(["", " ", "\t "]))).encode()


@given(st.data())
def test_every_spelling_of_the_headers_gives_the_same_message(data: st.DataObject) -> None:
    """C5: case, compact forms, folding, blanks and line ends change nothing."""
    draw = data.draw
    lines = [b"INVITE sip:2002@10.0.0.20 SIP/2.0", *(respell(draw, name, value) for name, value in HEADERS)]
    raw = b"".join(line + draw(st.sampled_from([b"\r\n", b"\n"])) for line in lines)
    assert read(raw + draw(st.sampled_from([b"\r\n", b"\n"])) + SDP) == read(write(HEADERS, SDP))


def use_everything(data: bytes) -> None:
    message = parse_message(data)
    looks_like_sip(data)
    if isinstance(message, Message):
        assert message.from_ is message.from_
        assert message.to is message.to
        assert message.sdp is message.sdp
        assert list(message.parts()) == list(message.parts())
        assert message.vias >= 0
        assert (message.method is None) == (message.status != 0)
    else:
        assert message in ("empty", "not-sip", "version", "status-code")


@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_never_raise(data: bytes, behind_a_start_line: bool) -> None:
    use_everything(b"INVITE sip:a@b SIP/2.0\r\n" + data if behind_a_start_line else data)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2000),
            st.integers(0, 40),
            st.binary(max_size=12) | st.sampled_from([b"\r\n", b'"', b"<", b",", b"--b1"]),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_mutated_messages_never_raise(edits: list[tuple[int, int, bytes]], many: bool) -> None:
    headers = with_header("Content-Type", "multipart/mixed;boundary=b1") if many else HEADERS
    data = bytearray(write(headers, multipart("b1", ISUP, SDP_PART) if many else SDP))
    for at, width, new in edits:
        at %= len(data) + 1
        data[at : at + width] = new
    use_everything(bytes(data))


@pytest.mark.parametrize(
    "filler", [b" ", b"\t", b"\r\n", b"\n", b"\n ", b";", b"; ", b'"', b",", b"<", b'\\"', b";a=", b"@"]
)
@pytest.mark.parametrize(
    "front",
    [b"", b"INVITE ", b"INVITE sip:a@b SIP/2.0\r\nVia: ", b"SIP/2.0 200 ", b"SIP/2.0 200 OK\r\nFrom: "],
)
def test_the_longest_datagram_costs_no_more_than_its_length(front: bytes, filler: bytes) -> None:
    """Anything worse than linear would take minutes here."""
    use_everything(front + filler * (65000 // len(filler)) + b"x\r\n\r\n")


def torture() -> list[dict[str, Any]]:
    listing = TORTURE / "corpus.json"
    if not listing.exists():
        return []
    messages: list[dict[str, Any]] = json.loads(listing.read_text())["messages"]
    return messages


def test_every_torture_message_has_its_verdict() -> None:
    """Both RFCs, every file: none is left out of the list, and so of the test below."""
    if not torture():
        pytest.skip("the torture messages are not beside the project")
    listed = {entry["path"] for entry in torture()}
    assert listed == {str(path.relative_to(TORTURE)) for path in TORTURE.rglob("*.dat")}
    assert {entry["rfc"] for entry in torture()} == {"RFC 4475", "RFC 5118"}
    assert set(REFUSED) <= {entry["file"] for entry in torture()}


#: The invalid messages that stay outside: another version, a status code of ten digits, no version at all.
REFUSED = {"badvers.dat": "version", "bigcode.dat": "status-code", "test.dat": "not-sip"}


#: What each of these messages is about, as the RFC tells it.
FOUND: dict[str, Callable[[Message], bool]] = {
    "esc02.dat": lambda m: m.method == "RE%47IST%45R",
    "lwsdisp.dat": lambda m: (m.from_.display, m.from_.user) == ("caller", "caller"),
    "semiuri.dat": lambda m: split_uri(m.uri)[1] == "example.com",
    "transports.dat": lambda m: m.vias == 5,
    "mpart01.dat": lambda m: next(kind for kind, _ in m.parts()) == "text/plain",
    "unreason.dat": lambda m: m.reason.startswith("= 2**3"),
    "noreason.dat": lambda m: m.reason == "",
    "dblreq.dat": lambda m: m.method == "REGISTER" and not m.body,
    "clerr.dat": lambda m: m.truncated,
    "badinv01.dat": lambda m: m.vias >= 1,
    "mcl01.dat": lambda m: len(m.headers["content-length"]) == 2,
    "ipv6-good.dat": lambda m: m.uri == "sip:[2001:db8::10]",
    "ipv6-in-sdp.dat": lambda m: m.sdp is not None and ":" in m.sdp.audio[0].address,
    "mult-ip-in-header.dat": lambda m: m.vias == 3,
    "mult-ip-in-sdp.dat": lambda m: m.sdp is not None and len({x.address for x in m.sdp.media}) == 2,
    "via-received-param-with-delim.dat": lambda m: bool(m.branch),
}


@pytest.mark.corpus
@pytest.mark.skipif(not torture(), reason="the torture messages are not beside the project")
@pytest.mark.parametrize("entry", torture(), ids=lambda entry: entry["file"])
def test_torture(entry: dict[str, Any]) -> None:
    """RFC 4475 and RFC 5118: valid messages are read; of the invalid ones all that still tell something."""
    data = (TORTURE / entry["path"]).read_bytes()
    message = parse_message(data)
    if entry["file"] in REFUSED:
        assert entry["verdict"] == "invalid"
        assert message == REFUSED[entry["file"]]
        return
    assert isinstance(message, Message)
    use_everything(data)
    # What its start line says, in whichever spelling, is what was read; no verdict changes that.
    first = entry["start_line"].split()
    assert (message.method or "") == ("" if first[0] == "SIP/2.0" else first[0].upper())
    assert message.status == (int(first[1]) if first[0] == "SIP/2.0" else 0)
    if entry["file"] in FOUND:
        assert FOUND[entry["file"]](message)
    if entry["file"] == "insuf.dat":
        assert (message.call_id, message.from_tag) == ("", "")
        return
    assert message.call_id
    assert message.from_tag
    if entry["file"] != "scalarlg.dat":
        assert message.cseq > 0
    media = b"\nm=audio" in data and entry["file"] != "dblreq.dat"
    assert (message.sdp is not None and message.sdp.audio != []) == media


def test_a_message_that_was_dealt_with_is_still_told_from_others() -> None:
    raw = b"INVITE sip:2002@x SIP/2.0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in HEADERS)
    message, whole = parse_message(raw + b"\r\n" + SDP), parse_message(raw + b"\r\n" + SDP)
    assert isinstance(message, Message) and isinstance(whole, Message)
    assert message.sdp is not None and message.from_.user == "2001"
    message.forget()
    for kept in ("method", "uri", "status", "call_id", "cseq", "cseq_method", "from_tag", "branch", "vias"):
        assert getattr(message, kept) == getattr(whole, kept)
    assert (message.headers, message.body, message.sdp, message.from_.user) == ({}, b"", None, "")
