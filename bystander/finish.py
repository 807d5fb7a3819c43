"""From the media of a finished call to its WAV: runs off the capture core, in a worker if there is one.

Everything here is plain data in and plain data out, so that it may run in a thread or another process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bystander.codecs.events import look_like_events, measured_clock, presses
from bystander.codecs.g711 import PCMA, PCMU
from bystander.codecs.holes import opened as opened_holes
from bystander.codecs.packets import PacketRun
from bystander.codecs.red import opened
from bystander.codecs.timeline import CLOCK_HZ, NS_PER_SAMPLE, Channel, Run, render, runs_from_packets
from bystander.decryption import Opening, is_ciphertext, open_whole
from bystander.digits import DigitSettings, Pressed, merged, to_silence
from bystander.sniffer.address import Endpoint
from bystander.sniffer.crypto import SrtpKey
from bystander.sniffer.protection import PLAIN
from bystander.sniffer.sdp import SIDE_ENCODINGS, STATIC_FORMATS, Format
from bystander.storage.spool import Media, read_media
from bystander.storage.wav import write_wav
from bystander.tones import keys_in, sides_to_search, silenced

if TYPE_CHECKING:
    from bystander.otheraudio import SoundTrack
    from bystander.undecoded import Undecoded

#: Encodings that are G.711, whatever payload type SDP gave them.
_LAWS = {"PCMU": PCMU, "PCMA": PCMA}
SIDES = ("caller", "callee")
#: No call lasts so long (ten days), and none rings so long before it is answered.
_NONSENSE = 10 * 86400 * CLOCK_HZ


@dataclass(slots=True)
class StreamMedia:
    """One stream of a call: whose it is, what its payload types mean, and where its media lies.

    ``protection`` is what descriptions say of it (`sniffer/protection.py`), ``encryption`` how its keys were
    agreed upon, ``keys`` what its SRTP may be opened with.
    """

    by: str
    formats: dict[int, Format]
    encrypted: bool
    packets: int
    first_ns: int
    last_ns: int
    epoch_ns: int | None
    file: Path | None
    memory: Media | None
    src: Endpoint = ("", 0)
    dst: Endpoint = ("", 0)
    ssrc: int = 0
    events: bool = False
    protection: str = PLAIN
    encryption: str = ""
    keys: list[SrtpKey] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """What is needed to write one recording. ``starts_ns`` and ``ends_ns`` bound the call, not the media."""

    target: Path
    streams: list[StreamMedia]
    starts_ns: int | None
    ends_ns: int
    durable: bool = False
    write: bool = True
    digits: DigitSettings = field(default_factory=DigitSettings)
    info: list[list[Pressed]] = field(default_factory=list)
    """Keys that SIP INFO told of, by leg."""


@dataclass(slots=True)
class Written:
    """A finished recording, and what its media said about itself."""

    path: Path | None = None
    starts_ns: int = 0
    frames: int = 0
    rate_hz: int = CLOCK_HZ
    sha256: str = ""
    size_bytes: int = 0
    heard: set[str] = field(default_factory=set)
    unsupported: set[str] = field(default_factory=set)
    encrypted: bool = False
    opened: dict[int, Opening] = field(default_factory=dict)
    """What became of streams that were, or may have been, SRTP: by their place in the job."""
    undecoded: list[Undecoded] = field(default_factory=list)
    told: list[list[Pressed]] = field(default_factory=list)
    """Keys by telephone events, one list a stream, until all that is known of keys is put together."""
    presses: list[Pressed] = field(default_factory=list)
    """Keys pressed, each once; none is masked yet."""
    announcement: dict[str, Any] | None = None
    """What was heard of the office's announcement (bystander/announcement.py), where that is checked."""


@dataclass(slots=True)
class _Track:
    by: str
    epoch_ns: int
    runs: list[Run]
    weight: int


@dataclass(slots=True)
class Mix:
    """The audio of a call, ready to be rendered: ``length`` samples of two channels at ``rate_hz``."""

    caller: Channel
    callee: Channel
    length: int
    rate_hz: int = CLOCK_HZ

    def side(self, side: str) -> Channel:
        """Return the channel of one party."""
        return self.caller if side == "caller" else self.callee


def finish(job: Job) -> Written:
    """Write a call's WAV. Raises OSError if the disk does not take it; nothing half-written is left."""
    written = Written()
    mixed = mix(job, written)
    if mixed is not None:
        blocks = render(mixed.caller, mixed.callee, mixed.length)
        written.sha256, written.size_bytes = write_wav(
            job.target, blocks, mixed.length, mixed.rate_hz, durable=job.durable
        )
        written.path = job.target
    return written


