"""A session border controller that records elsewhere: its two streams are two sides (RFC 7866)."""

from __future__ import annotations

from collections.abc import Callable

from scenery import CALLEE_HZ, CALLER_HZ, GATEWAY, PHONE, Line, Outcome, Scene, Talk

Play = Callable[..., Outcome]
METADATA = """<?xml version="1.0"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<session session_id="s1"/>
<participant participant_id="p1"><nameID aor="sip:+48600100200@x"><name>Jan</name></nameID></participant>
<participant participant_id="p2"><nameID aor="sip:102@office"/></participant>
<stream stream_id="a" session_id="s1"><label>1</label></stream>
<stream stream_id="b" session_id="s1"><label>2</label></stream>
<participantstreamassoc participant_id="p1"><send>b</send><recv>a</recv></participantstreamassoc>
<participantstreamassoc participant_id="p2"><send>a</send><recv>b</recv></participantstreamassoc>
</recording>
"""


def described(host: str, ports: tuple[int, int], mode: str, *, labels: bool) -> str:
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    for number, port in enumerate(ports, 1):
        lines += [f"m=audio {port} RTP/AVP 8", f"a={mode}"] + ([f"a=label:{number}"] if labels else [])
    return "\r\n".join([*lines, ""])


def test_a_recording_session_has_two_sides(scene: Scene, line: Line, play: Play) -> None:
    """Both streams are sent by one machine; the first participant, in the second stream, is left."""
    offer = described(PHONE, (4000, 4002), "sendonly", labels=True)
    body = f"--b\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b\r\n"
    body += f"Content-Type: application/rs-metadata+xml\r\n\r\n{METADATA}\r\n--b--\r\n"
    line.message(
        0, "INVITE sip:srs@x SIP/2.0", "1 INVITE", body, to_tag=False,
        kind="multipart/mixed;boundary=b", headers=("Require: siprec",),
    )  # fmt: skip
    line.answer(1, described(GATEWAY, (20000, 20002), "recvonly", labels=False))
    scene.talk(Talk((PHONE, 4000), (GATEWAY, 20000), CALLEE_HZ, 1), 1, 5)
    scene.talk(Talk((PHONE, 4002), (GATEWAY, 20002), CALLER_HZ, 2), 1, 5)
    line.bye(5)
    heard = play(scene)
    call = heard.call
    assert (call["caller"], call["caller_name"], call["callee"]) == ("+48600100200", "Jan", "102")
    assert (call["verdict"], call["holds"]) == ("recorded", [])
    assert heard.heard(0.05, 3.9) == ("caller", "callee")
    assert call["siprec"] == {
        "sessions": ["s1"],
        "participants": [
            {"aor": "sip:+48600100200@x", "name": "Jan", "labels": ["2"]},
            {"aor": "sip:102@office", "name": "", "labels": ["1"]},
        ],
    }
