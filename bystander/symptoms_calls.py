"""Symptoms in what is spoken over a mirror: signalling, media, codecs, encryption (`diagnosis.py`)."""

from __future__ import annotations

from typing import Final

from bystander.codecs.registry import supported
from bystander.doctor import Facts
from bystander.finding import FEW, Finding, some
from bystander.lang import said

_NOT_FOREIGN: Final = frozenset({"encrypted", "unknown", "PCMA", "PCMU"})
#: The sides of answered calls that are missing, by whether the mirror lacks what some hosts send, or get.
_SIDES: Final = {
    (False, False): "{one_way} of {count} answered {count:call|calls} have only one side.",
    (True, False): "{one_way} of {count} answered {count:call|calls} have only one side: nothing that comes "
    "from {deaf} is seen.",
    (False, True): "{one_way} of {count} answered {count:call|calls} have only one side: nothing that goes "
    "to {mute} is seen.",
    (True, True): "{one_way} of {count} answered {count:call|calls} have only one side: nothing that comes "
    "from {deaf} is seen; nothing that goes to {mute} is seen.",
}


def nothing_of_telephony(facts: Facts) -> Finding | None:
    if not facts.survey.frames or facts.signalling.messages or facts.talk.streams:
        return None
    return Finding(
        "fault",
        "no-telephony",
        said("There is traffic, but neither SIP nor RTP in it."),
        said(
            "Mirror the ports of the telephone exchange or of the session border controller, or the voice "
            "VLAN; and make a call while looking."
        ),
    )


def no_signalling(facts: Facts) -> Finding | None:
    if facts.signalling.messages or not facts.talk.streams:
        return None
    return Finding(
        "fault",
        "no-signalling",
        said(
            "{streams} RTP {streams:stream|streams}, and not one SIP message: calls cannot be told apart, "
            "named or dated.",
            streams=facts.talk.streams,
        ),
        said(
            "Mirror the port of the SIP server, too. If the telephones use TLS, see [capture] in the manual "
            "for key logs."
        ),
    )


def no_media(facts: Facts) -> Finding | None:
    if facts.talk.streams or not facts.talk.answered:
        return None
    return Finding(
        "fault",
        "no-media",
        said(
            "{calls} {calls:call|calls} answered, and no RTP at all: the media goes another way.",
            calls=facts.talk.answered,
        ),
        said(
            "Telephones speak with each other directly: mirror their ports or the voice VLAN, not the "
            "server's port alone."
        ),
    )


def one_direction_of_signalling(facts: Facts) -> Finding | None:
    heard = facts.signalling
    if heard.requests + heard.responses < 4 or (heard.requests and heard.responses):
        return None
    text = (
        said(
            "{messages} SIP {messages:message|messages}, and no answers: only one direction is mirrored.",
            messages=heard.messages,
        )
        if heard.requests
        else said(
            "{messages} SIP {messages:message|messages}, and no requests: only one direction is mirrored.",
            messages=heard.messages,
        )
    )
    return Finding("fault", "sip-one-way", text, said("Set the mirror session to both directions."))


def one_direction_of_media(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not talk.answered or not talk.one_way:
        return None
    deaf = sorted(address for address in talk.received if not talk.sent[address])
    mute = sorted(address for address in talk.sent if not talk.received[address])
    every = talk.one_way == talk.answered - talk.silent
    return Finding(
        "fault" if every else "warning",
        "one-way",
        said(
            _SIDES[bool(deaf), bool(mute)],
            one_way=talk.one_way,
            count=talk.answered,
            deaf=some(deaf),
            mute=some(mute),
        ),
        said("Set the mirror session to both directions.")
        if every
        else said(
            "Mirror the ports of those telephones too, or both directions of the port they are behind."
        ),
    )


def losses(facts: Facts) -> Finding | None:
    talk = facts.talk
    sent = talk.packets + talk.lost
    if sent < FEW:
        return None
    share = talk.lost / sent
    if share < 0.001:
        text = said(
            "{lost} of {sent} RTP packets are missing ({share:.2%}).", lost=talk.lost, sent=sent, share=share
        )
        return Finding("good", "no-loss", text)
    values = {
        "lost": talk.lost, "sent": sent, "share": share, "lossy": talk.lossy, "streams": talk.streams,
    }  # fmt: skip
    if talk.streams > 3 and talk.lossy * 2 > talk.streams:
        return Finding(
            "warning",
            "loss",
            said(
                "{lost} of {sent} RTP packets are missing ({share:.1%}), in {lossy} of {streams} streams and "
                "so nearly everywhere: the mirror loses them, not the network.",
                **values,
            ),
            said(
                "A mirror of several busy ports does not fit into one of the same speed: mirror fewer ports, "
                "or one direction."
            ),
        )
    return Finding(
        "warning",
        "loss",
        said(
            "{lost} of {sent} RTP packets are missing ({share:.1%}), in {lossy} of {streams} "
            "{streams:stream|streams}.",
            **values,
        ),
        said("Compare with what the telephones report (RTCP), and with the port counters of the switch."),
    )


def encrypted(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not talk.codecs["encrypted"]:
        return None
    return Finding(
        "warning",
        "encrypted",
        said(
            "{encrypted} of {streams} {streams:stream|streams} are encrypted (SRTP), in {calls} of "
            "{answered} answered {answered:call|calls}.",
            encrypted=talk.codecs["encrypted"],
            streams=talk.streams,
            calls=talk.encrypted,
            answered=talk.answered,
        ),
        said(
            "They can be recorded where their keys stand in SIP that can be read (SDES); by DTLS-SRTP or "
            "ZRTP nobody but the two ends can. Switch those off in the exchange, or record on the other side "
            "of it."
        ),
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
        said(
            "Codecs that are not decoded: {codecs} ({streams} {streams:stream|streams}).",
            codecs=", ".join(sorted(foreign)),
            streams=sum(foreign.values()),
        ),
        said("Calls in them get the verdict `unsupported-codec`; take the codec off the telephones' lists."),
    )


def unclaimed(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not facts.signalling.messages or not talk.unclaimed or talk.unclaimed * 5 < talk.streams:
        return None
    return Finding(
        "warning",
        "unclaimed",
        said(
            "{unclaimed} of {streams} RTP {streams:stream|streams} belong to no call that was seen.",
            unclaimed=talk.unclaimed,
            streams=talk.streams,
        ),
        said(
            "Of calls that were going on before that is usual in a short look; else the SIP of some "
            "telephones is not mirrored: mirror the port of the SIP server."
        ),
    )


def no_calls(facts: Facts) -> Finding | None:
    if facts.talk.answered or facts.talk.streams or not facts.signalling.messages:
        return None
    return Finding(
        "note",
        "no-calls",
        said(
            "{messages} SIP {messages:message|messages}, but no answered call in this time.",
            messages=facts.signalling.messages,
        ),
        said("Make a call while looking, or look longer (--seconds)."),
    )


def well(facts: Facts) -> Finding | None:
    talk = facts.talk
    if not talk.answered or talk.whole < talk.answered:
        return None
    text = said("{calls} answered {calls:call|calls}, both sides of each seen.", calls=talk.answered)
    return Finding("good", "both-sides", text)
