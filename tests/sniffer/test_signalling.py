"""Which datagrams are shown to the SIP parser: signalling on any port, and little else."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import synthetic
from bystander.sniffer.signalling import may_be_sip

ODD: tuple[Endpoint, Endpoint] = (("10.0.0.1", 40_000), ("10.0.0.2", 45_678))
SIP: tuple[Endpoint, Endpoint] = (("10.0.0.1", 40_000), ("10.0.0.2", 5060))


def shown(payload: bytes, ends: tuple[Endpoint, Endpoint] = ODD) -> bool:
    return bool(len(may_be_sip(synthetic(*ends, payload, 0), np.zeros(1, np.int64))))


@pytest.mark.parametrize(
    "start",
    [
        "INVITE sip:a@b SIP/2.0",
        "SIP/2.0 200 OK",
        "BYE sip:a@b SIP/2.0",
        "\r\n\r\nINVITE sip:a@b SIP/2.0",
        "\nACK sip:a@b SIP/2.0",
        "invite sip:a@b SIP/2.0",
        "X-NEW.1 sip:a@b SIP/2.0",
        "PUBLISH sip:a@b SIP/2.0",
    ],
)
def test_signalling_is_found_on_any_port(start: str) -> None:
    """C5"""
    assert shown(start.encode() + b"\r\n\r\n")


@pytest.mark.parametrize("payload", [b"\r\n\r\n", b"\0\0\0\0", b"", b"jaK"])
def test_keep_alives_are_not(payload: bytes) -> None:
    assert not shown(payload, SIP)


def test_everything_else_on_the_port_of_sip_is_left_to_the_parser() -> None:
    assert shown(b"\xef\xbb\xbfINVITE sip:a@b SIP/2.0\r\n", SIP)
    assert shown(b"\xef\xbb\xbfINVITE sip:a@b SIP/2.0\r\n", SIP[::-1])
    assert not shown(b"\xef\xbb\xbfINVITE sip:a@b SIP/2.0\r\n", ODD)


def test_little_of_what_is_random_is_shown() -> None:
    chance = random.Random(1)
    assert sum(shown(chance.randbytes(60)) for _ in range(2000)) < 60


def test_only_those_asked_for_and_an_empty_question() -> None:
    datagram = synthetic(*SIP, b"INVITE sip:a@b SIP/2.0\r\n\r\n", 0)
    assert may_be_sip(datagram, np.zeros(0, np.int64)).tolist() == []
