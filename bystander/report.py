"""A finished call as the JSON object that ``calls.json`` and ``bystander calls --json`` print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bystander.decryption import Opening
from bystander.digits import Mask, masked
from bystander.finish import Written
from bystander.quality import quality_object
from bystander.sniffer.address import format_endpoint
from bystander.sniffer.calls import Call
from bystander.sniffer.realm import realm_of
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.reports import Heard
from bystander.sniffer.sdp import SIDE_ENCODINGS, STATIC_FORMATS, Format
from bystander.sniffer.siprec import RecordingSession
from bystander.sniffer.streams import Figures, Measures, Stream
from bystander.sniffer.transfers import Transfer
from bystander.verdict import Evidence, judge


def rfc3339(time_ns: int) -> str:
    """Return a time as RFC 3339 text, UTC, with milliseconds."""
    seconds, rest = divmod(time_ns + 500_000, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        # A capture may hold any 64-bit number as its time; a nonsense time must not cost the call.
        moment = datetime.fromtimestamp(0, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def _moment(time_ns: int | None) -> str | None:
    return None if time_ns is None else rfc3339(time_ns)


def codec_of(payload_types: list[int], formats: dict[int, Format]) -> str | None:
    """Name the audio codec of a stream: its first payload type that is audio; None if none is known."""
    explained = STATIC_FORMATS | formats
    for pt in payload_types:
        known = explained.get(pt)
        if known is not None and known.encoding.upper() == "RED":
            # Its parameters say what is inside, the primary encoding first (RFC 2198 section 5).
            inside = known.fmtp.partition("/")[0].strip()
            known = explained.get(int(inside)) if inside.isdecimal() and len(inside) < 4 else None
        if known is not None and known.encoding.upper() not in SIDE_ENCODINGS:
            return known.encoding
    return None


def _clock_of(payload_types: list[int], formats: dict[int, Format]) -> int | None:
    """Return the RTP clock of a stream's audio in Hz; None if it is not known."""
    for pt in payload_types:
        known = formats.get(pt) or STATIC_FORMATS.get(pt)
        if known is not None and known.encoding.upper() not in SIDE_ENCODINGS:
            return known.clock_hz
    return None


def stream_object(
    stream: Stream | RecoveredStream,
    figures: Figures,
    *,
    formats: dict[int, Format] | None = None,
    measures: Measures | None = None,
    heard: Heard | None = None,
    srtp: bool = False,
    by: str | None = None,
) -> dict[str, Any]:
    """Describe one RTP stream; ``by`` is left out for a stream that no call claimed."""
    codec = codec_of(stream.payload_types, formats or {})
    owner = {} if by is None else {"by": by}
    return (
        owner
        | {
            "src": format_endpoint(stream.src),
            "dst": format_endpoint(stream.dst),
            "ssrc": f"{stream.ssrc:#010x}",
            "codec": codec,
            "payload_types": sorted(stream.payload_types),
            "packets": figures.packets,
            "lost": figures.lost,
            "duplicates": figures.duplicates,
            "reordered": figures.reordered,
            "jitter_ms": round(figures.jitter_ms, 3),
            "first_at": rfc3339(stream.first_ns),
            "last_at": rfc3339(figures.last_ns),
            "srtp": srtp,
            "continues": None,
            "quality": quality_object(
                figures, measures, codec, heard, _clock_of(stream.payload_types, formats or {})
            ),
            "tunnel": stream.tunnel or None,
        }
        | ({"realm": realm} if (realm := realm_of(stream.src[0])) else {})
    )


def protection_fields(srtp: bool, kind: str, became: Opening | None) -> dict[str, Any]:
    """Describe how a stream is protected, now that it is known whether it could be opened."""
    if became is None:
        became = Opening(srtp)
    if not became.protected:
        return {"srtp": False}
    return {
        "srtp": True,
        "encryption": "sdes" if became.decrypted else kind or "unknown",
        "decrypted": became.decrypted,
        "srtp_auth_failures": became.failures,
    }


