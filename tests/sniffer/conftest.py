"""What the tests of signalling share: telephones that write SIP messages, and streams without packets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from bystander.sniffer.address import Endpoint
from bystander.sniffer.calls import Call, CallSettings, CallTable
from bystander.sniffer.sip import Arrival, Message, parse_message

S = 1_000_000_000
#: Capture times of the tests count from here, so that none is near zero.
EPOCH_NS = 1_700_000_000 * S
_REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK"}


def at_ns(seconds: float) -> int:
    """Return a capture time, from seconds after the start of the scene."""
    return EPOCH_NS + round(seconds * S)


def sdp(
    host: str, port: int, mode: str = "", types: str = "8 101", kind: str = "audio", more: str = ""
) -> bytes:
    """Write a session description with one medium."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP{6 if ':' in host else 4} {host}", "t=0 0"]
    lines.append(f"m={kind} {port} RTP/AVP {types}")
    if "101" in types.split():
        lines.append("a=rtpmap:101 telephone-event/8000")
    lines += [f"a={mode}"] if mode else []
    lines += more.splitlines()
    return "\r\n".join([*lines, ""]).encode()


@dataclass(eq=False)
class FakeStream:
    """An RTP stream as the call table sees it."""

    id: int
    src: Endpoint
    dst: Endpoint
    first_ns: int
    last_ns: int
    ssrc: int = 1
    packets: int = 100
    payload_types: list[int] = field(default_factory=lambda: [8])


_numbers = count(1)


def stream(
    src: Endpoint, dst: Endpoint, first: float, last: float, types: tuple[int, ...] = (8,)
) -> FakeStream:
    """Make a stream between two endpoints, from and until seconds of the scene."""
    number = next(_numbers)
    return FakeStream(number, src, dst, at_ns(first), at_ns(last), number, payload_types=list(types))


