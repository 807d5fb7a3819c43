"""What a person is told when something cannot be done."""

from __future__ import annotations


class UserError(Exception):
    """One clear line: what, why, and what to do next. The program prints it and exits with status 1."""
