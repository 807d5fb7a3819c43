"""From what a mirror shows to what is wrong with it, in plain words, and what to do about it.

Each symptom is a function from the facts (`doctor.py`) to a finding or None, and a row of ``SYMPTOMS``. One
that cannot be told from what was seen says nothing: a quiet minute proves little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bystander import symptoms_calls, symptoms_link
from bystander.doctor import Facts
from bystander.finding import LEVELS, Finding

SYMPTOMS: Final[tuple[Callable[[Facts], Finding | None], ...]] = (
    symptoms_link.no_frames,
    symptoms_link.only_broadcast,
    symptoms_link.not_promiscuous,
    symptoms_link.dropped,
    symptoms_calls.nothing_of_telephony,
    symptoms_calls.no_signalling,
    symptoms_calls.no_media,
    symptoms_calls.one_direction_of_signalling,
    symptoms_calls.one_direction_of_media,
    symptoms_link.truncated,
    symptoms_calls.losses,
    symptoms_calls.encrypted,
    symptoms_calls.undecodable,
    symptoms_calls.unclaimed,
    symptoms_link.overlaps,
    symptoms_link.copies,
    symptoms_link.checksums,
    symptoms_link.merged,
    symptoms_link.addressed,
    symptoms_link.tags,
    symptoms_link.tunnels,
    symptoms_link.clock,
    symptoms_calls.no_calls,
    symptoms_calls.well,
)


def diagnose(facts: Facts) -> list[Finding]:
    """Return what is to be said of a mirror, the most urgent first."""
    found = [finding for symptom in SYMPTOMS if (finding := symptom(facts)) is not None]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))
