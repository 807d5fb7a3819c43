"""The lines in which the rooms tell people what is wrong, as they stand in the code: ``{}`` for what is
filled in, and without what they are of.
"""

from __future__ import annotations

import ast
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bystander.lang import told
from bystander.polish import TEXTS

ROOT = Path(__file__).parents[1]
ROOMS: Final = ("bystander", "custody", "retention", "storage", "sniffer", "codecs")
#: What is raised for a person to read.
PROBLEMS: Final = frozenset(
    {"UserError", "CustodyProblem", "JournalProblem", "PrintProblem", "ErasureProblem", "HeldProblem"}
    | {"SealProblem", "IndexProblem", "KeyringProblem", "ScrubProblem", "SigningProblem", "CaptureError"}
    | {"BadParameter"}
)
#: Modules that raise other errors whose words come into a line.
WORDS: Final = ("bystander/config.py", "bystander/config_digits.py", "bystander/config_hep.py",
                "bystander/config_vault.py", "bystander/section.py", "codecs/announcement.py",
                "custody/export.py", "sniffer/direction.py")  # fmt: skip
#: Functions that return lines, or add them to a list.
FINDERS: Final = {
    "bystander/cli.py": {"_about_file"},
    "bystander/config.py": {"_fault"},
    "bystander/crosscheck.py": {"_why"},
    "bystander/inspect.py": {"_compared", "_label"},
    "bystander/player.py": {"_fate"},
    "bystander/status.py": {"health"},
    "custody/agreement.py": {"_persons", "_requests", "_disclosures", "_protocols", "_restricted"},
    "custody/export.py": {"verify_export"},
    "custody/journal.py": {"verify", "_faults"},
    "custody/verify.py": {
        *("verify", "_permissions", "_databases", "_unused", "_counterparts", "_copies", "_check", "_open"),
        *("_journal",),
    },
    "retention/clock.py": {"judge"},
    "retention/erasure.py": {"_alone", "_result"},
    "retention/holds.py": {"_listed"},
    "retention/reconcile.py": {"__str__"},
    "retention/removal.py": {"remove", "_remove"},
    "storage/agefile.py": {"_why"},
    "storage/keyring.py": {"faults"},
    "storage/reason.py": {"reason"},
    "storage/signing.py": {"load", "read_public"},
    "sniffer/bytestream.py": {"_plain", "_unpacked"},
    "sniffer/capturefile.py": {"next_batch", "_note_end", "_cannot_open", "_parser", "_pass_over"},
    "sniffer/pcap.py": {"parse"},
    "sniffer/pcapng.py": {"_begin_section", "_describe_interfaces", "_stopped_at"},
    "sniffer/ring.py": {"_no_such_interface"},
}


def templates(node: ast.AST | None) -> list[str]:
    """Return the lines that an expression may make."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value.replace("{", "{{").replace("}", "}}")]
    if isinstance(node, ast.JoinedStr):
        parts = [templates(part)[0] if isinstance(part, ast.Constant) else "{}" for part in node.values]
        return ["".join(parts)]
    if isinstance(node, ast.IfExp):
        return templates(node.body) + templates(node.orelse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [left + right for left in templates(node.left) for right in templates(node.right)]
    return []


def raised(tree: ast.Module, names: frozenset[str]) -> Iterator[ast.AST]:
    """Yield what the errors of some names are made of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            of = node.exc.func
            if (of.id if isinstance(of, ast.Name) else getattr(of, "attr", "")) in names:
                yield from node.exc.args


def found(tree: ast.Module, functions: set[str]) -> Iterator[ast.AST | None]:
    """Yield what some functions return, yield, assign, or add to a list."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name not in functions:
            continue
        for node in ast.walk(function):
            match node:
                case ast.Return() | ast.Yield() | ast.Assign():
                    yield node.value
                case ast.Call(func=ast.Attribute(attr="add" | "append" | "_note" | "_end"), args=[*_, last]):
                    yield last
                case ast.Call(func=ast.Name()) | ast.Tuple() | ast.List():
                    yield from node.args if isinstance(node, ast.Call) else node.elts
                case ast.ListComp() | ast.GeneratorExp():
                    yield node.elt
                case ast.Dict():
                    yield from node.values
                case ast.AugAssign():
                    yield node.value


def lines() -> dict[str, str]:
    """Return every line, and the module that has it."""
    every: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).glob("*.py")):
            module = f"{room}/{path.name}"
            tree = ast.parse(path.read_text())
            names = PROBLEMS | ({"ValueError", "OSError"} if module in WORDS else set())
            made = [line for node in raised(tree, names) for line in templates(node)]
            made += [line for node in found(tree, FINDERS.get(module, set())) for line in templates(node)]
            for line in made:
                while line.startswith("{}: "):
                    line = line.removeprefix("{}: ")
                # One word is a name, and none is another line.
                if " " in line.strip(" ;,.{}") and not line.startswith(("SELECT ", "PRAGMA ")):
                    every[line] = module
    return every


def texts_in(node: ast.AST) -> set[str]:
    """The texts that stand in an expression, but not the pieces of an f-string, nor keys."""
    others = [made for made in ast.walk(node) if isinstance(made, ast.JoinedStr)]
    others += [made.slice for made in ast.walk(node) if isinstance(made, ast.Subscript)]  # type: ignore[misc]
    within = {id(one) for made in others for one in ast.walk(made)}
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in within
    }


def given(*rooms: str) -> set[str]:
    """What is handed to ``t`` or ``said`` as it stands, or by a name that a module gives to texts."""
    found: set[str] = set()
    for path in (path for room in rooms for path in sorted((ROOT / room).glob("*.py"))):
        module = ast.parse(path.read_text())
        names: dict[str, set[str]] = {}
        for node in module.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names[node.targets[0].id] = values_of(node.value)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                names[node.target.id] = values_of(node.value)
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("t", "said") and node.args:
                by_name = [names[part.id] for part in ast.walk(node.args[0])
                           if isinstance(part, ast.Name) and part.id in names]  # fmt: skip
                found |= set().union(*by_name) if by_name else texts_in(node.args[0])
    return found


def values_of(node: ast.expr) -> set[str]:
    """The texts that a module gives a name to: those of a table are its values."""
    if isinstance(node, ast.Dict):
        return set().union(*(values_of(one) for one in node.values))
    return texts_in(node) if isinstance(node, ast.Constant | ast.Tuple | ast.List) else set()


#: The same in both languages, or a state that `status` knows by name.
NEUTRAL: Final = frozenset({"Bystander {}, TShark {}", "not running", "not recording"})


def filled(line: str) -> tuple[str, list[str]]:
    """Return a line with marks in place of what it names, and the marks."""
    fields = [name for _, name, _, _ in string.Formatter().parse(line) if name is not None]
    marks = [f"<{number}>" for number, _ in enumerate(fields)]
    return line.format(*marks), marks


def untold() -> list[str]:
    """Return what has no Polish, or one that leaves out what is filled in."""
    found = [f"bystander: {text!r} is not in polish_*.py" for text in sorted(given("bystander") - set(TEXTS))]
    for line, module in lines().items():
        english, marks = filled(line)
        polish = told(f"/of/this: {english}", "pl")
        if line not in NEUTRAL and (english.strip("; ") in polish or not all(one in polish for one in marks)):
            found.append(f"{module}: {line!r} is not in polish_*.py, or leaves something out")
    return found


if __name__ == "__main__":
    missing = untold()
    for line in missing:
        sys.stderr.write(line + "\n")
    sys.exit(1 if missing else 0)
