"""G.726 at 16, 24, 32 and 40 kbit/s: code words of 2 to 5 bits, packed in either order.

RFC 3551 §4.5.4 puts the first code word into the lowest bits of a byte; the variants called AAL2 (ITU-T
I.366.2 Annex E) put it into the highest. G.721, once payload type 2, is G.726-32.
"""

from __future__ import annotations

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, whole


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder of G.726 at the rate that the encoding names."""
    encoding = parameters.encoding.upper()
    rate = "32" if encoding == "G721" else encoding[-2:]
    name = "g726" if encoding.startswith("AAL2-") else "g726le"
    return FfmpegDecoder((name,), 8000, whole, options={"bits_per_coded_sample": str(int(rate) // 8)})
