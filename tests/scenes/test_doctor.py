"""Mirrors that are set up wrongly, and what `doctor` says of each."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenery import GATEWAY, PHONE, Line, Scene, rtp, sdp

from benchmarks.headers import ethernet, udp_frame
from bystander.config import Config, settings
from bystander.diagnosis import Finding, diagnose
from bystander.doctor import Facts, look_at_files
from bystander.suggest import suggested_lines

PATIENCE_S = 60.0
Look = Callable[[Scene], Facts]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def run(scene: Scene) -> Facts:
        capture = tmp_path / "mirror.pcap"
        capture.write_bytes(scene.pcap())
        return look_at_files([capture], Config())

    return run


def found(facts: Facts) -> dict[str, Finding]:
    return {finding.code: finding for finding in diagnose(facts)}


def call(line: Line, *, caller: bool = True, callee: bool = True, body: str | None = None) -> None:
    """A call of three seconds, of which one side may not be mirrored."""
    line.invite(0.0, body)
    line.answer(1.0)
    if caller:
        line.scene.talk(line.says(), 1.1, 4.0)
    if callee:
        line.scene.talk(line.replies(), 1.1, 4.0)
    line.bye(4.1)


def test_a_mirror_that_is_as_it_should_be(look: Look, scene: Scene, line: Line) -> None:
    call(line)
    facts = look(scene)
    codes = found(facts)
    assert set(codes) == {"both-sides", "no-loss"}
    assert all(finding.level == "good" for finding in codes.values())
    assert facts.talk.codecs == {"PCMA": 2}
    assert facts.signalling.messages == 5


def test_c25_both_directions_are_not_mirrored(look: Look, scene: Scene, line: Line) -> None:
    call(line, callee=False)
    facts = look(scene)
    fault = found(facts)["one-way"]
    assert fault.level == "fault"
    assert f"nothing that comes from {GATEWAY} is seen" in fault.text
    assert f"nothing that goes to {PHONE} is seen" in fault.text
    assert "both directions" in fault.advice


def test_one_telephone_of_several_is_one_way(look: Look, scene: Scene) -> None:
    call(Line(scene, "whole@phone"))
    deaf = Line(
        scene, "half@phone", caller_media=("10.1.0.9", 6000), callee_media=(GATEWAY, 30000), tags=("x", "y")
    )
    call(deaf, caller=False)
    finding = found(look(scene))["one-way"]
    assert finding.level == "warning"
    assert "1 of 2 answered calls" in finding.text
    assert "10.1.0.9" in finding.text and PHONE not in finding.text


def test_only_requests_are_mirrored(look: Look, scene: Scene) -> None:
    for number in range(4):
        Line(scene, f"call-{number}@phone").invite(float(number))
    finding = found(look(scene))["sip-one-way"]
    assert finding.level == "fault" and "no answers" in finding.text


@pytest.mark.parametrize("times", [2, 3])
def test_c13_from_how_many_ports(look: Look, scene: Scene, line: Line, times: int) -> None:
    call(line)
    scene.frames = [(at + copy * 1e-5, frame) for at, frame in scene.frames for copy in range(times)]
    facts = look(scene)
    finding = found(facts)["copies"]
    assert f"arrives {times} times: {times} mirrored ports" in finding.text
    assert "alike" in finding.text
    assert facts.copies.share == 1.0
    assert facts.talk.whole == 1


def routed(frame: bytes) -> bytes:
    """The frame behind a router: other MAC addresses, one hop less."""
    return ethernet(PHONE, GATEWAY) + frame[14:22] + bytes([frame[22] - 1]) + frame[23:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (routed, "before and behind a router"),
        (lambda frame: frame[:12] + struct.pack("!HH", 0x8100, 20) + frame[12:], "different segments"),
    ],
)
def test_c13_where_copies_were_taken(
    look: Look, scene: Scene, line: Line, change: Callable[[bytes], bytes], said: str
) -> None:
    call(line)
    scene.frames += [(at + 1e-5, change(frame)) for at, frame in scene.frames]
    assert said in found(look(scene))["copies"].text


def test_a_port_that_is_no_mirror(look: Look, scene: Scene) -> None:
    for number in range(100):
        scene.frames.append((number / 10, udp_frame((PHONE, 68), (GATEWAY, 67), b"hello", broadcast=True)))
    codes = found(look(scene))
    assert codes["only-broadcast"].level == "fault"


def test_the_voice_network_is_not_mirrored(look: Look, scene: Scene) -> None:
    for number in range(100):
        scene.send(number / 10, (PHONE, 50000 + number), (GATEWAY, 53), b"\x12\x34 a question of names")
    assert found(look(scene))["no-telephony"].level == "fault"


def test_media_without_signalling(look: Look, scene: Scene, line: Line) -> None:
    scene.talk(line.says(), 0.0, 2.0)
    scene.talk(line.replies(), 0.0, 2.0)
    assert "2 RTP streams" in found(look(scene))["no-signalling"].text


def test_signalling_without_media(look: Look, scene: Scene, line: Line) -> None:
    call(line, caller=False, callee=False)
    assert found(look(scene))["no-media"].level == "fault"


def test_vlans_are_named(look: Look, scene: Scene, line: Line) -> None:
    call(line)
    tag = struct.pack("!HHHH", 0x88A8, 7, 0x8100, 120)
    scene.frames = [(at, frame[:12] + tag + frame[12:]) for at, frame in scene.frames]
    assert "7/120" in found(look(scene))["vlans"].text


def test_tunnels_are_named(look: Look, scene: Scene, line: Line) -> None:
    """A remote mirror by VXLAN, beside what is mirrored bare."""
    call(line)
    shell = (("192.0.2.1", 50000), ("192.0.2.2", 4789))
    wrapped = [
        (at, udp_frame(*shell, bytes.fromhex("0800000000000100") + frame)) for at, frame in scene.frames
    ]
    whole = len(scene.frames)
    scene.frames = wrapped
    facts = look(scene)
    assert facts.tunnels == {"vxlan": whole}
    assert "vxlan" in found(facts)["tunnels"].text
    assert facts.talk.whole == 1


def test_loss_everywhere_is_the_mirrors(look: Look, scene: Scene) -> None:
    for number in range(3):
        call(
            Line(
                scene,
                f"{number}@phone",
                caller_media=(f"10.1.0.{number + 1}", 4000),
                callee_media=(GATEWAY, 20000 + 2 * number),
                tags=(f"a{number}", f"b{number}"),
            )
        )
    media = 0
    kept = []
    for at, frame in scene.frames:
        media += len(frame) > 200
        if len(frame) <= 200 or media % 20:
            kept.append((at, frame))
    scene.frames = kept
    finding = found(look(scene))["loss"]
    assert finding.level == "warning"
    assert "the mirror loses them" in finding.text


def test_encryption_and_foreign_codecs_have_their_share(look: Look, scene: Scene, line: Line) -> None:
    crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
    line.invite(0.0, sdp(*line.caller_media, more=crypto, profile="RTP/SAVP"))
    line.answer(1.0, sdp(*line.callee_media, more=crypto, profile="RTP/SAVP"))
    scene.talk(line.says(), 1.1, 4.0)
    other = Line(scene, "2@phone", caller_media=(PHONE, 4100), callee_media=(GATEWAY, 20100), tags=("c", "d"))
    strange = (
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n"
        "m=audio {1} RTP/AVP 96\r\na=rtpmap:96 VOXWARE/8000\r\n"
    )
    other.invite(0.0, strange.format(*other.caller_media))
    other.answer(1.0, strange.format(*other.callee_media))
    for number in range(50):
        payload = rtp(number, number * 160, 0x3333, bytes(20), pt=96)
        scene.send(1.1 + number / 50, other.caller_media, other.callee_media, payload)
    codes = found(look(scene))
    assert "1 of 2 streams" in codes["encrypted"].text
    assert "VOXWARE" in codes["codecs"].text


def test_a_look_keeps_nothing_of_what_is_said(look: Look, scene: Scene, line: Line, tmp_path: Path) -> None:
    """R7: whoever may look at the mirror may not listen."""
    call(line)
    look(scene)
    assert [path.name for path in tmp_path.rglob("*")] == ["mirror.pcap"]


REGISTER = (
    "REGISTER sip:pbx SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bKr{1}\r\nFrom: <sip:{1}@pbx>;tag=r{1}\r\n"
    "To: <sip:{1}@pbx>\r\nCall-ID: reg-{1}\r\nCSeq: 1 REGISTER\r\n"
    "User-Agent: Desk phone 7\r\nContent-Length: 0\r\n\r\n"
)


def test_lines_for_the_configuration(look: Look, scene: Scene) -> None:
    """They are taken by the configuration, and by them a call's direction is right."""
    server = ("10.1.0.200", 5060)
    for number in (101, 102, 117):
        phone = (f"10.1.0.{number}", 5060)
        scene.send(number / 100, phone, server, REGISTER.format(phone[0], number).encode())
    trunk = Line(scene, caller="101", caller_sip=server, callee_sip=("198.51.100.7", 5060))
    trunk.invite(3.0)
    trunk.progress(3.1)
    lines = suggested_lines(look(scene))
    assert "numbers = ['/^1\\d{2}$/']" in lines
    assert 'networks = ["10.1.0.0/24"]' in lines
    assert 'trunks = ["198.51.100.7"]' in lines
    import tomllib

    config = Config.model_validate(tomllib.loads("\n".join(lines)))
    office = config.office.office()
    assert office.has("101", "10.1.0.101") is True
    assert office.has("+48221234567", "198.51.100.7") is False


