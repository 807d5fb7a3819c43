"""The codecs that are decoded, G.711 apart: one file each, and one row here.

A row names the encodings of SDP (RFC 3551 and those after it) and the file that opens a decoder for them.
The files, and FFmpeg with them, are loaded when a call needs them: most offices speak nothing but G.711.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from bystander.codecs.decoder import Decoder, OpenDecoder, Parameters

#: (encodings, module of ``bystander.codecs``): the module has ``open_decoder(parameters)``.
ROWS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("G722",), "g722"),
    (("G729", "G729A", "G729B", "G729AB"), "g729"),
    (("G726-16", "G726-24", "G726-32", "G726-40", "G721"), "g726"),
    (("AAL2-G726-16", "AAL2-G726-24", "AAL2-G726-32", "AAL2-G726-40"), "g726"),
    (("G723", "G7231", "G723.1"), "g723"),
    (("GSM",), "gsm"),
    (("ILBC",), "ilbc"),
    (("OPUS",), "opus"),
    (("SPEEX",), "speex"),
    (("AMR", "AMR-WB"), "amr"),
    (("L16",), "l16"),
    (("DVI4",), "dvi4"),
)
_FILES: Final = {encoding: file for encodings, file in ROWS for encoding in encodings}


def supported(encoding: str) -> bool:
    """Tell whether there is a row for an encoding, in any case."""
    return encoding.upper() in _FILES


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a new decoder; None if there is no row, no such variant, or FFmpeg was built without it."""
    file = _FILES.get(parameters.encoding.upper())
    if file is None:
        return None
    opener: OpenDecoder = import_module(f"bystander.codecs.{file}").open_decoder
    try:
        return opener(parameters)
    except LookupError:
        return None
