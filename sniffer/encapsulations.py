"""The headers of tunnels, one function each: from where a header begins to where what it carries begins.

Every function takes ``data`` (uint8[m]) and, as int64[n], where the headers begin and where their frames end,
and returns what each carries (uint8[n]) and where that begins (int64[n]). What it carries is one of the four
outcomes below or the number of a further encapsulation. No function loops over packets, raises, or believes a
place behind the end of a frame. A new encapsulation is a function and a row of ``ENCAPSULATIONS``, and where
it is found a row in one of the tables of :mod:`bystander.sniffer.tunnels`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import gather

Bytes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.int64]
#: (what is carried, where it begins)
Carried: TypeAlias = tuple[Bytes, Ints]


class Kind(IntEnum):
    """What lies at a place: an outcome (the first four), or a header still to be read."""

    REFUSED = 0  # no such header
    NOTHING = 1  # a sound header that carries no IP
    ETHERNET = 2
    IP = 3  # its version says which
    GRE = 4
    ERSPAN_I = 5
    ERSPAN_II = 6
    ERSPAN_III = 7
    VXLAN = 8
    VXLAN_GPE = 9
    GENEVE = 10
    TZSP = 11
    GTP = 12
    HP_ERM = 13
    MPLS = 14
    PPPOE = 15
    PPP = 16
    ITAG = 17
    MACSEC = 18
    CMD = 19
    IPIP = 20
    IP4IN6 = 21
    IP6IN4 = 22
    IP6IN6 = 23
    CHDLC = 24
    SNAP = 25
    RADIOTAP = 26
    DOT11 = 27


FIRST: Final = Kind.GRE
#: Labels of an MPLS stack, tags of TZSP and extension headers of GTP-U that are stepped over.
_MOST_LABELS: Final = 8
_MOST_TAGS: Final = 32
_MOST_EXTENSIONS: Final = 8


def head(data: Bytes, at: Ints, width: int) -> Bytes:
    """Copy ``width`` bytes from each place: uint8[n, width]. Behind the end of the buffer it reads others."""
    return gather(data, np.clip(at, 0, len(data) - width), width).view(np.uint8).reshape(-1, width)


def _half(row: Bytes, column: int) -> Ints:
    """The big-endian 16-bit number in two columns."""
    return (row[:, column].astype(np.int64) << 8) | row[:, column + 1]


def _result(kind: Bytes, inner: Ints, refused: NDArray[np.bool_], end: Ints) -> Carried:
    return np.where(refused | (inner > end), np.uint8(Kind.REFUSED), kind), inner


def _all(kind: Kind, like: Ints) -> Bytes:
    return np.full(len(like), kind, np.uint8)


# What numbers of protocols mean.

_BY_ETHERTYPE = np.full(65536, Kind.NOTHING, np.uint8)
for _type, _kind in {
    0x0800: Kind.IP, 0x86DD: Kind.IP, 0x6558: Kind.ETHERNET, 0x8847: Kind.MPLS, 0x8848: Kind.MPLS,
    0x880B: Kind.PPP, 0x88BE: Kind.ERSPAN_II, 0x22EB: Kind.ERSPAN_III,
}.items():  # fmt: skip
    _BY_ETHERTYPE[_type] = _kind

_BY_PPP_PROTOCOL = np.full(65536, Kind.NOTHING, np.uint8)
_BY_PPP_PROTOCOL[[0x0021, 0x0057]] = Kind.IP
_BY_PPP_PROTOCOL[[0x0281, 0x0283]] = Kind.MPLS

# Of a GRE header by its first byte: checksum (and offset), key, sequence are four bytes each.
_GRE_BYTES = np.array([4 + 4 * ((flags & 0xF0) >> 4).bit_count() for flags in range(256)], np.int64)


def _gre(data: Bytes, at: Ints, end: Ints) -> Carried:
    """GRE (RFC 2784, RFC 2890: checksum, key, sequence) and its version 1 for PPP (RFC 2637)."""
    row = head(data, at, 4)
    flags, version = row[:, 0], row[:, 1]
    inner = at + _GRE_BYTES[flags]
    kind = _BY_ETHERTYPE[_half(row, 2)]
    # ERSPAN type I has neither a sequence number nor a header of its own.
    bare = (kind == Kind.ERSPAN_II) & ((flags & 0x10) == 0)
    if bare.any():
        kind[bare] = Kind.ERSPAN_I
    # Routing (RFC 1701) is obsolete; what else may be set in a version 0 header is reserved.
    refused = ((flags & 0x4F) != 0) | ((version & 0x07) != 0)
    if refused.any():
        pptp = (version & 0x7F == 1) & ((flags & 0xEF) == 0x20) & (kind == Kind.PPP)
        inner[pptp] += 4 * (version[pptp] >> 7)  # an acknowledgement
        refused &= ~pptp
    return _result(kind, inner, refused, end)


def _erspan_i(_data: Bytes, at: Ints, _end: Ints) -> Carried:
    """ERSPAN type I: the mirrored frame right behind GRE."""
    return _all(Kind.ETHERNET, at), at


def _erspan_ii(data: Bytes, at: Ints, end: Ints) -> Carried:
    """ERSPAN type II (draft-foschiano-erspan): version 1, eight bytes."""
    version = head(data, at, 1)[:, 0] >> 4
    return _result(_all(Kind.ETHERNET, at), at + 8, version != 1, end)


def _erspan_iii(data: Bytes, at: Ints, end: Ints) -> Carried:
    """ERSPAN type III: version 2, twelve bytes, and eight more of a platform's own where a bit says so."""
    row = head(data, at, 12)
    inner = at + 12 + 8 * (row[:, 11] & 1)
    frame_type = (row[:, 10] >> 2) & 0x1F
    kind = np.where(frame_type == 0, Kind.ETHERNET, np.where(frame_type == 2, Kind.IP, Kind.NOTHING))
    return _result(kind.astype(np.uint8), inner, row[:, 0] >> 4 != 2, end)