def doctor(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bystander", "doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


class TestCommand:
    def test_in_plain_words(self, scene: Scene, line: Line, tmp_path: Path) -> None:
        call(line, callee=False)
        capture = tmp_path / "mirror.pcap"
        capture.write_bytes(scene.pcap())
        ran = doctor(capture)
        assert ran.returncode == 1  # a fault
        assert ran.stdout.startswith("mirror.pcap: ")
        assert "✘ 1 of 1 answered call" in ran.stdout
        assert "→ Set the mirror session to both directions." in ran.stdout
        assert "[capture]" in ran.stdout

    def test_as_json(self, scene: Scene, line: Line, tmp_path: Path) -> None:
        call(line)
        capture = tmp_path / "mirror.pcap"
        capture.write_bytes(scene.pcap())
        ran = doctor(capture, "--json")
        assert ran.returncode == 0
        said = json.loads(ran.stdout)
        assert said["facts"]["calls"] == {
            "answered": 1, "both_sides": 1, "one_way": 0, "no_media": 0, "encrypted": 0,
        }  # fmt: skip
        assert {finding["code"] for finding in said["findings"]} == {"both-sides", "no-loss"}
        assert said["configuration"][0] == "[capture]"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "name the mirror port"),
            (["--compare"], "--compare takes capture files"),
            (["--interface", "lo", "x.pcap"], "name the mirror port"),
            (["--interface", "no-such-if"], "no such interface"),
            (["no-such.pcap"], "no-such.pcap"),
        ],
    )
    def test_one_clear_line(self, arguments: list[str], said: str) -> None:
        ran = doctor(*arguments)
        assert ran.returncode in (1, 2)
        assert said in ran.stderr and ran.stderr.count("\n") == 1
        assert not ran.stdout


