"""Session descriptions (RFC 4566) as far as a recorder needs them: where media goes and what it is.

Junk lines are skipped and every list is bounded; half a description is better than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bystander.sniffer.address import Endpoint, is_ip, normalise_host

MAX_LINES = 2000
MAX_MEDIA = 32
MAX_CANDIDATES = 64
MAX_CRYPTO = 16
DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))
_NULL_ADDRESSES = frozenset(("0.0.0.0", "::"))
_CANDIDATE_TYPES = frozenset(("host", "srflx", "prflx", "relay"))


@dataclass(slots=True, frozen=True)
class Format:
    """What a payload type means: encoding name in capitals, RTP clock, channels, and its fmtp parameters."""

    encoding: str
    clock_hz: int
    channels: int = 1
    fmtp: str = ""


#: Static payload types (RFC 3551 tables 4 and 5), and the two that older gateways took for their own:
#: 2 was G.721, which is G.726 at 32 kbit/s, and 19 was comfort noise before 13 was.
STATIC_FORMATS = {
    0: Format("PCMU", 8000), 2: Format("G726-32", 8000), 3: Format("GSM", 8000), 4: Format("G723", 8000),
    5: Format("DVI4", 8000), 6: Format("DVI4", 16000), 7: Format("LPC", 8000), 8: Format("PCMA", 8000),
    9: Format("G722", 8000), 10: Format("L16", 44100, 2), 11: Format("L16", 44100), 12: Format("QCELP", 8000),
    13: Format("CN", 8000), 14: Format("MPA", 90000), 15: Format("G728", 8000), 16: Format("DVI4", 11025),
    17: Format("DVI4", 22050), 18: Format("G729", 8000), 19: Format("CN", 8000), 25: Format("CELB", 90000),
    26: Format("JPEG", 90000), 28: Format("NV", 90000), 31: Format("H261", 90000), 32: Format("MPV", 90000),
    33: Format("MP2T", 90000), 34: Format("H263", 90000),
}  # fmt: skip

#: Payloads that go with audio and are not audio themselves.
SIDE_ENCODINGS = frozenset({"CN", "TELEPHONE-EVENT", "RED"})


@dataclass(slots=True)
class Media:
    """One media description (an m= line and what follows it).

    ``kind``          "audio", "video", "image" ..., lower case
    ``port``          0: refused or ended; ``ports`` how many port pairs
    ``protocol``      transport in capitals, "RTP/AVP"
    ``address``       c= of the media, else of the session; canonical IP text or a host name, "" if none
    ``payload_types`` in the order of preference; ``formats`` explains those that are static or mapped
    ``direction``     "sendrecv", "sendonly", "recvonly" or "inactive", as seen by who sent the description
    ``crypto``        values of a=crypto (RFC 4568), offered as capabilities (RFC 5939) included;
                      ``fingerprint`` of DTLS-SRTP, the session's included; ``zrtp`` (RFC 6189) and ``mikey``
                      (RFC 4567) where a=zrtp-hash or a=key-mgmt announce those
    ``candidates``    ICE candidates over UDP for RTP, ``rtcp_candidates`` those for RTCP (RFC 8839)
    ``ptime_ms``      0 when not said; ``label`` "" (RFC 4574)
    """

    kind: str
    port: int
    protocol: str
    ports: int = 1
    address: str = ""
    payload_types: list[int] = field(default_factory=list)
    formats: dict[int, Format] = field(default_factory=dict)
    direction: str = "sendrecv"
    rtcp_mux: bool = False
    crypto: list[str] = field(default_factory=list)
    fingerprint: str = ""
    zrtp: bool = False
    mikey: bool = False
    candidates: list[Endpoint] = field(default_factory=list)
    rtcp_candidates: list[Endpoint] = field(default_factory=list)
    ptime_ms: int = 0
    label: str = ""
    rtcp_port: int = 0
    rtcp_address: str = ""

    @property
    def endpoint(self) -> Endpoint:
        """Where RTP is expected."""
        return self.address, self.port

    @property
    def rtcp_endpoint(self) -> Endpoint | None:
        """Where RTCP is expected: a=rtcp (RFC 3605), else the next port; None when the media is refused."""
        if not self.port:
            return None
        return self.rtcp_address or self.address, self.rtcp_port or min(self.port + 1, 65535)

    @property
    def held(self) -> bool:
        """Whether the sender of this description puts the other side on hold (RFC 3264 section 8.4, C8)."""
        if not self.port:
            return False
        return self.direction in ("sendonly", "inactive") or self.address in _NULL_ADDRESSES

    @property
    def encrypted(self) -> bool:
        """Whether the media is, or may be, SRTP: by profile, SDES, DTLS, ZRTP or MIKEY."""
        named = self.crypto or self.fingerprint or self.zrtp or self.mikey
        return "SAVP" in self.protocol or bool(named)


@dataclass(slots=True)
class SessionDescription:
    """An SDP body: its media in order, and the origin line that tells one description from the next."""

    media: list[Media] = field(default_factory=list)
    origin: str = ""
    address: str = ""

    @property
    def audio(self) -> list[Media]:
        """The audio media, refused ones (port 0) included: offer and answer match by position."""
        return [media for media in self.media if media.kind == "audio"]


def parse_sdp(body: bytes) -> SessionDescription | None:
    """Read a session description; None when the body holds neither a v= nor an m= line. Never raises."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    session = SessionDescription()
    defaults = Media("", 0, "")
    current = defaults
    known = False
    for line in text.split("\n", MAX_LINES)[:MAX_LINES]:
        kind, equals, value = line.partition("=")
        kind = kind.strip()
        value = value.strip()
        if not equals or not value:
            continue
        if kind == "a":
            _attribute(current, value)
        elif kind == "c":
            current.address = _connection(value) or current.address
        elif kind == "m":
            known = True
            media = _media(value, defaults)
            if len(session.media) >= MAX_MEDIA:
                break
            # What follows a line that cannot be read must not be taken for the media before it.
            current = media if media is not None else Media("", 0, "")
            if media is not None:
                session.media.append(media)
        elif kind == "v":
            known = True
        elif kind == "o":
            session.origin = value
    session.address = defaults.address
    return session if known else None


