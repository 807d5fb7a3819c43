"""Session descriptions: where media goes and what it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.sdp import (
    MAX_CANDIDATES,
    MAX_MEDIA,
    STATIC_FORMATS,
    Format,
    Media,
    SessionDescription,
    parse_sdp,
)

HEAD = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"


def read(text: str) -> SessionDescription:
    session = parse_sdp(text.encode())
    assert session is not None
    return session


def audio(text: str) -> Media:
    return read(HEAD + text).media[0]


def test_a_plain_offer() -> None:
    session = read(
        HEAD + "c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=recvonly\r\n"
        "m=video 0 RTP/AVP 34\r\n"
    )
    media, video = session.media
    assert session.origin == "- 1 2 IN IP4 10.0.0.1"
    assert session.audio == [media]
    assert (media.kind, media.endpoint, media.protocol) == ("audio", ("10.0.0.1", 4000), "RTP/AVP")
    assert media.payload_types == [8, 0, 101]
    assert media.formats == {
        8: Format("PCMA", 8000),
        0: Format("PCMU", 8000),
        101: Format("TELEPHONE-EVENT", 8000, 1, "0-16"),
    }
    assert (media.direction, media.ptime_ms, media.encrypted) == ("recvonly", 20, False)
    assert media.rtcp_endpoint == ("10.0.0.1", 4001)
    assert (video.port, video.rtcp_endpoint, video.direction) == (0, None, "sendrecv")


@pytest.mark.parametrize(
    ("payload_type", "known"),
    [(0, "PCMU"), (3, "GSM"), (4, "G723"), (8, "PCMA"), (9, "G722"), (13, "CN"), (15, "G728"), (18, "G729")],
)
def test_static_payload_types_need_no_rtpmap(payload_type: int, known: str) -> None:
    """RFC 3551 section 6."""
    media = audio(f"m=audio 4000 RTP/AVP {payload_type}\r\n")
    assert media.formats == {payload_type: Format(known, 8000)}
    assert STATIC_FORMATS[10].channels == 2


def test_a_dynamic_payload_type_without_rtpmap_stays_unexplained() -> None:
    media = audio("m=audio 4000 RTP/AVP 96\r\n")
    assert (media.payload_types, media.formats) == ([96], {})


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("a=rtpmap:96 opus/48000/2", Format("OPUS", 48000, 2)),
        ("a=RTPMAP: 96  opus/48000/2 ", Format("OPUS", 48000, 2)),
        ("a=rtpmap:96 G726-32 / 8000", Format("G726-32", 8000)),
        ("a=rtpmap:96 speex", Format("SPEEX", 8000)),
        ("a=rtpmap:96 x/0/0", Format("X", 8000)),
        ("a=rtpmap:96 x/nonsense/y", Format("X", 8000)),
    ],
)
def test_rtpmap_as_found(line: str, known: Format) -> None:
    assert audio(f"m=audio 4000 RTP/AVP 96\r\n{line}\r\n").formats == {96: known}


@pytest.mark.parametrize(
    "line", ["a=rtpmap:96", "a=rtpmap:", "a=rtpmap:300 X/8000", "a=rtpmap:-1 X/8000", "a="]
)
def test_rtpmap_that_says_nothing_is_skipped(line: str) -> None:
    assert audio(f"m=audio 4000 RTP/AVP 8\r\n{line}\r\n").formats == {8: Format("PCMA", 8000)}


def test_rtpmap_overrides_a_static_type() -> None:
    assert audio("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMU/8000\r\n").formats == {8: Format("PCMU", 8000)}


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        ("c=IN IP4 224.2.1.1/127/3", "224.2.1.1"),
        ("c=IN IP6 2001:DB8:0::1", "2001:db8::1"),
        ("c=IN IP6 FF15::101/3", "ff15::101"),
        ("c= IN  IP4  010.000.000.007 ", "10.0.0.7"),
        ("c=IN IP4 PBX.Example.com", "pbx.example.com"),
        ("c=10.0.0.7", "10.0.0.7"),
    ],
)
def test_connection_address(connection: str, address: str) -> None:
    assert audio(f"{connection}\r\nm=audio 4000 RTP/AVP 8\r\n").address == address
    assert audio(f"m=audio 4000 RTP/AVP 8\r\n{connection}\r\n").address == address


def test_the_media_address_goes_before_that_of_the_session() -> None:
    session = read(HEAD + "c=IN IP4 10.0.0.1\nm=audio 1 RTP/AVP 8\nc=IN IP4 10.0.0.2\nm=audio 2 RTP/AVP 8\n")
    assert [media.address for media in session.media] == ["10.0.0.2", "10.0.0.1"]
    assert session.address == "10.0.0.1"


def test_port_and_count() -> None:
    media = audio("m=audio 4000/2 RTP/AVP 8\r\n")
    assert (media.port, media.ports) == (4000, 2)


@pytest.mark.parametrize(
    "line", ["m=audio", "m=audio x RTP/AVP 8", "m=audio 70000 RTP/AVP 8", "m=audio -1 RTP/AVP 8"]
)
def test_attributes_of_media_that_cannot_be_read_go_nowhere(line: str) -> None:
    session = read(HEAD + f"m=audio 4000 RTP/AVP 8\r\n{line}\r\nc=IN IP4 10.9.9.9\r\na=inactive\r\n")
    assert len(session.media) == 1
    assert (session.media[0].direction, session.media[0].address) == ("sendrecv", "")


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_direction_at_either_level(direction: str) -> None:
    assert audio(f"a={direction}\r\nm=audio 4 RTP/AVP 8\r\n").direction == direction
    assert audio(f"a=sendrecv\r\nm=audio 4 RTP/AVP 8\r\na={direction.upper()}\r\n").direction == direction


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        ("m=audio 4 RTP/AVP 8\r\n", False),
        ("m=audio 4 RTP/AVP 8\r\na=sendonly\r\n", True),
        ("m=audio 4 RTP/AVP 8\r\na=inactive\r\n", True),
        ("m=audio 4 RTP/AVP 8\r\na=recvonly\r\n", False),
        ("c=IN IP4 0.0.0.0\r\nm=audio 4 RTP/AVP 8\r\n", True),
        ("c=IN IP6 ::\r\nm=audio 4 RTP/AVP 8\r\n", True),
        ("m=audio 0 RTP/AVP 8\r\na=inactive\r\n", False),
    ],
)
def test_hold(lines: str, held: bool) -> None:
    """C8."""
    assert audio(lines).held is held


@pytest.mark.parametrize(
    ("lines", "encrypted"),
    [
        ("m=audio 4 RTP/AVP 8\r\n", False),
        ("m=audio 4 RTP/SAVP 8\r\n", True),
        ("m=audio 4 UDP/TLS/RTP/SAVPF 8\r\n", True),
        ("m=audio 4 RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n", True),
        ("a=fingerprint:sha-256 AA:BB\r\nm=audio 4 RTP/AVP 8\r\n", True),
        ("m=audio 4 RTP/AVP 8\r\na=zrtp-hash:1.10 fe30\r\n", True),
        ("a=key-mgmt:mikey AQAF\r\nm=audio 4 RTP/AVP 8\r\n", True),
        ("m=audio 4 RTP/AVP 8\r\na=acap:1 crypto:1 X inline:a\r\na=tcap:1 RTP/SAVP\r\n", True),
        ("m=audio 4 RTP/AVP 8\r\na=acap:1 ptime:20\r\na=acap:x crypto:1 X\r\n", False),
    ],
)
def test_encryption(lines: str, encrypted: bool) -> None:
    assert audio(lines).encrypted is encrypted


def test_keys_and_fingerprints_are_kept() -> None:
    media = audio(
        "a=fingerprint:sha-256 AA\r\nm=audio 4 RTP/SAVP 8\r\na=crypto:1 X inline:a|2^20\r\na=crypto:2 Y\r\n"
    )
    assert media.crypto == ["1 X inline:a|2^20", "2 Y"]
    assert media.fingerprint == "sha-256 AA"


def test_rtcp() -> None:
    """RFC 3605, RFC 5761."""
    lines = "c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n"
    assert audio(lines + "a=rtcp:4005\r\n").rtcp_endpoint == ("10.0.0.1", 4005)
    assert audio(lines + "a=rtcp:4005 IN IP4 10.0.0.9\r\n").rtcp_endpoint == ("10.0.0.9", 4005)
    assert audio(lines + "a=rtcp:x\r\n").rtcp_endpoint == ("10.0.0.1", 4001)
    assert audio(lines + "a=rtcp-mux\r\n").rtcp_mux


def test_ice_candidates() -> None:
    """RFC 8839 section 5.1: UDP only, RTP and RTCP apart, no names; peer-reflexive ones in updated offers."""
    media = audio(
        "m=audio 4 RTP/AVP 8\r\n"
        "a=candidate:1 1 UDP 2130706431 10.0.0.1 8998 typ host\r\n"
        "a=candidate:1 2 udp 2130706430 10.0.0.1 8999 typ host\r\n"
        "a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.0.1 rport 8998\r\n"
        "a=candidate:3 1 UDP 1 2001:DB8::9 5000 typ relay\r\n"
        "a=candidate:4 1 TCP 1 10.0.0.1 9 typ host tcptype active\r\n"
        "a=candidate:5 1 UDP 1 10.0.0.5 9 typ prflx\r\n"
        "a=candidate:6 1 UDP 1 d4f1.local 9 typ host\r\n"
        "a=candidate:7 1 UDP 1 10.0.0.6\r\n"
    )
    assert media.candidates == [
        ("10.0.0.1", 8998),
        ("192.0.2.3", 45664),
        ("2001:db8::9", 5000),
        ("10.0.0.5", 9),
    ]
    assert media.rtcp_candidates == [("10.0.0.1", 8999)]


def test_fax_is_seen() -> None:
    """C17: T.38 after G.711."""
    media = audio("m=image 4000 udptl t38\r\n")
    assert (media.kind, media.protocol, media.formats) == ("image", "UDPTL", {})


@pytest.mark.parametrize("end", ["\n", "\r\n", " \r\n"])
def test_line_ends_and_junk(end: str) -> None:
    text = end.join(
        [
            "v=0",
            "",
            "junk",
            "=",
            "z",
            "\x00\xff",
            "c=IN IP4 1.2.3.4",
            "m=audio 4 RTP/AVP 8",
            "q=?",
            "a=ptime:30",
        ]
    )
    media = read(text).media[0]
    assert (media.address, media.ptime_ms) == ("1.2.3.4", 30)


def test_a_name_in_latin_1_does_no_harm() -> None:
    session = parse_sdp(b"v=0\r\ns=J\xf6rg\r\nm=audio 4 RTP/AVP 8\r\n")
    assert session is not None
    assert session.media[0].port == 4


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"<xml/>", b"a=sendonly\r\n", b"Signal=1\r\nDuration=160\r\n"]
)
def test_what_is_no_description(body: bytes) -> None:
    assert parse_sdp(body) is None


def test_every_list_is_bounded() -> None:
    session = read(HEAD + "m=audio 4 RTP/AVP 8\r\n" * 1000)
    assert len(session.media) == MAX_MEDIA
    media = audio(
        "m=audio 4 RTP/AVP " + "8 " * 10_000 + "\r\n"
        + "a=candidate:1 1 UDP 1 10.0.0.1 9 typ host\r\n" * 500
        + "a=crypto:1 X\r\n" * 500
    )  # fmt: skip
    assert media.payload_types == [8]
    assert len(media.candidates) == MAX_CANDIDATES
    assert len(media.crypto) < 500


LINE = st.tuples(
    st.sampled_from("vocmasxz="),
    st.text(alphabet="audioINP468 /:.rtpmaped0129=-\t", max_size=30)
    | st.sampled_from(
        ["audio 4 RTP/AVP 8", "rtpmap:", "rtcp:", "candidate:1 1 UDP 1 1.1.1.1 1 typ", "fmtp:8 x"]
    ),
).map("=".join)


@given(
    st.lists(LINE | st.text(max_size=20), max_size=20).map("\n".join).map(str.encode)
    | st.binary(max_size=200)
)
def test_nothing_raises(body: bytes) -> None:
    session = parse_sdp(body)
    for media in session.media if session is not None else ():
        assert 0 <= media.port <= 65535
        assert all(0 <= payload_type <= 127 for payload_type in media.formats)
        assert all(known.clock_hz > 0 and known.channels > 0 for known in media.formats.values())
        assert media.rtcp_endpoint is None or 0 < media.rtcp_endpoint[1] <= 65535
        assert media.held in (True, False)
