"""Symptoms of the mirror itself: its cable, its frames, and what came of them on the way (`diagnosis.py`)."""

from __future__ import annotations

from bystander.doctor import Facts
from bystander.finding import FEW, Finding, some
from bystander.lang import said


def no_frames(facts: Facts) -> Finding | None:
    if facts.survey.frames:
        return None
    if facts.device is not None and not facts.device.carrier:
        return Finding(
            "fault",
            "no-carrier",
            said(
                "{source} has no carrier: nothing is plugged in, or the switch's port is off.",
                source=facts.source,
            ),
            said("Check the cable, and that the port of the switch is enabled."),
        )
    return Finding(
        "fault",
        "no-frames",
        said("Not one frame arrived."),
        said(
            "Configure a mirror (SPAN) session on the switch whose destination is the port of {source}.",
            source=facts.source,
        )
        if facts.live
        else said("The file holds no frames."),
    )


def only_broadcast(facts: Facts) -> Finding | None:
    """C25: a port that is no mirror shows broadcast, and what is for the machine itself."""
    casts = facts.survey.casts
    if not sum(casts.values()) or casts["unicast"] * 20 > sum(casts.values()) or facts.talk.streams:
        return None
    return Finding(
        "fault",
        "only-broadcast",
        said(
            "Nearly all frames are broadcast or multicast ({unicast} of {all} are not): this is an ordinary "
            "port of the switch, not the destination of a mirror.",
            unicast=casts["unicast"],
            all=sum(casts.values()),
        ),
        said("Configure the mirror session, with both directions (on many switches: `both`, or rx and tx)."),
    )


def not_promiscuous(facts: Facts) -> Finding | None:
    if facts.device is None or facts.device.promiscuous:
        return None
    return Finding(
        "fault",
        "not-promiscuous",
        said(
            "{source} did not become promiscuous: it passes only what is addressed to itself.",
            source=facts.source,
        ),
        said(
            "In a virtual machine, let the virtual switch deliver foreign frames (promiscuous mode, or port "
            "mirroring)."
        ),
    )


def dropped(facts: Facts) -> Finding | None:
    if not facts.live:
        return None
    if not facts.drops:
        text = said("The kernel dropped none of {frames} frames.", frames=facts.received)
        return Finding("good", "no-drops", text)
    return Finding(
        "fault",
        "drops",
        said(
            "The kernel dropped {drops} of {frames} frames: there was no room in the ring.",
            drops=facts.drops,
            frames=facts.received,
        ),
        said("Give it more ([capture] ring_mb), a faster core, or mirror less."),
    )


def truncated(facts: Facts) -> Finding | None:
    seen = facts.survey
    if not seen.truncated:
        return None
    return Finding(
        "fault",
        "truncated",
        said(
            "{short} of {frames} frames are cut short: what was captured is less than what was sent.",
            short=seen.truncated,
            frames=seen.frames,
        ),
        said("Take the snap length off (tcpdump -s 0), or the slicing of the tap or mirror session."),
    )


def copies(facts: Facts) -> Finding | None:
    usual, share = facts.copies.usual, facts.copies.share
    if usual < 2:
        return None
    differ = facts.copies.differ
    kind = max(("hops", "link", "nothing"), key=lambda name: differ[name])
    how = {
        "hops": said("The copies differ in their time to live: they were taken before and behind a router."),
        "link": said(
            "The copies differ in MAC addresses or VLAN tag: they were taken in different segments."
        ),
        "nothing": said("The copies are alike: the ports at both ends of a conversation are mirrored."),
    }[kind]
    return Finding(
        "note",
        "copies",
        said(
            "{share:.0%} of the media arrives {usual} times: {usual} mirrored ports see it. {how}",
            share=share,
            usual=usual,
            how=how,
        ),
        said(
            "Nothing is recorded twice by it, but it takes that much of the mirror's capacity. One port of "
            "each conversation is enough, in both directions; or mirror all ports in one direction (rx)."
        ),
    )


