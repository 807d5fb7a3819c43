"""Write ``docs/corpus.md`` from the public captures beside the project: `make corpus`.

For each capture: what it is (``corpus_files.toml``), what TShark finds in it (``corpus.json``), what the
pipeline makes of it, and how much sound comes out of each stream. ``test_corpus_table.py`` holds it to that.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bystander.config import Config
from bystander.finish import StreamMedia, Written, _tracks, finish
from bystander.finished import Finished, FinishedCall
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.settings import call_settings
from bystander.sniffer.capturefile import open_captures
from bystander.storage.spool import Spool
from tests.test_corpus import CORPUS, stream_key, table, truth

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "corpus.md"
ABOUT = Path(__file__).with_name("corpus_files.toml")
BLOCK = 1 << 16

HEAD = """\
# Public captures

{files} captures that others have published, read by Bystander and by TShark 4.0. They are not part of
this repository: several have no clear licence. `make corpus` writes this page from the captures and
from TShark's findings. `tests/test_corpus.py` compares both value by value, down to the SHA-256 of G.711
payload; `tests/test_corpus_table.py` fails when this page is no longer true. In all, TShark finds
{their_calls} Call-IDs of INVITE dialogs, and {their_packets} RTP packets in {their_streams} streams;
Bystander {our_calls}, and {our_packets} in {our_streams}.

## What is in each

*Call-IDs* are those of INVITE dialogs with the state of each; Bystander joins those that are legs of one
call, so it may have fewer *calls*, each with its verdict. *RTP* counts distinct sequence numbers, and
streams; TShark's include what it finds only when it is told to guess.

| file | what it is | Call-IDs: TShark | Bystander | calls | RTP: TShark | Bystander |
|---|---|---|---|---|---|---|
"""

STREAMS = """
## What is heard of each stream

Sound is what a recording has of the stream, in seconds. The codec is TShark's (in brackets) where Bystander
knows none: no SDP explains the payload type.

| file | stream | codec | packets: TShark | Bystander | sound, s | if none, why |
|---|---|---|---|---|---|---|
"""

DIFFERENCES = """
## Where the two disagree

Each with the reason why Bystander's answer is right (`tests/corpus_differences.toml`). There is no other
difference.

