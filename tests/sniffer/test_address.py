"""Endpoints and hosts as text."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.address import format_endpoint, is_ip, normalise_host


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (("10.0.0.1", 4000), "10.0.0.1:4000"),
        (("2001:db8::1", 4000), "[2001:db8::1]:4000"),
        (("pbx.example.com", 5060), "pbx.example.com:5060"),
    ],
)
def test_endpoint_is_written_as_in_a_uri(endpoint: tuple[str, int], text: str) -> None:
    assert format_endpoint(endpoint) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("010.000.000.001", "10.0.0.1"),
        ("2001:DB8:0:0::0001", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("PBX.Example.COM.", "pbx.example.com"),
        ("300.1.1.1", "300.1.1.1"),
        ("1.2.3", "1.2.3"),
        ("", ""),
        ("X" * 1000, "x" * 300),
    ],
)
def test_host_is_normalised(text: str, canonical: str) -> None:
    assert normalise_host(text) == canonical


@given(st.ip_addresses())
def test_every_spelling_of_an_address_gives_the_packet_form(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert normalise_host(str(address)) == str(address)
    assert normalise_host(address.exploded.upper()) == str(address)


@given(st.text(), st.booleans())
def test_normalising_accepts_any_text(text: str, bracketed: bool) -> None:
    host = normalise_host(f"[{text}]" if bracketed else text)
    assert host == host.lower()
    if is_ip(host):
        assert normalise_host(host) == host


def test_a_name_is_no_address() -> None:
    assert is_ip("10.0.0.1")
    assert is_ip("::")
    assert not is_ip("pbx.local")