def _vxlan(data: Bytes, at: Ints, end: Ints) -> Carried:
    """VXLAN (RFC 7348), also with a group policy, and its generic protocol extension (P bit)."""
    row = head(data, at, 8)
    flags = row[:, 0]
    refused = ((flags & 0x7B) != 0x08) | (row[:, 7] != 0)
    # Without the extensions all that is reserved is zero.
    refused |= (flags == 0x08) & ((row[:, 1] | row[:, 2] | row[:, 3]) != 0)
    kind = _all(Kind.ETHERNET, at)
    extended = (flags & 0x04) != 0
    if extended.any():
        kind[extended] = _BY_GPE_PROTOCOL[row[extended, 3]]
    return _result(kind, at + 8, refused, end)


_BY_GPE_PROTOCOL = np.full(256, Kind.NOTHING, np.uint8)
_BY_GPE_PROTOCOL[[1, 2, 3, 5]] = [Kind.IP, Kind.IP, Kind.ETHERNET, Kind.MPLS]


def _vxlan_gpe(data: Bytes, at: Ints, end: Ints) -> Carried:
    """VXLAN-GPE on its own port (draft-ietf-nvo3-vxlan-gpe): version 0, with the next protocol."""
    row = head(data, at, 8)
    refused = ((row[:, 0] & 0xFC) != 0x0C) | (row[:, 7] != 0)
    return _result(_BY_GPE_PROTOCOL[row[:, 3]], at + 8, refused, end)


def _geneve(data: Bytes, at: Ints, end: Ints) -> Carried:
    """GENEVE (RFC 8926), whatever its options."""
    row = head(data, at, 8)
    inner = at + 8 + 4 * (row[:, 0] & 0x3F).astype(np.int64)
    refused = (row[:, 0] >> 6 != 0) | ((row[:, 1] & 0x3F) != 0) | (row[:, 7] != 0)
    return _result(_BY_ETHERTYPE[_half(row, 2)], inner, refused, end)


