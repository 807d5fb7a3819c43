"""Calls as people see them in a terminal: the table, one call with its streams, and the SIP ladder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from bystander.lang import DAYS, t
from bystander.moments import length
from bystander.output import plain
from bystander.quality import summary

if TYPE_CHECKING:
    from bystander.sniffer.ladder import Ladder

DIRECTIONS = {"incoming": "↘", "outgoing": "↗", "internal": "↔", "unknown": "·"}
COLOURS = {"recorded": "green", "partial": "yellow", "one-way": "yellow", "excluded": "dim"} | dict.fromkeys(
    ("no-media", "encrypted", "unsupported-codec", "failed", "incomplete"), "red"
)
CALLER, CALLEE = "cyan", "magenta"
_TIME, _LENGTH = 10, 8
_KINDS = {"request": "bold", "provisional": "dim", "success": "green", "failure": "red"}


def calls_table(
    calls: Sequence[dict[str, Any]], root: Path, width: int, zone: tzinfo | None, *, ids: bool = False
) -> Iterator[Text]:
    """Yield the lines of the table: a heading for each day, two lines for each recorded call.

    `root` is what the paths of the recordings are relative to. `ids` puts the id in place of the path, where
    the calls have one. Good from 80 columns on.
    """
    outcome = max((len(_outcome(call)) for call in calls), default=0) + 2
    needed = max((len(plain(call["caller"])) + len(plain(call["callee"])) for call in calls), default=0) + 6
    room = width - outcome - _TIME - _LENGTH - 2
    parties = max(12, min(needed, room - max(16, width // 4)))
    picture = max(16, min(60, room - parties))
    day = ""
    for call in calls:
        start = datetime.fromisoformat(call["started_at"]).astimezone(zone)
        if f"{start:%A %Y-%m-%d}" != day:
            day = f"{start:%A %Y-%m-%d}"
            yield Text(f"{t(DAYS[start.weekday()])} {start:%Y-%m-%d}", "bold")
        above, below = _picture(call, root, picture)
        line = Text(f"{DIRECTIONS.get(call['direction'], '·')} ")
        line.append(f"{start:%H:%M:%S}".ljust(_TIME))
        line.append((length(call["duration_s"]) if call["answered_at"] else "").rjust(_LENGTH - 2) + "  ")
        line.append_text(_parties(call, parties))
        line.append(_outcome(call).ljust(outcome), _colour(call))
        line.append(above, CALLER)
        yield _trimmed(line)
        yield from _second_line(call, root, width - room + parties, below, ids=ids)


def legend(calls: Iterable[dict[str, Any]]) -> Text:
    """Return what the signs mean that are in use, and how the waveforms are to be read."""
    used = {call["direction"] for call in calls}
    signs = "  ".join(
        f"{sign} {t(name)}" for name, sign in DIRECTIONS.items() if name in used and name != "unknown"
    )
    line = Text(f"{signs}   {t('waveform')}: " if signs else f"{t('waveform')}: ", "dim")
    return line.append(t("caller above"), CALLER).append(", ").append(t("callee below"), CALLEE)


def _second_line(call: dict[str, Any], root: Path, room: int, below: str, *, ids: bool) -> Iterator[Text]:
    recording = call["recording"]
    name = call.get("id", "") if ids else (str(root / recording["path"]) if recording else "")
    if not name and not below.strip():
        return
    shown = Text("  ")
    if len(name) + 3 <= room:
        shown.append(plain(name), "dim").append(" " * (room - len(name) - 2))
        name = ""
    else:
        shown.append(" " * (room - 2))
    shown.append(below, CALLEE)
    if shown.plain.strip():
        yield _trimmed(shown)
    if name:
        # A path is there to be copied: never shortened, rather on a line of its own.
        yield Text("  ").append(plain(name), "dim")


def _picture(call: dict[str, Any], root: Path, width: int) -> tuple[str, str]:
    if not call["recording"]:
        return "", ""
    if call.get("sealed"):
        held = call["held_by"]
        kept = f"{t('held')}: {', '.join(map(plain, held))}"[:width] if held else ""
        return t("sealed"), kept
    lines = picture_lines(root / call["recording"]["path"], width)
    return (lines[0], lines[1]) if len(lines) == 2 else (t("(no file)"), "")


def picture_lines(path: Path, width: int, rows: int = 1) -> list[str]:
    """Return the waveform's lines, or none if the file is gone, cannot be read or is sealed."""
    from soundfile import LibsndfileError

    from bystander.waveform import waveform_of

    try:
        return waveform_of(path, width, rows).split("\n")
    except (OSError, LibsndfileError):
        return []


