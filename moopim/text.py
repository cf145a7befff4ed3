"""Tables of words as lines of text."""

from collections.abc import Sequence

__all__ = ["table_lines"]


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lays out a table with columns of even width.

    Args:
        rows: Its cells, row by row; the rows have as many.

    Returns:
        One line per row, without blanks at its end.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
