"""The E-model (ITU-T G.107) as far as a listener at one point of the network can fill it in.

With the default values of G.107 for everything that is not seen on the wire (loudness, noise, echo, the
advantage of access), R is 93.2 less the impairment of the codec and its losses:

    Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)

One-way delay is not known to an observer in the middle, so nothing is taken off for it: what comes out is
listening quality, not conversational. Ie and Bpl are those of G.113 appendix I; G.711 is taken to be
concealed (G.711 appendix I), as telephones do. For codecs that the appendix has no values for, and wideband
ones, whose scale is another (G.107.1), there is no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: R of G.107 with default values and no impairment by equipment.
BEST_R: Final = 93.2


@dataclass(slots=True, frozen=True)
class Impairment:
    """Ie of a codec, and its robustness against random loss; ``bpl`` None: known only without loss."""

    ie: float
    bpl: float | None


#: G.113 appendix I. G.729 is rated as G.729A with VAD is, and G.723.1 at 6.3 kbit/s, where loss counts.
IMPAIRMENTS: Final = {
    "PCMU": Impairment(0, 25.1),
    "PCMA": Impairment(0, 25.1),
    "G729": Impairment(11, 19.0),
    "G723": Impairment(15, 16.1),
    "GSM-EFR": Impairment(5, 10.0),
    "GSM": Impairment(20, None),
    "G728": Impairment(7, None),
    "G726-40": Impairment(2, None),
    "G726-32": Impairment(7, None),
    "G726-24": Impairment(25, None),
    "G726-16": Impairment(50, None),
}


def r_factor(codec: str, loss_percent: float, burst_ratio: float = 1.0) -> float | None:
    """Return R, 0 to 93.2, of a codec with some loss; None where the codec has no values.

    ``burst_ratio`` is BurstR: how long losses in a row are, compared with losses at random.
    """
    known = IMPAIRMENTS.get(codec.upper())
    if known is None:
        return None
    impairment = known.ie
    if loss_percent > 0:
        if known.bpl is None:
            return None
        impairment += (95 - known.ie) * loss_percent / (loss_percent / max(burst_ratio, 1.0) + known.bpl)
    return max(0.0, BEST_R - impairment)


def mos(r: float) -> float:
    """Return the mean opinion score of a rating (G.107 annex B), 1 to 4.5."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    # Below R = 6.5 the cubic dips under 1, which is no score.
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def burst_ratio(lost: int, runs: int, expected: int) -> float:
    """Return BurstR: the mean length of losses in a row over that of random losses of the same share."""
    if not runs or lost >= expected:
        return 1.0
    return max(1.0, lost / runs * (1 - lost / expected))
