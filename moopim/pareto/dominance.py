"""Pareto dominance, normalisation and IGD+ on arrays of objectives, all to be minimised.

A row with an infinite or NaN objective is a design without a usable result (an infeasible one, say): every function
here leaves it out. This package is the one place that measures with
`moocore <https://multi-objective.github.io/moocore/python/>`_.
"""

import moocore
import numpy as np
from numpy.typing import ArrayLike

from moopim.checks import numbers
from moopim.errors import ConfigError
from moopim.typing import BoolArray, FloatArray, IntArray


def non_dominated(F: ArrayLike) -> BoolArray:
    """Mask of the rows that no other row dominates.

    Of equal rows only the first is marked, so that the marked rows are mutually non-dominated and distinct.

    Args:
        F: Objectives, shape ``(designs, objectives)``.

    Returns:
        The mask, shape ``(designs,)``; False for rows with an infinite or NaN objective.

    Raises:
        ConfigError: `F` is not two-dimensional.
    """
    values = matrix(F)
    mask = _usable(values)
    if mask.any():
        mask[mask] = moocore.is_nondominated(values[mask])
    return mask


def non_dominated_in_turn(F: ArrayLike, step: ArrayLike | None = None) -> BoolArray:
    """Mask of the rows that were on the front at some time, when rows come one after the other.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        step: When each row came, shape ``(designs,)``; rows that came together are compared with each other too. By
            default each came after the one before.

    Returns:
        The mask, shape ``(designs,)``: rows that none of their own and earlier steps dominates or, before them, equals.

    Raises:
        ConfigError: `F` is not two-dimensional.
    """
    values = matrix(F)
    # To have come earlier is one more objective.
    return non_dominated(np.column_stack([values, np.arange(len(values)) if step is None else step]))


def front_order(F: ArrayLike) -> IntArray:
    """Indices of the non-dominated rows, best first by the first objective, then by the others.

    Args:
        F: Objectives, shape ``(designs, objectives)``; see `non_dominated`.

    Returns:
        Indices of rows, shape ``(points,)``.

    Raises:
        ConfigError: `F` is not two-dimensional.
    """
    values = matrix(F)
    rows = np.flatnonzero(non_dominated(values))
    return np.asarray(rows[np.lexsort(values[rows, ::-1].T)])


def ideal_nadir(F: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Ideal and nadir point: the least and the largest value of each objective over the non-dominated rows.

    Args:
        F: Objectives, shape ``(designs, objectives)``.

    Returns:
        The ideal and the nadir point, shape ``(objectives,)`` each.

    Raises:
        ConfigError: No row of `F` is finite.
    """
    values = matrix(F)
    front = values[non_dominated(values)]
    if not len(front):
        raise ConfigError(f"none of the {len(values)} objective vectors is finite; expected at least one")
    return front.min(axis=0), front.max(axis=0)


def normalise(F: ArrayLike, ideal: ArrayLike, nadir: ArrayLike) -> FloatArray:
    """Scale objectives so that the ideal point becomes 0 and the nadir point 1: (F - ideal) / (nadir - ideal).

    An objective whose ideal and nadir value are equal is shifted only.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        ideal: Ideal point, shape ``(objectives,)`` or a number.
        nadir: Nadir point, shape ``(objectives,)`` or a number.

    Returns:
        The scaled objectives, shape ``(designs, objectives)``.

    Raises:
        ConfigError: `F` is not two-dimensional, a point has another number of objectives or is not finite, or the nadir
            point is below the ideal point.
    """
    values = matrix(F)
    lower, upper = point("ideal point", ideal, values), point("nadir point", nadir, values)
    with np.errstate(over="ignore"):
        extent = upper - lower
    if not (extent >= 0).all():
        raise ConfigError(f"nadir point {upper.tolist()} is not above the ideal point {lower.tolist()}")
    if np.isinf(extent).any():  # the difference of the largest numbers overflows, that of their halves does not
        return normalise(values / 2, lower / 2, upper / 2)
    return np.asarray((values - lower) / np.where(extent == 0, 1.0, extent))


def igd_plus(F: ArrayLike, front: ArrayLike) -> float:
    """Modified inverted generational distance (IGD+) of a set from a front.

    The mean, over the points of the front, of the distance to the nearest row, where only the objectives in which the
    row is worse count. Ishibuchi, Masuda, Tanigaki, Nojima, "Modified distance calculation in generational distance
    and inverted generational distance", EMO 2015.

    Args:
        F: Objectives, shape ``(designs, objectives)``; usually normalised.
        front: Reference front, shape ``(points, objectives)``, on the same scale.

    Returns:
        The distance: 0 when every point is covered, infinite when `F` has no finite row.

    Raises:
        ConfigError: An array is not two-dimensional, `front` has another number of objectives, or no finite row.
    """
    values, target = finite(matrix(F)), finite(matrix(front))
    if values.shape[1] != target.shape[1]:
        raise ConfigError(f"front has {target.shape[1]} objectives; expected {values.shape[1]}, as the rows have")
    if not len(target):
        raise ConfigError("the front that IGD+ is measured against has no finite point; expected at least one")
    return float(moocore.igd_plus(values, ref=target)) if len(values) else float("inf")


def finite(values: FloatArray) -> FloatArray:
    """The rows without an infinite or NaN value."""
    return values[_usable(values)]


def _usable(values: FloatArray) -> BoolArray:
    """Mask of the rows without an infinite or NaN value, shape ``(rows,)``."""
    mask: BoolArray = np.logical_and.reduce(np.isfinite(values), axis=1)
    return mask


def point(name: str, given: ArrayLike, values: FloatArray) -> FloatArray:
    """Check a point with as many objectives as the rows have; shape ``(objectives,)``."""
    found = numbers(name, given, None)
    if found.ndim and found.shape != values.shape[1:]:
        raise ConfigError(f"{name} has shape {found.shape}; expected ({values.shape[1]},) or a number")
    return np.broadcast_to(found, values.shape[1:])


def matrix(F: ArrayLike) -> FloatArray:
    """Check objectives of shape ``(designs, objectives)``."""
    try:
        values = np.asarray(F, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"objectives are no numbers: {error}; expected shape (designs, objectives)") from None
    if values.ndim != 2 or not values.shape[1]:  # noqa: PLR2004 (rows and columns)
        raise ConfigError(f"objectives have shape {values.shape}; expected (designs, objectives)")
    return values
