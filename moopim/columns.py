"""Strict reading of the columns of a frame: numbers, and truth values in any common spelling.

Frames come from runs, but also from files of other programs, where a truth value may be a word or a cell may be empty.
Any other cell is refused: taken for true, it would give a wrong result.
"""

from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

_TRUTH = {word: truth for truth, words in ((True, "true t yes 1"), (False, "false f no 0")) for word in words.split()}


def truth_column(frame: "pd.DataFrame", name: str) -> BoolArray:
    """Truth values of a column, shape ``(rows,)``.

    Cells may be booleans, the numbers 0 and 1, or the words true, false, t, f, yes, no, 1 and 0 in any case.

    Raises:
        ConfigError: The column is missing or there twice, or has another cell, such as an empty one; names column,
            value and row.
    """
    column = _column(frame, name)
    if column.dtype == np.bool_:
        return np.array(column.to_numpy(), dtype=np.bool_)
    values = column.astype(object).tolist()
    found = [_truth(value) for value in values]
    if None in found:
        raise _refused(name, values, found.index(None), "true or false (also t, f, yes, no, 1, 0)")
    return np.array(found, dtype=np.bool_)


def numeric_column(frame: "pd.DataFrame", name: str, *, missing: bool = True) -> FloatArray:
    """Numbers of a column, or words that spell them, shape ``(rows,)``; NaN where a cell is empty, if that is allowed.

    Raises:
        ConfigError: The column is missing or there twice, or has another cell; names column, value and row.
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
    """Truth value of a cell; None for another cell."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        return _TRUTH.get(value.strip().lower())
    return bool(value) if isinstance(value, Real) and value in (0, 1) else None


def _number(value: object) -> float | None:
    """Number of a cell, NaN for an empty one; None for another cell."""
    if _empty(value):
        return float("nan")
    if not isinstance(value, str | Real | Decimal):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