def mix(job: Job, written: Written) -> Mix | None:
    """Put a call's media in its places, and note in ``written`` what it says; None if there is no audio."""
    mixed = _mixed(job, written)
    tones: dict[str, list[Pressed]] = {}
    if mixed is not None:
        at = mixed.length, mixed.rate_hz, written.starts_ns
        agreed = [(stream.by, stream.events) for stream in job.streams]
        for side in sides_to_search(job.digits.inband, agreed) & written.heard:
            tones[side] = keys_in(mixed.side(side), side, *at)
    written.presses = merged([*written.told, *job.info, *tones.values()])
    written.told = []
    if mixed is not None and job.digits.mask_tones:
        found = [press for side in tones.values() for press in side]
        spoken = to_silence(written.presses, found, job.digits.mask)
        mixed.caller = silenced(mixed.caller, [p for p in spoken if p.by == "caller"], *at)
        mixed.callee = silenced(mixed.callee, [p for p in spoken if p.by == "callee"], *at)
    return mixed


def evidence_with(evidence: bytes, job: Job, written: Written) -> bytes:
    """Return a call's evidence with the packets that could not be decoded.

    Not where tones are to be silenced: nobody can tell whether keys are heard in them.
    """
    if not written.undecoded:
        return evidence
    from bystander.undecoded import MAX_BYTES, kept_in

    return kept_in(evidence, written.undecoded, 0 if job.digits.mask_tones else MAX_BYTES)


