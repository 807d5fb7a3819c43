"""Recording sessions between other machines (SIPREC, RFC 7865 and 7866): who is heard in which stream.

A session border controller that records elsewhere calls the recording server and sends it both sides of a
call as two streams of its own. By the dialog both are the caller's. Who speaks stands in the metadata: a
stream has a label, which the session description gives to a medium (RFC 4574), and participants send streams.
The participants, in the order in which they stand, are the parties: the first that is heard is the caller.

The XML comes from the network: documents with a DOCTYPE (entities) are refused, sizes are bounded, and what
cannot be read is left out. Updates come in later messages, partial or whole; what is known is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from bystander.sniffer.address import Endpoint
from bystander.sniffer.dialogs import Party
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.sip import Message
from bystander.sniffer.sipaddress import parse_address

MAX_DOCUMENT_BYTES: Final = 256 << 10
MAX_PARTICIPANTS: Final = 32
MAX_STREAMS: Final = 64
_MAX_DEPTH: Final = 32
_MAX_TEXT: Final = 300
_TYPES: Final = frozenset({"application/rs-metadata+xml", "application/rs-metadata"})
_BLANKS = re.compile(r"\s+")


@dataclass(slots=True)
class Participant:
    """A person recorded: address of record, name, and the ids of the streams they send."""

    id: str
    aor: str = ""
    name: str = ""
    sends: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Metadata:
    """A document of recording metadata, as far as it is needed."""

    sessions: list[str] = field(default_factory=list)
    participants: dict[str, Participant] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """By stream id."""


def parse_metadata(document: bytes) -> Metadata | None:
    """Read recording metadata (RFC 7865 section 10); None if there is none to be had. Never raises."""
    if len(document) > MAX_DOCUMENT_BYTES:
        return None
    reader = _Reader()
    try:
        reader.parse(document)
    except (expat.ExpatError, _RefusedError, ValueError, LookupError):
        # Half a document is better than none: what stood before the damage counts.
        pass
    found = reader.found
    return found if reader.is_metadata and (found.participants or found.labels or found.sessions) else None


class _RefusedError(Exception):
    pass


class _Reader:
    """Collects what matters while the document is read; elements are known by their local names."""

    def __init__(self) -> None:
        self.found = Metadata()
        self.is_metadata = False
        self._path: list[str] = []
        self._text: list[str] = []
        self._size = 0
        self._id = ""  # of the participant, stream or association that is open
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def parse(self, document: bytes) -> None:
        self._parser.Parse(document.strip(), True)

    def _refuse(self, *_: object) -> None:
        raise _RefusedError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2].lower()
        if len(self._path) >= _MAX_DEPTH:
            raise _RefusedError
        if not self._path:
            self.is_metadata = name == "recording"
        self._path.append(name)
        self._text, self._size = [], 0
        found = self.found
        if name == "session":
            if len(found.sessions) < MAX_PARTICIPANTS:
                found.sessions.append(_cut(attributes.get("session_id") or attributes.get("id", "")))
        elif name == "participant":
            self._id = _cut(attributes.get("participant_id") or attributes.get("id", ""))
            self._participant()
        elif name == "stream":
            self._id = _cut(attributes.get("stream_id") or attributes.get("id", ""))
        elif name == "participantstreamassoc":
            self._id = _cut(attributes.get("participant_id") or attributes.get("participant", ""))
        elif name == "nameid" and (known := self._participant()) is not None:
            known.aor = _cut(attributes.get("aor", ""))

    def _end(self, _: str) -> None:
        name = self._path.pop()
        text = _BLANKS.sub(" ", "".join(self._text)).strip()
        self._text = []
        found = self.found
        if name == "label" and "stream" in self._path:
            if len(found.labels) < MAX_STREAMS:
                found.labels[self._id] = text
        elif name == "send":
            known = self._participant()
            if known is not None and len(known.sends) < MAX_STREAMS and text not in known.sends:
                known.sends.append(text)
        elif name == "name" and "participant" in self._path and (known := self._participant()) is not None:
            known.name = text

    def _characters(self, text: str) -> None:
        self._size += len(text)
        if self._size <= _MAX_TEXT:
            self._text.append(text)

    def _participant(self) -> Participant | None:
        """Return the participant that is spoken of; None if there are too many."""
        everyone = self.found.participants
        if self._id not in everyone and len(everyone) < MAX_PARTICIPANTS:
            everyone[self._id] = Participant(self._id)
        return everyone.get(self._id)


def _cut(text: str) -> str:
    return text.strip()[:_MAX_TEXT]


class RecordingSession:
    """What the messages of one recording session have told so far."""

    def __init__(self) -> None:
        self.known = Metadata()
        self._labels: dict[Endpoint, str] = {}
        self._by_place: dict[int, str] = {}

    def observe(self, message: Message) -> None:
        """Take a message of the session: its metadata, and which endpoints have which label."""
        for metadata in metadata_of(message):
            self._merge(metadata)
        sdp = message.sdp
        if sdp is None:
            return
        for place, media in enumerate(sdp.media[:MAX_STREAMS]):
            if media.label:
                self._by_place[place] = media.label
            # The answer's media have the places of the offer's (RFC 3264 section 6), not its labels.
            label = self._by_place.get(place)
            if label is not None and media.port and len(self._labels) < 4 * MAX_STREAMS:
                host, port = media.endpoint
                self._labels[within(host, realm_of(message.call_id)), port] = label

    def _merge(self, fresh: Metadata) -> None:
        known = self.known
        known.sessions = list(dict.fromkeys(known.sessions + fresh.sessions))[:MAX_PARTICIPANTS]
        for stream, label in fresh.labels.items():
            if stream in known.labels or len(known.labels) < MAX_STREAMS:
                known.labels[stream] = label
        for name, participant in fresh.participants.items():
            before = known.participants.get(name)
            if before is None:
                if len(known.participants) < MAX_PARTICIPANTS:
                    known.participants[name] = participant
                continue
            before.aor, before.name = participant.aor or before.aor, participant.name or before.name
            before.sends = list(dict.fromkeys(before.sends + participant.sends))[:MAX_STREAMS]

    def speakers(self) -> list[Participant]:
        """Return the participants who send a stream, in their order; all of them if none is said to."""
        everyone = list(self.known.participants.values())
        return [one for one in everyone if one.sends] or everyone

    def party(self, src: Endpoint, dst: Endpoint) -> Party | None:
        """Return who is heard in a stream between two endpoints; None if nothing tells."""
        label = self._labels.get(dst) or self._labels.get(src)
        if label is None:
            return None
        for place, speaker in enumerate(self.speakers()):
            if any(self.known.labels.get(stream) == label for stream in speaker.sends):
                return "caller" if place == 0 else "callee"
        # No metadata says: the first label is the first side.
        labels = list(dict.fromkeys(self._by_place[place] for place in sorted(self._by_place)))
        return "caller" if labels and labels[0] == label else "callee"

    def names(self) -> tuple[str, str, str] | None:
        """Return caller, callee and the caller's name as the participants have them; None without any."""
        speakers = self.speakers()
        if not speakers:
            return None
        first, second = speakers[0], speakers[1] if len(speakers) > 1 else Participant("")
        return _user(first.aor), _user(second.aor), first.name


def _user(aor: str) -> str:
    address = parse_address(aor)
    return address.user or address.host


def metadata_of(message: Message) -> Iterator[Metadata]:
    """Yield the recording metadata in a message."""
    if b"recording" not in message.body and "multipart" not in message.header("content-type"):
        return
    for body in message.bodies():
        if body.media_type in _TYPES:
            metadata = parse_metadata(body.content)
            if metadata is not None:
                yield metadata


def is_recording_session(message: Message) -> bool:
    """Tell whether a message sets up a recording session (RFC 7866 sections 6.1, 9): its Contact says so
    (+sip.src), it requires "siprec", or it brings metadata."""
    if message.method != "INVITE":
        return False
    if "siprec" in message.header("require").lower() or "+sip.src" in message.header("contact").lower():
        return True
    if message.header("content-type").lower().startswith("application/sdp"):
        return False  # as nearly always
    return any(body.media_type in _TYPES for body in message.bodies())