def checksums(facts: Facts) -> Finding | None:
    seen = facts.survey
    if seen.ip_bad * 100 > seen.ip_checked > FEW:
        return Finding(
            "warning",
            "ip-checksums",
            said(
                "{bad} of {checked} IPv4 headers have a wrong checksum: the tap or the cable damages frames.",
                bad=seen.ip_bad,
                checked=seen.ip_checked,
            ),
            said("Look at the error counters of the switch's port and of the interface (ethtool -S)."),
        )
    if seen.udp_checked > FEW and seen.udp_bad * 100 > seen.udp_checked:
        senders = [address for address, _ in seen.udp_bad_from.most_common(5)]
        return Finding(
            "note",
            "udp-checksums",
            said(
                "{bad} of {checked} UDP checksums looked at are not filled in, from {senders}: these hosts "
                "leave that to their network card, and are captured before it.",
                bad=seen.udp_bad,
                checked=seen.udp_checked,
                senders=some(senders),
            ),
            said("Nothing to do: no packet is refused for its checksum."),
        )
    return None


def merged(facts: Facts) -> Finding | None:
    seen = facts.survey
    merging = facts.device.merging if facts.device else ()
    if not seen.longer and "LRO" not in merging:
        return None
    values = {"frames": seen.longer, "merging": "/".join(merging)}
    long = said(
        "{frames} {frames:frame|frames} longer than Ethernet's 1,518 bytes: jumbo frames, or packets put "
        "together by the network card or the kernel.",
        **values,
    )
    on = said(
        "{frames} {frames:frame|frames} longer than Ethernet's 1,518 bytes: jumbo frames, or packets put "
        "together by the network card or the kernel ({merging} is on).",
        **values,
    )
    advice = f"ethtool -K {facts.source} gro off lro off" if facts.live else ""
    return Finding("note", "merged", on if merging else long, advice)


def addressed(facts: Facts) -> Finding | None:
    if facts.device is None or not facts.device.addresses:
        return None
    return Finding(
        "note",
        "addressed",
        said(
            "{source} has an address ({addresses}): the machine may send on it.",
            source=facts.source,
            addresses=some(facts.device.addresses),
        ),
        said("Leave the capture interface without an address, and manage the machine by another one."),
    )


def tags(facts: Facts) -> Finding | None:
    tagged = {stack: count for stack, count in facts.survey.vlans.items() if stack}
    if not tagged:
        return None
    names = ["/".join(map(str, stack)) for stack in sorted(tagged, key=lambda stack: -tagged[stack])]
    return Finding("note", "vlans", said("VLAN tags seen: {tags} (outer/inner).", tags=some(names, 8)))


def overlaps(facts: Facts) -> Finding | None:
    """C10: two networks with one address plan, which only their tags or numbers tell apart."""
    missing = [kind for kind in facts.overlaps.kinds if kind not in facts.separate]
    if not missing:
        return None
    return Finding(
        "fault",
        "overlap",
        said(
            "{networks} use the same addresses and ports, and not for the same: {flows} "
            "{flows:pair of hosts is|pairs of hosts are} in several of them at once.",
            networks=some([name or said("untagged") for name in facts.overlaps.networks]),
            flows=facts.overlaps.flows,
        ),
        said(
            "Tell them apart ([capture] separate = [{kinds}]), or a call of one is mixed up with a call of "
            "another.",
            kinds=", ".join(f'"{kind}"' for kind in (*facts.separate, *missing)),
        ),
    )


def tunnels(facts: Facts) -> Finding | None:
    if not facts.tunnels:
        return None
    names = ", ".join(f"{name} {count}" for name, count in facts.tunnels.items())
    return Finding("note", "tunnels", said("Tunnels opened, and frames in each: {tunnels}.", tunnels=names))


def clock(facts: Facts) -> Finding | None:
    if facts.survey.backwards * 1000 <= facts.survey.frames:
        return None
    return Finding(
        "note",
        "clock",
        said(
            "Time ran backwards {times} {times:time|times} from one frame to the next.",
            times=facts.survey.backwards,
        ),
        said(
            "Frames of several sources were merged without sorting, or the clock was set: see that it is "
            "kept by NTP."
        ),
    )
