"""What a call was made of (C17): what was agreed on, not what was only offered."""

from __future__ import annotations

import pytest

from bystander.sniffer.mediakinds import MediaKinds, kinds_of
from bystander.sniffer.sdp import parse_sdp


def kinds(*lines: str) -> list[str]:
    sdp = parse_sdp("\r\n".join(["v=0", "c=IN IP4 10.0.0.1", *lines]).encode())
    assert sdp is not None
    return kinds_of(sdp)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["m=audio 4000 RTP/AVP 0 8"], ["audio"]),
        (["m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/SAVPF 96"], ["audio", "video"]),
        (["m=audio 0 RTP/AVP 0", "m=image 4002 udptl t38"], ["image/t38"]),
        (["m=image 4002 RTP/AVP 98", "a=rtpmap:98 t38/8000"], ["image/t38"]),
        (["m=audio 4002 UDPTL t38"], ["image/t38"]),
        (["m=text 4002 RTP/AVP 98 100", "a=rtpmap:98 t140/1000", "a=rtpmap:100 red/1000"], ["text/t140"]),
        (["m=message 7654 TCP/MSRP *"], ["message/msrp"]),
        (["m=application 5000 TCP/BFCP *"], ["application"]),
        (["m=hologram 5000 RTP/AVP 0", "m=x 5000 RTP/AVP 0"], ["other"]),
        (["m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 8", "m=video 0 RTP/AVP 96"], ["audio"]),
    ],
)
def test_kinds(lines: list[str], told: list[str]) -> None:
    assert kinds(*lines) == told


def test_what_both_sides_take_part_in_counts() -> None:
    media = MediaKinds()
    media.describe(["audio", "video"])
    assert list(media) == ["audio", "video"]
    media.agree(["audio", "video"], ["audio"])
    assert list(media) == ["audio"]
    media.describe(["image/t38"])
    assert list(media) == ["audio"]
    media.agree(["image/t38"], ["image/t38"])
    media.agree(None, ["video"])
    assert list(media) == ["audio", "image/t38", "video"]
