"""SRTP written from the RFCs in plain Python, to have something to compare with: slow, and no secret is safe.

AES (FIPS 197), counter mode and key derivation (RFC 3711, RFC 6188), GCM (RFC 7714), SRTCP. It is held to the
vectors of those RFCs in ``sniffer/test_srtp.py``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from functools import cache

from bystander.sniffer.crypto import SUITES


def _sbox() -> bytes:
    box = bytearray(256)
    p = q = 1
    while True:
        p ^= (p << 1) ^ (0x11B if p & 0x80 else 0)
        p &= 0xFF
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = q
        for turn in range(1, 5):
            turned ^= ((q << turn) | (q >> (8 - turn))) & 0xFF
        box[p] = turned ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return bytes(box)


SBOX = _sbox()


@cache
def _round_keys(key: bytes) -> tuple[tuple[int, ...], ...]:
    words = [list(key[i : i + 4]) for i in range(0, len(key), 4)]
    nk = len(words)
    rounds = nk + 6
    constant = 1
    for i in range(nk, 4 * (rounds + 1)):
        word = list(words[-1])
        if i % nk == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = (constant << 1) ^ (0x11B if constant & 0x80 else 0)
        elif nk > 6 and i % nk == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(word, words[i - nk], strict=True)])
    return tuple(tuple(b for word in words[4 * r : 4 * r + 4] for b in word) for r in range(rounds + 1))


def _double(b: int) -> int:
    return ((b << 1) ^ (0x1B if b & 0x80 else 0)) & 0xFF


_DOUBLE = bytes(_double(b) for b in range(256))


@cache
def aes(key: bytes, block: bytes) -> bytes:
    """AES of one block of 16 bytes."""
    keys = _round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number, round_key in enumerate(keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < len(keys) - 1:
            mixed = []
            for c in range(0, 16, 4):
                a = state[c : c + 4]
                every = a[0] ^ a[1] ^ a[2] ^ a[3]
                mixed += [a[i] ^ every ^ _DOUBLE[a[i] ^ a[(i + 1) % 4]] for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_key, strict=True)]
    return bytes(state)


def counter(key: bytes, iv: int, length: int) -> bytes:
    """Key stream of AES in counter mode (RFC 3711 section 4.1.1)."""
    blocks = range((length + 15) // 16)
    return b"".join(aes(key, ((iv + i) % (1 << 128)).to_bytes(16, "big")) for i in blocks)[:length]


def derive(key: bytes, salt: bytes, label: int, length: int) -> bytes:
    """Key derivation (RFC 3711 section 4.3.3); a salt of 96 bits is filled up on the right (RFC 7714)."""
    x = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ (label << 48)
    return counter(key, x << 16, length)


def _ghash(h: int, data: bytes) -> int:
    y = 0
    for at in range(0, len(data), 16):
        y ^= int.from_bytes(data[at : at + 16], "big")
        z, v = 0, h
        for bit in range(127, -1, -1):
            if y >> bit & 1:
                z ^= v
            v = (v >> 1) ^ (0xE1 << 120 if v & 1 else 0)
        y = z
    return y


def gcm(key: bytes, iv: bytes, aad: bytes, plain: bytes) -> bytes:
    """AES-GCM: ciphertext and tag of 16 bytes."""
    first = int.from_bytes(iv + b"\0\0\0\1", "big")
    cipher = _xor(plain, counter(key, first + 1, len(plain)))

    def padded(part: bytes) -> bytes:
        return part + bytes(-len(part) % 16)

    lengths = struct.pack(">QQ", 8 * len(aad), 8 * len(cipher))
    h = int.from_bytes(aes(key, bytes(16)), "big")
    tag = _ghash(h, padded(aad) + padded(cipher) + lengths)
    return cipher + _xor(tag.to_bytes(16, "big"), aes(key, first.to_bytes(16, "big")))


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def header_bytes(packet: bytes) -> int:
    """Length of the RTP header with its CSRCs and its extension."""
    length = 12 + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        length += 4 + 4 * int.from_bytes(packet[length + 2 : length + 4], "big")
    return length


@dataclass
class Sender:
    """Protects RTP under one master key; ``roc`` follows the wraps of each SSRC's sequence numbers."""

    suite: str
    secret: bytes
    roc: int = 0
    mki: bytes = b""
    encrypted: bool = True
    authenticated: bool = True
    _last: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = SUITES[self.suite]
        self.tag_bytes = known.tag_bytes
        self.encrypted = self.encrypted and not self.suite.startswith("NULL")
        key, salt = self.secret[: known.key_bytes], self.secret[known.key_bytes :]
        self.key = derive(key, salt, 0, len(key))
        self.auth = derive(key, salt, 1, 20)
        self.salt = derive(key, salt, 2, len(salt))

    @property
    def crypto(self) -> str:
        """Suite and key as they stand in ``a=crypto``, without the tag."""
        mki = f"|{int.from_bytes(self.mki, 'big')}:{len(self.mki)}" if self.mki else ""
        more = "" if self.encrypted or self.suite.startswith("NULL") else " UNENCRYPTED_SRTP"
        more += "" if self.authenticated else " UNAUTHENTICATED_SRTP"
        return f"{self.suite} inline:{base64.b64encode(self.secret).decode()}|2^31{mki}{more}"

    def protect(self, packet: bytes) -> bytes:
        """Protect one RTP packet."""
        seq, ssrc = struct.unpack("!xxH4xI", packet[:12])
        roc, last = self._last.get(ssrc, (self.roc, seq))
        if last - seq > 0x8000:
            roc += 1
        if seq - last <= 0x8000:
            self._last[ssrc] = (roc, seq)
        else:
            roc -= 1
        start = header_bytes(packet)
        header, payload = packet[:start], packet[start:]
        if self.suite.startswith("AEAD"):
            iv = _xor(struct.pack("!HIIH", 0, ssrc, roc, seq), self.salt)
            if self.encrypted:
                return header + gcm(self.key, iv, header, payload) + self.mki
            return packet + gcm(self.key, iv, packet, b"") + self.mki
        if self.encrypted:
            iv = (int.from_bytes(self.salt, "big") << 16) ^ (ssrc << 64) ^ ((roc << 16 | seq) << 16)
            payload = _xor(payload, counter(self.key, iv, len(payload)))
        body = header + payload
        tag = hmac.new(self.auth, body + struct.pack("!I", roc), hashlib.sha1).digest()[: self.tag_bytes]
        return body + self.mki + (tag if self.authenticated else b"")

    def protect_rtcp(self, packet: bytes, index: int, *, encrypted: bool = True) -> bytes:
        """Protect one compound RTCP packet (RFC 3711 section 3.4, RFC 7714 section 9)."""
        known = SUITES[self.suite]
        secret, master = self.secret[: known.key_bytes], self.secret[known.key_bytes :]
        key, salt = derive(secret, master, 3, len(secret)), derive(secret, master, 5, len(master))
        (ssrc,) = struct.unpack_from("!I", packet, 4)
        word = struct.pack("!I", encrypted << 31 | index)
        header, payload = packet[:8], packet[8:]
        if self.suite.startswith("AEAD"):
            iv = _xor(struct.pack("!HIHI", 0, ssrc, 0, index), salt)
            if encrypted:
                return header + gcm(key, iv, header + word, payload) + word + self.mki
            return packet + gcm(key, iv, packet + word, b"") + word + self.mki
        if encrypted:
            iv_ = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
            payload = _xor(payload, counter(key, iv_, len(payload)))
        body = header + payload + word
        tag = hmac.new(derive(secret, master, 4, 20), body, hashlib.sha1).digest()[:10]
        return body + self.mki + tag

    def in_clear(self, ssrc: int, seq: int, cipher: bytes, roc: int = 0) -> bytes:
        """What a payload (without tag) was before it was encrypted; nothing is authenticated here."""
        if self.suite.startswith("AEAD"):
            iv = int.from_bytes(_xor(struct.pack("!HIIH", 0, ssrc, roc, seq), self.salt) + b"\0\0\0\2", "big")
        else:
            iv = (int.from_bytes(self.salt, "big") << 16) ^ (ssrc << 64) ^ ((roc << 16 | seq) << 16)
        return _xor(cipher, counter(self.key, iv, len(cipher)))


def secret_of(suite: str, seed: int = 1) -> bytes:
    """A master key with its salt, the same each time."""
    known = SUITES[suite]
    return hashlib.sha512(f"{suite} {seed}".encode()).digest()[: known.key_bytes + known.salt_bytes]
