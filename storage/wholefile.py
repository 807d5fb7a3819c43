"""Files that are there whole or not at all, whatever ends the program or the disk meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path, *, durable: bool = False) -> Iterator[int]:
    """Yield the descriptor of a new file, private to the account, that gets its name when it is finished.

    It replaces one of that name; until then it is called like it, with ``.part`` behind. ``durable`` waits
    until the disk has it. Whatever is raised meanwhile leaves no file, and what was there as it was.
    """
    unfinished = target.with_name(target.name + ".part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            yield descriptor
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(target.parent)


def write_file(target: Path, parts: Iterable[bytes | memoryview], *, durable: bool = False) -> None:
    """Write a file whole or not at all, and its folders; see :func:`whole_file`. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, durable=durable) as descriptor:
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
