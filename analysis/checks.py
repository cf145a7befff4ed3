"""Checks of the frames that pictures are made of."""

from collections.abc import Sequence

import pandas as pd

from moopim.errors import ConfigError, unknown_name

__all__ = ["check_columns", "check_frame"]


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