def _mixed(job: Job, written: Written) -> Mix | None:
    tracks: list[_Track] = []
    others: list[SoundTrack] = []
    for number, stream in enumerate(job.streams):
        if stream.encrypted and not stream.keys:
            written.encrypted = True
            continue
        tracks += _tracks(stream, number, written, others)
    tracks = [track for track in tracks if track.runs]
    if not job.write:
        written.undecoded.clear()
        return None
    layers = Counter([track.by for track in tracks] + [sound.by for sound in others])
    layered = [track for track in tracks if layers[track.by] > 1]
    beside = [_beside(track, tracks, others) for track in layered]
    for track, spans in zip(layered, beside, strict=True):
        track.runs = opened_holes(track.runs, spans)
    if others:
        return _mix_wide(job, tracks, others, written)
    if not tracks:
        return None
    starts_ns = _start(job, tracks)
    length = (job.ends_ns - starts_ns + NS_PER_SAMPLE // 2) // NS_PER_SAMPLE
    if length <= 0:
        return None
    if length > _NONSENSE:
        # One packet's time was wrong by years: what was heard says how long the call was.
        length = max(1, min(_NONSENSE, max(_ends(tracks, starts_ns))))
    channels = {side: Channel() for side in SIDES}
    # The fullest track of a side is laid last and so is the one that is heard; the others fill its gaps.
    for track in sorted(tracks, key=lambda track: track.weight):
        shift = round((track.epoch_ns - starts_ns) / NS_PER_SAMPLE)
        for run in track.runs:
            if run.end + shift > 0 and run.position + shift < length:
                channels[track.by].lay(Run(run.position + shift, run.law, run.samples))
                written.heard.add(track.by)
    if not written.heard:
        return None
    written.starts_ns, written.frames = starts_ns, length
    return Mix(channels["caller"], channels["callee"], length)


def _beside(track: _Track, tracks: list[_Track], others: list[SoundTrack]) -> list[tuple[int, int]]:
    """Return where other tracks of a track's side have something, in its own samples."""
    spans = []
    for one in tracks:
        if one is not track and one.by == track.by:
            shift = round((one.epoch_ns - track.epoch_ns) / NS_PER_SAMPLE)
            spans += [(run.position + shift, run.end + shift) for run in one.runs]
    for sound in others:
        if sound.by == track.by:
            ends = (sound.begin_ns - track.epoch_ns, sound.end_ns - track.epoch_ns)
            spans.append((round(ends[0] / NS_PER_SAMPLE), round(ends[1] / NS_PER_SAMPLE)))
    return spans


def _mix_wide(job: Job, tracks: list[_Track], others: list[SoundTrack], written: Written) -> Mix | None:
    """Mix a call in which not all is G.711."""
    # Most calls are, and load nothing of this.
    from bystander.otheraudio import LawTrack, mix_wide

    laws = [LawTrack(track.by, track.epoch_ns, track.runs, track.weight) for track in tracks]
    mixed = mix_wide([*laws, *others], job.starts_ns, job.ends_ns)
    if mixed is None:
        return None
    written.heard |= mixed.heard
    written.starts_ns, written.frames, written.rate_hz = mixed.starts_ns, mixed.length, mixed.rate_hz
    return Mix(mixed.caller, mixed.callee, mixed.length, mixed.rate_hz)


def _start(job: Job, tracks: list[_Track]) -> int:
    """Return when the recording starts: with the call, or with what was heard before it was answered.

    Early media belongs to the call (R3: announcements are often played before the answer).
    """
    begins = [track.epoch_ns + min(run.position for run in track.runs) * NS_PER_SAMPLE for track in tracks]
    if job.starts_ns is None:
        return min(begins)
    earliest_ns = job.starts_ns - _NONSENSE * NS_PER_SAMPLE
    return min([job.starts_ns, *(begin for begin in begins if begin > earliest_ns)])


def _ends(tracks: list[_Track], starts_ns: int) -> Iterable[int]:
    """Yield where each run of audio ends, in samples of the recording, unless that is nonsense too."""
    yield 0
    for track in tracks:
        shift = (track.epoch_ns - starts_ns) // NS_PER_SAMPLE
        yield from (run.end + shift for run in track.runs if run.end + shift <= _NONSENSE)


def _tracks(stream: StreamMedia, number: int, written: Written, others: list[SoundTrack]) -> Iterable[_Track]:
    """Return the G.711 of one stream as tracks and append what is in other codecs to ``others``.

    Digits, and codecs that cannot be decoded, are noted in ``written``.
    """
    media = read_media(stream.file, stream.memory) if stream.file is not None else (stream.memory or Media())
    tracks = []
    if media.whole:
        became, found = open_whole(media.whole, stream.ssrc, stream.keys, stream.protection)
        written.opened[number] = became
        written.encrypted |= became.protected and not became.decrypted
        if found is not None:
            media.kept += found.kept
            if found.runs and found.epoch_ns is not None:
                tracks.append(_Track(stream.by, found.epoch_ns, found.runs, stream.packets))
    if media.runs and not media.whole:
        # Descriptions may be wrong in either way, or be those of another hop.
        encrypted = is_ciphertext(media.runs)
        if encrypted or stream.encrypted:
            written.opened[number] = Opening(encrypted, failures=stream.packets if encrypted else 0)
        if encrypted:
            written.encrypted = True
            media.runs.clear()
    if media.runs and stream.epoch_ns is not None:
        # On top of what was opened, whose gaps are silence.
        tracks.append(_Track(stream.by, stream.epoch_ns, media.runs, stream.packets))
    kept = media.packets
    if kept is None:
        return tracks
    formats = STATIC_FORMATS | stream.formats
    kept, inside = _opened(kept, formats)
    events = _events(kept, formats)
    if events:
        told = presses(kept, events)
        written.told.append([Pressed(p.at_ns, p.digit, stream.by, "rfc4733", p.duration_ms) for p in told])
    for pt in sorted(set(kept.pt.tolist()) - set(events)):
        known = formats.get(pt)
        name = known.encoding.upper() if known is not None else ""
        if name in SIDE_ENCODINGS or (pt in (PCMU, PCMA) and pt not in inside):
            continue
        if name in _LAWS:
            epoch_ns, runs = _explained(kept, pt, _LAWS[name])
            tracks.append(_Track(stream.by, epoch_ns, runs, stream.packets))
            continue
        sound = _decoded(stream, kept.of_type(pt), known) if known is not None else None
        if sound is not None:
            others.append(sound)
        else:
            codec = name or f"payload type {pt}"
            written.unsupported.add(codec)
            written.undecoded.append(_undecoded(stream, kept.of_type(pt), codec))
    return tracks


def _opened(kept: PacketRun, formats: dict[int, Format]) -> tuple[PacketRun, set[int]]:
    """Return kept packets with redundant ones (RFC 2198) opened, and the payload types found inside."""
    here = set(kept.pt.tolist())
    redundant = [(pt, known.clock_hz) for pt, known in formats.items() if known.encoding.upper() == "RED"]
    events = _named_events(formats)
    found = [opened(kept.of_type(pt), clock_hz, events) for pt, clock_hz in redundant if pt in here]
    inside = {pt for run in found for pt in run.pt.tolist()}
    return (PacketRun.join([kept, *found]), inside) if found else (kept, inside)


def _events(kept: PacketRun, formats: dict[int, Format]) -> dict[int, int]:
    """Return the clock of each payload type that is telephone events, as SDP says, or as anyone can see."""
    events = _named_events(formats)
    for pt in set(kept.pt.tolist()) - set(formats):
        part = kept.of_type(pt)
        if look_like_events(part):
            events[pt] = measured_clock(part)
    return events


def _named_events(formats: dict[int, Format]) -> dict[int, int]:
    named = {pt: known for pt, known in formats.items() if known.encoding.upper() == "TELEPHONE-EVENT"}
    return {pt: known.clock_hz for pt, known in named.items()}


def _decoded(stream: StreamMedia, packets: PacketRun, known: Format) -> SoundTrack | None:
    """Return the sound of a stream's packets of one payload type; None if they cannot be decoded."""
    from bystander.codecs.decoded import sound_of
    from bystander.codecs.decoder import Parameters
    from bystander.otheraudio import SoundTrack

    parameters = Parameters(known.encoding.upper(), known.clock_hz, known.channels, known.fmtp)
    sound = sound_of(packets, parameters)
    return None if sound is None else SoundTrack(stream.by, sound, stream.packets)


def _undecoded(stream: StreamMedia, packets: PacketRun, codec: str) -> Undecoded:
    from bystander.undecoded import Undecoded

    return Undecoded(stream.by, codec, len(packets), stream.src, stream.dst, stream.ssrc, packets)


def _explained(kept: PacketRun, pt: int, law: int) -> tuple[int, list[Run]]:
    """Decode packets whose dynamic payload type turned out to be G.711."""
    part = kept.of_type(pt)
    return runs_from_packets(part.seq, part.ts, part.time_ns, part.payloads(), law)
