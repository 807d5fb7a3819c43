"""The SIP of a generated call: INVITE, 100, 180, 200, ACK, and at the end BYE and 200 (RFC 3261 over UDP)."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.headers import udp_frame

_NAMES = {0: "PCMU", 8: "PCMA"}
#: When each message of the set-up is seen after the INVITE, and of the end after the last audio, nanoseconds.
TRYING_NS, RINGING_NS, ANSWER_NS, ACK_NS = 20_000_000, 100_000_000, 600_000_000, 620_000_000
BYE_NS, BYE_ANSWER_NS = 60_000_000, 75_000_000


class Party(NamedTuple):
    user: str
    ip: str
    media_port: int


class Dialog(NamedTuple):
    """One call: who, with what, and when its INVITE is seen and its audio ends (UTC nanoseconds)."""

    call_id: str
    caller: Party
    callee: Party
    payload_type: int
    ptime_ms: int
    invite_ns: int
    media_end_ns: int
    caller_hangs_up: bool


def _sdp(party: Party, dialog: Dialog) -> str:
    return (
        f"v=0\r\no={party.user} 1 1 IN IP4 {party.ip}\r\ns=-\r\nc=IN IP4 {party.ip}\r\nt=0 0\r\n"
        f"m=audio {party.media_port} RTP/AVP {dialog.payload_type} 101\r\n"
        f"a=rtpmap:{dialog.payload_type} {_NAMES[dialog.payload_type]}/8000\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:{dialog.ptime_ms}\r\na=sendrecv\r\n"
    )


def _message(
    start: str, dialog: Dialog, cseq: str, *, branch: str, sender: Party, to_tag: bool, sdp: str = ""
) -> bytes:
    """One message; From and To are the caller's and the callee's unless ``sender`` is the callee and asks."""
    asker, asked = (
        (dialog.caller, dialog.callee) if sender is dialog.caller else (dialog.callee, dialog.caller)
    )
    tags = ("c", "d") if sender is dialog.caller else ("d", "c")
    number = dialog.call_id.partition("@")[0]
    lines = [
        start,
        f"Via: SIP/2.0/UDP {asker.ip}:5060;rport;branch=z9hG4bK{branch}{number}",
        "Max-Forwards: 70",
        f'From: "{asker.user}" <sip:{asker.user}@{asker.ip}>;tag={tags[0]}{number}',
        f"To: <sip:{asked.user}@{asked.ip}>" + (f";tag={tags[1]}{number}" if to_tag else ""),
        f"Call-ID: {dialog.call_id}",
        f"CSeq: {cseq}",
        f"Contact: <sip:{asker.user}@{asker.ip}:5060>",
        "User-Agent: bystander traffic generator",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO",
    ]
    if sdp:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(sdp)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + sdp).encode()


def frames(dialog: Dialog) -> list[tuple[int, bytes]]:
    """(time_ns, Ethernet frame) of every message of the call, in order."""
    caller, callee, start = dialog.caller, dialog.callee, dialog.invite_ns
    offer, answer = _sdp(caller, dialog), _sdp(callee, dialog)
    target = f"sip:{callee.user}@{callee.ip}"
    ender, other = (caller, callee) if dialog.caller_hangs_up else (callee, caller)
    end = dialog.media_end_ns

    def message(
        first: str, cseq: str, branch: str, *, to_tag: bool = True, sdp: str = "", by: Party = caller
    ) -> bytes:
        return _message(first, dialog, cseq, branch=branch, sender=by, to_tag=to_tag, sdp=sdp)

    script = [
        (start, caller, message(f"INVITE {target} SIP/2.0", "1 INVITE", "i", to_tag=False, sdp=offer)),
        (start + TRYING_NS, callee, message("SIP/2.0 100 Trying", "1 INVITE", "i", to_tag=False)),
        (start + RINGING_NS, callee, message("SIP/2.0 180 Ringing", "1 INVITE", "i")),
        (start + ANSWER_NS, callee, message("SIP/2.0 200 OK", "1 INVITE", "i", sdp=answer)),
        (start + ACK_NS, caller, message(f"ACK {target} SIP/2.0", "1 ACK", "a")),
        (end + BYE_NS, ender, message(f"BYE sip:{other.user}@{other.ip} SIP/2.0", "2 BYE", "b", by=ender)),
        (end + BYE_ANSWER_NS, other, message("SIP/2.0 200 OK", "2 BYE", "b", by=ender)),
    ]
    peer = {caller: callee, callee: caller}
    return [(at, udp_frame((who.ip, 5060), (peer[who].ip, 5060), text)) for at, who, text in script]
