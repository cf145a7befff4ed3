"""CSV tables: read whole and checked against a schema, written block by block."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moopim.constants import Bounds, check_bounds
from moopim.errors import ConfigError, MoopimError
from moopim.files import open_output, read_bounded

if TYPE_CHECKING:
    import pandas as pd

# Bounds of a table that is held as text by column: half a gigabyte of memory at most.
_BYTES = 2**26
_LINES = 4_000_000
_LINE = 2**22  # characters
_ROWS = 1_000_000
_CELLS = 5_000_000
_BLOCK = 2**13  # rows of a frame that are written at a time
_FIELD = 2**20  # characters: a design with thousands of layers is one field

Rows = list[dict[str, str]]
"""Rows of a file as text by column."""


@dataclass(frozen=True)
class Column:
    """Column of an input table: its name, which ends in the unit, and the conversion and check of a cell.

    `parse` raises ConfigError with the name of the column, the cell and the allowed values, as in `number_column`.
    """

    name: str
    parse: Callable[[str], Any] = str
    required: bool = True
    unique: bool = False


def number_column(name: str, bounds: Bounds) -> Column:
    """Column of numbers within bounds, which have their unit."""

    def parse(cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            raise ConfigError(f"{name} is {cell!r}; expected {bounds.words}") from None
        check_bounds(name, value, bounds)
        return value

    return Column(name, parse)


def whole_number_column(name: str, most: int, expected: str) -> Column:
    """Column of the whole numbers from 0 to a largest one."""

    def parse(cell: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", cell) or int(cell) > most:
            raise ConfigError(f"{name} {cell!r} is not allowed; expected {expected}, 0 .. {most}")
        return int(cell)

    return Column(name, parse)


def id_column(name: str = "id", *, required: bool = True) -> Column:
    """Column of names that must be there and differ."""

    def parse(cell: str) -> str:
        if not cell.strip():
            raise ConfigError(f"{name} is missing; expected a name of its own")
        return cell

    return Column(name, parse, required=required, unique=True)


@dataclass(frozen=True)
class Table:
    """Schema of an input table.

    `title` and `row` name the table and one of its rows in messages, and the column `key` tells rows apart there. Where
    `only` gives a column and a value, other rows are skipped. `convert` makes the result of a row out of its parsed
    cells and raises ConfigError where they do not fit each other.
    """

    title: str
    row: str
    columns: Sequence[Column]
    key: str = "id"
    only: tuple[str, str] | None = None
    convert: Callable[[dict[str, Any]], Any] = dict

    def read(self, path: Path, rows: Rows | None = None) -> list[Any]:
        """Results of all rows; see `iterate`."""
        return list(self.iterate(path, rows))

    def iterate(self, path: Path, rows: Rows | None = None) -> Iterator[Any]:
        """Parse the rows of a file, or those that `read_rows` gave of it, one by one.

        Raises:
            ConfigError: If the file cannot be read, has no rows, lacks a column, or a cell is not allowed.
        """
        if rows is None:
            needed = [column.name for column in self.columns if column.required]
            rows = read_rows(path, needed, self.title)[1]
        self._check_rows(path, rows)
        columns = [column for column in self.columns if column.name in rows[0]]
        self._check_unique(path, rows, [column for column in columns if column.unique])
        for number, row in self._selected(rows):
            try:
                result = self.convert({column.name: column.parse(row[column.name]) for column in columns})
            except MoopimError as error:
                raise ConfigError(f"{row_name(path, number, row, self.key)}: {error}") from None
            yield result

    def _selected(self, rows: Rows) -> Iterator[tuple[int, dict[str, str]]]:
        """Rows that are read, with their numbers from 1."""
        for number, row in enumerate(rows, start=1):
            if self.only is None or row[self.only[0]] == self.only[1]:
                yield number, row

    def _check_rows(self, path: Path, rows: Rows) -> None:
        if self.only is None:
            if not rows:
                raise ConfigError(f"{self.title} {str(path)!r} has no rows; expected {self.row}")
            return
        column, value = self.only
        found = dict.fromkeys(row[column] for row in rows)
        if value not in found:
            got = ", ".join(map(repr, found)) or "no rows"
            raise ConfigError(f"{self.title} {str(path)!r} have no row of {column} {value!r}; got {got}")

    def _check_unique(self, path: Path, rows: Rows, columns: Sequence[Column]) -> None:
        """Raise ConfigError if a cell of unique columns is not allowed or there twice, before others are parsed."""
        for column in columns:
            first: dict[str, int] = {}
            for number, row in self._selected(rows):
                try:
                    column.parse(row[column.name])
                    if (earlier := first.setdefault(row[column.name], number)) != number:
                        raise ConfigError(f"{column.name} is that of row {earlier}; expected another")
                except ConfigError as error:
                    raise ConfigError(f"{row_name(path, number, row, self.key)}: {error}") from None


def read_rows(path: Path, needed: Sequence[str] = (), title: str = "designs") -> tuple[list[str], Rows]:
    """Header and rows of a CSV file as text; a short row has empty cells at its end.

    Raises:
        ConfigError: If the file cannot be read, is empty, larger than 64 MiB or not CSV, has more than 1,000,000 rows
            or 5,000,000 cells, lacks a needed column or has one twice, or has a row that is longer than its header.
    """
    try:
        content = read_bounded(path, _BYTES)
    except OSError as error:
        raise ConfigError(f"{title} {str(path)!r} cannot be read: {error.strerror}") from None
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise ConfigError(f"{title} {str(path)!r} is empty; expected a header and rows")
    columns, rows = _parse_csv(content, f"{title} {str(path)!r}")
    for column in needed:
        if columns.count(column) != 1:
            count = "no column" if column not in columns else "more than one column"
            raise ConfigError(f"{title} {str(path)!r} has {count} {column!r}; expected {', '.join(needed)}")
    for number, row in enumerate(rows, start=1):
        if None in row:
            where = row_name(path, number, row, next(iter(needed), "id"))
            raise ConfigError(f"{where}: more fields than columns; expected {len(columns)}")
    return columns, rows


def _parse_csv(content: bytes, name: str) -> tuple[list[str], Rows]:
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    reader = csv.DictReader(_bounded_lines(text, name), strict=True, restval="")
    limit = csv.field_size_limit(_FIELD)
    rows: Rows = []
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


def _bounded_lines(text: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(text, start=1):
        if number > _LINES or len(line) > _LINE:
            raise ConfigError(f"{name} has more than {_LINES:,} lines or one of more than {_LINE:,} characters")
        yield line


def row_name(path: Path, number: int, row: Mapping[str, str], key: str) -> str:
    """Name of a row in messages, such as ``row 3 (id '17') of 'designs.csv'``; numbers start at 1."""
    name = f" ({key} {row[key]!r})" if key in row else ""
    return f"row {number}{name} of {str(path)!r}"


def write_table(path: Path, columns: Sequence[str], blocks: Iterable[Sequence[Sequence[Any] | NDArray[Any]]]) -> None:
    """Write a CSV file block by block: floats with all digits, an empty cell for NaN.

    A block of rows is one sequence or array per column. Raises ConfigError if the file cannot be written.
    """
    write_rows(path, columns, (row for block in blocks for row in zip(*map(_cells, block), strict=True)))


def write_frame(path: Path, frame: "pd.DataFrame") -> None:
    """Write a frame as a CSV file; see `write_table`."""
    columns = [frame[name].to_numpy() for name in frame.columns]
    starts = range(0, len(frame), _BLOCK)
    write_table(path, list(frame.columns), ([column[i : i + _BLOCK] for column in columns] for i in starts))


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


def _cells(values: Sequence[Any] | NDArray[Any]) -> list[str]:
    """Cells of a column, which read back to the same values."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and len(values):
        least, most = int(values.min()), int(values.max())
        if most - least < len(values):  # the text of each number once
            texts = [str(value) for value in range(least, most + 1)]
            return [texts[i] for i in (values - values.min()).tolist()]
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    return ["" if value != value else str(value) for value in plain]  # noqa: PLR0124 (NaN)
