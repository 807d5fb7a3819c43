"""SIP messages as telephones send them (RFC 3261 section 7), read without complaint.

A recorder that rejects a message loses a call, so everything is accepted whose start line is SIP: compact
header forms, folded lines, a bare LF, blank lines in front, blanks before the colon or after a number,
names in any encoding, a Content-Length that lies. Only the headers that find the call are looked at when
a message arrives; addresses and SDP are read when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bystander.sniffer.address import Endpoint
from bystander.sniffer.multipart import Body, bodies, decode, split_head
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.sdp import SessionDescription, parse_sdp
from bystander.sniffer.sipaddress import Address, parameter, parse_address

#: Compact forms (RFC 3261 section 7.3.3 and the IANA registry of SIP header fields).
COMPACT = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "n": "identity-info", "o": "event", "r": "refer-to",
    "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip

#: Usual spellings, so that most headers cost one look-up and no conversion.
_SPELLINGS = {
    spelling: name
    for name in (
        "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "content-type", "content-length",
        "user-agent", "server", "allow", "supported", "route", "record-route", "expires", "require",
        "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "accept", "date",
        "subject", "event", "session-expires", "min-se", "allow-events", "reason", "rseq", "rack",
        "p-asserted-identity", "privacy", "remote-party-id", "diversion", "refer-to", "referred-by",
        "replaces",
    )
    for spelling in (name, name.title())
}  # fmt: skip
_SPELLINGS |= {"Call-ID": "call-id", "CSeq": "cseq", "Call-Id": "call-id", "Cseq": "cseq"}
_SPELLINGS |= {"WWW-Authenticate": "www-authenticate", "Min-SE": "min-se", "RAck": "rack", "RSeq": "rseq"}
_SPELLINGS |= COMPACT | {short.upper(): name for short, name in COMPACT.items()}

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]{1,64}"
_METHOD = re.compile(_TOKEN)
_VERSION = re.compile(r"SIP/(\d+\.\d+)", re.IGNORECASE)
_RESPONSE = re.compile(r"SIP/(\d+\.\d+)[ \t]+(\d+)(?:[ \t]+(.*))?[ \t]*\Z", re.IGNORECASE)
_START = re.compile(
    rb"[\r\n]*(?:SIP/2\.0[ \t]+\d{3}(?!\d)|"
    + _TOKEN.encode()
    + rb"[ \t]+[^\s\x00][^\r\n]*[ \t]SIP/2\.0[ \t]*\r?\n)",
    re.IGNORECASE,
)
_FOLD = re.compile(r"\r?\n[ \t]+")
#: What else may be said of a body.
_OF_BODIES = frozenset(("content-disposition", "content-transfer-encoding"))
#: Dispositions of a description of this session; another is that of early media, say (RFC 3959).
_OF_SESSION = frozenset(("", "session", "render", "attachment"))
_TAG = re.compile(r";\s*tag\s*=\s*([^\s;,\"]*)", re.IGNORECASE)
_BRANCH = re.compile(r";\s*branch\s*=\s*([^\s;,]*)", re.IGNORECASE)


@dataclass(slots=True)
class Message:
    """A SIP request or response.

    ``method``       of a request, in capitals; None for a response
    ``uri``          the Request-URI, "" for a response
    ``status``       100..999, 0 for a request; ``reason`` its phrase
    ``headers``      long lower-case name -> values, one for each header line, unfolded and stripped
    ``body``         what Content-Length says belongs to the message, or what there is of it
    ``call_id``, ``cseq``, ``cseq_method``, ``from_tag``, ``to_tag``, ``branch`` (of the topmost Via)
                     "" or 0 when the message does not say
    ``vias``         number of Via values
    ``truncated``    the body is shorter than Content-Length, or the header section has no end
    """

    method: str | None
    uri: str
    status: int
    reason: str
    headers: dict[str, list[str]]
    body: bytes
    call_id: str = ""
    cseq: int = 0
    cseq_method: str = ""
    from_tag: str = ""
    to_tag: str = ""
    branch: str = ""
    vias: int = 0
    truncated: bool = False
    _from: Address | None = field(default=None, repr=False, compare=False)
    _to: Address | None = field(default=None, repr=False, compare=False)
    _sdp: SessionDescription | None = field(default=None, repr=False, compare=False)
    _sdp_read: bool = field(default=False, repr=False, compare=False)

    def header(self, name: str, default: str = "") -> str:
        """Return the first value of a header, by its long lower-case name."""
        values = self.headers.get(name)
        return values[0] if values else default

    def values(self, name: str) -> list[str]:
        """Return every value of a header that may hold a comma-separated list, topmost first."""
        return [value for line in self.headers.get(name, ()) for value in split_values(line)]

    @property
    def from_(self) -> Address:
        """The From header (RFC 3261 section 20.20), read at first use."""
        if self._from is None:
            self._from = parse_address(self.header("from"))
        return self._from

    @property
    def to(self) -> Address:
        """The To header (RFC 3261 section 20.39), read at first use."""
        if self._to is None:
            self._to = parse_address(self.header("to"))
        return self._to

    @property
    def sdp(self) -> SessionDescription | None:
        """The session description in the body, through multipart too; None when there is none."""
        if not self._sdp_read:
            self._sdp_read = True
            self._sdp = self._find_sdp() if self.body else None
        return self._sdp

    def forget(self) -> None:
        """Let go of headers and body once a message was dealt with; what it is and belongs to stays.

        They are most of what a call in progress would hold in memory, and are in its bytes.
        """
        self.headers = {}
        self.body = b""
        self._from = self._to = self._sdp = None

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield (media type in lower case, body) of the body, or of each body of a multipart (RFC 5621)."""
        yield from ((body.media_type, body.content) for body in self.bodies())

    def bodies(self) -> Iterable[Body]:
        """Return the body, or each body of a multipart (RFC 5621)."""
        if self.header("content-type") == "application/sdp" and _OF_BODIES.isdisjoint(self.headers):
            return (Body("application/sdp", "", self.body),)  # as nearly always
        return bodies(
            self.header("content-type"),
            self.header("content-disposition"),
            self.header("content-transfer-encoding"),
            self.body,
        )

    def _find_sdp(self) -> SessionDescription | None:
        for part in self.bodies():
            body = part.content
            if part.disposition not in _OF_SESSION:
                continue
            if part.media_type == "application/sdp" or (
                not part.media_type and body.lstrip().startswith(b"v=0")
            ):
                # Half a line could name half a port number.
                return parse_sdp(body[: body.rfind(b"\n") + 1] if self.truncated else body)
        return None


