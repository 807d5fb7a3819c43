"""Digits in SIP INFO bodies, as telephones write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.infodigits import info_digit


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal= 5\r\nDuration= 160\r\n", "5"),
        ("application/dtmf-relay", b"Signal=*\r\nDuration=160", "*"),
        ("Application/DTMF-Relay; charset=utf-8", b"Duration=160\nsignal = #\n", "#"),
        ("application/dtmf-relay", b"Signal=10", "*"),
        ("application/dtmf-relay", b"Signal=11", "#"),
        ("application/dtmf-relay", b"Signal=12", "A"),
        ("application/dtmf-relay", b"Signal=d", "D"),
        ("application/dtmf-relay", b"Signal=16", None),  # a hook flash
        ("application/dtmf-relay", b"Signal=", None),
        ("application/dtmf-relay", b"Signal=55", None),
        ("application/dtmf", b"5", "5"),
        ("application/dtmf", b" 7\r\n", "7"),
        ("application/dtmf", b"Signal=3\r\n", "3"),
        ("application/dtmf", b"hello", None),
        ("text/plain", b"Signal=5", None),
        ("", b"5", None),
        ("application/dtmf-relay", b"Signal=x\r\nDuration=160\r\n", "x"),
        ("application/dtmf-relay", b"Signal=xx", "x"),
    ],
)
def test_digits(content_type: str, body: bytes, digit: str | None) -> None:
    assert info_digit(content_type, body) == digit


@given(st.sampled_from(["application/dtmf-relay", "application/dtmf"]), st.binary(max_size=60))
def test_any_body_is_survived(content_type: str, body: bytes) -> None:
    assert info_digit(content_type, body) in {None, *"0123456789*#ABCDx"}
