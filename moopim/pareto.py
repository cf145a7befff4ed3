"""Pareto dominance and quality indicators on arrays of objectives, all to be minimised.

The one place that calls `moocore <https://multi-objective.github.io/moocore/python/>`_. A row with an infinite or NaN
objective stands for a design without a usable result (an infeasible one, say): every function here leaves it out.
"""

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from moopim.checks import number, numbers
from moopim.errors import ConfigError

__all__ = [
    "REFERENCE",
    "hypervolume",
    "ideal_nadir",
    "igd_plus",
    "non_dominated",
    "normalise",
    "normalised_hypervolume",
]

FloatArray = NDArray[np.float64]

REFERENCE = 1.1
"""Reference point of the normalised hypervolume in every objective, a tenth of the range beyond the nadir point."""


def non_dominated(F: ArrayLike) -> NDArray[np.bool_]:
    """Marks the rows that no other row dominates.

    Of equal rows only the first is marked, so that the marked rows are mutually non-dominated and distinct.

    Args:
        F: Objectives, shape ``(designs, objectives)``.

    Returns:
        The mask, shape ``(designs,)``; False for rows with an infinite or NaN objective.

    Raises:
        ConfigError: `F` is not two-dimensional.
    """
    values = _matrix(F)
    mask = _usable(values)
    if mask.any():
        mask[mask] = moocore.is_nondominated(values[mask])
    return mask


def front_order(F: ArrayLike) -> NDArray[np.int64]:
    """Finds the non-dominated rows, best first by the first objective, then by the others.

    Args:
        F: Objectives, shape ``(designs, objectives)``; see `non_dominated`.

    Returns:
        Indices of rows, shape ``(points,)``.

    Raises:
        ConfigError: `F` is not two-dimensional.
    """
    values = _matrix(F)
    rows = np.flatnonzero(non_dominated(values))
    return np.asarray(rows[np.lexsort(values[rows, ::-1].T)])


def ideal_nadir(F: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Finds the least and the largest value of each objective over the non-dominated rows.

    Args:
        F: Objectives, shape ``(designs, objectives)``.

    Returns:
        The ideal and the nadir point, shape ``(objectives,)`` each.

    Raises:
        ConfigError: No row of `F` is finite.
    """
    values = _matrix(F)
    front = values[non_dominated(values)]
    if not len(front):
        raise ConfigError(f"none of the {len(values)} objective vectors is finite; expected at least one")
    return front.min(axis=0), front.max(axis=0)


def normalise(F: ArrayLike, ideal: ArrayLike, nadir: ArrayLike) -> FloatArray:
    """Scales the objectives so that the ideal point becomes 0 and the nadir point 1.

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
    values = _matrix(F)
    lower, upper = _point("ideal point", ideal, values), _point("nadir point", nadir, values)
    extent = upper - lower
    if not (extent >= 0).all():
        raise ConfigError(f"nadir point {upper.tolist()} is not above the ideal point {lower.tolist()}")
    return (values - lower) / np.where(extent == 0, 1.0, extent)


def hypervolume(F: ArrayLike, reference: ArrayLike) -> float:
    """Measures the volume that the rows dominate, up to a reference point.

    Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms - a comparative case study", PPSN V,
    1998.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        reference: Reference point, shape ``(objectives,)`` or a number; rows beyond it add nothing.

    Returns:
        The hypervolume, in the product of the units of the objectives; 0 without a finite row.

    Raises:
        ConfigError: `F` is not two-dimensional, or the reference point has another number of objectives or is not
            finite.
    """
    values = _matrix(F)
    corner = _point("reference point", reference, values)
    inside = _finite(np.where(values < corner, values, np.inf))
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def normalised_hypervolume(F: ArrayLike, ideal: ArrayLike, nadir: ArrayLike, reference: float = REFERENCE) -> float:
    """Measures the hypervolume of normalised objectives, as a share of the box from the ideal to the reference point.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        ideal: Ideal point, shape ``(objectives,)`` or a number.
        nadir: Nadir point, shape ``(objectives,)`` or a number.
        reference: Reference point in every normalised objective.

    Returns:
        The share, between 0 and 1 where no row is better than the ideal point.

    Raises:
        ConfigError: `F` is not two-dimensional or the nadir point is below the ideal point.
    """
    number("reference", reference, positive=True)
    scaled = normalise(F, ideal, nadir)
    return hypervolume(scaled, reference) / float(reference ** scaled.shape[1])


def igd_plus(F: ArrayLike, front: ArrayLike) -> float:
    """Measures how far a front is from being covered: the modified inverted generational distance (IGD+).

    The mean, over the points of the front, of the distance to the nearest row, where only the objectives in which the
    row is worse count. Ishibuchi, Masuda, Tanigaki, Nojima, "Modified distance calculation in generational distance
    and inverted generational distance", EMO 2015.

    Args:
        F: Objectives, shape ``(designs, objectives)``; usually normalised.
        front: The front to be covered, shape ``(points, objectives)``, on the same scale.

    Returns:
        The distance: 0 when every point is covered, infinite when `F` has no finite row.

    Raises:
        ConfigError: An array is not two-dimensional, `front` has another number of objectives, or no finite row.
    """
    values, target = _finite(F), _finite(front)
    if values.shape[1] != target.shape[1]:
        raise ConfigError(f"front has {target.shape[1]} objectives; expected {values.shape[1]}, as the rows have")
    if not len(target):
        raise ConfigError("the front that IGD+ is measured against has no finite point; expected at least one")
    return float(moocore.igd_plus(values, ref=target)) if len(values) else float("inf")


def _finite(F: ArrayLike) -> FloatArray:
    values = _matrix(F)
    return values[_usable(values)]


def _usable(values: FloatArray) -> NDArray[np.bool_]:
    """Marks the rows without an infinite or NaN value."""
    mask: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values), axis=1)
    return mask


def _point(what: str, point: ArrayLike, values: FloatArray) -> FloatArray:
    """A point with as many objectives as the rows have."""
    found = numbers(what, point, None)
    if found.ndim and found.shape != values.shape[1:]:
        raise ConfigError(f"{what} has shape {found.shape}; expected ({values.shape[1]},) or a number")
    return np.broadcast_to(found, values.shape[1:])


def _matrix(F: ArrayLike) -> FloatArray:
    try:
        values = np.asarray(F, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"objectives are no numbers: {error}; expected shape (designs, objectives)") from None
    if values.ndim != 2 or not values.shape[1]:  # noqa: PLR2004 (rows and columns)
        raise ConfigError(f"objectives have shape {values.shape}; expected (designs, objectives)")
    return values
