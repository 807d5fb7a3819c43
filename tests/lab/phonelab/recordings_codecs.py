"""Recordings of telephones that speak another codec than G.711."""

from __future__ import annotations

from pathlib import Path

from phonelab.recordings import Facts, answered, direct, recording

OPUS = "opus_bitrate 48000\nopus_application audio\n"


@recording("g722", "baresip to baresip, G.722: 16 kHz, of which its timestamps count half")
def g722(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 5.0, codecs="G722/16000")
    return [answered("G722")]


@recording("opus", "baresip to baresip, Opus at 48 kbit/s: 48 kHz, packets of every size")
def opus(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 6.0, codecs="opus/48000/2", more=OPUS)
    return [answered("OPUS")]
