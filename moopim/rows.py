"""CSV files as rows of words: read whole, checked as a table, written so that an old file or a new one is there."""

import codecs
import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from moopim.errors import ConfigError
from moopim.files import open_atomically, own_stream, read_bounded

__all__ = ["check_files", "check_output", "open_output", "put_rows", "read_rows", "row_name", "write_rows"]

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


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Opens a file as `moopim.files.open_atomically` does.

    Args:
        path: The file.

    Yields:
        The file, open for writing.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        with open_atomically(path) as file:
            yield file
    except OSError as error:
        raise ConfigError(f"output {str(path)!r} cannot be written: {error.strerror}") from None


def put_rows(file: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes CSV into an open file, row by row.

    Args:
        file: The file.
        columns: Its header.
        rows: Its rows.

    Raises:
        OSError: If the file cannot be written.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    finally:
        text.detach()  # else it would close the file, which belongs to the caller


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a CSV file.

    Args:
        path: The file.
        columns: Its header.
        rows: Its rows.

    Raises:
        ConfigError: If the file cannot be written.
    """
    with open_output(path) as file:
        put_rows(file, columns, rows)


def check_files(read: Sequence[Path], written: Sequence[Path], *, force: bool) -> None:
    """Raise ConfigError if an output cannot be written or would overwrite an input, another output or a file.

    Devices, pipes and what the process has open, such as ``/dev/stdout``, may be written.

    Args:
        read: Files that are read.
        written: Files that are to be written.
        force: Whether files that are there may be replaced, unless they are inputs; option ``--force``.

    Raises:
        ConfigError: If there is one; names it.
    """
    for path in written:
        check_output(path)
    taken = {os.path.realpath(path) for path in read}  # of links in a circle, too
    for path in written:
        if os.path.realpath(path) in taken:
            raise ConfigError(f"file {str(path)!r} is given twice; expected different files")
        taken.add(os.path.realpath(path))
    for path in written:
        if not force and path.is_file() and own_stream(path) is None:
            raise ConfigError(f"output {str(path)!r} exists; expected a new file, or --force to replace it")


def check_output(path: Path) -> None:
    """Checks, before long work, that a file can be written where it is to go.

    Args:
        path: The file.

    Raises:
        ConfigError: If it is a folder or not writable, or its folder does not exist or is not writable.
    """
    problem = "" if own_stream(path) is not None else _obstacle(path)
    if problem:
        raise ConfigError(f"output {str(path)!r} cannot be written: {problem}")


def _obstacle(path: Path) -> str:
    """Why a file cannot be written; nothing if it can."""
    if path.is_dir():
        return "is a folder"
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:  # such as links in a circle
        return str(error.strerror)
    else:
        if not os.access(path, os.W_OK):
            return "is not writable"
        if not path.is_file():
            return ""  # a device or a pipe, which needs no folder
    folder = path.resolve().parent
    if not folder.is_dir():
        return f"folder {str(path.parent)!r} does not exist"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"folder {str(path.parent)!r} is not writable"
