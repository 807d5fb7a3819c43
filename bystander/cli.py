"""The command `bystander`: its commands, and the one place where errors become a line and an exit status.

Nothing heavy is imported here or in `commands_*`: `bystander --help` and a wrong option answer at once.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from bystander import __version__
from bystander.commands_calls import calls, inspect, show, status
from bystander.commands_disclose import (
    disclose,
    disclose_decide,
    disclose_export,
    disclose_list,
    disclose_print,
    disclose_request,
    verify_export,
)
from bystander.commands_doctor import doctor
from bystander.commands_hold import hold, hold_add, hold_list, hold_release
from bystander.commands_listen import (
    listen,
    protocol,
    protocol_fill,
    protocol_list,
    protocol_print,
    protocol_show,
)
from bystander.commands_persons import (
    persons,
    persons_add,
    persons_list,
    persons_renew,
    persons_revoke,
    persons_rotate,
)
from bystander.commands_record import extract, run
from bystander.commands_retention import (
    erase,
    retention,
    retention_confirm_clock,
    retention_plan,
    retention_reconcile,
    retention_sweep,
)
from bystander.commands_rights import (
    rights,
    rights_clause,
    rights_copy,
    rights_erase,
    rights_find,
    rights_object,
    rights_restrict,
    rights_unrestrict,
)
from bystander.commands_supervise import supervise
from bystander.commands_vault import init
from bystander.commands_verify import journal, journal_export, journal_show, journal_verify, verify
from bystander.errors import UserError
from bystander.lang import Lang, prefer, refusal, use
from bystander.output import warn

# Whatever else is installed beside us has no business with the configuration; looking for it takes time, too.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
#: What the rooms raise for a person to read, by name: importing the classes would import the rooms.
_PROBLEMS = frozenset(
    {"CaptureError", "IndexProblem", "KeyringProblem", "JournalProblem", "SealProblem", "SigningProblem"}
    | {"HeldProblem", "ErasureProblem", "ScrubProblem", "CustodyProblem", "Refused", "PrintProblem"}
)

app = typer.Typer(
    name="bystander",
    help="A passive recorder of telephone calls: it watches a mirror port and never sits in the call path.",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _ReaderGone(Exception):  # noqa: N818  (nothing has failed)
    """Whoever read our output has had enough of it."""


def _guarded(command: Callable[..., int]) -> Callable[..., int]:
    """Keep a closed pipe from the framework, which would make it a failure; and take `--lang`."""
    known = signature(command, eval_str=True)
    has_lang = "lang" in known.parameters

    @functools.wraps(command)
    def guarded(*arguments: Any, **options: Any) -> int:
        if not has_lang:
            use(options.pop("lang"))
        try:
            code = command(*arguments, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _ReaderGone from None
        return code

    if not has_lang:
        lang = Parameter("lang", Parameter.KEYWORD_ONLY, default=None, annotation=Lang)
        with_lang = known.replace(parameters=[*known.parameters.values(), lang])
        guarded.__signature__ = with_lang  # type: ignore[attr-defined]
        guarded.__annotations__ = command.__annotations__ | {"lang": Lang}
    return guarded


for _command in (extract, init, run, calls, show, inspect, status, listen, erase, verify, supervise, doctor):
    app.command()(_guarded(_command))
app.command("verify-export")(_guarded(verify_export))
app.command("export")(_guarded(disclose_export))
_GROUPS: tuple[tuple[typer.Typer, dict[str, Callable[..., int]]], ...] = (
    (journal, {"show": journal_show, "verify": journal_verify, "export": journal_export}),
    (
        persons,
        {
            "add": persons_add,
            "list": persons_list,
            "revoke": persons_revoke,
            "renew": persons_renew,
            "rotate": persons_rotate,
        },
    ),
    (
        protocol,
        {"list": protocol_list, "show": protocol_show, "fill": protocol_fill, "print": protocol_print},
    ),
    (
        disclose,
        {
            "request": disclose_request,
            "decide": disclose_decide,
            "export": disclose_export,
            "print": disclose_print,
            "list": disclose_list,
        },
    ),
    (
        rights,
        {
            "find": rights_find,
            "copy": rights_copy,
            "restrict": rights_restrict,
            "unrestrict": rights_unrestrict,
            "erase": rights_erase,
            "object": rights_object,
            "clause": rights_clause,
        },
    ),
    (hold, {"add": hold_add, "release": hold_release, "list": hold_list}),
    (
        retention,
        {
            "plan": retention_plan,
            "sweep": retention_sweep,
            "confirm-clock": retention_confirm_clock,
            "reconcile": retention_reconcile,
        },
    ),
)
for _group, _commands in _GROUPS:
    for _name, _act in _commands.items():
        _group.command(_name)(_guarded(_act))
    app.add_typer(_group, no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bystander {__version__}")
        raise typer.Exit(DONE)


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  (its callback does the work)
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    lang: Lang = None,
) -> None:
    prefer(lang)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status; whatever fails becomes one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A name that the terminal's character set has no letter for is no reason to fail.
            stream.reconfigure(errors="replace")
    prefer(None)
    try:
        code = app(None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except _ReaderGone:
        return _reader_gone()
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  (no traceback ever reaches a person)
        return _failure(error)
    return code if isinstance(code, int) else DONE


def _failure(error: Exception) -> int:
    if os.environ.get("BYSTANDER_DEBUG"):
        raise error
    if getattr(error, "exit_code", None) == USAGE and hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "bystander"
        warn(f"{error.format_message().rstrip('.')}; see `{command} --help`")
        return USAGE
    if type(error).__name__ == "Refused":
        warn(refusal(getattr(error, "code", ""), str(error)))
    elif isinstance(error, UserError) or type(error).__name__ in _PROBLEMS:
        warn(str(error))
    elif isinstance(error, OSError):
        warn(_about_file(error))
    else:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        warn(f"internal error: {what}; please report it with what BYSTANDER_DEBUG=1 shows")
    return FAILED


def _about_file(error: OSError) -> str:
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    why = error.strerror or str(error) or type(error).__name__
    what_next = {
        errno.ENOSPC: "; make room on that disk",
        errno.EDQUOT: "; make room within the quota",
        errno.EACCES: "; use an account that may",
        errno.EPERM: "; use an account that may",
    }.get(error.errno or 0, "")
    return f"{names}: {why}{what_next}" if names else f"{why}{what_next}"


def _reader_gone() -> int:
    # The reader had enough (`| head`), which is no failure; the interpreter must not stumble over it at its
    # exit.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return DONE