def _media(value: str, session: Media) -> Media | None:
    tokens = value.split()
    if len(tokens) < 3:
        return None
    port, _, count = tokens[1].partition("/")
    number = _number(port, 65535)
    if number < 0:
        return None
    media = Media(
        kind=tokens[0].lower(),
        port=number,
        protocol=tokens[2].upper(),
        ports=max(1, _number(count, 65535)),
        address=session.address,
        direction=session.direction,
        rtcp_mux=session.rtcp_mux,
        crypto=list(session.crypto),
        fingerprint=session.fingerprint,
        zrtp=session.zrtp,
        mikey=session.mikey,
        ptime_ms=session.ptime_ms,
    )
    for token in tokens[3:131]:
        payload_type = _number(token, 127)
        if payload_type >= 0 and payload_type not in media.payload_types:
            media.payload_types.append(payload_type)
            if payload_type in STATIC_FORMATS:
                media.formats[payload_type] = STATIC_FORMATS[payload_type]
    return media


def _attribute(media: Media, text: str) -> None:
    name, _, value = text.partition(":")
    name = name.strip().lower()
    value = value.strip()
    if name == "rtpmap":
        _rtpmap(media, value)
    elif name == "fmtp":
        _fmtp(media, value)
    elif name in DIRECTIONS:
        media.direction = name
    elif name == "ptime":
        media.ptime_ms = max(0, _number(value.partition(".")[0], 10_000))
    elif name == "label":
        media.label = value[:64]
    elif name == "rtcp":
        _rtcp(media, value)
    elif name == "rtcp-mux":
        media.rtcp_mux = True
    elif name == "crypto":
        if len(media.crypto) < MAX_CRYPTO:
            media.crypto.append(value)
    elif name == "acap":
        # RFC 5939: "1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:...", an attribute for another profile.
        number, _, attribute = value.partition(" ")
        if number.isdigit() and attribute.startswith("crypto:") and len(media.crypto) < MAX_CRYPTO:
            media.crypto.append(attribute.removeprefix("crypto:"))
    elif name == "fingerprint":
        media.fingerprint = value
    elif name == "zrtp-hash":
        media.zrtp = True
    elif name == "key-mgmt":
        media.mikey = media.mikey or value.lower().startswith("mikey")
    elif name == "candidate":
        _candidate(media, value)


def _rtpmap(media: Media, value: str) -> None:
    tokens = value.split()
    payload_type = _number(tokens[0], 127) if tokens else -1
    if payload_type < 0 or len(tokens) < 2:
        return
    encoding, clock, channels = (*"".join(tokens[1:]).split("/"), "", "")[:3]
    before = media.formats.get(payload_type)
    usual = STATIC_FORMATS.get(payload_type)
    clock_hz = _number(clock, 10_000_000)
    if clock_hz <= 0:
        clock_hz = usual.clock_hz if usual else 8000
    media.formats[payload_type] = Format(
        encoding.upper(), clock_hz, max(1, _number(channels, 255)), before.fmtp if before else ""
    )


def _fmtp(media: Media, value: str) -> None:
    number, _, parameters = value.partition(" ")
    payload_type = _number(number, 127)
    before = media.formats.get(payload_type)
    if before is not None:
        media.formats[payload_type] = Format(
            before.encoding, before.clock_hz, before.channels, parameters.strip()
        )


def _rtcp(media: Media, value: str) -> None:
    tokens = value.split()
    port = _number(tokens[0], 65535) if tokens else -1
    if port > 0:
        media.rtcp_port = port
        media.rtcp_address = _connection(" ".join(tokens[1:])) if len(tokens) > 1 else ""


def _candidate(media: Media, value: str) -> None:
    # foundation component transport priority address port typ type ...
    tokens = value.split()
    if len(tokens) < 8 or tokens[2].lower() != "udp" or tokens[7].lower() not in _CANDIDATE_TYPES:
        return
    host = normalise_host(tokens[4])
    port = _number(tokens[5], 65535)
    found = {"1": media.candidates, "2": media.rtcp_candidates}.get(tokens[1])
    if found is not None and port > 0 and is_ip(host) and len(found) < MAX_CANDIDATES:
        found.append((host, port))


def _connection(value: str) -> str:
    """Return the address of ``IN IP4 224.2.1.1/127/3``, whatever of it is there."""
    tokens = value.split()
    return normalise_host(re.split("[/ ]", tokens[-1])[0]) if tokens else ""


def _number(text: str, most: int) -> int:
    """Return a number 0..most, or -1."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return -1
    number = int(text)
    return number if number <= most else -1
