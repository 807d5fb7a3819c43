"""Write ``docs/lab.md``: ``python -m tests.lab_table`` (the end of `make lab`).

Each capture of the lab with what happens in it, and how true each channel of its recordings is to the speech:
the median over blocks of 100 ms, in dB, beside that of ffmpeg's decoding of TShark's export.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

from bystander.extract import extract
from tests import test_recordings as golden

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "lab.md"

HEAD = """\
# The lab

Real telephones (baresip), a proxy (kamailio), a media relay (rtpengine) and sipp, each host in a network
namespace, on a switch whose ports are mirrored to a tap (`tests/lab`; Debian packages, root). They speak
known sentences. `make lab` records `tests/data` anew and writes this page; `tests/test_recordings.py`
holds each recording against the speech, its facts against what the telephones did, and its packets
against TShark's.

How true a channel is: the signal-to-noise ratio of 100 ms of it, sample by sample against the speech, in dB,
the middle one of all blocks with a voice; beside it that of ffmpeg's decoding of what TShark exports. A law
costs 37-38 dB, a law mix-up leaves under 10, a slip of one sample under 15.

Two scenes are not kept as captures but played through the daemon (`tests/test_live_lab.py`): fifty calls at
once (each of the hundred channels over 35 dB, and where TShark saw its packets), and a call through kamailio
and rtpengine with SRTP on the callee's hop, a key, a hold, and a mirror that the kernel packs into VXLAN.
`tests/test_live.py` kills and stops the recorder in mid-call. The kernel that these were recorded on has no
GRE and no 802.1Q: tags are put in by a program of the lab, and the other tunnels are tested with frames that
the tests build.

| capture | what happens | case | caller | ffmpeg | callee | ffmpeg |
|---|---|---|---|---|---|---|
"""


def document() -> str:
    """The page, from the captures as they are."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:

        @functools.cache
        def extracted(file: str) -> tuple[dict[str, object], Path]:
            out = Path(folder) / file
            extract([golden.DATA / file], out)
            return json.loads((out / "calls.json").read_text()), out

        for capture in golden.CAPTURES:
            file, cases = capture["file"], " ".join(capture["cases"])
            spoken = [n for n, call in enumerate(capture["calls"]) if call["speech"]]
            for place, number in enumerate(spoken or [None]):
                first = [f"`{file.removesuffix('.pcap')}`", capture["about"], cases]
                cells = first if place == 0 else ["", f"call {place + 1}", ""]
                for side in golden.SIDES:
                    if number is None:
                        cells += ["", ""]
                        continue
                    name = golden.known(file, number)["speech"][side]
                    mine = golden.aligned(extracted, file, number, side, name)
                    theirs, _ = golden.exported(file, number, side)
                    cells += [f"{mine.median_db():.1f}", f"{theirs.median_db():.1f}"]
                rows.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
