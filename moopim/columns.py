"""Strict reading of the columns of a frame: numbers, and truth values however a file spells them.

Frames come from runs, but also from files of other programs, where a truth value may be a word or a cell may be empty.
Whatever is not plainly what a column should hold is refused: taken for true, it would be a wrong result.
"""

from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["numbers", "truth_values"]

_TRUTH = {word: truth for truth, words in ((True, "true t yes 1"), (False, "false f no 0")) for word in words.split()}


def truth_values(frame: "pd.DataFrame", name: str) -> BoolArray:
    """Reads a column of truth values.

    Args:
        frame: The frame.
        name: The column: booleans, the numbers 0 and 1, or the words true, false, t, f, yes, no, 1 and 0 in any case.

    Returns:
        The values, shape ``(rows,)``.

    Raises:
        ConfigError: The column is missing or there twice, or it holds anything else, such as an empty cell; names the
            column, the value and the row.
    """
    column = _column(frame, name)
    if column.dtype == np.bool_:
        return np.array(column.to_numpy(), dtype=np.bool_)
    values = column.astype(object).tolist()
    found = [_truth(value) for value in values]
    if None in found:
        raise _refused(name, values, found.index(None), "true or false (also t, f, yes, no, 1, 0)")
    return np.array(found, dtype=np.bool_)


def numbers(frame: "pd.DataFrame", name: str, *, missing: bool = True) -> FloatArray:
    """Reads a column of numbers.

    Args:
        frame: The frame.
        name: The column: numbers, or words that spell them.
        missing: Whether cells may be empty.

    Returns:
        The values, NaN where a cell is empty, shape ``(rows,)``.

    Raises:
        ConfigError: The column is missing or there twice, or it holds anything else; names the column, the value and
            the row.
    """
    column = _column(frame, name)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        found = column.to_numpy(dtype=np.float64)
    else:
        parsed = [_number(value) for value in column.astype(object)]
        if None in parsed:
            raise _refused(name, column.astype(object).tolist(), parsed.index(None), "a number")
        found = np.array(parsed, dtype=np.float64)
    if not missing and np.isnan(found).any():
        raise _refused(name, column.astype(object).tolist(), int(np.isnan(found).argmax()), "a number")
    return found


def _column(frame: "pd.DataFrame", name: str) -> "pd.Series":
    count = frame.columns.tolist().count(name)
    if not count:
        raise unknown_name("column", name, map(str, frame.columns))
    if count > 1:
        raise ConfigError(f"the frame has {count} columns {name!r}; expected one")
    return frame[name]


def _refused(name: str, values: list[object], row: int, allowed: str) -> ConfigError:
    value = values[row]
    shown = "an empty cell" if _empty(value) else repr(value.item() if isinstance(value, np.generic) else value)
    return ConfigError(f"column {name!r} has {shown} in row {row + 1} of {len(values)}; expected {allowed}")


def _empty(value: object) -> bool:
    """Whether a cell is empty: None, NaN, pandas' NA or NaT, or blank text."""
    return value is None or str(value).strip() in ("", "nan", "<NA>", "NaT")


def _truth(value: object) -> bool | None:
    """Truth value of a cell; None if it is not one."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        return _TRUTH.get(value.strip().lower())
    return bool(value) if isinstance(value, Real) and value in (0, 1) else None


def _number(value: object) -> float | None:
    """The number of a cell, NaN where it is empty; None where it is something else."""
    if _empty(value):
        return float("nan")
    if not isinstance(value, str | Real | Decimal):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
