"""Frames of designs: checked columns, objectives, the feasible and the non-dominated rows.

A frame has one row per design and a column per objective (`Objective.column`, natural sign). A boolean column
``feasible`` marks the designs that meet every constraint; without it all designs count as feasible. Columns are read
strictly, see `moopim.columns`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from moopim import pareto
from moopim.columns import numeric_column, truth_column
from moopim.errors import ConfigError
from moopim.quantities import Objective, oriented
from moopim.typing import BoolArray, FloatArray, IntArray

# A quantity is shown on a logarithmic scale when its largest value is more than this many times its smallest positive.
_LOG_RATIO = 100.0
# The logarithmic scale reaches down to this share of the largest value at most: smaller values count as zero.
_LOG_DEPTH = 1e-6


def check_columns(frame: pd.DataFrame, columns: Sequence[str], of: str = "frame", *, rows: bool = False) -> None:
    """Raise ConfigError unless a frame has the columns and, if asked for, at least one row."""
    for column in columns:
        if column not in frame.columns:
            raise ConfigError(f"the {of} has no column {column!r}; it has: {', '.join(map(str, frame.columns))}")
    if rows and frame.empty:
        raise ConfigError(f"the {of} has no rows; expected at least one")


def read_columns(frame: pd.DataFrame, numeric: Sequence[str], flags: Sequence[str] = ()) -> pd.DataFrame:
    """Frame whose named columns are numbers (integers where all are whole) and booleans, from a file's words too."""
    check_columns(frame, (*numeric, *flags))
    read = {}
    for column in numeric:
        values = numeric_column(frame, column)
        if not is_numeric_dtype(frame[column].dtype):
            read[column] = values.astype(np.int64) if (values % 1 == 0).all() else values
    return frame.assign(**read, **{column: truth_column(frame, column) for column in flags})


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Designs in the order of their evaluation, by the column ``evaluation`` where there is one."""
    if "evaluation" not in frame.columns:
        return frame
    return frame.iloc[np.argsort(numeric_column(frame, "evaluation", missing=False), kind="stable")]


def objective_values(frame: pd.DataFrame, objectives: Sequence[Objective]) -> FloatArray:
    """Objectives in their units and with their natural sign, shape ``(designs, objectives)``."""
    columns = [objective.column for objective in objectives]
    check_columns(frame, columns)
    for column in columns:
        if columns.count(column) > 1:
            raise ConfigError(f"column {column!r} is that of two objectives; expected another name for one")
    return np.column_stack([numeric_column(frame, column) for column in columns])


def feasible(frame: pd.DataFrame, objectives: Sequence[Objective]) -> BoolArray:
    """Mask of the feasible designs whose objectives are all finite, shape ``(designs,)``."""
    mask: BoolArray = np.logical_and.reduce(np.isfinite(objective_values(frame, objectives)), axis=1)
    if "feasible" in frame.columns:
        mask &= truth_column(frame, "feasible")
    return mask


def front_rows(frame: pd.DataFrame, objectives: Sequence[Objective]) -> IntArray:
    """Positions of the non-dominated feasible designs, best first by the first objective, shape ``(points,)``.

    Of designs with equal objectives only the first is kept.
    """
    F = oriented(objective_values(frame, objectives), objectives)
    F[~feasible(frame, objectives)] = np.inf
    return pareto.front_order(F)


def non_dominated(frame: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """Front of a frame: the feasible designs that no other feasible design dominates.

    Of designs with equal objectives only the first is kept.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        objectives: The objectives.

    Returns:
        The rows of the front with all their columns and their index, the best value of the first objective first (ties
        by the second, and so on).

    Raises:
        ConfigError: If the frame has no column for an objective, or a column holds other than numbers.
    """
    return frame.iloc[front_rows(frame, objectives)]


def spans_decades(values: FloatArray) -> bool:
    """Whether values of shape ``(designs,)`` call for a log scale: none negative, largest > 100 x smallest positive."""
    positive = values[values > 0]
    return len(positive) > 0 and bool(values.min() >= 0 and positive.max() > _LOG_RATIO * positive.min())


def log_floor(values: FloatArray) -> float:
    """Lower end of a logarithmic scale: the smallest positive value, at least a millionth of the largest.

    NaN without a positive value; smaller values, zeros among them, count as this end.
    """
    positive = values[values > 0]
    return float(max(positive.min(), _LOG_DEPTH * positive.max())) if len(positive) else float("nan")


def long_tailed(frame: pd.DataFrame, objectives: Sequence[Objective]) -> list[str]:
    """Names of the objectives whose values at feasible designs call for a logarithmic scale."""
    values = objective_values(frame, objectives)[feasible(frame, objectives)]
    return [objective.name for j, objective in enumerate(objectives) if spans_decades(values[:, j])]