def _tzsp(data: Bytes, at: Ints, end: Ints) -> Carried:
    """TZSP: version 1, a received packet or one to send, that is Ethernet; tags up to the end tag."""
    row = head(data, at, 4)
    refused = (row[:, 0] != 1) | (row[:, 1] > 1) | (_half(row, 2) != 1)
    inner = at + 4
    tagged = ~refused
    for _ in range(_MOST_TAGS):
        if not tagged.any():
            break
        which = np.flatnonzero(tagged)
        tag = head(data, inner[which], 2)
        # Padding (0) and the end (1) are one byte, all others say their length.
        inner[which] += np.where(tag[:, 0] <= 1, 1, 2 + tag[:, 1].astype(np.int64))
        tagged[which] = (tag[:, 0] != 1) & (inner[which] < end[which])
    return _result(_all(Kind.ETHERNET, at), inner, refused | tagged, end)


def _gtp(data: Bytes, at: Ints, end: Ints) -> Carried:
    """GTP-U (3GPP TS 29.281 §5.1): a G-PDU with IP, with or without sequence and extension headers."""
    row = head(data, at, 12)
    flags = row[:, 0]
    refused = ((flags & 0xF8) != 0x30) | (row[:, 1] != 255)
    inner = at + 8 + 4 * ((flags & 7) != 0)
    following = (flags & 4 != 0) & (row[:, 11] != 0) & ~refused
    for _ in range(_MOST_EXTENSIONS):
        if not following.any():
            break
        which = np.flatnonzero(following)
        size = 4 * head(data, inner[which], 1)[:, 0].astype(np.int64)
        inner[which] += size
        refused[which] |= (size == 0) | (inner[which] > end[which])
        following[which] = (head(data, inner[which] - 1, 1)[:, 0] != 0) & ~refused[which]
    return _result(_all(Kind.IP, at), inner, refused | following, end)


def _hp_erm(_data: Bytes, at: Ints, end: Ints) -> Carried:
    """HP's encapsulated remote mirroring: twelve bytes that say nothing of what follows, then the frame."""
    return _result(_all(Kind.ETHERNET, at), at + 12, np.zeros(len(at), bool), end)


def _mpls(data: Bytes, at: Ints, end: Ints) -> Carried:
    """A stack of MPLS labels (RFC 3032). What is behind it is guessed, as nothing says it (RFC 4928).

    Ethernet (RFC 4448), behind a control word or not, where its type says so: an address like 45:00 looks
    like IP, but hardly any packet has an Ethernet type where its source is. Else IP, if it looks like IP.
    """
    inner = at.copy()
    more = np.ones(len(at), bool)
    for _ in range(_MOST_LABELS):
        which = np.flatnonzero(more)
        if not len(which):
            break
        bottom = head(data, inner[which], 4)[:, 2] & 1
        inner[which] += 4
        more[which] = (bottom == 0) & (inner[which] < end[which])
    kind = np.where(is_ip(data, inner, end), np.uint8(Kind.IP), np.uint8(Kind.NOTHING))
    worded = (head(data, inner, 1)[:, 0] >> 4 == 0) & is_ethernet(data, inner + 4, end)
    kind[worded | is_ethernet(data, inner, end)] = Kind.ETHERNET
    inner[worded] += 4
    return _result(kind, inner, more, end)


def _pppoe(data: Bytes, at: Ints, end: Ints) -> Carried:
    """A PPPoE session (RFC 2516): six bytes, then PPP."""
    row = head(data, at, 2)
    return _result(_all(Kind.PPP, at), at + 6, (row[:, 0] != 0x11) | (row[:, 1] != 0), end)