@dataclass(slots=True)
class Arrival:
    """A message with what the capture knows about it: when, between whom, and its bytes.

    ``time_ns`` UTC nanoseconds; ``transport`` "udp", "tcp", "ws" or "tls". The Call-ID of the message holds
    within the realm that it was seen in.
    """

    time_ns: int
    src: Endpoint
    dst: Endpoint
    transport: str
    message: Message
    raw: bytes

    def __post_init__(self) -> None:
        realm = realm_of(self.src[0])
        if realm:
            self.message.call_id = within(self.message.call_id, realm)


def looks_like_sip(data: bytes | bytearray) -> bool:
    """Tell cheaply whether a payload begins with a SIP start line, blank lines before it allowed."""
    return _START.match(data) is not None


def parse_message(data: bytes | memoryview) -> Message | str:
    """Read one SIP message; return why it is none: "empty", "not-sip", "version" or "status-code".

    Never raises. A message without a Call-ID is returned with an empty one.
    """
    data = bytes(data).lstrip(b"\r\n")
    if not data:
        return "empty"
    head, rest, ended = split_head(data)
    text = decode(head)
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\n")
    message = _start_line(lines[0].rstrip("\r"))
    if isinstance(message, str):
        return message
    headers = message.headers
    del lines[0]
    for line in lines:
        name, _, value = line.partition(":")
        known = _SPELLINGS.get(name)
        if known is None:
            name = name.strip().lower()
            known = COMPACT.get(name, name)
            if not known:
                continue
        if known in headers:
            headers[known].append(value.strip())
        else:
            headers[known] = [value.strip()]
    _read_identity(message)
    _cut_body(message, rest)
    if not ended:
        message.truncated = True
    return message


def split_values(line: str) -> list[str]:
    """Split a header line at the commas outside quotes and angle brackets (RFC 3261 section 7.3.1)."""
    if "," not in line:
        return [line]
    values = []
    start = depth = 0
    quoted = escaped = False
    for i, character in enumerate(line):
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character == "<":
            depth = 1
        elif character == ">":
            depth = 0
        elif character == "," and not depth:
            values.append(line[start:i].strip())
            start = i + 1
    values.append(line[start:].strip())
    return [value for value in values if value]


def _start_line(line: str) -> Message | str:
    if line[:4] in ("SIP/", "sip/"):
        response = _RESPONSE.match(line)
        if response is None:
            return "not-sip"
        version, code, reason = response.groups()
        if version != "2.0":
            return "version"
        if len(code) != 3 or code[0] == "0":
            return "status-code"
        return Message(None, "", int(code), (reason or "").strip(), {}, b"")
    # By hand: the regular expression for this takes quadratic time over a long run of blanks.
    method, rest = (*line.split(None, 1), "", "")[:2]
    uri, version = (*rest.rsplit(None, 1), "", "")[:2]
    protocol = _VERSION.fullmatch(version)
    if protocol is None or _METHOD.fullmatch(method) is None:
        return "not-sip"
    if protocol.group(1) != "2.0":
        return "version"
    return Message(method.upper(), uri, 0, "", {}, b"")


def _read_identity(message: Message) -> None:
    headers = message.headers
    message.call_id = message.header("call-id")
    number, method = (*message.header("cseq").split(None, 1), "", "")[:2]
    message.cseq = _number(number)
    message.cseq_method = method.upper() or message.method or ""
    message.from_tag = _tag(message.header("from"))
    message.to_tag = _tag(message.header("to"))
    vias = headers.get("via")
    if vias:
        top = vias[0]
        message.vias = len(vias) if len(vias) == 1 and "," not in top else len(message.values("via"))
        branch = _BRANCH.search(top if "," not in top else split_values(top)[0] if split_values(top) else "")
        if branch:
            message.branch = branch.group(1)


def _tag(value: str) -> str:
    end = value.rfind(">")
    if end >= 0 and '"' not in value[end:]:
        tag = _TAG.search(value, end)
        if tag:
            return tag.group(1)
    return parse_address(value).tag if "tag" in value.lower() else ""


def _number(text: str) -> int:
    """Return a non-negative number, or 0 where there is none or an absurd one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0


def _cut_body(message: Message, rest: bytes) -> None:
    declared = message.header("content-length")
    if not (declared.isascii() and declared.isdigit() and len(declared) <= 9):
        message.body = rest
        return
    length = int(declared)
    message.truncated = length > len(rest)
    message.body = rest[:length]


__all__ = ["Address", "Arrival", "Message", "looks_like_sip", "parameter", "parse_message", "split_values"]