def test_wire_text_cannot_move_the_cursor(scene: Scene, tmp_path: Path) -> None:
    said = REGISTER.replace("Desk phone 7", "\x1b[2Jgone").format(PHONE, 7)
    scene.send(0.0, (PHONE, 5060), (GATEWAY, 5060), said.encode())
    capture = tmp_path / "mirror.pcap"
    capture.write_bytes(scene.pcap())
    ran: Any = doctor(capture)
    assert "gone" in ran.stdout and "\x1b[2J" not in ran.stdout


def tagged(frames: list[tuple[float, bytes]], number: int, late: float = 0.0) -> list[tuple[float, bytes]]:
    tag = struct.pack("!HH", 0x8100, number)
    return [(at + late, frame[:12] + tag + frame[12:]) for at, frame in frames]


def test_c10_two_networks_with_one_address_plan(tmp_path: Path, look: Look, scene: Scene, line: Line) -> None:
    """Two calls at one time that have nothing but their addresses in common."""
    call(line)
    other = Line(Scene(), call_id="another@elsewhere", tags=("a", "b"))
    other.invite(0.02)
    other.answer(0.9)
    other.scene.talk(other.says(ssrc=0x33, seq=7), 1.0, 3.9)
    other.bye(4.2)
    scene.frames = tagged(scene.frames, 10) + tagged(other.scene.frames, 20)
    facts = look(scene)
    overlap = found(facts)["overlap"]
    assert overlap.level == "fault"
    assert "vlan 10, vlan 20" in overlap.text
    assert 'separate = ["vlan"]' in overlap.advice
    assert 'separate = ["vlan"]' in suggested_lines(facts)
    assert facts.overlaps.flows == 1  # the caller's media
    told = look_at_files([tmp_path / "mirror.pcap"], settings(capture={"separate": ["vlan"]}))
    assert "overlap" not in found(told)
    assert (told.talk.answered, told.talk.whole, told.talk.one_way) == (2, 1, 1)


def test_c13_copies_in_two_vlans_are_no_overlap(look: Look, scene: Scene, line: Line) -> None:
    """Seen before and behind a router; a few have lost their copy."""
    call(line)
    scene.frames = tagged(scene.frames, 10) + tagged(scene.frames[3:], 20, late=0.0005)
    facts = look(scene)
    assert "overlap" not in found(facts)
    assert facts.copies.share > 0.95
    assert not [text for text in suggested_lines(facts) if text.startswith("separate")]


def test_directions_in_two_vlans_are_no_overlap(look: Look, scene: Scene, line: Line) -> None:
    call(line)
    there = [one for one in scene.frames if one[1][26:30] == bytes([10, 1, 0, 1])]
    back = [one for one in scene.frames if one not in there]
    assert there
    assert back
    scene.frames = tagged(there, 10) + tagged(back, 20)
    facts = look(scene)
    assert "overlap" not in found(facts)
    assert facts.talk.whole == 1
