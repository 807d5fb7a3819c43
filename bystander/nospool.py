"""A spool that keeps nothing: for looking at traffic without keeping what was said (R7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.packets import PacketRun
from bystander.storage.spool import Media, Spool


class NoSpool(Spool):
    """Takes media like a spool and forgets it at once; it has no folder."""

    def __init__(self) -> None:
        pass

    def describe(self, stream: int, facts: Callable[[], dict[str, Any]]) -> None:
        """Nothing is kept that would need a description."""

    def audio(self, stream: int, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        """Forget a run of G.711."""

    def packets(self, stream: int, run: PacketRun) -> None:
        """Forget kept packets."""

    def whole(self, stream: int, run: PacketRun) -> None:
        """Forget whole packets."""

    def disown(self, stream: int) -> None:
        """It is forgotten already."""

    def finish(self, stream: int) -> None:
        """Nothing is to come."""

    def said(self, stream: int) -> Iterator[bytes]:  # noqa: ARG002  (there is none of any)
        """Yield nothing."""
        return iter(())

    def take(self, stream: int) -> tuple[Path | None, Media]:  # noqa: ARG002  (there is none of any)
        """Return that there is nothing."""
        return None, Media()

    def recycle(self, path: Path) -> None:
        """There is no file to use again."""

    def bytes_held(self) -> int:
        """None."""
        return 0

    def close(self) -> None:
        """There is nothing to close."""
