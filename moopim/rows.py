"""CSV files as rows of words: read whole, checked as a table, written so that an old file or a new one is there."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from moopim.errors import ConfigError
from moopim.files import write_atomically

__all__ = ["check_output", "read_rows", "row_name", "write_rows"]


def read_rows(path: Path, needed: Sequence[str] = ()) -> tuple[list[str], list[dict[str, str]]]:
    """Reads a CSV file with a header.

    Args:
        path: The file.
        needed: Columns that it must have.

    Returns:
        The columns, and each row as words by column; a short row has empty words at its end.

    Raises:
        ConfigError: If the file cannot be read, is not CSV, lacks a column or has one twice, or has a row that is
            longer than its header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"designs {str(path)!r} cannot be read: {error}") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, restval="")
    limit = csv.field_size_limit(max(len(text), csv.field_size_limit()))  # a layer table is a long word
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ConfigError(f"designs {str(path)!r} is not CSV (after line {reader.line_num}): {error}") from None
    finally:
        csv.field_size_limit(limit)
    columns = list(reader.fieldnames or ())
    for column in needed:
        if columns.count(column) != 1:
            count = "no column" if column not in columns else "more than one column"
            raise ConfigError(f"designs {str(path)!r} has {count} {column!r}; expected {', '.join(needed)}")
    for number, row in enumerate(rows, start=1):
        if None in row:
            where = row_name(path, number, row, (*needed, *columns)[0])
            raise ConfigError(f"{where}: more fields than columns; expected {len(columns)}")
    return columns, rows


def row_name(path: Path, number: int, row: Mapping[str, str], column: str) -> str:
    """Names a row in messages.

    Args:
        path: The file.
        number: Its number, from 1.
        row: The row.
        column: The column that tells rows apart for the user.

    Returns:
        Such as ``row 3 (id '17') of 'designs.csv'``.
    """
    return f"row {number} ({column} {row[column]!r}) of {str(path)!r}"


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a CSV file.

    Args:
        path: The file.
        columns: Its header.
        rows: Its rows.

    Raises:
        ConfigError: If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    try:
        write_atomically(path, text.getvalue())
    except OSError as error:
        raise ConfigError(f"output {str(path)!r} cannot be written: {error.strerror}") from None


def check_output(path: Path) -> None:
    """Checks, before long work, that a file can be written where it is to go.

    Args:
        path: The file.

    Raises:
        ConfigError: If its folder does not exist or it is a folder itself.
    """
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else f"folder {str(path.parent)!r} does not exist"
        raise ConfigError(f"output {str(path)!r} cannot be written: {problem}")
