"""CSV files as rows of words: read whole, checked as a table, written so that an old file or a new one is there."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from moopim.errors import ConfigError
from moopim.files import open_output, read_bounded

# Bounds of a table that is held as words by column: half a gigabyte of memory at most.
_BYTES = 2**26
_LINES = 4_000_000
_LINE = 2**22  # characters
_ROWS = 1_000_000
_CELLS = 5_000_000
_FIELD = 2**20  # characters: a design with thousands of layers is one field


def read_rows(path: Path, needed: Sequence[str] = (), what: str = "designs") -> tuple[list[str], list[dict[str, str]]]:
    """Reads a CSV file with a header.

    Args:
        path: The file.
        needed: Columns that it must have.
        what: What it holds, for messages.

    Returns:
        The columns, and each row as words by column; a short row has empty words at its end.

    Raises:
        ConfigError: If the file cannot be read, is empty, larger than 64 MiB or not CSV, has more than 1,000,000 rows
            or 5,000,000 cells, lacks a column or has one twice, or has a row that is longer than its header.
    """
    try:
        content = read_bounded(path, _BYTES)
    except OSError as error:
        raise ConfigError(f"{what} {str(path)!r} cannot be read: {error.strerror}") from None
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise ConfigError(f"{what} {str(path)!r} is empty; expected a header and rows")
    columns, rows = _table(content, f"{what} {str(path)!r}")
    for column in needed:
        if columns.count(column) != 1:
            count = "no column" if column not in columns else "more than one column"
            raise ConfigError(f"{what} {str(path)!r} has {count} {column!r}; expected {', '.join(needed)}")
    for number, row in enumerate(rows, start=1):
        if None in row:
            where = row_name(path, number, row, next(iter(needed), "id"))
            raise ConfigError(f"{where}: more fields than columns; expected {len(columns)}")
    return columns, rows


def _table(content: bytes, name: str) -> tuple[list[str], list[dict[str, str]]]:
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    reader = csv.DictReader(_lines(text, name), strict=True, restval="")
    limit = csv.field_size_limit(_FIELD)
    rows: list[dict[str, str]] = []
    try:
        columns = list(reader.fieldnames or ())
        most = min(_ROWS, _CELLS // max(1, len(columns)))
        for row in reader:
            if len(rows) == most:
                raise ConfigError(f"{name} has more than {most:,} rows of {len(columns)} columns; expected fewer")
            rows.append(row)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} cannot be read: {error}") from None
    except csv.Error as error:
        raise ConfigError(f"{name} is not CSV (after line {reader.line_num}): {error}") from None
    finally:
        csv.field_size_limit(limit)
    return columns, rows


def _lines(text: Iterable[str], name: str) -> Iterator[str]:
    """The lines of a file, as long as they are no more and no longer than those of a table."""
    for number, line in enumerate(text, start=1):
        if number > _LINES or len(line) > _LINE:
            raise ConfigError(f"{name} has more than {_LINES:,} lines or one of more than {_LINE:,} characters")
        yield line


def row_name(path: Path, number: int, row: Mapping[str, str], column: str) -> str:
    """Names a row in messages.

    Args:
        path: The file.
        number: Its number, from 1.
        row: The row.
        column: The column that tells rows apart for the user, if the file has it.

    Returns:
        Such as ``row 3 (id '17') of 'designs.csv'``.
    """
    name = f" ({column} {row[column]!r})" if column in row else ""
    return f"row {number}{name} of {str(path)!r}"


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file row by row; it gets its name when it is complete. Raises ConfigError if it cannot be written."""
    with open_output(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        finally:
            text.detach()  # else it would close the file, which belongs to the block
