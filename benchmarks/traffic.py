"""Mirrored telephone traffic, generated: a pcap of N calls in time order, and beside it what is in it.

    python -m benchmarks.traffic OUT.pcap --calls 200 --seconds 100 --noise 0.3
    python -m benchmarks.traffic OUT.pcap --calls 2000 --seconds 20 --ptime 10,20

writes OUT.pcap and OUT.pcap.json (the truth: calls, addresses, SSRCs, packets by stream, noise by kind). In
Python: ``write(Traffic(calls=200, noise=0.3), path)``, or ``cached(Traffic(...))`` for a file made once and
kept. The same settings and seed give the same bytes.

Every call is a SIP dialog over UDP between a telephone (10.1.x.y) and a gateway (10.0.0.2), with two RTP
streams of G.711. By the number of the call: even ones are dialled by the telephone, odd ones by the
gateway; the law changes every second call, the packet time every fourth. Sequence numbers and timestamps
begin anywhere, so some wrap. What stream 2i (caller) and 2i+1 (callee) say is
``voices.expected(stream, payload_type, samples)``.

The writer is arrays throughout: a slice of time is laid out at once, a group of equal frames in one scatter.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from benchmarks import signalling
from benchmarks.noise import MIXTURE, NoisePool
from benchmarks.plan import MILLISECOND_NS, RTP_HEADERS, SECOND_NS, Bytes, Ints, Plan, Traffic
from benchmarks.wrapping import WRAPPINGS, move_tags_in

RECORD = 16
PCAP_HEADER = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
_SLICE_FRAMES = 120_000


@dataclass
class _Pending:
    """RTP packets that are due: when, of which stream, which packet, and whether a mirrored copy."""

    time_ns: Ints
    stream: Ints
    index: Ints
    copy: NDArray[np.bool_]

    def take(self, keep: NDArray[np.bool_] | Ints) -> _Pending:
        return _Pending(self.time_ns[keep], self.stream[keep], self.index[keep], self.copy[keep])

    def plus(self, other: _Pending) -> _Pending:
        return _Pending(
            np.concatenate([self.time_ns, other.time_ns]),
            np.concatenate([self.stream, other.stream]),
            np.concatenate([self.index, other.index]),
            np.concatenate([self.copy, other.copy]),
        )


@dataclass
class Slice:
    """A slice of time as pcap records; frame i, in time order, is ``data[start[i] : start[i] + size[i]]``."""

    data: Bytes
    start: Ints
    size: Ints
    time_ns: Ints


class Writer:
    """Lays out one slice of time after another and counts what it lays out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.noise = NoisePool(plan.traffic.seed)
        streams = len(plan.packets)
        self.seen = np.zeros(streams, dtype=np.int64)
        self.copies = np.zeros(streams, dtype=np.int64)
        self.late = np.zeros(streams, dtype=np.int64)
        self.noise_by_kind = np.zeros(len(MIXTURE), dtype=np.int64)
        self.frames = self.bytes = self.sip = 0
        none = np.zeros(0, dtype=np.int64)
        self._carried = _Pending(none, none, none, none.astype(bool))
        self._sip = sorted(frame for dialog in plan.dialogs for frame in signalling.frames(dialog))
        self._next_sip = 0

    def _due(self, begin_ns: int, end_ns: int, rng: np.random.Generator) -> _Pending:
        """The RTP packets seen in [begin, end): those sent then, jittered, lost, delayed and doubled."""
        plan, traffic = self.plan, self.plan.traffic

        def before(at_ns: int) -> Ints:
            sent: Ints = np.clip(-((plan.first_ns - at_ns) // plan.ptime_ns), 0, plan.packets)
            return sent

        low = before(begin_ns)
        count = before(end_ns) - low
        stream = np.repeat(np.arange(len(count)), count)
        index = np.arange(len(stream)) - np.repeat(np.cumsum(count) - count - low, count)
        jitter = np.minimum(rng.standard_exponential(len(stream), dtype=np.float32) * 3e5, 2e6).astype(
            np.int64
        )
        late = rng.random(len(stream), dtype=np.float32) < traffic.reorder
        time_ns = plan.first_ns[stream] + index * plan.ptime_ns[stream] + jitter
        time_ns += late * (3 * plan.ptime_ns[stream] // 2)
        kept = rng.random(len(stream), dtype=np.float32) >= traffic.loss
        doubled = np.flatnonzero(kept & (rng.random(len(stream), dtype=np.float32) < traffic.duplicates))
        self.late += np.bincount(stream[kept & late], minlength=len(self.late))
        due = _Pending(time_ns, stream, index, np.zeros(len(stream), dtype=bool))
        twins = due.take(doubled)
        twins.time_ns = twins.time_ns + rng.integers(4_000, 40_000, len(doubled))
        twins.copy = np.ones(len(doubled), dtype=bool)
        everything = self._carried.plus(due.take(kept)).plus(twins)
        now = everything.time_ns < end_ns
        self._carried = everything.take(~now)
        return everything.take(now)

    def slices(self) -> Iterator[Slice]:
        """The whole traffic, slice by slice; ``truth`` is complete when they are exhausted."""
        for number, (begin, end) in enumerate(_times(self.plan)):
            yield self._slice(begin, end, number)

    def _slice(self, begin_ns: int, end_ns: int, number: int) -> Slice:
        rng = np.random.default_rng([self.plan.traffic.seed, 2, number])
        rtp = self._due(begin_ns, end_ns, rng)
        last = self._next_sip
        while last < len(self._sip) and self._sip[last][0] < end_ns:
            last += 1
        sip = self._sip[self._next_sip : last]
        self._next_sip = last
        share = self.plan.traffic.noise
        drawn = self.noise.draw(rng, round(len(rtp.stream) * share / (1 - share)))
        noise_ns = rng.integers(begin_ns, end_ns, len(drawn))
        noise_ns.sort()

        rtp_size = RTP_HEADERS + self.plan.samples[rtp.stream]
        sip_size = np.array([len(frame) for _, frame in sip], dtype=np.int64)
        bare = np.concatenate([rtp_size, self.noise.size[drawn], sip_size])
        wrapping = WRAPPINGS[self.plan.traffic.wrap]
        size = bare + wrapping.size
        time_ns = np.concatenate([rtp.time_ns, noise_ns, np.array([at for at, _ in sip], dtype=np.int64)])
        order = np.argsort(time_ns, kind="stable")
        ends = np.cumsum(size[order] + RECORD)
        at = np.empty(len(order), dtype=np.int64)
        at[order] = ends - size[order] - RECORD
        out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
        _record_headers(out, at, size, time_ns)

        inner = at + wrapping.size
        self._lay_rtp(out, inner, rtp)
        self._lay_noise(out, inner[len(rtp.stream) :], drawn)
        for where, (_, frame) in zip(inner[len(rtp.stream) + len(drawn) :].tolist(), sip, strict=True):
            out[where + RECORD : where + RECORD + len(frame)] = np.frombuffer(frame, dtype=np.uint8)
        if wrapping.before:
            _scatter(out, at + RECORD, wrapping.heads(bare))
        if wrapping.tags:
            move_tags_in(out, at + RECORD, wrapping.tags)
        self.sip += len(sip)
        self.frames += len(order)
        self.bytes += len(out)
        return Slice(out, at[order] + RECORD, size[order], time_ns[order])

    def _lay_rtp(self, out: Bytes, at: Ints, rtp: _Pending) -> None:
        kind = self.plan.samples[rtp.stream] * 256 + self.plan.payload_type[rtp.stream]
        for each in np.unique(kind).tolist():
            mine = np.flatnonzero(kind == each)
            _scatter(
                out, at[mine] + RECORD, self.plan.render(rtp.stream[mine], rtp.index[mine], rtp.copy[mine])
            )
        self.seen += np.bincount(rtp.stream[~rtp.copy], minlength=len(self.seen))
        self.copies += np.bincount(rtp.stream[rtp.copy], minlength=len(self.seen))

    def _lay_noise(self, out: Bytes, at: Ints, drawn: Ints) -> None:
        sizes = self.noise.size[drawn]
        number = int(self.noise_by_kind.sum()) + np.arange(len(drawn))
        order = np.argsort(sizes, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
            if len(mine):
                _scatter(
                    out, at[mine] + RECORD, self.noise.render(drawn[mine], int(sizes[mine[0]]), number[mine])
                )
        self.noise_by_kind += np.bincount(self.noise.kind[drawn], minlength=len(MIXTURE))

    def truth(self) -> dict[str, Any]:
        """What was written, as the JSON beside the capture has it."""
        plan = self.plan
        return {
            "traffic": asdict(plan.traffic),
            "frames": self.frames,
            "bytes": self.bytes,
            "sip_messages": self.sip,
            "rtp_packets": int(self.seen.sum() + self.copies.sum()),
            "noise": dict(zip(MIXTURE, self.noise_by_kind.tolist(), strict=True)),
            "duration_s": (plan.end_ns - plan.traffic.start_ns) / 1e9,
            "calls": [
                {
                    "call_id": dialog.call_id,
                    "caller": dialog.caller.user,
                    "callee": dialog.callee.user,
                    "payload_type": dialog.payload_type,
                    "ptime_ms": dialog.ptime_ms,
                    "streams": [self._stream_truth(2 * i), self._stream_truth(2 * i + 1)],
                }
                for i, dialog in enumerate(plan.dialogs)
            ],
        }

    def _stream_truth(self, stream: int) -> dict[str, Any]:
        src, dst = self.plan.ends(stream)
        sent = int(self.plan.packets[stream])
        return {
            "src": f"{src[0]}:{src[1]}",
            "dst": f"{dst[0]}:{dst[1]}",
            "ssrc": f"0x{int(self.plan.ssrc[stream]):08x}",
            "packets": int(self.seen[stream]),
            "lost": sent - int(self.seen[stream]),
            "duplicates": int(self.copies[stream]),
            "delayed": int(self.late[stream]),
            "samples": sent * int(self.plan.samples[stream]),
            "first_ns": int(self.plan.first_ns[stream]),
        }


def _record_headers(out: Bytes, at: Ints, size: Ints, time_ns: Ints) -> None:
    records = np.empty((len(at), 4), dtype="<u4")
    records[:, 0] = time_ns // SECOND_NS
    records[:, 1] = time_ns % SECOND_NS // 1000
    records[:, 2] = records[:, 3] = size
    _scatter(out, at, records.view(np.uint8).reshape(-1, RECORD))


def _scatter(out: Bytes, at: Ints, rows: Bytes) -> None:
    """Copy ``rows`` uint8[n, width] to the places ``at`` of ``out``."""
    width = rows.shape[1]
    if len(rows) == 0:
        return
    places = np.ndarray((len(out) - width + 1,), dtype=f"V{width}", buffer=out.data, strides=(1,))
    places[at] = np.ascontiguousarray(rows).view(f"V{width}")[:, 0]


def _times(plan: Plan) -> Iterator[tuple[int, int]]:
    traffic = plan.traffic
    rate = float((1e9 / plan.ptime_ns).sum()) / (1 - traffic.noise)
    step = max(MILLISECOND_NS, int(_SLICE_FRAMES / rate * SECOND_NS))
    begin = traffic.start_ns
    while begin < plan.end_ns:
        yield begin, begin + step
        begin += step


def write_to(traffic: Traffic, file: BinaryIO) -> dict[str, Any]:
    """Write the capture to an open file; returns the truth. One slice of time (some 30 MB) is in memory."""
    writer = Writer(Plan(traffic))
    file.write(PCAP_HEADER)
    for piece in writer.slices():
        file.write(piece.data.data)
    return writer.truth()


def write(traffic: Traffic, path: Path) -> dict[str, Any]:
    """Write the capture and, beside it, ``path`` + ".json"; returns the truth."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb", buffering=0) as file:
        truth = write_to(traffic, file)
    path.with_name(path.name + ".json").write_text(json.dumps(truth))
    partial.replace(path)
    return truth


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base, "bystander-bench") if base else Path("/tmp/bystander-bench")


def cached(traffic: Traffic) -> tuple[Path, dict[str, Any]]:
    """The capture of these settings and its truth, made on first use and kept in the cache directory."""
    modules = ("traffic", "plan", "noise", "signalling", "voices", "headers", "wrapping")
    sources = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in modules)
    digest = sha256(repr(traffic).encode() + sources).hexdigest()[:10]
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{traffic.calls}x{traffic.seconds:g}s-{round(traffic.noise * 100)}noise-{digest}.pcap"
    beside = path.with_name(path.name + ".json")
    if path.exists() and beside.exists():
        return path, json.loads(beside.read_text())
    return path, write(traffic, path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that describe traffic, for every command that generates some."""
    standard = Traffic()
    parser.add_argument("--calls", type=int, default=standard.calls)
    parser.add_argument("--seconds", type=float, default=standard.seconds, help="of audio in each call")
    parser.add_argument(
        "--stagger", type=float, default=standard.stagger_s, help="seconds within which calls begin"
    )
    for share in ("loss", "reorder", "duplicates", "noise"):
        parser.add_argument(f"--{share}", type=float, default=0.0, help="share between 0 and 1")
    parser.add_argument(
        "--wrap",
        choices=list(WRAPPINGS),
        default="",
        help="what all frames are in: vlan, qinq, gre-erspan, vxlan",
    )
    parser.add_argument("--ptime", default="20", help="packet times in ms, dealt to the calls in turn: 10,20")
    parser.add_argument("--seed", type=int, default=standard.seed)


def traffic_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Traffic:
    """The traffic that the options describe; leaves by ``parser.error`` if they do not make sense."""
    names = ("calls", "seconds", "loss", "reorder", "duplicates", "noise", "seed", "wrap")
    try:
        ptime_ms = tuple(int(part) for part in given.ptime.split(","))
        return Traffic(**{n: getattr(given, n) for n in names}, stagger_s=given.stagger, ptime_ms=ptime_ms)
    except ValueError as error:
        parser.error(str(error))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.traffic", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("out", type=Path)
    add_arguments(parser)
    given = parser.parse_args()
    truth = write(traffic_of(parser, given), given.out)
    noise = sum(truth["noise"].values())
    print(
        f"{given.out}: {truth['frames']:,} frames ({truth['rtp_packets']:,} RTP, "
        f"{truth['sip_messages']:,} SIP, {noise:,} noise), "
        f"{truth['bytes'] / 1e6:,.0f} MB, {truth['duration_s']:.1f} s"
    )


if __name__ == "__main__":
    main()
