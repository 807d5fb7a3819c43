"""What a mirror shows, gathered for a diagnosis: the recorder's own way of looking, with nothing kept.

The same pipeline that records looks at the traffic, with a spool that forgets (R7: what is said is nobody's
business here). Beside it, the frames are surveyed and copies of packets counted. What the facts mean is
`diagnosis.py`.
"""

from __future__ import annotations

import ipaddress
import select
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bystander.config import Config
from bystander.counts import skipped, tunnelled
from bystander.finished import Finished, FinishedCall
from bystander.netdevice import Device, device
from bystander.nospool import NoSpool
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.settings import call_settings
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.copies import Copies
from bystander.sniffer.frames import Frames
from bystander.sniffer.overlaps import Overlaps
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.realm import apart
from bystander.sniffer.ring import HANDED_OVER_S, Ring
from bystander.sniffer.separation import KINDS
from bystander.sniffer.sip import Arrival
from bystander.sniffer.survey import Survey
from bystander.stopping import Stopping, noted

#: Addresses of which signalling is noted; beyond, they are only counted.
_MAX_HOSTS: Final = 4096
_MAX_USERS: Final = 8
#: (seconds gone, seconds in all) of a live look, (bytes, bytes in all) of files.
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Host:
    """One address that speaks SIP. ``users`` are those it has registered, or called as."""

    address: str
    agent: str = ""
    messages: int = 0
    requests: int = 0
    registers: bool = False
    registrar: bool = False
    users: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Signalling:
    """What was seen of SIP, and of whom."""

    messages: int = 0
    requests: int = 0
    responses: int = 0
    transports: Counter[str] = field(default_factory=Counter)
    hosts: dict[str, Host] = field(default_factory=dict)

    def take(self, arrival: Arrival) -> None:
        """Note one message."""
        message = arrival.message
        self.messages += 1
        self.transports[arrival.transport] += 1
        source, target = self._host(arrival.src[0]), self._host(arrival.dst[0])
        if message.method is None:
            self.responses += 1
            if source is not None:
                source.messages += 1
                source.agent = source.agent or message.header("server") or message.header("user-agent")
            return
        self.requests += 1
        if source is None:
            return
        source.messages += 1
        source.requests += 1
        source.agent = source.agent or message.header("user-agent")
        user = message.from_.user
        if user and user not in source.users and len(source.users) < _MAX_USERS:
            source.users.append(user)
        if message.method == "REGISTER":
            source.registers = True
            if target is not None:
                target.registrar = True

    def _host(self, address: str) -> Host | None:
        host = self.hosts.get(address)
        if host is None and len(self.hosts) < _MAX_HOSTS:
            host = self.hosts[address] = Host(address)
        return host


@dataclass(slots=True)
class Talk:
    """What was seen of calls and their media."""

    answered: int = 0
    whole: int = 0
    one_way: int = 0
    silent: int = 0
    encrypted: int = 0
    streams: int = 0
    unclaimed: int = 0
    packets: int = 0
    lost: int = 0
    lossy: int = 0
    """Streams that lost more than one packet in a hundred."""
    codecs: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    """RTP packets by the address they came from."""
    received: Counter[str] = field(default_factory=Counter)

    def take_call(self, call: FinishedCall) -> None:
        """Note a call that is over, or was going on when the look ended."""
        sides = {stream["by"] for stream in call.streams if stream["packets"] > 1}
        if call.call.state == "answered":
            self.answered += 1
            self.encrypted += any(claimed.encrypted for claimed in call.call.streams)
            self.whole += len(sides) == 2
            self.one_way += len(sides) == 1
            self.silent += not sides
        for stream in (*call.streams, *call.other_streams):
            self.take_stream(stream)

    def take_stream(self, stream: dict[str, Any]) -> None:
        """Note one RTP stream."""
        self.streams += 1
        self.packets += stream["packets"]
        self.lost += stream["lost"]
        self.lossy += stream["lost"] * 100 > stream["packets"] + stream["lost"]
        self.codecs["encrypted" if stream["srtp"] else stream["codec"] or "unknown"] += 1
        self.sent[_address(stream["src"])] += stream["packets"]
        self.received[_address(stream["dst"])] += stream["packets"]


