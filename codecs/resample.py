"""From one sampling rate to another, block by block, by libswresample through PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av


class Resampler:
    """Converts one channel; what comes out is in step with what went in, sample 0 on sample 0.

    A filter looks ahead, so the last few samples of a block come out with the next.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz = from_hz
        self._resampler: av.AudioResampler | None = None
        if from_hz != to_hz:
            # Loaded here, for FFmpeg takes its time and most calls need no other rate.
            import av

            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=to_hz)

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take int16[n]; return what can be said so far, int16[m]."""
        if self._resampler is None or not len(samples):
            return samples
        import av

        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = self._from_hz
        return _joined(self._resampler.resample(frame))


def resample(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """Convert a whole sound, int16[n], to another rate: int16[n * to_hz / from_hz], rounded up."""
    if from_hz == to_hz:
        return samples
    length = -(-len(samples) * to_hz // from_hz)
    resampler = Resampler(from_hz, to_hz)
    # Silence behind it brings out what the filter holds back.
    out = np.concatenate((resampler.feed(samples), resampler.feed(np.zeros(from_hz // 10, np.int16))))
    return out[:length]


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.int16]:
    if not frames:
        return np.zeros(0, np.int16)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16, copy=False)
