"""The command `bystander`, and the one place where errors become a line and an exit status.

Nothing heavy is imported here or in `commands_*`: `bystander --help` and a wrong option answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bystander import __version__
from bystander.commands import Commands, ReaderGone
from bystander.errors import UserError
from bystander.lang import prefer, refusal, t, told
from bystander.output import warn
from bystander.process import collect_rarely

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
    cls=Commands,
    help="A passive recorder of telephone calls: it watches a mirror port and never sits in the call path.",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    # Chosen before anything else is looked at: what is wrong with that is said in it.
    lang: Annotated[  # noqa: ARG001
        str | None,
        typer.Option(
            "--lang", metavar="en|pl", callback=prefer, is_eager=True, help="The language; else the locale's."
        ),
    ] = None,
) -> None:
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
    collect_rarely()
    try:
        code = app(None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ReaderGone:
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
        said = error.format_message().rstrip(".").replace("Value error, ", "")
        what_next = t("see `{command} --help`", command=command)
        warn(f"{told(said)}; {what_next}")
        return USAGE
    if type(error).__name__ == "Refused":
        warn(refusal(getattr(error, "code", ""), str(error)))
    elif isinstance(error, UserError) or type(error).__name__ in _PROBLEMS:
        warn(told(str(error)))
    elif isinstance(error, OSError):
        warn(told(_about_file(error)))
    else:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        warn(told(f"internal error: {what}; please report it with what BYSTANDER_DEBUG=1 shows"))
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
