"""A recording's audio, opened in memory: never on a disk."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import soundfile

from bystander.custody.desk import CustodyProblem, Desk
from bystander.storage.agefile import Identity, SealProblem
from bystander.storage.index import Entry
from bystander.storage.opening import open_recording
from bystander.storage.wav import header


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording as it was sealed: a WAV, or FLAC, whole."""

    content: bytes
    rate_hz: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.frames / self.rate_hz

    def wav(self, from_s: float = 0.0, to_s: float | None = None) -> bytes:
        """Return a part of it, or all, as 16-bit WAV."""
        first = min(self.frames, max(0, round(from_s * self.rate_hz)))
        last = self.frames if to_s is None else min(self.frames, max(first, round(to_s * self.rate_hz)))
        with soundfile.SoundFile(io.BytesIO(self.content)) as file:
            file.seek(first)
            samples = file.read(last - first, dtype="int16", always_2d=True)
        sound: bytes = samples.astype("<i2").tobytes()
        return header(len(samples), self.rate_hz, self.channels) + sound

    def as_wav(self) -> bytes:
        """Return the whole as WAV: as it was recorded, bit for bit, where that was a WAV."""
        return self.content if self.content[:4] in (b"RIFF", b"RF64") else self.wav()


def open_audio(desk: Desk, entry: Entry, vault: Sequence[Identity]) -> Audio:
    """Open a recording's audio in memory. Raises CustodyProblem: no audio, damaged, its key gone."""
    if entry.wav_path is None:
        raise CustodyProblem(
            f"{entry.id}: this call has no audio ({entry.call.get('verdict') or entry.call['state']})"
        )
    path = desk.root / entry.wav_path
    try:
        content = (
            open_recording(desk.keyring, list(vault), entry.id, path) if entry.sealed else path.read_bytes()
        )
    except SealProblem as problem:
        raise CustodyProblem(str(problem)) from None
    except OSError as error:
        raise CustodyProblem(f"{path}: cannot read the recording: {error.strerror}") from None
    if entry.wav_sha256 is not None and hashlib.sha256(content).hexdigest() != entry.wav_sha256:
        raise CustodyProblem(f"{entry.id}: not what was recorded (SHA-256); see `bystander verify`")
    try:
        about = soundfile.info(io.BytesIO(content))
    except (soundfile.LibsndfileError, RuntimeError):
        raise CustodyProblem(f"{entry.id}: holds no audio that can be read") from None
    return Audio(content, about.samplerate, about.channels, about.frames)
