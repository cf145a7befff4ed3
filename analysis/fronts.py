"""Fronts: the objectives of a frame as an array, and its non-dominated rows.

A frame has one row per design and a column per objective (`Objective.column`, natural sign). A boolean column
``feasible`` marks the designs that meet every constraint; without it all designs count as feasible. Columns are read
strictly, see `moopim.columns`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from moopim import pareto
from moopim.columns import numbers, truth_values
from moopim.errors import ConfigError
from moopim.quantities import Objective
from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "feasible",
    "front_rows",
    "log_floor",
    "long_tailed",
    "non_dominated",
    "objective_values",
    "spans_decades",
]


# A quantity is shown on a logarithmic scale when its largest value is more than this many times its smallest positive.
_LOG_RATIO = 100.0
# The logarithmic scale reaches down to this share of the largest value at most: what is smaller is as good as zero.
_LOG_DEPTH = 1e-6


def objective_values(frame: pd.DataFrame, objectives: Sequence[Objective]) -> FloatArray:
    """Takes the objectives out of a frame, with their natural sign.

    Args:
        frame: Designs with a column per objective.
        objectives: The objectives.

    Returns:
        The values, each column in the unit of its objective, shape ``(designs, objectives)``.

    Raises:
        ConfigError: The frame has no column for an objective, two objectives share one, or it holds something other
            than numbers.
    """
    columns = [objective.column for objective in objectives]
    for column in columns:
        if column not in frame.columns:
            raise ConfigError(f"the frame has no column {column!r}; it has: {', '.join(map(str, frame.columns))}")
        if columns.count(column) > 1:
            raise ConfigError(f"column {column!r} is that of two objectives; expected another name for one")
    return np.column_stack([numbers(frame, column) for column in columns])


def feasible(frame: pd.DataFrame, objectives: Sequence[Objective]) -> BoolArray:
    """Marks the designs that count: feasible ones whose objectives are all finite.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        objectives: The objectives.

    Returns:
        The mask, shape ``(designs,)``.

    Raises:
        ConfigError: The frame has no column for an objective, or a column holds something else than it should.
    """
    mask: BoolArray = np.logical_and.reduce(np.isfinite(objective_values(frame, objectives)), axis=1)
    if "feasible" in frame.columns:
        mask &= truth_values(frame, "feasible")
    return mask


def front_rows(frame: pd.DataFrame, objectives: Sequence[Objective]) -> IntArray:
    """Finds the feasible designs that no other feasible design dominates.

    Of designs with equal objectives only the first is kept.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        objectives: The objectives.

    Returns:
        Positions of the rows, the best value of the first objective first (ties by the second, and so on), shape
        ``(points,)``.

    Raises:
        ConfigError: The frame has no column for an objective.
    """
    F = objective_values(frame, objectives) * [objective.sign for objective in objectives]
    F[~feasible(frame, objectives)] = np.inf
    return pareto.front_order(F)


def non_dominated(frame: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """Selects the front of a frame; see `front_rows`.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        objectives: The objectives.

    Returns:
        The rows of the front with all their columns and their index, best first.

    Raises:
        ConfigError: The frame has no column for an objective.
    """
    return frame.iloc[front_rows(frame, objectives)]


def spans_decades(values: FloatArray) -> bool:
    """Tells whether values call for a logarithmic scale.

    Args:
        values: Values of one quantity, all finite, shape ``(designs,)``.

    Returns:
        Whether none is negative and the largest is more than 100 times the smallest positive one.
    """
    positive = values[values > 0]
    return len(positive) > 0 and bool(values.min() >= 0 and positive.max() > _LOG_RATIO * positive.min())


def log_floor(values: FloatArray) -> float:
    """Finds the lower end of a logarithmic scale; smaller values, zeros among them, are as good as at this end.

    Args:
        values: Values of one quantity, shape ``(designs,)``.

    Returns:
        The smallest positive value, but not below a millionth of the largest; NaN without a positive value.
    """
    positive = values[values > 0]
    return float(max(positive.min(), _LOG_DEPTH * positive.max())) if len(positive) else float("nan")


def long_tailed(frame: pd.DataFrame, objectives: Sequence[Objective]) -> list[str]:
    """Names the objectives that call for a logarithmic scale; see `spans_decades`.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``; feasible designs count.
        objectives: The objectives.

    Returns:
        The names.

    Raises:
        ConfigError: The frame has no column for an objective.
    """
    values = objective_values(frame, objectives)[feasible(frame, objectives)]
    return [objective.name for j, objective in enumerate(objectives) if spans_decades(values[:, j])]