def _parties(call: dict[str, Any], width: int) -> Text:
    caller, callee = plain(call["caller"]) or "?", plain(call["callee"]) or "?"
    room = width - 4
    if len(caller) + len(callee) > room:
        half = max(room // 2, room - len(callee))
        caller = _short(caller, half)
        callee = _short(callee, room - len(caller))
    text = Text(caller).append(" → ", "dim").append(callee)
    return text.append(" " * (width - len(text.plain)))


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _outcome(call: dict[str, Any]) -> str:
    if call["verdict"]:
        return t(str(call["verdict"]))
    return f"{t(call['state'])} {call['final_status'] or ''}".strip()


def _colour(call: dict[str, Any]) -> str:
    return COLOURS.get(call["verdict"] or call["state"], "dim")


def _trimmed(line: Text) -> Text:
    line.rstrip()
    return line


def call_facts(
    call: dict[str, Any], root: Path, zone: tzinfo | None, evidence: Path | None = None
) -> Iterator[Text]:
    """Yield one call as lines of a name and a value."""
    yield Text.assemble(
        (f"{DIRECTIONS.get(call['direction'], '·')} ", "bold"),
        (plain(call["caller"]) or "?", "bold"),
        (" → ", "dim"),
        (plain(call["callee"]) or "?", "bold"),
        "   ",
        (t(call["state"]), "" if call["verdict"] else _colour(call)),
        (f" {call['final_status'] or ''}".rstrip(), "dim"),
        "   ",
        (t(call["verdict"]) if call["verdict"] else "", _colour(call)),
    )
    facts = [
        (name and t(name, of="show"), value) for name, value in _facts(call, root, zone, evidence) if value
    ]
    width = max(11, *(len(name) + 1 for name, _ in facts))
    for name, value in facts:
        yield Text.assemble((f"  {name:<{width}}", "dim"), plain(value))


def _facts(
    call: dict[str, Any], root: Path, zone: tzinfo | None, evidence: Path | None
) -> Iterator[tuple[str, str | None]]:
    recording = call["recording"]
    yield "id", call.get("id")
    yield "direction", t(call["direction"])
    yield "name", call["caller_name"]
    for name in ("started", "answered", "ended"):
        at = _when(call[f"{name}_at"], zone) if call[f"{name}_at"] else None
        if at and name == "ended" and call["ended_by"]:
            at = t("{time} by {party}", time=at, party=t(call["ended_by"]))
        yield name, at
    yield "duration", t("{seconds:.3f} s", seconds=call["duration_s"]) if call["answered_at"] else None
    yield "quality", summary(call)
    yield "transport", call["transport"]
    media = call.get("media") or []
    yield "media", ", ".join(media) if media != ["audio"] else None
    for stream in call.get("undecoded") or []:
        values = {"codec": stream["codec"], "party": t(stream["by"]), "packets": stream["packets"]}
        kept = t(", {kept} of them in the evidence", kept=stream["kept"]) if stream["kept"] else ""
        yield (
            "not decoded",
            t("{codec} by {party}: {packets} {packets:packet|packets}", **values) + kept,
        )
    yield "Call-ID", ", ".join([call["call_id"], *call["linked_call_ids"]])
    if call.get("realm"):
        yield "network", call["realm"]
    for told in call.get("transfers", ()):
        yield "transfer", _transfer(told, zone)
    for one in call.get("case", call.get("related", ())):
        yield one["relation"].replace("-", " "), _partner(one, zone)
    for hold in call["holds"]:
        until = _when(hold["to"], zone, "%H:%M:%S") if hold["to"] else t("the end")
        begin = _when(hold["from"], zone, "%H:%M:%S")
        yield "hold", t("by {party}, {begin} to {end}", party=t(hold["by"]), begin=begin, end=until)
    for side in ("caller", "callee"):
        pressed = [press for press in call["dtmf"] if press["by"] == side]
        methods = ", ".join(sorted({press["method"] for press in pressed}))
        digits = " ".join(press["digit"] for press in pressed)
        said = t("{digits}  by {party} ({methods})", digits=digits, party=t(side), methods=methods)
        yield "digits", said if pressed else None
    if told := call.get("announcement"):
        yield "announced", _announced(told, zone)
    yield "recording", str(root / recording["path"]) if recording else None
    yield "", _audio(recording) if recording else None
    yield "sha256", recording["sha256"] if recording else None
    yield "evidence", str(evidence) if evidence else None
    yield "kept until", _until(call.get("delete_after"), zone)
    yield "held by", ", ".join(call.get("held_by") or [])


def _until(text: str | None, zone: tzinfo | None) -> str | None:
    """Return the end of a term in the office's time; a date is one."""
    return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M}" if text and "T" in text else text


def _transfer(told: dict[str, Any], zone: tzinfo | None) -> str:
    status = f" ({told['status']})" if told["status"] else ""
    parties = t("{kind}, by {by} to {to}", kind=t(told["kind"]), by=told["by"], to=told["to"])
    return f"{parties}, {_when(told['at'], zone, '%H:%M:%S')}{status}"