def _ppp(data: Bytes, at: Ints, end: Ints) -> Carried:
    """PPP (RFC 1661): address and control or not, the protocol in two bytes or compressed to one."""
    row = head(data, at, 4)
    addressed = (row[:, 0] == 0xFF) & (row[:, 1] == 0x03)
    first = np.where(addressed, row[:, 2], row[:, 0]).astype(np.int64)
    second = np.where(addressed, row[:, 3], row[:, 1])
    short = first & 1
    protocol = np.where(short == 1, first, first << 8 | second)
    return _result(_BY_PPP_PROTOCOL[protocol], at + 2 * addressed + 2 - short, np.zeros(len(at), bool), end)


def _itag(_data: Bytes, at: Ints, end: Ints) -> Carried:
    """IEEE 802.1ah: the service tag's four bytes, then the customer's frame from its addresses on."""
    return _result(_all(Kind.ETHERNET, at), at + 4, np.zeros(len(at), bool), end)


def _macsec(data: Bytes, at: Ints, end: Ints) -> Carried:
    """IEEE 802.1AE: authenticated but not encrypted; a type follows the tag, as if it were a VLAN's."""
    flags = head(data, at, 1)[:, 0]
    inner = at + 6 + 8 * ((flags & 0x20) != 0)
    kind = np.where(flags & 0x0C, np.uint8(Kind.NOTHING), np.uint8(Kind.ETHERNET))
    # So that the type stands where an Ethernet frame has it.
    return _result(kind, inner - 12, ((flags & 0x80) != 0) | (inner > end), end)


def _cmd(data: Bytes, at: Ints, end: Ints) -> Carried:
    """Cisco metadata: a version, how many options of four bytes, then a type."""
    row = head(data, at, 2)
    inner = at + 2 + 4 * row[:, 1].astype(np.int64)
    return _result(_all(Kind.ETHERNET, at), inner - 12, (row[:, 0] != 1) | (inner > end), end)


def _ip(data: Bytes, at: Ints, end: Ints) -> Carried:
    """IP right inside IP (RFC 2003, RFC 4213, RFC 2473)."""
    return _result(_all(Kind.IP, at), at, ~is_ip(data, at, end), end)


def _chdlc(data: Bytes, at: Ints, end: Ints) -> Carried:
    """Cisco HDLC: address, control, an Ethernet type."""
    row = head(data, at, 4)
    return _result(_BY_ETHERTYPE[_half(row, 2)], at + 4, np.zeros(len(at), bool), end)


def _snap(data: Bytes, at: Ints, end: Ints) -> Carried:
    """IEEE 802.2 with SNAP (RFC 1042, or a bridge's tunnel): an Ethernet type; other LLC is not ours."""
    row = head(data, at, 8)
    known = (row[:, :3] == (0xAA, 0xAA, 3)).all(axis=1) & (row[:, 3:5] == 0).all(axis=1)
    known &= (row[:, 5] == 0) | (row[:, 5] == 0xF8)
    kind = np.where(known & (at + 8 <= end), _BY_ETHERTYPE[_half(row, 6)], np.uint8(Kind.NOTHING))
    return kind, at + 8


def _radiotap(data: Bytes, at: Ints, end: Ints) -> Carried:
    """Radiotap or PPI before a frame of IEEE 802.11: version 0, and in little-endian how long it is."""
    row = head(data, at, 4)
    inner = at + row[:, 2] + (row[:, 3].astype(np.int64) << 8)
    return _result(_all(Kind.DOT11, at), inner, (row[:, 0] != 0) | (inner < at + 8), end)


def _dot11(data: Bytes, at: Ints, end: Ints) -> Carried:
    """IEEE 802.11: a data frame that is whole and not encrypted; of several in one (A-MSDU) the first."""
    row = head(data, at, 34)
    control, flags = row[:, 0], row[:, 1]
    four = (flags & 0x03) == 0x03
    qos = (control & 0x80) != 0
    place = 24 + 6 * four.astype(np.int64)
    many = qos & (np.take_along_axis(row, place[:, None], axis=1)[:, 0] & 0x80 != 0)
    place += 2 * qos + 4 * (qos & (flags & 0x80 != 0)) + 14 * many
    fragment = ((flags & 0x04) != 0) | ((row[:, 22] & 0x0F) != 0)
    whole = ((control & 0x4F) == 0x08) & ((flags & 0x40) == 0) & ~fragment & (at + place <= end)
    return np.where(whole, np.uint8(Kind.SNAP), np.uint8(Kind.NOTHING)), at + place


