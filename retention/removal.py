"""Removing the files of recordings: those that the index names, and whatever else bears their names."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bystander.storage.wholefile import sync_folder


class ErasureProblem(Exception):  # noqa: N818  (what a person is told)
    """Something could not be erased; what is under way is finished at the next sweep. One clear line.

    ``done`` is how many recordings were erased all the same.
    """

    def __init__(self, line: str, done: int = 0) -> None:
        super().__init__(line)
        self.done = done


def remove_files(root: Path, files: Mapping[str, Sequence[str]]) -> None:
    """Remove the files of recordings, by id with paths relative to ``root``, and empty folders behind them.

    Looks also where a recording's files would be if no row named them: a crash may have left some. On return
    the removal is on disk. Raises ErasureProblem if files resist; the others are removed then.
    """
    problems: list[str] = []
    named = {root / path for paths in files.values() for path in paths}
    folders = {path.parent for path in named} | {folder for name in files for folder in _days(root, name)}
    for path in sorted(named):
        _remove(path, problems)
    for folder in sorted(folders):
        try:
            for path in _of(folder, files):
                _remove(path, problems)
            sync_folder(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{folder}: cannot be emptied: {error.strerror}")
        _remove_empty(folder, root)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ErasureProblem(f"{problems[0]}{more}; put that right, the next sweep goes on with it")


def recording_of(file: str) -> str:
    """Return the recording that a file belongs to by its name: ID.wav.age, ID.pcap.age.part."""
    return file.lstrip(".").partition(".")[0]


def _of(folder: Path, recordings: Collection[str]) -> Iterable[Path]:
    """Return what is in a folder of some recordings; read once, there may be thousands."""
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if recording_of(entry.name) in recordings]


def _days(root: Path, recording: str) -> Iterable[Path]:
    """Return the folders where a recording may lie: its id counts days in UTC, folders as the office does."""
    try:
        day = datetime.strptime(recording[:8], "%Y%m%d")  # noqa: DTZ007 - a day, not a moment
        return [root / f"{day + timedelta(days=more):%Y/%m/%d}" for more in (-1, 0, 1)]
    except (ValueError, OverflowError):
        return []


def _remove(path: Path, problems: list[str]) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - one system call a file, and there are thousands
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        problems.append(f"{path}: cannot be removed: {error.strerror}")


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a day's folder, and the month's and the year's, where nothing is left in them."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
