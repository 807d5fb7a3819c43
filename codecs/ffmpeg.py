"""FFmpeg's audio decoders, through PyAV, one frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.codec.codec import UnknownCodecError
from numpy.typing import NDArray

from bystander.codecs.decoder import NOTHING

#: A frame as FFmpeg wants it, or so many samples of silence.
Frame = bytes | int
_FULL_SCALE = 32767.0


class FfmpegDecoder:
    """A decoder by one of several names, the first that this FFmpeg has, fed with frames cut by ``split``.

    ``split(payload)`` yields the frames of an RTP payload, or a number for that many samples of silence.
    ``frame_samples`` is what a frame that does not decode counts for. More than one channel is mixed to
    one. Raises LookupError if FFmpeg has no such decoder.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        rate_hz: int,
        split: Callable[[bytes], Iterator[Frame]],
        *,
        channels: int = 1,
        frame_samples: int = 0,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self._split = split
        self._frame_samples = frame_samples
        self._context = _open(names, rate_hz, channels, dict(options or {}))

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the samples of one RTP payload, int16[n], mono; none if no frame of it can be decoded."""
        pieces: list[NDArray[np.int16]] = []
        sound = False
        for frame in self._split(payload):
            if isinstance(frame, int):
                pieces.append(np.zeros(frame, np.int16))
                sound = True
                continue
            try:
                decoded = [mono(found) for found in self._context.decode(av.Packet(frame))]
                sound = sound or bool(decoded)
            except av.FFmpegError:
                decoded = [np.zeros(self._frame_samples, np.int16)]
            pieces += decoded
        if not sound:
            return NOTHING
        return np.concatenate(pieces) if len(pieces) != 1 else pieces[0]


def whole(payload: bytes) -> Iterator[Frame]:
    """Take a payload as one frame."""
    if payload:
        yield payload


def mono(frame: av.AudioFrame) -> NDArray[np.int16]:
    """Return a decoded frame as int16[n], its channels mixed."""
    samples = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if channels > 1:
        samples = samples if frame.format.is_planar else samples.reshape(-1, channels).T
        mixed = samples.mean(axis=0)
    else:
        mixed = samples.reshape(-1)
    if samples.dtype.kind == "f":
        mixed = np.clip(mixed * 32768.0, -_FULL_SCALE - 1, _FULL_SCALE)
    if mixed.dtype.kind == "f":
        mixed = np.rint(mixed)
    return np.asarray(mixed, np.int16)


def _open(names: tuple[str, ...], rate_hz: int, channels: int, options: dict[str, str]) -> AudioCodecContext:
    for name in names:
        try:
            context = cast(AudioCodecContext, av.CodecContext.create(name, "r"))
            context.sample_rate = rate_hz
            context.layout = "stereo" if channels > 1 else "mono"
            context.options = options
            context.open()
        except (UnknownCodecError, av.FFmpegError):
            continue
        return context
    raise LookupError(f"this FFmpeg decodes none of {', '.join(names)}")
