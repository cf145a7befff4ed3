"""Parts of messages: counts, tables, command lines."""

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

WIDTH = 100
"""Columns of texts of several lines."""


def command_line(words: Sequence[str]) -> str:
    """Command to type again, from words such as ``sys.argv``."""
    program = Path(words[0]).name
    return " ".join(["python -m moopim" if program == "__main__.py" else program, *map(shlex.quote, words[1:])])


def resume_command(directory: Path, *options: str) -> str:
    """Command that resumes the run of a directory, in quotes."""
    return repr(command_line(["moopim", "resume", str(directory), *options]))


def count(number: int, noun: str) -> str:
    """Number with its noun, such as ``1 evaluation`` or ``2,000 evaluations``."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def rounded(number: int) -> str:
    """A large number in words: with separators, or from 1e12 on such as ``about 1e37``."""
    return f"{number:,}" if number < 10**12 else f"about 1e{math.log10(number):.0f}"


def plural(noun: str) -> str:
    """Plural of a noun, such as ``accuracies``."""
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def table_lines(rows: Sequence[Sequence[str]], left: int | None = None) -> list[str]:
    """Lines of a table with columns of even width, from rows of cells; those from column `left` on are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust if left is None or i < left else str.rjust for i in range(len(widths))]
    return [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in rows
    ]
