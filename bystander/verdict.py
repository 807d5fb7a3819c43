"""One verdict for every answered call: nothing is lost in silence."""

from __future__ import annotations

from dataclasses import dataclass

RECORDED = "recorded"
ONE_WAY = "one-way"
NO_MEDIA = "no-media"
ENCRYPTED = "encrypted"
UNSUPPORTED = "unsupported-codec"
PARTIAL = "partial"
EXCLUDED = "excluded"
VERDICTS = (RECORDED, ONE_WAY, NO_MEDIA, ENCRYPTED, UNSUPPORTED, PARTIAL, EXCLUDED)


@dataclass(slots=True, frozen=True)
class Evidence:
    """What is known when a call is judged."""

    answered: bool
    excluded: bool
    sides_heard: int
    encrypted: bool
    unsupported: bool
    capture_loss: bool


def judge(evidence: Evidence) -> str | None:
    """Return the verdict on a call, or None for one that was not answered."""
    if not evidence.answered:
        return None
    if evidence.excluded:
        return EXCLUDED
    if evidence.sides_heard == 0:
        if evidence.encrypted:
            return ENCRYPTED
        return UNSUPPORTED if evidence.unsupported else NO_MEDIA
    if evidence.capture_loss:
        return PARTIAL
    return RECORDED if evidence.sides_heard == 2 else ONE_WAY