| file | what | TShark | Bystander | why |
|---|---|---|---|---|
"""


@dataclass
class Heard:
    """What became of a stream."""

    codecs: list[str]
    packets: int
    seconds: float
    why: str


@dataclass
class Findings:
    """What Bystander found in a capture."""

    states: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    streams: dict[str, list[Heard]] = field(default_factory=lambda: defaultdict(list))


def look(name: str) -> Findings:
    """Read a capture as ``extract`` does."""
    found = Findings()

    def take(finished: Finished) -> None:
        streams = finished.streams if isinstance(finished, FinishedCall) else [finished.stream]
        for stream, media in zip(streams, finished.job.streams, strict=True):
            seconds, why = sound(media, claimed=isinstance(finished, FinishedCall))
            heard = Heard([stream["codec"] or ""], stream["packets"], seconds, why)
            found.streams[_key(stream)].append(heard)
        if isinstance(finished, FinishedCall):
            for stream in finished.other_streams:
                heard = Heard([stream["codec"] or ""], stream["packets"], 0.0, stream["kind"])
                found.streams[_key(stream)].append(heard)
            call = finished.describe(finish(finished.job))
            found.states[call["state"]] += 1 + len(call["linked_call_ids"])
            found.verdicts[call["verdict"] or call["state"]] += 1
        finished.discard()

    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool")
        settings = PipelineSettings(
            calls=call_settings(Config(), patient=True),
            root=Path(folder),
            target=lambda call: Path(f"{id(call)}.wav"),
            keep_unclaimed=True,
            orphan_target=lambda _, stream: Path(f"unclaimed_{stream}.wav"),
        )
        pipeline = Pipeline(settings, spool, take)
        with open_captures([CORPUS / name]) as source:
            for frames in source.blocks():
                pipeline.feed(frames)
        pipeline.close()
        spool.close()
    return found


def sound(media: StreamMedia, *, claimed: bool) -> tuple[float, str]:
    """How many seconds of sound a recording has of a stream; and why, where there is none."""
    written = Written()
    sounds: list[Any] = []
    if media.encrypted and not media.keys:
        return 0.0, "encrypted, no key"
    tracks = list(_tracks(media, 0, written, sounds))
    seconds = sum(len(run.samples) for track in tracks for run in track.runs) / 8000
    for track in sounds:
        rate_hz, length = track.sound.rate_hz, track.sound.end_ns - track.sound.begin_ns
        reader = track.sound.reader(track.sound.begin_ns)
        for start in range(0, length * rate_hz // 1_000_000_000, BLOCK):
            seconds += float(reader.read(start, BLOCK)[1].sum()) / rate_hz
    if seconds:
        return seconds, ""
    if written.encrypted:
        return 0.0, "encrypted, no key"
    if any(written.told):
        return 0.0, "telephone events"
    if written.undecoded:
        return 0.0, "no decoder" if claimed else "no SDP says what it is"
    return 0.0, "comfort noise" if claimed else "no SDP says what it is"


def _key(stream: dict[str, Any]) -> str:
    return f"{stream['src']} > {stream['dst']} {stream['ssrc']}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def document() -> str:
    """The page, from the captures as they are."""
    about = tomllib.loads(ABOUT.read_text())["about"]
    first, second, totals = [], [], Counter[str]()
    for name in sorted(truth(), key=str.lower):
        tshark, ours = truth()[name], look(name)
        theirs = {
            stream_key(s["src"], s["sport"], s["dst"], s["dport"], s["ssrc"]): s
            for s in tshark["rtp_streams"] + tshark["rtp_streams_heuristic"]
        }
        their_packets = sum(s["distinct_seq"] for s in theirs.values())
        our_packets = sum(heard.packets for each in ours.streams.values() for heard in each)
        states = Counter(dialog["state"] for dialog in tshark["dialogs"])
        totals += Counter(
            files=1, their_calls=states.total(), our_calls=ours.states.total(), their_streams=len(theirs),
            our_streams=len(ours.streams), their_packets=their_packets, our_packets=our_packets,
        )  # fmt: skip
        rtp = [
            f"{packets} in {streams}" if streams else "none"
            for packets, streams in ((their_packets, len(theirs)), (our_packets, len(ours.streams)))
        ]
        cells = (_listed(states), _listed(ours.states), _listed(ours.verdicts), *rtp)
        first.append(f"| `{name}` | {_cell(about[name])} | {' | '.join(cells)} |")
        for key in sorted({*theirs, *ours.streams}):
            heard = ours.streams.get(key, [])
            codecs = " ".join(sorted({codec for each in heard for codec in each.codecs if codec}))
            their_names = theirs[key]["payload"] if key in theirs else ""
            why = ", ".join(sorted({each.why for each in heard if each.why})) or (
                "" if heard else "no stream"
            )
            seconds = sum(each.seconds for each in heard)
            second.append(
                f"| `{name}` | `{key}` | {codecs or f'({their_names})'}"
                f" | {theirs[key]['distinct_seq'] if key in theirs else '-'}"
                f" | {sum(each.packets for each in heard) or '-'}"
                f" | {f'{seconds:.2f}' if seconds else ''} | {why} |"
            )
    last = [
        f"| `{d.file}` | {d.what} of `{d.key}` | {d.tshark} | {d.ours} | {_cell(reason)} |"
        for d, reason in sorted(table().items())
    ]
    parts = HEAD.format(**totals), *first, STREAMS[:-1], *second, DIFFERENCES[:-1], *last
    return "\n".join(part.removesuffix("\n") for part in parts) + "\n"


if __name__ == "__main__":
    if not truth():
        sys.exit(f"no captures in {CORPUS}")
    DOCUMENT.write_text(document())
