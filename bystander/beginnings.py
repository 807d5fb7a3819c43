"""By which audio a stream is known again on another leg: its end, or what was said first (C7).

Prints (``sniffer/sameaudio.py``) of a stream's last seconds prove nothing when nothing was said in them. Then
the spool is asked for the first words: both legs have the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bystander.sniffer.sameaudio import prints

#: Fewer prints than this in the last seconds, and the beginning is looked at too.
_FEW: Final = 8
#: So many are enough.
_ENOUGH: Final = 64


def known_by(tail: bytes, said: Iterable[bytes]) -> frozenset[int]:
    """Return the prints of a stream's last audio; if that is silence, with those of its first words.

    ``said`` are its runs of G.711 from the beginning, read only as far as they are needed.
    """
    found = prints(tail)
    if len(found) < _FEW:
        for run in said:
            found |= prints(run)
            if len(found) >= _ENOUGH:
                break
    return found