def call_object(
    call: Call,
    streams: list[dict[str, Any]],
    written: Written,
    root: Path,
    *,
    capture_loss: bool,
    excluded: str | None,
    mask: Mask = Mask(),  # noqa: B008 - a frozen value
    other_streams: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Describe one call; ``streams`` are stream objects, the recording's path is relative to ``root``.

    ``other_streams`` are those that are no audio, each with its ``kind``.
    ``excluded`` says why a call was not to be recorded: "configuration", or "no space" (C19).
    """
    answered = call.state == "answered"
    verdict = judge(
        Evidence(
            answered=answered,
            excluded=excluded is not None,
            sides_heard=len(written.heard),
            encrypted=written.encrypted,
            unsupported=bool(written.unsupported),
            capture_loss=capture_loss,
        )
    )
    begin_ns = call.answered_ns if call.answered_ns is not None else call.started_ns
    described = {
        "call_id": call.call_id,
        "linked_call_ids": list(call.linked_call_ids),
        "direction": call.direction,
        "caller": call.caller,
        "callee": call.callee,
        "caller_name": call.caller_name,
        "state": str(call.state),
        "final_status": call.final_status,
        "verdict": verdict,
        "excluded": excluded if answered else None,
        "started_at": rfc3339(call.started_ns),
        "answered_at": _moment(call.answered_ns),
        "ended_at": _moment(call.ended_ns),
        "ended_by": call.ended_by,
        "duration_s": round(max(0, call.ended_ns - begin_ns) / 1e9, 3) if answered else 0.0,
        "transport": call.transport,
        "holds": [
            {"by": hold.by, "from": rfc3339(hold.from_ns), "to": rfc3339(hold.to_ns or call.ended_ns)}
            for hold in call.holds
        ],
        "media": list(call.media),
        "dtmf": digit_objects(written, mask),
        "transfers": [transfer_object(transfer) for transfer in call.transfers],
        "related": [{"call_id": name, "relation": what} for name, what in call.related.items()],
        "streams": sorted(streams, key=lambda stream: (stream["first_at"], stream["src"])),
        "other_streams": sorted(other_streams, key=lambda stream: (stream["first_at"], stream["src"])),
        "undecoded": [stream.described() for stream in written.undecoded],
        "recording": recording_object(written, root),
    }
    if call.realm:
        described["realm"] = call.realm
    if call.siprec is not None:
        described["siprec"] = siprec_object(call.siprec)
    if written.announcement is not None:
        described["announcement"] = announcement_object(written.announcement)
    return described


def announcement_object(found: dict[str, Any]) -> dict[str, Any]:
    """Describe what was heard of the office's announcement (R3)."""
    return {
        "state": found["state"],
        "at": _moment(found["at_ns"]),
        "heard_s": round(found["heard_s"], 3),
        "score": found["score"],
        "star_at": _moment(found["star_ns"]),
    }


def siprec_object(session: RecordingSession) -> dict[str, Any]:
    """Describe another recorder's session: which sessions it records, and whom (RFC 7865)."""
    labels = session.known.labels
    return {
        "sessions": list(session.known.sessions),
        "participants": [
            {
                "aor": one.aor,
                "name": one.name,
                "labels": [labels[stream] for stream in one.sends if stream in labels],
            }
            for one in session.known.participants.values()
        ],
    }


def transfer_object(transfer: Transfer) -> dict[str, Any]:
    """Describe a transfer, in the same way in each call that it is about."""
    return {
        "at": rfc3339(transfer.at_ns),
        "kind": transfer.kind,
        "by": transfer.by,
        "to": transfer.to,
        "of": transfer.of or None,
        "consulted": transfer.consulted or None,
        "into": transfer.into or None,
        "status": transfer.status or None,
    }


def digit_objects(written: Written, mask: Mask) -> list[dict[str, Any]]:
    """Describe the keys pressed; those that are to be hidden are ``x``."""
    return [
        {
            "at": rfc3339(press.at_ns),
            "digit": press.digit,
            "by": press.by,
            "method": press.method,
            "duration_ms": press.duration_ms,
        }
        for press in masked(written.presses, mask)
    ]


def orphan_object(
    stream: dict[str, Any],
    written: Written,
    root: Path,
    mask: Mask = Mask(),  # noqa: B008 - a frozen value
) -> dict[str, Any]:
    """Describe a stream that no call claimed as a call: what is not known of it is empty."""
    return {
        "call_id": f"unclaimed {stream['src']} {stream['dst']} {stream['ssrc']}",
        "linked_call_ids": [],
        "direction": "unknown",
        "caller": "",
        "callee": "",
        "caller_name": "",
        "state": "incomplete",
        "final_status": None,
        "verdict": None,
        "excluded": None,
        "started_at": stream["first_at"],
        "answered_at": None,
        "ended_at": stream["last_at"],
        "ended_by": "timeout",
        "duration_s": 0.0,
        "transport": "",
        "holds": [],
        "media": ["audio"],
        "dtmf": digit_objects(written, mask),
        "transfers": [],
        "related": [],
        "streams": [{"by": "caller"} | stream],
        "other_streams": [],
        "undecoded": [stream.described() for stream in written.undecoded],
        "recording": recording_object(written, root),
    }


def recording_object(written: Written, root: Path) -> dict[str, Any] | None:
    """Describe a recording; None where there was no audio."""
    if written.path is None:
        return None
    return {
        "path": str(written.path.relative_to(root)),
        "channels": 2,
        "sample_rate": written.rate_hz,
        "starts_at": rfc3339(written.starts_ns),
        "duration_s": round(written.frames / written.rate_hz, 3),
        "sha256": written.sha256,
    }
