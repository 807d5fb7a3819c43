"""What a call was made of: audio, and what is noted but not recorded (video, fax, text, messages; C17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bystander.sniffer.sdp import Media, SessionDescription

#: Media types of SDP (RFC 4566 section 8.2.1, and `image` of T.38); anything else is "other".
_KINDS: Final = frozenset({"audio", "video", "text", "image", "application", "message"})


def kind_of(media: Media) -> str:
    """Name a medium: "audio", "video", "image/t38", "text/t140", "message/msrp", "application", "other"."""
    encodings = {known.encoding for known in media.formats.values()}
    if media.kind == "image" and ("UDPTL" in media.protocol or "T38" in encodings):
        return "image/t38"
    if media.kind == "audio" and "UDPTL" in media.protocol:
        return "image/t38"  # what some gateways write
    if media.kind == "text" and "T140" in encodings:
        return "text/t140"
    if media.kind == "message" and "MSRP" in media.protocol:
        return "message/msrp"
    return media.kind if media.kind in _KINDS else "other"


def kinds_of(sdp: SessionDescription) -> list[str]:
    """Return the kinds of media that a description takes part in, each once, in its order."""
    return list(dict.fromkeys(kind_of(media) for media in sdp.media if media.port))


class MediaKinds:
    """The kinds of media of one call, from its offers and answers.

    What was agreed on counts; of a call of which no answer was seen, what was offered. A refused offer (a fax
    machine's 488) adds nothing.
    """

    __slots__ = ("_agreed", "_described")

    def __init__(self) -> None:
        self._described: dict[str, None] = {}
        self._agreed: dict[str, None] = {}

    def describe(self, kinds: list[str]) -> None:
        """Somebody has described media."""
        self._described.update(dict.fromkeys(kinds))

    def agree(self, one: list[str] | None, two: list[str] | None) -> None:
        """An offer was answered; None is a description that was missed."""
        if one is None or two is None:
            self._agreed.update(dict.fromkeys(one or two or ()))
        else:
            self._agreed.update(dict.fromkeys(kind for kind in one if kind in two))

    def __iter__(self) -> Iterator[str]:
        return iter(self._agreed or self._described)
