"""Errors that reach a person."""

from __future__ import annotations


class CaptureError(Exception):
    """A capture source cannot be used. The message is one line: what, why, and where it helps, what next."""
