"""Entry point of the command ``moopim``; turns deliberate errors into one line."""

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import typer

from moopim.cli.commands import app
from moopim.cli.groups import ProblemGroup
from moopim.errors import CommandInterruptedError, MoopimError, unknown_name
from moopim.messages import command_line

# Exit code of typer after Ctrl-C.
_INTERRUPTED = 130
# Message of typer for a word that an option does not allow.
_CHOICES = re.compile("Value error, .* is not one of (.*)\\.", re.DOTALL)
# Packages of the extra `network` that every command of networks needs.
_NETWORK = ("torch", "safetensors")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: every deliberate error becomes one line on standard error and exit code 2."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    with warnings.catch_warnings():
        # Of all warnings, before options are read: the file of a problem is imported to know its options.
        warnings.showwarning = _warner(quiet="--quiet" in words)
        _run(words)


def _run(words: Sequence[str]) -> None:
    try:
        code = app(args=words, prog_name="moopim", standalone_mode=False)
    except CommandInterruptedError as way_on:
        _fail(f"interrupted; {way_on}", _INTERRUPTED)
    except typer.TyperException as error:
        _fail(_explain(error), 2)
    except (MoopimError, OSError) as error:
        _fail(str(error), 2)
    except ModuleNotFoundError as error:
        if error.name not in _NETWORK:
            raise
        _fail(f"this command needs {error.name}; install moopim[network]", 2)
    if code == _INTERRUPTED:
        _fail(f"interrupted; to begin anew: {command_line(['moopim', *words])}", code)
    sys.exit(code if isinstance(code, int) else 0)


def _warner(*, quiet: bool) -> Callable[..., None]:
    """Function that shows a warning in one line, once; or never."""
    shown = set()

    def show(message: Warning | str, *_: object) -> None:
        text = " ".join(str(message).split())
        if not quiet and text not in shown:
            shown.add(text)
            typer.echo(f"warning: {text}", err=True)

    return show


def _explain(error: typer.TyperException) -> str:
    """Message of a wrong option with the value that was given, which typer leaves out."""
    from pydantic import ValidationError  # a good part of the start, and needed here only

    from moopim.experiment.plugins import RENAMED_OPTIONS

    message = error.format_message()
    old = getattr(error, "option_name", "").removeprefix("--")
    new = f"--{RENAMED_OPTIONS.get(old)}"
    context: Any = getattr(error, "ctx", None)
    if context is not None and any(new in option.opts for option in context.command.params):
        return f"option --{old} is now called {new}"
    if hasattr(error, "option_name") and isinstance(getattr(error, "cmd", None), ProblemGroup):
        return f"{message}; options stand behind the problem"
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return message
    detail = cause.errors()[0]
    if choices := _CHOICES.fullmatch(detail["msg"]):
        option = error.param.opts[0]  # type: ignore[attr-defined]
        return str(unknown_name(option, detail["input"], re.findall("'([^']*)'", choices[1])))
    return f"{message} (got {detail['input']!r})"


def _fail(message: str, code: int) -> None:
    # An empty message comes from a bare group, which has shown its help already.
    if message:
        typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
