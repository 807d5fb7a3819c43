"""What a generated capture holds: the settings, and every call and stream worked out from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import signalling, voices
from benchmarks.headers import big_endian, ethernet, ipv4
from benchmarks.wrapping import WRAPPINGS

GATEWAY = "10.0.0.2"
MEDIA_PORT = 10000
#: Two streams use the port pair of their call at the gateway; ports run out after this many calls.
MOST_CALLS = 27000
RTP_HEADERS = 14 + 20 + 8 + 12
#: Media starts this long after the INVITE, plus up to 20 ms that differ by stream.
MEDIA_AFTER_NS = 640_000_000
SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Traffic:
    """What to generate. Shares are between 0 and 1: ``loss``, ``reorder`` and ``duplicates`` of the RTP
    packets sent, ``noise`` of all frames but SIP. Calls begin evenly within ``stagger_s``; each has
    ``seconds`` of audio. ``ptime_ms`` is dealt out to the calls in turn. ``wrap`` is what all frames are in,
    a name of ``wrapping.WRAPPINGS``."""

    calls: int = 200
    seconds: float = 100.0
    stagger_s: float = 2.0
    loss: float = 0.0
    reorder: float = 0.0
    duplicates: float = 0.0
    noise: float = 0.0
    ptime_ms: tuple[int, ...] = (20,)
    seed: int = 1
    start_ns: int = 1_795_464_000 * SECOND_NS
    wrap: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.calls <= MOST_CALLS:
            raise ValueError(f"calls must be 1 to {MOST_CALLS}, not {self.calls}")
        if any(not 0 <= share < 1 for share in (self.loss, self.reorder, self.duplicates, self.noise)):
            raise ValueError("loss, reorder, duplicates and noise are shares: 0 up to, not including, 1")
        if self.wrap not in WRAPPINGS:
            raise ValueError(f"wrap must be one of {', '.join(filter(None, WRAPPINGS))}, not {self.wrap}")
        if any(not 5 <= ptime <= 60 for ptime in self.ptime_ms):
            raise ValueError("a packet time is 5 to 60 ms")


class Plan:
    """All calls and streams of a Traffic, worked out before any frame is laid out.

    Arrays over streams (2 per call, caller first): ``first_ns``, ``ptime_ns``, ``packets``, ``samples`` (a
    packet), ``place`` (in the bank), ``payload_type``, ``ssrc``, ``first_seq``, ``first_timestamp``, and
    ``headers`` uint8[n, 54], the frame up to the payload with sequence, timestamp and checksum still open.
    """

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        rng = np.random.default_rng([traffic.seed, 1])
        count = 2 * traffic.calls
        call = np.arange(count, dtype=np.int64) // 2
        ptimes = np.array(traffic.ptime_ms, dtype=np.int64)
        ptime_ms = ptimes[(call >> 2) % len(ptimes)]
        self.payload_type: Ints = np.where((call >> 1) & 1, voices.PCMU, voices.PCMA).astype(np.int64)
        self.invite_ns = traffic.start_ns + (
            np.arange(traffic.calls) * (traffic.stagger_s / traffic.calls) * 1e9
        ).astype(np.int64)
        self.ptime_ns = ptime_ms * MILLISECOND_NS
        self.samples = ptime_ms * (voices.CLOCK_HZ // 1000)
        self.packets = np.maximum(1, (traffic.seconds * SECOND_NS) // self.ptime_ns).astype(np.int64)
        self.first_ns = self.invite_ns[call] + MEDIA_AFTER_NS + rng.integers(0, 20 * MILLISECOND_NS, count)
        self.place = voices.place_of(np.arange(count, dtype=np.int64))
        self.ssrc = rng.integers(1, 1 << 32, count)
        self.first_seq = rng.integers(0, 1 << 16, count)
        self.first_timestamp = rng.integers(0, 1 << 32, count)
        end_ns = (self.first_ns + self.packets * self.ptime_ns).reshape(-1, 2).max(axis=1)
        self.dialogs = [self._dialog(i, int(end_ns[i])) for i in range(traffic.calls)]
        self.headers = np.frombuffer(b"".join(self._header(s) for s in range(count)), dtype=np.uint8).reshape(
            count, RTP_HEADERS
        )
        words = self.headers[:, 14:34].reshape(count, 10, 2).astype(np.int64)
        self._ip_sum = ((words[:, :, 0] << 8) + words[:, :, 1]).sum(axis=1)
        self._payloads = {law: voices.bank(law, traffic.seed) for law in (voices.PCMU, voices.PCMA)}

    @property
    def end_ns(self) -> int:
        """After the last frame of all."""
        return max(dialog.media_end_ns for dialog in self.dialogs) + signalling.BYE_ANSWER_NS + MILLISECOND_NS

    def _dialog(self, call: int, end_ns: int) -> signalling.Dialog:
        phone = signalling.Party(f"{1000 + call}", f"10.1.{call >> 8}.{call & 255}", 4000 + 2 * (call % 500))
        gateway = signalling.Party(f"+4822{call:07d}", GATEWAY, MEDIA_PORT + 2 * call)
        caller, callee = (phone, gateway) if call % 2 == 0 else (gateway, phone)
        return signalling.Dialog(
            f"{self.traffic.seed:x}-{call:06d}@{caller.ip}",
            caller,
            callee,
            int(self.payload_type[2 * call]),
            int(self.ptime_ns[2 * call]) // MILLISECOND_NS,
            int(self.invite_ns[call]),
            end_ns,
            call % 3 != 0,
        )

    def ends(self, stream: int) -> tuple[tuple[str, int], tuple[str, int]]:
        """Source and destination of a stream's RTP."""
        dialog = self.dialogs[stream // 2]
        caller, callee = (
            (dialog.caller.ip, dialog.caller.media_port),
            (dialog.callee.ip, dialog.callee.media_port),
        )
        return (caller, callee) if stream % 2 == 0 else (callee, caller)

    def _header(self, stream: int) -> bytes:
        src, dst = self.ends(stream)
        size = 8 + 12 + int(self.samples[stream])
        ip = bytearray(ipv4(src[0], dst[0], size))
        ip[10:12] = b"\0\0"
        udp = b"".join(n.to_bytes(2, "big") for n in (src[1], dst[1], size, 0))
        rtp = (
            bytes([0x80, int(self.payload_type[stream]), 0, 0])
            + bytes(4)
            + int(self.ssrc[stream]).to_bytes(4, "big")
        )
        return ethernet(src[0], dst[0]) + bytes(ip) + udp + rtp

    def render(self, stream: Ints, index: Ints, copy: NDArray[np.bool_]) -> Bytes:
        """uint8[n, frame]: packets ``index`` of ``stream``, all of one packet time and law.

        A ``copy`` is the packet as a second mirrored port shows it: one hop on, its TTL less by one.
        """
        samples = int(self.samples[stream[0]])
        frames = np.empty((len(stream), RTP_HEADERS + samples), dtype=np.uint8)
        frames[:, :RTP_HEADERS] = self.headers[stream]
        sequence = (self.first_seq[stream] + index) & 0xFFFF
        frames[:, 18:20] = big_endian(sequence, ">u2")
        frames[:, 22] -= copy
        total = self._ip_sum[stream] + sequence - (copy.astype(np.int64) << 8)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        frames[:, 24:26] = big_endian(~total & 0xFFFF, ">u2")
        frames[:, 43] |= (index == 0).astype(np.uint8) << 7
        frames[:, 44:46] = frames[:, 18:20]
        timestamp = (self.first_timestamp[stream] + index * samples) & 0xFFFFFFFF
        frames[:, 46:50] = big_endian(timestamp, ">u4")
        source = self._payloads[int(self.payload_type[stream[0]])]
        windows = np.ndarray((voices.LENGTH,), dtype=f"V{samples}", buffer=source.data, strides=(1,))
        cut = windows[(self.place[stream] + index * samples) % voices.LENGTH]
        frames[:, RTP_HEADERS:] = cut.view(np.uint8).reshape(-1, samples)
        return frames
