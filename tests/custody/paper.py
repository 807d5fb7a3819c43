"""What is on a PDF: its words, page by page, and its facts (poppler-utils)."""

from __future__ import annotations

import subprocess


def text(pdf: bytes, *options: str) -> str:
    """What is on the pages, with the spaces of typography as plain ones."""
    done = subprocess.run(
        ["pdftotext", *options, "-", "-"], input=pdf, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode().replace("\u00a0", " ").replace("\u200b", "")


def words(pdf: bytes) -> str:
    """The same as one line."""
    return " ".join(text(pdf).split())


def pages(pdf: bytes) -> list[str]:
    """The text of each page."""
    return text(pdf, "-layout").split("\f")[:-1]


def info(pdf: bytes) -> dict[str, str]:
    done = subprocess.run(["pdfinfo", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    lines = done.stdout.decode().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines}
