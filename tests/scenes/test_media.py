"""What is not decoded: noted, named, and its payload kept (C17)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bystander.cli import main
from tests.scenes.scenery import Line, Outcome, Scene, rtp, sdp

Play = Callable[..., Outcome]
VIDEO = "m=video {} RTP/AVP 99\na=rtpmap:99 H264/90000"
FAX = "\r\n".join(["v=0", "c=IN IP4 {}", "t=0 0", "m=audio 0 RTP/AVP 8", "m=image {} udptl t38", ""])


def test_video_is_noted_and_the_audio_beside_it_recorded(scene: Scene, line: Line, play: Play) -> None:
    line.invite(0, sdp(*line.caller_media, more=VIDEO.format(4010)))
    line.answer(1, sdp(*line.callee_media, more=VIDEO.format(20010)))
    scene.talk(line.says(), 1, 4)
    scene.talk(line.replies(), 1, 4)
    for n in range(100):
        scene.send(1 + n / 50, ("10.1.0.1", 4010), ("10.0.0.2", 20010), rtp(n, 1800 * n, 77, bytes(900), 99))
    line.bye(4)
    heard = play(scene)
    assert heard.call["media"] == ["audio", "video"]
    assert heard.call["verdict"] == "recorded" and len(heard.call["streams"]) == 2
    assert [(s["kind"], s["by"], s["codec"], s["packets"]) for s in heard.call["other_streams"]] == [
        ("video", "caller", "H264", 100)
    ]
    assert heard.call["undecoded"] == []


def test_c17_a_fax_after_g711_is_noted(scene: Scene, line: Line, play: Play) -> None:
    """The re-INVITE turns the call into T.38; what was heard before it is recorded, the rest is silence."""
    line.invite(0)
    line.answer(1)
    scene.talk(line.says(), 1, 3)
    scene.talk(line.replies(), 1, 3)
    line.reinvite(3, FAX.format("10.1.0.1", 4000), FAX.format("10.0.0.2", 20000))
    for n in range(60):
        scene.send(3.1 + n / 20, line.caller_media, line.callee_media, bytes([0, n, 1, 6, 0, 0]))
    line.bye(7)
    heard = play(scene)
    assert heard.call["media"] == ["audio", "image/t38"]
    assert (heard.call["verdict"], heard.call["duration_s"]) == ("recorded", 6.0)
    assert heard.heard(0.05, 1.95) == ("caller", "callee")
    assert heard.heard(2.1, 5.9) == ("silence", "silence")


def test_c17_a_fax_that_was_refused_is_no_fax(scene: Scene, line: Line, play: Play) -> None:
    line.invite(0)
    line.answer(1)
    scene.talk(line.says(), 1, 5)
    line.message(2, "INVITE sip:x@x SIP/2.0", "2 INVITE", FAX.format("10.1.0.1", 4000))
    line.message(2.1, "SIP/2.0 488 Not Acceptable Here", "2 INVITE", by="callee")
    line.bye(5)
    assert play(scene).call["media"] == ["audio"]


@pytest.mark.parametrize("masks", [False, True])
def test_an_unknown_codec_is_named_and_its_payload_is_in_the_evidence(
    scene: Scene, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masks: bool
) -> None:
    more = "a=rtpmap:100 EVS/16000"
    line.invite(0, sdp(*line.caller_media, types="100", more=more))
    line.answer(1, sdp(*line.callee_media, types="100", more=more))
    payloads = [bytes([n, 7, n ^ 0x5A]) * 11 for n in range(150)]
    for n, payload in enumerate(payloads):
        scene.send(1 + n / 50, line.caller_media, line.callee_media, rtp(n, 320 * n, 77, payload, 100))
    line.bye(5)
    (tmp_path / "call.pcap").write_bytes(scene.pcap())
    config = tmp_path / "b.toml"
    config.write_text(
        '[recording]\ndirectory = "r"\nspool = "s"\nindex = "i.sqlite"\n[metrics]\nenabled = false\n'
        + ('[digits]\nmask = "all"\nmask_tones = true\n' if masks else "")
    )
    monkeypatch.setenv("BYSTANDER_CONFIG", str(config))
    assert main(["run", "--read", str(tmp_path / "call.pcap")]) == 0
    (evidence,) = tmp_path.glob("r/**/*.pcap")
    program = shutil.which("tshark")
    assert program is not None
    command = [
        program,
        "-n",
        "-r",
        str(evidence),
        "-d",
        "udp.port==4000,rtp",
        "-Y",
        "rtp",
        "-T",
        "fields",
        "-e",
        "rtp.payload",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if masks:
        # Keys could be heard in it, and nobody here can tell.
        assert found == []
    else:
        assert [bytes.fromhex(payload.replace(":", "")) for payload in found] == payloads


def test_show_names_what_is_not_decoded(
    scene: Scene,
    line: Line,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test_an_unknown_codec_is_named_and_its_payload_is_in_the_evidence(
        scene, line, tmp_path, monkeypatch, False
    )
    capsys.readouterr()
    assert main(["calls", "--json"]) == 0
    import json

    (call,) = json.loads(capsys.readouterr().out)
    assert call["verdict"] == "unsupported-codec" and call["recording"] is None
    assert call["undecoded"] == [{"by": "caller", "codec": "EVS", "packets": 150, "kept": 150}]
    assert main(["show", call["id"]]) == 0
    assert re.search(
        r"not decoded\s+EVS by caller: 150 packets, 150 of them in the evidence", capsys.readouterr().out
    )