@dataclass
class Scene:
    """Two telephones, one Call-ID; every method returns the message as it was captured at ``at`` seconds."""

    call_id: str = "call-1@10.0.0.1"
    caller: Endpoint = ("10.0.0.1", 5060)
    callee: Endpoint = ("10.0.0.2", 5060)
    from_tag: str = "alice-1"
    to_tag: str = "bob-1"
    from_header: str = '"Alice" <sip:101@10.0.0.1>'
    to_header: str = "<sip:102@10.0.0.2>"
    transport: str = "udp"

    def request(
        self,
        at: float,
        method: str,
        cseq: int = 1,
        body: bytes = b"",
        *,
        by: str = "caller",
        branch: str = "",
        dialog: bool | str = False,
        hop: tuple[Endpoint, Endpoint] | None = None,
        vias: int = 1,
        content: str = "application/sdp",
        headers: tuple[str, ...] = (),
    ) -> Arrival:
        """Send a request; ``dialog`` puts a To tag in: True for the scene's, or the tag itself."""
        tag = self.to_tag if dialog is True else dialog or ""
        ours, theirs = (
            f"{self.from_header};tag={self.from_tag}",
            self.to_header + (f";tag={tag}" if tag else ""),
        )
        if by == "callee":
            ours, theirs = theirs, ours
        src, dst = hop or ((self.caller, self.callee) if by == "caller" else (self.callee, self.caller))
        start = f"{method} sip:x@{dst[0]} SIP/2.0"
        branch = branch or f"z9hG4bK-{method}-{cseq}-{by}"
        return self._write(
            at, src, dst, start, ours, theirs, cseq, method, branch, vias, body, content, headers
        )

    def response(
        self,
        at: float,
        status: int,
        cseq: int = 1,
        body: bytes = b"",
        *,
        method: str = "INVITE",
        to: str = "caller",
        branch: str = "",
        tag: str | None = None,
        hop: tuple[Endpoint, Endpoint] | None = None,
        vias: int = 1,
    ) -> Arrival:
        """Answer a request of the party ``to``; ``hop`` is where the response comes from and goes to."""
        tag = self.to_tag if tag is None else tag
        ours = f"{self.from_header};tag={self.from_tag}"
        theirs = self.to_header + (f";tag={tag}" if tag and status > 100 else "")
        if to == "callee":
            ours, theirs = theirs, ours
        src, dst = hop or ((self.callee, self.caller) if to == "caller" else (self.caller, self.callee))
        start = f"SIP/2.0 {status} {_REASONS.get(status, 'Reason')}"
        branch = branch or f"z9hG4bK-{method}-{cseq}-{to}"
        content = "application/sdp"
        return self._write(at, src, dst, start, ours, theirs, cseq, method, branch, vias, body, content, ())

    def _write(
        self,
        at: float,
        src: Endpoint,
        dst: Endpoint,
        start: str,
        ours: str,
        theirs: str,
        cseq: int,
        method: str,
        branch: str,
        vias: int,
        body: bytes,
        content: str,
        headers: tuple[str, ...],
    ) -> Arrival:
        above = [f"Via: SIP/2.0/UDP 10.9.9.{n};branch=z9hG4bK-up-{n}" for n in range(1, vias)]
        lines = [
            start,
            f"Via: SIP/2.0/UDP {src[0]};branch={branch}",
            *above,
            f"From: {ours}",
            f"To: {theirs}",
        ]
        lines += [f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}", *headers]
        lines += [f"Content-Type: {content}"] if body else []
        raw = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        message = parse_message(raw)
        assert isinstance(message, Message)
        return Arrival(at_ns(at), src, dst, self.transport, message, raw)

    # -- a whole call -----------------------------------------------------------------------------------

    def invite(self, at: float = 0.0, **more: object) -> Arrival:
        """Ring up, offering audio at the caller's port 4000."""
        return self.request(at, "INVITE", 1, sdp(self.caller[0], 4000), **more)  # type: ignore[arg-type]

    def answer(self, at: float = 2.0, **more: object) -> Arrival:
        """Pick up, with audio at the callee's port 5000."""
        return self.response(at, 200, 1, sdp(self.callee[0], 5000), **more)  # type: ignore[arg-type]

    def normal(self, bye: float | None = 12.0, by: str = "caller") -> list[Arrival]:
        """Return the messages of an answered call."""
        messages = [
            self.invite(),
            self.response(0.1, 100),
            self.response(0.5, 180),
            self.answer(),
            self.request(2.1, "ACK", 1, dialog=True, branch="z9hG4bK-ack"),
        ]
        if bye is not None:
            messages += [
                self.request(bye, "BYE", 2, by=by, dialog=True),
                self.response(bye + 0.1, 200, 2, method="BYE", to=by),
            ]
        return messages

    def media(self, first: float = 2.1, last: float = 12.0) -> list[FakeStream]:
        """Return the streams of such a call: the caller's, the callee's."""
        ours, theirs = (self.caller[0], 4000), (self.callee[0], 5000)
        return [stream(ours, theirs, first, last), stream(theirs, ours, first, last)]


class Kit:
    """The tools of this module, for tests that ask for the fixture ``kit``."""

    Scene = Scene
    at_ns = staticmethod(at_ns)
    sdp = staticmethod(sdp)
    stream = staticmethod(stream)

    @staticmethod
    def run(table: CallTable, events: Iterable[Any], until: float) -> list[Call]:
        """Feed messages and streams in order of time, then let time pass until ``until``."""
        for event in sorted(events, key=lambda e: e.time_ns if isinstance(e, Arrival) else e.first_ns):
            if isinstance(event, Arrival):
                table.feed(event)
            else:
                table.stream_started(event)
        return table.advance(at_ns(until))

    @staticmethod
    def play(
        events: Iterable[Any], until: float, settings: CallSettings | None = None, close: bool = True
    ) -> list[Call]:
        """Do the same with a table of its own, at whose end the capture ends unless ``close`` is false."""
        table = CallTable(settings)
        calls = Kit.run(table, events, until)
        return calls + (table.close(at_ns(until)) if close else [])

    @staticmethod
    def one(calls: Sequence[Call]) -> Call:
        """Return the only call."""
        assert len(calls) == 1, [call.call_id for call in calls]
        return calls[0]

    @staticmethod
    def voices(call: Call) -> dict[Endpoint, str]:
        """Return who speaks, by where the stream comes from."""
        return {claimed.stream.src: claimed.by for claimed in call.streams}

    @staticmethod
    def later(arrival: Arrival, by_ns: int) -> Arrival:
        """Return the same message, captured once more."""
        a = arrival
        return Arrival(a.time_ns + by_ns, a.src, a.dst, a.transport, a.message, a.raw)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Telephones, descriptions, streams and times for tests of signalling."""
    return Kit