@dataclass(slots=True)
class Facts:
    """All that was seen; times in seconds."""

    source: str
    live: bool
    seconds: float = 0.0
    survey: Survey = field(default_factory=Survey)
    copies: Copies = field(default_factory=Copies)
    overlaps: Overlaps = field(default_factory=Overlaps)
    separate: tuple[str, ...] = ()
    """By what the configuration tells networks apart."""
    signalling: Signalling = field(default_factory=Signalling)
    talk: Talk = field(default_factory=Talk)
    skipped: dict[str, int] = field(default_factory=dict)
    tunnels: dict[str, int] = field(default_factory=dict)
    media_ports: dict[str, int] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    device: Device | None = None
    received: int = 0
    drops: int = 0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the facts as plain numbers and texts."""
        seen, talk, heard = self.survey, self.talk, self.signalling
        hosts = sorted(heard.hosts.values(), key=lambda host: -host.messages)
        return {
            "source": self.source,
            "live": self.live,
            "seconds": round(self.seconds, 3),
            "frames": seen.frames,
            "bytes": seen.bytes,
            "truncated": seen.truncated,
            "longer_than_usual": seen.longer,
            "time_backwards": seen.backwards,
            "destinations": dict(seen.casts) | {"stations": len(seen.stations)},
            "ethertypes": dict(seen.ethertypes),
            "vlans": {"/".join(map(str, tags)) or "none": n for tags, n in seen.vlans.most_common()},
            "ip_checksums": {"checked": seen.ip_checked, "bad": seen.ip_bad},
            "udp_checksums": {
                "checked": seen.udp_checked,
                "bad": seen.udp_bad,
                "bad_from": dict(seen.udp_bad_from.most_common(20)),
            },
            "copies": {
                "share": round(self.copies.share, 4),
                "usual": self.copies.usual,
                "differ": dict(self.copies.differ),
            },
            "overlaps": {
                "networks": self.overlaps.networks,
                "flows": self.overlaps.flows,
                "kinds": self.overlaps.kinds,
                "separate": list(self.separate),
            },
            "kernel": {"received": self.received, "dropped": self.drops} if self.live else None,
            "interface": None if self.device is None else _interface(self.device),
            "sip": {
                "messages": heard.messages,
                "requests": heard.requests,
                "responses": heard.responses,
                "transports": dict(heard.transports),
                "hosts": [
                    {
                        "address": host.address,
                        "agent": host.agent,
                        "messages": host.messages,
                        "registers": host.registers,
                        "registrar": host.registrar,
                        "users": host.users,
                    }
                    for host in hosts
                ],
            },
            "calls": {
                "answered": talk.answered,
                "both_sides": talk.whole,
                "one_way": talk.one_way,
                "no_media": talk.silent,
                "encrypted": talk.encrypted,
            },
            "streams": {
                "total": talk.streams,
                "unclaimed": talk.unclaimed,
                "packets": talk.packets,
                "lost": talk.lost,
                "lossy": talk.lossy,
                "codecs": dict(talk.codecs.most_common()),
                "rtcp": self.counters["rtcp"],
            },
            "tunnels": self.tunnels,
            "media_ports": self.media_ports,
            "skipped": self.skipped,
            "problems": self.problems,
        }


def _interface(found: Device) -> dict[str, Any]:
    return {
        name: getattr(found, name) for name in ("name", "carrier", "promiscuous", "speed_mbps", "mtu")
    } | {
        "addresses": list(found.addresses),
        "merging": list(found.merging),
    }


def look_at_wire(interface: str, seconds: float, settings: Config, progress: Progress | None = None) -> Facts:
    """Watch an interface for some seconds. Raises CaptureError. Ctrl-C ends it early, with what was seen."""
    facts = Facts(interface, live=True)
    ring_bytes = settings.capture.ring_mb << 20
    with noted() as stopping, Ring(interface, ring_bytes=ring_bytes, everything=True) as ring:
        began = time.monotonic()
        try:
            _look(facts, _until(ring, began, seconds, progress, stopping), settings, patient=False)
        finally:
            facts.seconds = time.monotonic() - began
            counted = ring.statistics()
            facts.received, facts.drops = counted.packets, counted.drops
            facts.device = device(interface)
    return facts


def look_at_files(captures: list[Path], settings: Config, progress: Progress | None = None) -> Facts:
    """Look at capture files the same way. Raises CaptureError."""
    facts = Facts(", ".join(path.name for path in captures), live=False)
    with open_captures(captures) as source:

        def blocks() -> Iterator[Frames]:
            for frames in source.blocks():
                yield frames
                if progress is not None:
                    progress(*source.progress())

        _look(facts, blocks(), settings, patient=True)
        facts.problems = list(source.problems)
    facts.seconds = facts.survey.seconds
    return facts


def _until(
    ring: Ring, began: float, seconds: float, progress: Progress | None, stopping: Stopping
) -> Iterator[Frames]:
    """Yield what the ring has until the time is over, or somebody presses Ctrl-C."""
    while not stopping.asked and (left := began + seconds - time.monotonic()) > 0:
        select.select([ring.fileno()], [], [], min(left, 0.25))
        yield from ring.ready()
        if progress is not None:
            progress(int(time.monotonic() - began), int(seconds))
    time.sleep(HANDED_OVER_S)
    for frames in ring.last():
        if frames is None:
            time.sleep(0.01)
        else:
            yield frames


def _look(facts: Facts, blocks: Iterable[Frames], settings: Config, *, patient: bool) -> None:
    def take(finished: Finished) -> None:
        if isinstance(finished, FinishedCall):
            facts.talk.take_call(finished)

    pipeline = Pipeline(
        PipelineSettings(
            calls=call_settings(settings, patient=patient),
            excluded=lambda _call: "doctor",
            separate=settings.capture.separate,
            vlan_groups=settings.capture.vlan_groups,
        ),
        NoSpool(),
        take,
        facts.signalling.take,
    )
    parser = FrameParser(KINDS, settings.capture.vlan_groups)
    for frames in blocks:
        facts.survey.feed(frames)
        for datagrams in parser.parse(frames).datagrams:
            facts.overlaps.feed(datagrams)
            facts.copies.feed(replace(datagrams, flow=apart(datagrams.flow, datagrams.tunnel)))
        pipeline.feed(frames)
    facts.copies.settle()
    facts.overlaps.settle()
    facts.separate = settings.capture.separate
    pipeline.close(interrupted=True)
    for stream in pipeline.unclaimed:
        facts.talk.unclaimed += 1
        facts.talk.take_stream(stream)
    facts.counters.update(pipeline.counters)
    facts.skipped, facts.tunnels = skipped(pipeline), tunnelled(pipeline)
    facts.media_ports = {name: n for name, n in sorted(pipeline.media_ports.counters.items()) if n}


def _address(endpoint: str) -> str:
    """Return the address of an endpoint as it is printed."""
    host = endpoint.rpartition(":")[0].strip("[]")
    return str(ipaddress.ip_address(host)) if host else endpoint
