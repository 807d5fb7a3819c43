"""The keys pressed in a call: one list without doubles, whoever told of them, masked where that is wanted.

A telephone may send one press three times over: as telephone events, as a tone in the audio and in SIP INFO;
a call seen on two hops has all of it twice. What is told of the same key of the same side at about the same
time is one press; it is listed as the best witness has it: events, then INFO, then the tone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from bystander.sniffer.infodigits import InfoPress

Method = Literal["rfc4733", "info", "inband"]
InBand = Literal["auto", "always", "never"]

#: The better the witness, the earlier.
METHODS: Final[tuple[Method, ...]] = ("rfc4733", "info", "inband")
#: What a key is shown as when it is masked: as many characters as in the message it came in.
MASK: Final = "x"
#: Presses listed of a call; what counts is the beginning.
MAX_PRESSES: Final = 4096
#: What is told of one press comes within this time; INFO waits for its transaction, and some for the release.
_SAME_NS: Final = 400_000_000
_SAME_INFO_NS: Final = 2_000_000_000
#: An echo is so much softer than what it echoes (6 dB).
_ECHO: Final = 0.5


@dataclass(slots=True, frozen=True)
class Pressed:
    """One press: when (capture clock), which key, by whom, who told, and how long, None if nobody said.

    ``level`` is that of a tone in the audio (rms), 0 where there was none.
    """

    at_ns: int
    digit: str
    by: str
    method: Method
    duration_ms: int | None = None
    level: float = 0.0

    @property
    def end_ns(self) -> int:
        """When the key was let go, as far as is known."""
        return self.at_ns + (self.duration_ms or 0) * 1_000_000


@dataclass(slots=True, frozen=True)
class Mask:
    """Which keys are shown: all of them, or of each side the first ``shown`` only (``None``: all)."""

    shown: int | None = None

    @property
    def hides(self) -> bool:
        """Whether any key may have to be hidden."""
        return self.shown is not None


@dataclass(slots=True, frozen=True)
class DigitSettings:
    """How keys are found and shown.

    ``inband``: look for tones in the audio of a side whose peer takes no telephone events (auto), of both
    sides (always), of none (never). ``mask_tones``: silence in the recording the keys that are masked.
    """

    inband: InBand = "auto"
    mask: Mask = field(default_factory=Mask)
    mask_tones: bool = False


def by_info(told: Iterable[InfoPress]) -> list[list[Pressed]]:
    """Return what SIP INFO told, one source for each leg of the call."""
    legs: dict[int, list[Pressed]] = defaultdict(list)
    for press in told:
        legs[press.leg].append(Pressed(press.at_ns, press.digit, press.by, "info", press.duration_ms))
    return list(legs.values())


def merged(sources: Iterable[Sequence[Pressed]]) -> list[Pressed]:
    """Return the presses of several sources (streams, INFO, the audio of a side), each once, by time."""
    order = sorted(sources, key=lambda source: min((METHODS.index(p.method) for p in source), default=0))
    found: list[Pressed] = []
    for source in order:
        found = _with(found, sorted(source, key=lambda press: press.at_ns)[:MAX_PRESSES])
    alike: dict[str, list[Pressed]] = defaultdict(list)
    for press in found:
        alike[press.digit].append(press)
    found = [press for press in found if not _is_echo(press, alike[press.digit])]
    return sorted(found, key=lambda press: (press.at_ns, press.by, press.digit))[:MAX_PRESSES]


def _with(known: list[Pressed], more: Sequence[Pressed]) -> list[Pressed]:
    """Add a source. Of each key of each side, presses are matched in their order, one to one."""
    waiting: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in sorted(range(len(known)), key=lambda number: known[number].at_ns):
        waiting[known[number].by, known[number].digit].append(number)
        # A key that was hidden before a restart may be any.
        waiting[known[number].by, MASK].append(number)
    at: Counter[tuple[str, str]] = Counter()
    result = list(known)
    for press in more:
        key = press.by, press.digit
        others = waiting[key]
        while at[key] < len(others) and _before(known[others[at[key]]], press):
            at[key] += 1
        if at[key] < len(others) and _near(known[others[at[key]]], press):
            number = others[at[key]]
            at[key] += 1
            result[number] = replace(
                known[number],
                duration_ms=known[number].duration_ms or press.duration_ms,
                level=max(known[number].level, press.level),
            )
        else:
            result.append(press)
    return result


def _slack_ns(one: Pressed, two: Pressed) -> int:
    return _SAME_INFO_NS if "info" in (one.method, two.method) else _SAME_NS


def _before(known: Pressed, press: Pressed) -> bool:
    return known.at_ns < press.at_ns - _slack_ns(known, press)


def _near(known: Pressed, press: Pressed) -> bool:
    return abs(known.at_ns - press.at_ns) <= _slack_ns(known, press)


def _is_echo(press: Pressed, alike: Sequence[Pressed]) -> bool:
    """Tell whether a tone is what the other side pressed, come back softer, or played to this side.

    ``alike`` are the presses of the same key.
    """
    if press.method != "inband":
        return False
    return any(
        other.by != press.by
        and other.at_ns - _SAME_NS / 4 <= press.at_ns <= other.at_ns + _SAME_NS
        and (other.method != "inband" or press.level < other.level * _ECHO)
        for other in alike
    )


def masked(presses: Sequence[Pressed], mask: Mask) -> list[Pressed]:
    """Return the presses with those hidden that are to be, in their order."""
    hidden = set(map(id, hidden_of(presses, mask)))
    return [replace(press, digit=MASK) if id(press) in hidden else press for press in presses]


def hidden_of(presses: Sequence[Pressed], mask: Mask) -> list[Pressed]:
    """Return the presses that are to be hidden: of each side those after the first ``mask.shown``."""
    if mask.shown is None:
        return []
    seen: Counter[str] = Counter()
    hidden = []
    for press in presses:
        seen[press.by] += 1
        if seen[press.by] > mask.shown:
            hidden.append(press)
    return hidden


def to_silence(presses: Sequence[Pressed], tones: Sequence[Pressed], mask: Mask) -> list[Pressed]:
    """Return what must not be heard: the presses that are hidden, and every tone that is one of them.

    ``tones`` are all that were found in the audio: those that were taken for a press told otherwise, or for
    the echo of one, are in ``presses`` no more.
    """
    hidden = hidden_of(presses, mask)
    return hidden + [
        tone
        for tone in tones
        if any(
            press.digit == tone.digit and abs(press.at_ns - tone.at_ns) <= _SAME_INFO_NS for press in hidden
        )
    ]
