"""From, To and URIs, in the forms that telephones send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.sipaddress import Address, parameter, parse_address, split_uri


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (
            '"Anna Nowak" <sip:2001@pbx.example.com>;tag=4a',
            Address("sip:2001@pbx.example.com", "2001", "pbx.example.com", "Anna Nowak", "4a"),
        ),
        ("<sip:a@10.0.0.1:5070>", Address("sip:a@10.0.0.1:5070", "a", "10.0.0.1")),
        # Without brackets, parameters belong to the header (RFC 3261 section 20.10).
        ("sip:a@h;tag=7;x=y", Address("sip:a@h", "a", "h", "", "7")),
        ("sip:a@h ; Tag = 7", Address("sip:a@h", "a", "h", "", "7")),
        # The tag inside the brackets, where it does not belong.
        ("<sip:a@h;tag=in>", Address("sip:a@h;tag=in", "a", "h", "", "in")),
        ("<sip:a@h;tag=in>;tag=out", Address("sip:a@h;tag=in", "a", "h", "", "out")),
        # Quoted strings that hold everything a parser might trip over.
        (
            r'"A, \"B\"; <x> ;tag=no" <sip:a@h>;tag=yes',
            Address("sip:a@h", "a", "h", 'A, "B"; <x> ;tag=no', "yes"),
        ),
        ('<sip:a@h>;x="b>;tag=no";tag=yes', Address("sip:a@h", "a", "h", "", "yes")),
        ('"Mr. Never Closed <sip:a@h>;tag=1', Address("sip:a@h", "a", "h", "Mr. Never Closed", "1")),
        ("Bell, Alexander <sip:a@h>", Address("sip:a@h", "a", "h", "Bell, Alexander")),
        ("caller<sip:a@h>", Address("sip:a@h", "a", "h", "caller")),
        ("Żółć <sip:a@h>", Address("sip:a@h", "a", "h", "Żółć")),
        ("<sip:a@h", Address("sip:a@h", "a", "h")),
        (
            "<tel:+48-22-1234567;ext=5>;tag=1",
            Address("tel:+48-22-1234567;ext=5", "+48-22-1234567", "", "", "1"),
        ),
        ("2001", Address("2001", "2001")),
        ("2001@10.0.0.1", Address("2001@10.0.0.1", "2001", "10.0.0.1")),
        ("", Address()),
    ],
)
def test_addresses_are_read_as_telephones_write_them(value: str, address: Address) -> None:
    """C5."""
    assert parse_address(value) == address


@pytest.mark.parametrize(
    ("uri", "user", "host"),
    [
        ("sip:alice:secret@h", "alice", "h"),
        ("sip:+48221234567;phone-context=pl@h;user=phone", "+48221234567", "h"),
        ("sip:user;par=u%40example.net@example.com", "user", "example.com"),
        ("sip:a%40b@h", "a@b", "h"),
        ("sip:100%25@h", "100%", "h"),
        ("sip:null-%00@h", "null-%00", "h"),
        ("sip:bad%ff@h", "bad%ff", "h"),
        ("sip:a@example.com@proxy", "a@example.com", "proxy"),
        ("sip:a@h;maddr=x@y", "a", "h"),
        ("sip:a@h?to=x@y", "a", "h"),
        ("sips:a@[2001:DB8::1]:5061;transport=tcp", "a", "2001:db8::1"),
        ("sip:pbx.example.com:5060", "", "pbx.example.com"),
        ("SIP:A@H.Example", "A", "h.example"),
        ("mailto:a@h", "a", "h"),
        ("urn:service:sos", "service:sos", ""),
        ("*43", "*43", ""),
    ],
)
def test_uri_is_split_into_user_and_host(uri: str, user: str, host: str) -> None:
    assert split_uri(uri) == (user, host)


def test_parameter_values_lose_their_quotes() -> None:
    assert parameter(r';a=1;B="x;\"y\"" ; c', "b") == 'x;"y"'
    assert parameter(";a=1;c", "c") == ""
    assert parameter(";ab=1", "a") == ""


@given(st.text(alphabet='<>";:@=\\ ,?%[]tagsip12', max_size=80))
def test_no_text_raises(value: str) -> None:
    address = parse_address(value)
    assert address.uri in value
    assert "\r" not in address.user
