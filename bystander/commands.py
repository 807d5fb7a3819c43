"""Which commands there are, and where: each is loaded when it is called for, and the others are not.

To load and describe them all takes as long as reading 100,000 packets.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, MutableMapping
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from bystander.lang import Lang, use

#: Command -> "module:function", in the order of the help. Of a group: the module, where the group has its own
#: name, and its commands, each a function of the module called GROUP_COMMAND.
PLACES: Final[dict[str, str | tuple[str, tuple[str, ...]]]] = {
    "extract": "commands_record:extract",
    "init": "commands_vault:init",
    "run": "commands_record:run",
    "calls": "commands_calls:calls",
    "show": "commands_calls:show",
    "inspect": "commands_calls:inspect",
    "status": "commands_calls:status",
    "listen": "commands_listen:listen",
    "erase": "commands_retention:erase",
    "verify": "commands_verify:verify",
    "supervise": "commands_supervise:supervise",
    "doctor": "commands_doctor:doctor",
    "verify-export": "commands_disclose:verify_export",
    "export": "commands_disclose:disclose_export",
    "journal": ("commands_verify", ("show", "verify", "export")),
    "persons": ("commands_persons", ("add", "list", "revoke", "renew", "rotate")),
    "protocol": ("commands_listen", ("list", "show", "fill", "print")),
    "disclose": ("commands_disclose", ("request", "decide", "export", "print", "list")),
    "rights": (
        "commands_rights",
        ("find", "copy", "restrict", "unrestrict", "erase", "object", "clause"),
    ),
    "hold": ("commands_hold", ("add", "release", "list")),
    "retention": ("commands_retention", ("plan", "sweep", "confirm-clock", "reconcile")),
}


class ReaderGone(Exception):  # noqa: N818  (nothing has failed)
    """Whoever read our output has had enough of it."""


class Commands(TyperGroup):
    """The program as the framework sees it: a group whose commands are made when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _AsAsked()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  (the framework's)
        """Return the names of all commands, without making any of them."""
        return list(PLACES)


class _AsAsked(MutableMapping[str, Any]):
    """All commands by name."""

    def __getitem__(self, name: str) -> Any:
        return _made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)

    def __contains__(self, name: object) -> bool:
        return name in PLACES

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError("commands are added to PLACES")

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are removed from PLACES")


@functools.cache
def _made(name: str) -> Any:
    """Load a command, or a group with its commands, and make what the framework runs. Raises KeyError."""
    place = PLACES[name]
    alone = typer.Typer(rich_markup_mode=None)
    if isinstance(place, str):
        module, _, function = place.partition(":")
        alone.command(name)(guarded(getattr(import_module(f"bystander.{module}"), function)))
    else:
        its = import_module(f"bystander.{place[0]}")
        group: typer.Typer = getattr(its, name)
        for command in place[1]:
            group.command(command)(guarded(getattr(its, f"{name}_{command.replace('-', '_')}")))
        alone.add_typer(group, no_args_is_help=True)
    return get_group(alone).commands[name]


def guarded(command: Callable[..., int]) -> Callable[..., int]:
    """Keep a closed pipe from the framework, which would make it a failure; and take `--lang`."""
    known = signature(command, eval_str=True)
    has_lang = "lang" in known.parameters

    @functools.wraps(command)
    def act(*arguments: Any, **options: Any) -> int:
        if not has_lang:
            use(options.pop("lang"))
        try:
            code = command(*arguments, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return code

    if not has_lang:
        lang = Parameter("lang", Parameter.KEYWORD_ONLY, default=None, annotation=Lang)
        with_lang = known.replace(parameters=[*known.parameters.values(), lang])
        act.__signature__ = with_lang  # type: ignore[attr-defined]
        act.__annotations__ = command.__annotations__ | {"lang": Lang}
    return act
