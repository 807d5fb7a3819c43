"""Recordings of telephones that speak another codec than G.711."""

from __future__ import annotations

from pathlib import Path

from phonelab import sipp
from phonelab.network import Lab
from phonelab.recordings import ALICE, BOB, Facts, answered, direct, recording

OPUS = "opus_bitrate 48000\nopus_application audio\n"
VIDEO = "video_source fakevideo,nil\nvideo_size 176x144\nvideo_fps 5\nvideo_bitrate 40000\n"


@recording("g722", "baresip to baresip, G.722: 16 kHz, of which its timestamps count half")
def g722(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 5.0, codecs="G722/16000")
    return [answered("G722")]


@recording("opus", "baresip to baresip, Opus at 48 kbit/s: 48 kHz, packets of every size")
def opus(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 6.0, codecs="opus/48000/2", more=OPUS)
    return [answered("OPUS")]


@recording(
    "codec-change", "in mid-call both go over from G.722 to A-law, on the same SSRC (re-INVITE)", "C6", "C14"
)
def codec_change(directory: Path, path: Path) -> list[Facts]:
    with Lab(directory) as lab:
        alice, bob = lab.host("alice", ALICE), lab.host("bob", BOB)
        lab.mirror(bob)
        for host, name in ((alice, "caller"), (bob, "callee")):
            sipp.write_rtp(name, host.directory / "g722.pcap", 3, codec="G722")
            sipp.write_rtp(name, host.directory / "pcma.pcap", 3, start_s=3, after=150)
        with lab.capture(path):
            callee = sipp.serve(bob, "uas-recode")
            sipp.dial(alice, "uac-recode", bob, "bob", 3100).finish()
            callee.finish()
    return [answered("G722", codecs=["G722", "PCMA"])]


@recording("video", "a video call: VP8 beside the voice")
def video(directory: Path, path: Path) -> list[Facts]:
    direct(directory, path, 3.0, video_codecs="vp8", modules=("vp8", "fakevideo"), more=VIDEO)
    return [answered()]