def is_ip(data: Bytes, at: Ints, end: Ints) -> NDArray[np.bool_]:
    """Tell where an IP header may begin (bool[n]): version, header and total length agree."""
    row = head(data, at, 4)
    version = row[:, 0] >> 4
    size = (row[:, 0] & 15).astype(np.int64) * 4
    total = _half(row, 2)
    v4 = (version == 4) & (size >= 20) & ((total >= size) | (total == 0)) & (end - at >= 20)
    likely: NDArray[np.bool_] = v4 | ((version == 6) & (end - at >= 40))
    return likely


_VLAN = np.zeros(65536, bool)
_VLAN[[0x8100, 0x88A8, 0x9100]] = True
_CARRIER = np.zeros(65536, bool)
_CARRIER[[0x8847, 0x8848, 0x8864, 0x88E7, 0x88E5, 0x8909]] = True


def is_ethernet(data: Bytes, at: Ints, end: Ints) -> NDArray[np.bool_]:
    """Tell where an Ethernet frame that carries IP may begin (bool[n]), behind up to two VLAN tags or not."""
    row = head(data, at, 24)
    kind = _half(row, 12)
    version = row[:, 14] >> 4
    for tag in (1, 2):
        tagged = _VLAN[kind]
        if not tagged.any():
            break
        kind[tagged] = _half(row[tagged], 12 + 4 * tag)
        version[tagged] = row[tagged, 14 + 4 * tag] >> 4
    likely: NDArray[np.bool_] = _CARRIER[kind]
    likely |= ((kind == 0x0800) & (version == 4)) | ((kind == 0x86DD) & (version == 6))
    likely &= end - at >= 34
    return likely


class Encapsulation(NamedTuple):
    """A row of the table: how it is called in ``calls.json`` ("" is not noted), and how it is read."""

    name: str
    peel: Callable[[Bytes, Ints, Ints], Carried]


ENCAPSULATIONS: Final[dict[int, Encapsulation]] = {
    Kind.GRE: Encapsulation("gre", _gre),
    Kind.ERSPAN_I: Encapsulation("erspan-1", _erspan_i),
    Kind.ERSPAN_II: Encapsulation("erspan", _erspan_ii),
    Kind.ERSPAN_III: Encapsulation("erspan-3", _erspan_iii),
    Kind.VXLAN: Encapsulation("vxlan", _vxlan),
    Kind.VXLAN_GPE: Encapsulation("vxlan-gpe", _vxlan_gpe),
    Kind.GENEVE: Encapsulation("geneve", _geneve),
    Kind.TZSP: Encapsulation("tzsp", _tzsp),
    Kind.GTP: Encapsulation("gtp", _gtp),
    Kind.HP_ERM: Encapsulation("hp-erm", _hp_erm),
    Kind.MPLS: Encapsulation("mpls", _mpls),
    Kind.PPPOE: Encapsulation("pppoe", _pppoe),
    Kind.PPP: Encapsulation("", _ppp),
    Kind.ITAG: Encapsulation("802.1ah", _itag),
    Kind.MACSEC: Encapsulation("macsec", _macsec),
    Kind.CMD: Encapsulation("cmd", _cmd),
    Kind.IPIP: Encapsulation("ipip", _ip),
    Kind.IP4IN6: Encapsulation("4in6", _ip),
    Kind.IP6IN4: Encapsulation("6in4", _ip),
    Kind.IP6IN6: Encapsulation("6in6", _ip),
    Kind.CHDLC: Encapsulation("", _chdlc),
    Kind.SNAP: Encapsulation("", _snap),
    Kind.RADIOTAP: Encapsulation("", _radiotap),
    Kind.DOT11: Encapsulation("", _dot11),
}
