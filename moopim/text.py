"""Words as text: tables, numbers of things, command lines."""

import shlex
from collections.abc import Sequence
from pathlib import Path

__all__ = ["command_line", "count", "resuming", "table_lines"]


def command_line(words: Sequence[str]) -> str:
    """A command as it can be typed again.

    Args:
        words: The program, maybe with its path, and its arguments, such as ``sys.argv``.
    """
    program = Path(words[0]).name
    return " ".join(["python -m moopim" if program == "__main__.py" else program, *map(shlex.quote, words[1:])])


def resuming(directory: Path, *options: str) -> str:
    """The command that goes on with a run, in quotes.

    Args:
        directory: Its directory.
        options: Options of the command.
    """
    return repr(command_line(["moopim", "resume", str(directory), *options]))


def count(number: int, what: str) -> str:
    """A number of things in words, such as ``1 evaluation`` or ``2,000 evaluations``.

    Args:
        number: The number.
        what: One of the things.
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lays out a table with columns of even width.

    Args:
        rows: Its cells, row by row; the rows have as many.

    Returns:
        One line per row, without blanks at its end.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
