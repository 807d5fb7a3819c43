"""``a=crypto`` of RFC 4568, RFC 6188, RFC 7714."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.crypto import SUITES, parse_crypto, usable_keys

K30 = base64.b64encode(bytes(range(30))).decode()


def test_the_examples_of_rfc_4568() -> None:
    one = parse_crypto(
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4"
        " FEC_ORDER=FEC_SRTP"
    )
    assert one is not None
    assert (one.tag, one.suite, one.encrypted, one.authenticated) == (
        1,
        "AES_CM_128_HMAC_SHA1_80",
        True,
        True,
    )
    (key,) = one.keys
    assert (len(key.secret), key.lifetime, key.mki) == (30, 1 << 20, b"\0\0\0\1")
    two = parse_crypto(
        "2 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
        "inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4"
    )
    assert two is not None
    assert [key.mki for key in two.keys] == [b"\0\0\0\1", b"\0\0\0\2"]
    assert two.keys[0].secret == b"123456789ABCDE0123456789ABcdef"


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_keys_of_its_length(name: str) -> None:
    suite = SUITES[name]
    length = suite.key_bytes + suite.salt_bytes
    for size in (length - 1, length, length + 1):
        crypto = parse_crypto(f"7 {name.lower()} inline:{base64.b64encode(bytes(size)).decode()}")
        assert crypto is not None
        assert crypto.suite == name
        assert len(crypto.keys) == (size == length)
        assert len(usable_keys(crypto, 5)) == (size == length and suite.supported)


@pytest.mark.parametrize(("name", "is_name"), [
    ("AES_CM_256_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80"),
    ("AES_CM_192_HMAC_SHA1_32", "AES_192_CM_HMAC_SHA1_32"),
])  # fmt: skip
def test_names_from_the_draft_of_rfc_6188(name: str, is_name: str) -> None:
    crypto = parse_crypto(f"1 {name} inline:{base64.b64encode(bytes(46)).decode()}")
    assert crypto is not None
    assert crypto.suite == is_name


@pytest.mark.parametrize(
    ("rest", "encrypted", "authenticated", "derives"),
    [
        ("", True, True, False),
        (" UNENCRYPTED_SRTP", False, True, False),
        (" UNAUTHENTICATED_SRTP UNENCRYPTED_SRTCP", True, False, False),
        (" KDR=1 WSH=64 -FOO", True, True, True),
        (" KDR=0", True, True, False),
    ],
)
def test_session_parameters(rest: str, encrypted: bool, authenticated: bool, derives: bool) -> None:
    crypto = parse_crypto(f"1 AES_CM_128_HMAC_SHA1_80 inline:{K30}{rest}")
    assert crypto is not None
    assert (crypto.encrypted, crypto.authenticated, crypto.derives_anew) == (
        encrypted,
        authenticated,
        derives,
    )
    assert len(usable_keys(crypto, 0)) == (not derives)


def test_what_cannot_be_used_is_still_recognised() -> None:
    f8 = parse_crypto(f"1 F8_128_HMAC_SHA1_80 inline:{K30}")
    seed = parse_crypto(f"2 SEED_CTR_128_HMAC_SHA1_80 inline:{K30}")
    assert f8 is not None and seed is not None
    assert (len(f8.keys), usable_keys(f8, 0)) == (1, [])
    assert (seed.suite, seed.keys) == ("SEED_CTR_128_HMAC_SHA1_80", ())


@pytest.mark.parametrize("key", [
    K30[:-1], "x" + K30[1:-2], "inline", "|2^31", f"{K30}|1:0", f"{K30}|300:1", f"{K30}|1:129", f"{K30}|x:y",
    "ż" * 40,
])  # fmt: skip
def test_keys_that_make_no_sense_are_not_used(key: str) -> None:
    crypto = parse_crypto(f"1 AES_CM_128_HMAC_SHA1_80 inline:{key}")
    assert crypto is not None
    assert crypto.keys == ()


def test_padding_that_is_left_out() -> None:
    text = base64.b64encode(bytes(46)).decode()
    assert text.endswith("==")
    crypto = parse_crypto(f"1 AES_256_CM_HMAC_SHA1_80 inline:{text.rstrip('=')}|2^48")
    assert crypto is not None
    assert [(len(key.secret), key.lifetime) for key in crypto.keys] == [(46, 1 << 48)]


def test_keys_are_not_shown() -> None:
    crypto = parse_crypto(f"1 AES_CM_128_HMAC_SHA1_80 inline:{K30}")
    assert crypto is not None
    shown = repr(crypto) + repr(usable_keys(crypto, 0))
    assert K30 not in shown and repr(bytes(range(30)))[2:-1] not in shown


@given(
    tag=st.integers(0, 999_999_999),
    suite=st.sampled_from([suite for suite in SUITES.values() if suite.supported]),
    keys=st.lists(
        st.tuples(st.binary(min_size=46, max_size=46), st.integers(0, 48), st.integers(0, 255)),
        min_size=1, max_size=3,
    ),
)  # fmt: skip
def test_what_is_written_is_read(tag: int, suite: object, keys: list[tuple[bytes, int, int]]) -> None:
    length = suite.key_bytes + suite.salt_bytes  # type: ignore[attr-defined]
    texts = [
        f"inline:{base64.b64encode(key[:length]).decode()}|2^{power}|{mki}:{1 + mki % 4}"
        for key, power, mki in keys
    ]
    crypto = parse_crypto(f" {tag}  {suite.name}\t{';'.join(texts)} ")  # type: ignore[attr-defined]
    assert crypto is not None
    assert crypto.tag == tag
    assert [(key.secret, key.lifetime, key.mki) for key in crypto.keys] == [
        (key[:length], 1 << power, mki.to_bytes(1 + mki % 4, "big")) for key, power, mki in keys
    ]


@given(st.text(max_size=200) | st.text("0123456789 AESCM_inline:|;^2=+/xż\t", max_size=200))
def test_junk_never_raises(text: str) -> None:
    for value in (text, f"1 AES_CM_128_HMAC_SHA1_80 {text}", f"1 {text} inline:{K30}"):
        crypto = parse_crypto(value)
        if crypto is not None:
            usable_keys(crypto, 0)
