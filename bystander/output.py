"""What is printed: text that a terminal cannot be tricked by, and JSON."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# C0, DEL and C1 (an 8-bit terminal takes 0x9b for ESC [), and the marks that turn the direction of the text
# around.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PLAIN_WIDTH = 120


def plain(text: object) -> str:
    """Return text from the wire fit for a terminal: a caller's name may hold escape sequences."""
    return _CONTROL.sub("�", str(text))


def one_line(text: object) -> str:
    """Return an error as one line, with no control characters."""
    return plain(" ".join(str(text).split()))


def json_text(value: Any) -> str:
    """Return a value as indented JSON, readable (not escaped) but without control characters."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json_text(value) + "\n")


def console() -> Console:
    """Return where people read: coloured and as wide as the terminal, or plain and PLAIN_WIDTH wide."""
    from rich.console import Console

    width = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    return Console(width=width, highlight=False, emoji=False, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Tell on stderr what went wrong, in one line."""
    sys.stderr.write(f"bystander: {one_line(text)}\n")


def paragraph(screen: Console, text: str, first: str = "", then: str = "") -> str:
    """Return running text as it is printed: on a terminal broken between words, elsewhere as it is.

    ``first`` stands before the first line and ``then`` before the others.
    """
    if not screen.is_terminal:
        return first + text
    return textwrap.fill(
        text,
        max(screen.width, 40),
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


@contextmanager
def progress(
    what: str, *, hidden: bool, of_bytes: bool = False
) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, cleared when done; nothing elsewhere."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
