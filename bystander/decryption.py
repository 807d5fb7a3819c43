"""Whole packets of a finished call to media: SRTP is opened with the keys that its descriptions named.

What cannot be opened is never decoded: ciphertext sounds like loud noise. Where descriptions leave open
whether a stream is protected, its packets tell: the lengths and bytes of G.711 are not those of ciphertext.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bystander.codecs.g711 import PCMA, PCMU
from bystander.codecs.packets import PacketRun
from bystander.codecs.timeline import Run
from bystander.sniffer.crypto import SrtpKey
from bystander.sniffer.keeping import STEP
from bystander.sniffer.protection import PERHAPS, PROTECTED
from bystander.sniffer.replayed import Replayed, replay
from bystander.sniffer.stream import ENDING_PACKETS

#: Bytes that are looked at to tell ciphertext from G.711, and the fewest that tell.
_LOOKED_AT: Final = 1 << 16
_TELLING: Final = 1024
#: Of streams that are said to be plain so many pieces are looked at, all over their longest run. (Single
#: bytes all over it would cost as many waits for memory.)
_PIECES: Final = 4
#: Chi-squared of bytes evenly spread over 256 values is 255, with a deviation of 23; of 1024 bytes of speech
#: or music in G.711, 800 and more.
_EVEN: Final = 370.0


@dataclass(slots=True)
class Opening:
    """What became of one stream: ``decrypted`` if anything was, packets that did not authenticate."""

    protected: bool
    decrypted: bool = False
    failures: int = 0


def open_whole(
    whole: list[PacketRun], ssrc: int, keys: list[SrtpKey], state: str
) -> tuple[Opening, Replayed | None]:
    """Return what became of whole packets, and the media that they held."""
    # Most offices have no SRTP, and need no library for it.
    from bystander.sniffer.srtp import open_packets

    run = PacketRun.join(whole)
    result = open_packets(run, ssrc, keys)
    decrypted, left = result.run, run.take(np.flatnonzero(result.left))
    if len(decrypted) and not all(key.authenticated for key in keys) and _noise(replay(decrypted)):
        # Nothing told that this was the right key, and it was not.
        return Opening(protected=True, failures=len(run)), None
    found = Opening(state == PROTECTED or len(decrypted) > 0, len(decrypted) > 0, len(left))
    media = decrypted
    if state != PROTECTED and len(left):
        plain = _plain(left, sure=state != PERHAPS or not (keys or len(decrypted)))
        found.failures -= len(plain)
        found.protected = found.decrypted or found.failures > 0
        media = PacketRun.join([decrypted, plain])
        media = media.take(np.argsort(media.time_ns, kind="stable"))
    if not keys and state != PROTECTED:
        found.failures = 0
    return found, replay(media) if len(media) else None


def end_of(last: list[PacketRun], ssrc: int, keys: list[SrtpKey]) -> bytes:
    """Return the G.711 at the end of a stream kept whole, as it was sent; empty if it cannot be opened."""
    if not last or not keys:
        return b""
    from bystander.sniffer.srtp import open_packets

    run = PacketRun.join(last)
    run = run.take(np.arange(max(0, len(run) - ENDING_PACKETS), len(run)))
    run = open_packets(run.take(np.flatnonzero((run.pt == PCMA) | (run.pt == PCMU))), ssrc, keys).run
    return b"".join(packet[12:] for packet in run.payloads())


def _plain(run: PacketRun, *, sure: bool) -> PacketRun:
    """Return the packets that are plain RTP; ``sure``: descriptions know of no keys.

    G.711 is told by its bytes, or where there are few by its length; other codecs cannot be told, and their
    descriptions are believed.
    """
    g711 = (run.pt == PCMA) | (run.pt == PCMU)
    usual = (run.size - 12) % STEP == 0
    keep = np.zeros(len(run), bool)
    for mask in (g711 & usual, g711 & ~usual):
        at = np.flatnonzero(mask)
        if len(at):
            even = _even(run.take(at))
            keep[at] = bool(usual[at[0]]) if even is None else not even
    if sure and (keep.any() or not g711.any()):
        keep |= ~g711
    return run.take(np.flatnonzero(keep))


def _even(run: PacketRun) -> bool | None:
    """Tell whether payloads are spread evenly over all bytes, as ciphertext is; None if they are too few."""
    content = b"".join(packet[12:] for packet in run.payloads()[: _LOOKED_AT // 160])
    return _spread(np.frombuffer(content, np.uint8))


def _noise(media: Replayed) -> bool:
    """Tell whether what was taken for G.711 is ciphertext."""
    if not media.runs:
        return False
    return bool(_spread(np.concatenate([run.samples for run in media.runs])[:_LOOKED_AT]))


def is_ciphertext(runs: Sequence[Run]) -> bool:
    """Tell whether what was taken for G.711, as descriptions had it, is ciphertext all through."""
    longest = max((run.samples for run in runs), key=len)
    apart = len(longest) // _PIECES
    if apart > _TELLING:
        longest = longest[: apart * _PIECES].reshape(_PIECES, apart)[:, :_TELLING].reshape(-1)
    return bool(_spread(longest))


def _spread(content: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> bool | None:
    if len(content) < _TELLING:
        return None
    counts = np.bincount(content, minlength=256)
    # The sum of (count - expected)^2 / expected.
    return bool(np.dot(counts, counts) * 256 / len(content) - len(content) < _EVEN)
