"""Keeps the table of rooms in docs/architecture.md true: each room imports only what it may."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "codecs": set(),
    "sniffer": {"codecs"},
    "storage": {"codecs"},
    "retention": {"storage"},
    "custody": {"storage", "retention"},
}
#: Cores are sans-I/O: these modules of the standard library have no business in them.
FORBIDDEN = {
    "codecs": {"asyncio", "socket", "threading", "sqlite3", "time"},
    "sniffer": {"aiosqlite", "asyncio", "socket", "sqlite3", "threading", "time", "typer", "rich"},
    "custody": {"typer", "rich"},
    "storage": {"typer", "rich", "socket"},
}
#: The one that is there to touch the system.
EXEMPT = {("sniffer/ring.py", "socket")}


def imported(tree: ast.Module, room: str) -> list[tuple[int, str]]:
    """Return ``(line, dotted name)`` of every import in a module, relative ones made absolute."""
    names: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level == 1:
                base = f"bystander.{room}.{base}".rstrip(".")
            elif node.level == 2:
                base = f"bystander.{base}".rstrip(".")
            names += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return names


def faults() -> list[str]:
    """Return one line per import that goes against the table."""
    found = []
    for room, allowed in MAY_IMPORT.items():
        for path in sorted((ROOT / room).rglob("*.py")):
            for line, name in imported(ast.parse(path.read_text(encoding="utf-8")), room):
                parts = name.split(".")
                where = f"{path.relative_to(ROOT)}:{line}"
                if parts[0] == "bystander":
                    target = parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "bystander"
                    if target != room and target not in allowed:
                        found.append(f"{where}: {room} may not import {name}")
                elif (str(path.relative_to(ROOT)), parts[0]) in EXEMPT:
                    continue
                elif parts[0] in FORBIDDEN.get(room, set()):
                    found.append(f"{where}: {room} may not import {name}")
    return found


if __name__ == "__main__":
    lines = faults()
    for line in lines:
        sys.stderr.write(line + "\n")
    sys.exit(1 if lines else 0)
