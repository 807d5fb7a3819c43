"""The audio of calls that are not all G.711: other codecs, other rates, mixed codecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bystander.codecs.decoded import Reader, Sound
from bystander.codecs.timeline import CLOCK_HZ, NS_PER_SAMPLE, Run
from bystander.codecs.wide import LawReader, WideChannel

_S: Final = 1_000_000_000
#: No call lasts so long (ten days), and none rings so long before it is answered.
_NONSENSE_NS: Final = 10 * 86400 * _S


@dataclass(slots=True)
class SoundTrack:
    """What one party said in one codec; ``weight`` says which of several at the same time is heard."""

    by: str
    sound: Sound
    weight: int

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return self.sound.rate_hz

    @property
    def begin_ns(self) -> int:
        """Capture time of its beginning."""
        return self.sound.begin_ns

    @property
    def end_ns(self) -> int:
        """Capture time of its end."""
        return self.sound.end_ns

    def reader(self, origin_ns: int) -> Reader:
        """Return a reader whose sample 0 is at ``origin_ns``."""
        return self.sound.reader(origin_ns)


@dataclass(slots=True)
class LawTrack:
    """The same in G.711; ``epoch_ns`` is the capture time of position 0."""

    by: str
    epoch_ns: int
    runs: list[Run]
    weight: int
    rate_hz: int = CLOCK_HZ

    @property
    def begin_ns(self) -> int:
        """Capture time of its beginning."""
        return self.epoch_ns + min(run.position for run in self.runs) * NS_PER_SAMPLE

    @property
    def end_ns(self) -> int:
        """Capture time of its end."""
        return self.epoch_ns + max(run.end for run in self.runs) * NS_PER_SAMPLE

    def reader(self, origin_ns: int) -> Reader:
        """Return a reader whose sample 0 is at ``origin_ns``."""
        shift = round((self.epoch_ns - origin_ns) / NS_PER_SAMPLE)
        return LawReader([Run(run.position + shift, run.law, run.samples) for run in self.runs])


Track = SoundTrack | LawTrack


@dataclass(slots=True)
class WideMix:
    """Both channels of a recording of ``length`` samples at ``rate_hz``, which begins at ``starts_ns``."""

    caller: WideChannel
    callee: WideChannel
    length: int
    rate_hz: int
    starts_ns: int
    heard: set[str]


def mix_wide(tracks: list[Track], answered_ns: int | None, ends_ns: int) -> WideMix | None:
    """Lay tracks out between the beginning of a call and its end; None if nothing lies between.

    The recording begins with the answer, or with what was heard before it; its rate is the highest present.
    """
    rate_hz = max(track.rate_hz for track in tracks)
    begins = [track.begin_ns for track in tracks]
    if answered_ns is None:
        starts_ns = min(begins)
    else:
        starts_ns = min([answered_ns, *(b for b in begins if b > answered_ns - _NONSENSE_NS)])
    if ends_ns - starts_ns > _NONSENSE_NS:
        # One packet's time was wrong by years: what was heard says how long the call was.
        said = (track.end_ns for track in tracks)
        ends_ns = max((end for end in said if end - starts_ns <= _NONSENSE_NS), default=starts_ns)
    length = ((ends_ns - starts_ns) * rate_hz + _S // 2) // _S
    mix = WideMix(WideChannel(rate_hz), WideChannel(rate_hz), length, rate_hz, starts_ns, set())
    # The fullest track of a side is laid last and so is the one that is heard; the others fill its gaps.
    for track in sorted(tracks, key=lambda track: track.weight):
        if track.end_ns > starts_ns and track.begin_ns < ends_ns:
            side = mix.caller if track.by == "caller" else mix.callee
            side.lay_sound(track.reader(starts_ns), track.rate_hz)
            mix.heard.add(track.by)
    return mix if mix.heard and length > 0 else None
