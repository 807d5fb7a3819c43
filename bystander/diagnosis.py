"""From what a mirror shows to what is wrong with it, in plain words, and what to do about it.

Each symptom is a function from the facts (`doctor.py`) to a finding or None, and a row of ``SYMPTOMS``. One
that cannot be told from what was seen says nothing: a quiet minute proves little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from bystander.codecs.registry import supported
from bystander.doctor import Facts

Level = Literal["fault", "warning", "note", "good"]
#: In the order of urgency.
LEVELS: Final[tuple[Level, ...]] = ("fault", "warning", "note", "good")
#: Of so few packets or checksums nothing is concluded.
_FEW: Final = 50
_NOT_FOREIGN: Final = frozenset({"encrypted", "unknown", "PCMA", "PCMU"})


@dataclass(frozen=True, slots=True)
class Finding:
    """``fault``: recordings are or will be incomplete; ``warning``: they may be; ``note``: good to know."""

    level: Level
    code: str
    text: str
    advice: str = ""


def diagnose(facts: Facts) -> list[Finding]:
    """Return what is to be said of a mirror, the most urgent first."""
    found = [finding for symptom in SYMPTOMS if (finding := symptom(facts)) is not None]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def no_frames(facts: Facts) -> Finding | None:
    if facts.survey.frames:
        return None
    if facts.device is not None and not facts.device.carrier:
        return Finding(
            "fault",
            "no-carrier",
            f"{facts.source} has no carrier: nothing is plugged in, or the switch's port is off.",
            "Check the cable, and that the port of the switch is enabled.",
        )
    return Finding(
        "fault",
        "no-frames",
        "Not one frame arrived.",
        f"Configure a mirror (SPAN) session on the switch whose destination is the port of {facts.source}."
        if facts.live
        else "The file holds no frames.",
    )


def only_broadcast(facts: Facts) -> Finding | None:
    """C25: a port that is no mirror shows broadcast, and what is for the machine itself."""
    casts = facts.survey.casts
    if not sum(casts.values()) or casts["unicast"] * 20 > sum(casts.values()) or facts.talk.streams:
        return None
    return Finding(
        "fault",
        "only-broadcast",
        f"Nearly all frames are broadcast or multicast ({casts['unicast']} of {sum(casts.values())} are "
        "not): "
        "this is an ordinary port of the switch, not the destination of a mirror.",
        "Configure the mirror session, with both directions (on many switches: `both`, or rx and tx).",
    )


def not_promiscuous(facts: Facts) -> Finding | None:
    if facts.device is None or facts.device.promiscuous:
        return None
    return Finding(
        "fault",
        "not-promiscuous",
        f"{facts.source} did not become promiscuous: it passes only what is addressed to itself.",
        "In a virtual machine, let the virtual switch deliver foreign frames (promiscuous mode, or port "
        "mirroring).",
    )


def dropped(facts: Facts) -> Finding | None:
    if not facts.live:
        return None
    if not facts.drops:
        return Finding("good", "no-drops", f"The kernel dropped none of {facts.received} frames.")
    return Finding(
        "fault",
        "drops",
        f"The kernel dropped {facts.drops} of {facts.received} frames: there was no room in the ring.",
        "Give it more ([capture] ring_mb), a faster core, or mirror less.",
    )


def nothing_of_telephony(facts: Facts) -> Finding | None:
    if not facts.survey.frames or facts.signalling.messages or facts.talk.streams:
        return None
    return Finding(
        "fault",
        "no-telephony",
        "There is traffic, but neither SIP nor RTP in it.",
        "Mirror the ports of the telephone exchange or of the session border controller, or the voice "
        "VLAN; and make "
        "a call while looking.",
    )


def no_signalling(facts: Facts) -> Finding | None:
    if facts.signalling.messages or not facts.talk.streams:
        return None
    return Finding(
        "fault",
        "no-signalling",
        f"{facts.talk.streams} RTP streams, and not one SIP message: calls cannot be told apart, named or "
        "dated.",
        "Mirror the port of the SIP server, too. If the telephones use TLS, see [capture] in the manual "
        "for key logs.",
    )


def no_media(facts: Facts) -> Finding | None:
    if facts.talk.streams or not facts.talk.answered:
        return None
    return Finding(
        "fault",
        "no-media",
        f"{_count(facts.talk.answered, 'call')} answered, and no RTP at all: the media goes another way.",
        "Telephones speak with each other directly: mirror their ports or the voice VLAN, not the "
        "server's port alone.",
    )


def one_direction_of_signalling(facts: Facts) -> Finding | None:
    heard = facts.signalling
    if heard.requests + heard.responses < 4 or (heard.requests and heard.responses):
        return None
    missing = "answers" if heard.requests else "requests"
    return Finding(
        "fault",
        "sip-one-way",
        f"{heard.messages} SIP messages, and no {missing}: only one direction is mirrored.",
        "Set the mirror session to both directions.",
    )


def one_direction_of_media(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not talk.answered or not talk.one_way:
        return None
    deaf = sorted(address for address in talk.received if not talk.sent[address])
    mute = sorted(address for address in talk.sent if not talk.received[address])
    who = "; ".join(
        part
        for part in (
            f"nothing that comes from {_some(deaf)} is seen" if deaf else "",
            f"nothing that goes to {_some(mute)} is seen" if mute else "",
        )
        if part
    )
    every = talk.one_way == talk.answered - talk.silent
    return Finding(
        "fault" if every else "warning",
        "one-way",
        f"{talk.one_way} of {_count(talk.answered, 'answered call')} have only one side"
        + (f": {who}." if who else "."),
        "Set the mirror session to both directions."
        if every
        else "Mirror the ports of those telephones too, or both directions of the port they are behind.",
    )


def copies(facts: Facts) -> Finding | None:
    usual, share = facts.copies.usual, facts.copies.share
    if usual < 2:
        return None
    differ = facts.copies.differ
    kind = max(("hops", "link", "nothing"), key=lambda name: differ[name])
    how = {
        "hops": "The copies differ in their time to live: they were taken before and behind a router.",
        "link": "The copies differ in MAC addresses or VLAN tag: they were taken in different segments.",
        "nothing": "The copies are alike: the ports at both ends of a conversation are mirrored.",
    }[kind]
    return Finding(
        "note",
        "copies",
        f"{share:.0%} of the media arrives {usual} times: {_count(usual, 'mirrored port')} see it. {how}",
        "Nothing is recorded twice by it, but it takes that much of the mirror's capacity. One port of each "
        "conversation is enough, in both directions; or mirror all ports in one direction (rx).",
    )


def truncated(facts: Facts) -> Finding | None:
    seen = facts.survey
    if not seen.truncated:
        return None
    return Finding(
        "fault",
        "truncated",
        f"{seen.truncated} of {seen.frames} frames are cut short: what was captured is less than what was "
        "sent.",
        "Take the snap length off (tcpdump -s 0), or the slicing of the tap or mirror session.",
    )


def merged(facts: Facts) -> Finding | None:
    seen = facts.survey
    merging = facts.device.merging if facts.device else ()
    if not seen.longer and "LRO" not in merging:
        return None
    on = f" ({' and '.join(merging)} is on)" if merging else ""
    return Finding(
        "note",
        "merged",
        f"{_count(seen.longer, 'frame')} longer than Ethernet's 1,518 bytes: jumbo frames, or packets put "
        "together by "
        f"the network card or the kernel{on}.",
        f"ethtool -K {facts.source} gro off lro off" if facts.live else "",
    )


def addressed(facts: Facts) -> Finding | None:
    if facts.device is None or not facts.device.addresses:
        return None
    return Finding(
        "note",
        "addressed",
        f"{facts.source} has an address ({_some(list(facts.device.addresses))}): the machine may send on it.",
        "Leave the capture interface without an address, and manage the machine by another one.",
    )


def checksums(facts: Facts) -> Finding | None:
    seen = facts.survey
    if seen.ip_bad * 100 > seen.ip_checked > _FEW:
        return Finding(
            "warning",
            "ip-checksums",
            f"{seen.ip_bad} of {seen.ip_checked} IPv4 headers have a wrong checksum: the tap or the cable "
            "damages frames.",
            "Look at the error counters of the switch's port and of the interface (ethtool -S).",
        )
    if seen.udp_checked > _FEW and seen.udp_bad * 100 > seen.udp_checked:
        senders = [address for address, _ in seen.udp_bad_from.most_common(5)]
        return Finding(
            "note",
            "udp-checksums",
            f"{seen.udp_bad} of {seen.udp_checked} UDP checksums looked at are not filled in, from "
            f"{_some(senders)}: "
            "these hosts leave that to their network card, and are captured before it.",
            "Nothing to do: no packet is refused for its checksum.",
        )
    return None


def tags(facts: Facts) -> Finding | None:
    tagged = {stack: count for stack, count in facts.survey.vlans.items() if stack}
    if not tagged:
        return None
    shown = sorted(tagged, key=lambda stack: -tagged[stack])[:8]
    names = ["/".join(map(str, stack)) for stack in shown]
    more = f" and {len(tagged) - len(shown)} more" if len(tagged) > len(shown) else ""
    return Finding("note", "vlans", f"VLAN tags seen: {', '.join(names)}{more} (outer/inner).")


def tunnels(facts: Facts) -> Finding | None:
    if not facts.tunnels:
        return None
    names = ", ".join(f"{name} ({count} frames)" for name, count in facts.tunnels.items())
    return Finding("note", "tunnels", f"Tunnels opened: {names}.")


def losses(facts: Facts) -> Finding | None:
    talk = facts.talk
    sent = talk.packets + talk.lost
    if sent < _FEW:
        return None
    share = talk.lost / sent
    if share < 0.001:
        return Finding("good", "no-loss", f"{talk.lost} of {sent} RTP packets are missing ({share:.2%}).")
    everywhere = talk.streams > 3 and talk.lossy * 2 > talk.streams
    return Finding(
        "warning",
        "loss",
        f"{talk.lost} of {sent} RTP packets are missing ({share:.1%}), in {talk.lossy} of {talk.streams} "
        "streams"
        + (" and so nearly everywhere: the mirror loses them, not the network." if everywhere else "."),
        "A mirror of several busy ports does not fit into one of the same speed: mirror fewer ports, or "
        "one direction."
        if everywhere
        else "Compare with what the telephones report (RTCP), and with the port counters of the switch.",
    )


def undecodable(facts: Facts) -> Finding | None:
    foreign = {
        name: count
        for name, count in facts.talk.codecs.items()
        if name not in _NOT_FOREIGN and not supported(name)
    }
    if not foreign:
        return None
    return Finding(
        "warning",
        "codecs",
        f"Codecs that are not decoded: {', '.join(sorted(foreign))} "
        f"({_count(sum(foreign.values()), 'stream')}).",
        "Calls in them get the verdict `unsupported-codec`; take the codec off the telephones' lists.",
    )


def encrypted(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not talk.codecs["encrypted"]:
        return None
    return Finding(
        "warning",
        "encrypted",
        f"{talk.codecs['encrypted']} of {_count(talk.streams, 'stream')} are encrypted (SRTP), in "
        f"{talk.encrypted} of {_count(talk.answered, 'answered call')}.",
        "They can be recorded where their keys stand in SIP that can be read (SDES); by DTLS-SRTP or ZRTP "
        "nobody but "
        "the two ends can. Switch those off in the exchange, or record on the other side of it.",
    )


def unclaimed(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not facts.signalling.messages or not talk.unclaimed or talk.unclaimed * 5 < talk.streams:
        return None
    return Finding(
        "warning",
        "unclaimed",
        f"{talk.unclaimed} of {talk.streams} RTP streams belong to no call that was seen.",
        "Of calls that were going on before that is usual in a short look; else the SIP of some "
        "telephones is not "
        "mirrored: mirror the port of the SIP server.",
    )


def clock(facts: Facts) -> Finding | None:
    if facts.survey.backwards * 1000 <= facts.survey.frames:
        return None
    return Finding(
        "note",
        "clock",
        f"Time ran backwards {facts.survey.backwards} times from one frame to the next.",
        "Frames of several sources were merged without sorting, or the clock was set: see that it is kept "
        "by NTP.",
    )


def well(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not talk.answered or talk.whole < talk.answered:
        return None
    return Finding(
        "good", "both-sides", f"{_count(talk.answered, 'answered call')}, both sides of each seen."
    )


def no_calls(facts: Facts) -> Finding | None:
    if facts.talk.answered or facts.talk.streams or not facts.signalling.messages:
        return None
    return Finding(
        "note",
        "no-calls",
        f"{_count(facts.signalling.messages, 'SIP message')}, but no answered call in this time.",
        "Make a call while looking, or look longer (--seconds).",
    )


SYMPTOMS: Final[tuple[Callable[[Facts], Finding | None], ...]] = (
    no_frames,
    only_broadcast,
    not_promiscuous,
    dropped,
    nothing_of_telephony,
    no_signalling,
    no_media,
    one_direction_of_signalling,
    one_direction_of_media,
    truncated,
    losses,
    encrypted,
    undecodable,
    unclaimed,
    copies,
    checksums,
    merged,
    addressed,
    tags,
    tunnels,
    clock,
    no_calls,
    well,
)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