def _announced(told: dict[str, Any], zone: tzinfo | None) -> str:
    """Say whether the office's announcement was heard (R3)."""
    if told["at"] is None:
        return t("not heard")
    at = _when(told["at"], zone, "%H:%M:%S")
    how = (
        t("whole, from {time}", time=at)
        if told["state"] == "heard"
        else t("cut after {seconds:.1f} s, from {time}", seconds=told["heard_s"], time=at)
    )
    if not told["star_at"]:
        return how
    return how + t("; * pressed at {time}", time=_when(told["star_at"], zone, "%H:%M:%S"))


def _partner(one: dict[str, Any], zone: tzinfo | None) -> str:
    """Name another call of the case; one that was not recorded has only its Call-ID."""
    if "id" not in one:
        return str(one["call_id"])
    start = _when(one["started_at"], zone, "%H:%M:%S")
    return f"{one['id']}  {one['caller']} → {one['callee']}, {start}"


def _audio(recording: dict[str, Any]) -> str:
    return t(
        "{seconds:.3f} s, {channels} {channels:channel|channels}, {rate} Hz",
        seconds=recording["duration_s"],
        channels=recording["channels"],
        rate=recording["sample_rate"],
    )


def _when(text: str, zone: tzinfo | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    moment = datetime.fromisoformat(text).astimezone(zone)
    return f"{moment:{form}}.{moment.microsecond // 1000:03d}"


#: So many columns tell which stream it is, the others how it came.
_NAMING = 5
STREAM_COLUMNS = ("by", "from", "to", "ssrc", "codec", "packets", "lost", "dup", "reord", "jitter ms")


def streams_table(streams: Sequence[dict[str, Any]], screen: int = 1 << 16) -> Iterator[Text]:
    """Yield the RTP streams of a call as aligned lines under a heading; in two parts, one above the other,
    where they do not fit on a ``screen`` so wide.
    """
    rows = [
        [
            *(t(stream["by"]), stream["src"], stream["dst"], stream["ssrc"]),
            (stream["codec"] or "?") + (" SRTP" if stream["srtp"] else ""),
            *(str(stream[name]) for name in ("packets", "lost", "duplicates", "reordered")),
            f"{stream['jitter_ms']:.1f}",
        ]
        for stream in streams
    ]
    heading = [t(name, of="streams") for name in STREAM_COLUMNS]
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    colours = ["dim", *({"caller": CALLER, "callee": CALLEE}.get(stream["by"], "") for stream in streams)]
    every = range(len(heading))
    wide = sum(widths) + 2 * len(widths) > screen
    for places in (every[:_NAMING], [0, *every[_NAMING:]]) if wide else (every,):
        for row, colour in zip([heading, *rows], colours, strict=True):
            cells = [
                plain(row[at]).rjust(widths[at]) if at >= _NAMING else plain(row[at]).ljust(widths[at])
                for at in places
            ]
            yield _trimmed(Text("  ").append("  ".join(cells), colour))


def ladder_table(drawn: Ladder, width: int) -> Iterator[Text]:
    """Yield the SIP ladder: a column for each endpoint, seconds since the first message at the left."""
    margin = 10
    columns = len(drawn.columns)
    pitch = max(14, min(40, (width - margin) // max(columns, 1)))
    middles = [margin + pitch * number + pitch // 2 for number in range(columns)]
    heading = [" "] * (margin + pitch * columns)
    for middle, name in zip(middles, drawn.columns, strict=True):
        shown = _short(plain(name), pitch - 1)
        first = middle - len(shown) // 2
        heading[first : first + len(shown)] = shown
    yield Text("".join(heading).rstrip(), "bold")
    for arrow in drawn.arrows:
        row = [" "] * len(heading)
        for middle in middles:
            row[middle] = "│"
        left, right = sorted((middles[arrow.source], middles[arrow.target]))
        label = plain(arrow.label) + (f" ×{arrow.repeats + 1}" if arrow.repeats else "")
        line = Text(f"{arrow.offset_ms / 1000:{margin - 1}.3f} ", "dim")
        if left == right:
            line.append("".join(row[margin : left + 1]), "dim").append(f" {label}", _KINDS[arrow.kind])
        else:
            shaft = f" {_short(label, right - left - 5)} ".center(right - left - 1, "─")
            shaft = shaft[:-1] + "▶" if arrow.source < arrow.target else "◀" + shaft[1:]
            line.append("".join(row[margin : left + 1]), "dim")
            line.append(shaft, _KINDS[arrow.kind])
            line.append("".join(row[right:]), "dim")
        yield _trimmed(line)
        if arrow.note:
            row[left + 2 :] = f"{_short(plain(arrow.note), max(20, width - left - 3))}"
            yield Text("".join(row), "dim")
