"""Checks of the frames that pictures are made of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from moopim.columns import numbers, truth_values
from moopim.errors import ConfigError, unknown_name

__all__ = ["check_columns", "check_frame", "read_columns"]


def check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuses a frame that lacks a column.

    Args:
        frame: The frame.
        columns: The columns that are needed.

    Raises:
        ConfigError: If one is missing; names it and those that there are.
    """
    for column in columns:
        if column not in frame.columns:
            raise unknown_name("column", column, map(str, frame.columns))


def check_frame(what: str, frame: pd.DataFrame, columns: Sequence[str], row: str) -> None:
    """Refuses a frame that is not one of a kind, which has a row for each of its things.

    Args:
        what: What the frame holds, such as ``links``.
        frame: The frame.
        columns: The columns that such a frame has.
        row: What a row is, such as ``link``.

    Raises:
        ConfigError: If a column is missing or there are no rows.
    """
    for column in columns:
        if column not in frame.columns:
            raise ConfigError(f"{what} have no column {column!r}; expected {', '.join(columns)}")
    if frame.empty:
        raise ConfigError(f"{what} have no rows; expected one per {row}")


def read_columns(frame: pd.DataFrame, numeric: Sequence[str], flags: Sequence[str] = ()) -> pd.DataFrame:
    """Reads columns of a frame that may come from a file strictly; see `moopim.columns`.

    Args:
        frame: The frame.
        numeric: Columns that hold numbers; whole ones that a file had as words become integers.
        flags: Columns that hold truth values.

    Returns:
        The frame with these columns as numbers and booleans.

    Raises:
        ConfigError: If a column is missing or holds something else; names the column, the value and the row.
    """
    read = {}
    for column in numeric:
        values = numbers(frame, column)
        if not is_numeric_dtype(frame[column].dtype):
            read[column] = values.astype(np.int64) if (values % 1 == 0).all() else values
    return frame.assign(**read, **{column: truth_values(frame, column) for column in flags})
