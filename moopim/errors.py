"""Exceptions of moopim.

Every deliberate error derives from `MoopimError` and from the built-in exception that a caller would expect, so that
both ``except MoopimError`` and ``except ValueError`` work. The command line turns each into one line on standard error
and exit code 2.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

_LONGEST = 4000  # characters of a message, which may quote a file
_SHOWN = 80  # characters of a wrong value


class MoopimError(Exception):
    """Base class of all deliberate errors of moopim; the message is one line of bounded length."""

    def __str__(self) -> str:
        line = " ".join(super().__str__().splitlines())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


class ConfigError(MoopimError, ValueError):
    """Input that is not allowed: an unknown name, a value out of its set, an unusable file."""


class EvaluationError(MoopimError, ValueError):
    """Unusable result of a problem: a wrong shape, a missing name, a NaN objective."""


class LogError(MoopimError, RuntimeError):
    """Evaluation log or run directory that is damaged or belongs to another problem or run."""


class CommandInterruptedError(Exception):
    """Interruption of a command by Ctrl-C; the text names the kept files and the command that resumes."""


@contextmanager
def interruptible(way_on: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C in a block into `CommandInterruptedError` with the text that `way_on` gives after the interrupt."""
    try:
        yield
    except KeyboardInterrupt:
        raise CommandInterruptedError(way_on()) from None


def shown(value: object) -> str:
    """Representation of a value in one line, cut where it is long."""
    words = repr(value)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def unknown_name(kind: str, name: object, allowed: Iterable[str]) -> ConfigError:
    """Error for a name that is not among the allowed ones, with the nearest of them as a hint.

    `kind` is the kind of name, such as ``workload``.
    """
    names = list(allowed)
    close = get_close_matches(str(name).lower(), [item.lower() for item in names], n=1)
    hint = f" (did you mean {next(item for item in names if item.lower() == close[0])!r}?)" if close else ""
    return ConfigError(f"unknown {kind} {str(name)!r}{hint}; allowed: {', '.join(names) or 'none'}")
