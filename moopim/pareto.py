"""Pareto dominance and quality indicators on arrays of objectives, all to be minimised.

The one place that calls `moocore <https://multi-objective.github.io/moocore/python/>`_. A row with an infinite or NaN
objective stands for a design without a usable result (an infeasible one, say): every function here leaves it out.

The time of an exact hypervolume grows as the number of points to the power of the number of objectives less two. Above
`EXACT_COST` it is estimated, the same in each call; `hypervolumes` gives the standard error.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike

from moopim._rays import growing_volumes
from moopim.checks import number, numbers
from moopim.errors import ConfigError
from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "EXACT_COST",
    "REFERENCE",
    "Measured",
    "front_order",
    "hypervolume",
    "hypervolume_cost",
    "hypervolumes",
    "ideal_nadir",
    "igd_plus",
    "non_dominated",
    "non_dominated_in_turn",
    "normalise",
    "normalised_hypervolume",
    "normalised_hypervolumes",
]


REFERENCE = 1.1
"""Reference point of the normalised hypervolume in every objective, a tenth of the range beyond the nadir point."""

EXACT_COST = 1e11
"""Sum of `hypervolume_cost` up to which the hypervolumes of fronts that are compared are exact, a few seconds at most:
that of one front of 57,000 points and 4 objectives, 4,600 points and 5, 158 points and 7, or 23 points and 10."""

# Time per point for few objectives in units of that for many, as measured with moocore 0.3.2 on one core.
_COST_OF_FEW = {1: 5e3, 2: 5e3, 3: 2e4, 4: 30.0}


class Measured(NamedTuple):
    """Hypervolumes of a growing set, and how well they are known.

    Attributes:
        values: The hypervolume after each step, shape ``(steps,)``; never shrinking.
        errors: Standard errors of the estimates, 0 where the values are exact, shape ``(steps,)``.
    """

    values: FloatArray
    errors: FloatArray


def non_dominated(F: ArrayLike) -> BoolArray:
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


def non_dominated_in_turn(F: ArrayLike, step: ArrayLike | None = None) -> BoolArray:
    """Marks the rows that were on the front at some time, when the rows came one after the other.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        step: When each row came, shape ``(designs,)``; rows that came together are compared with each other too. By
            default each came after the one before.

    Returns:
        The mask, shape ``(designs,)``: rows that none of their own and earlier steps dominates or, before them, equals.

    Raises:
        ConfigError: `F` is not two-dimensional.
    """
    values = _matrix(F)
    # To have come earlier is one more objective.
    return non_dominated(np.column_stack([values, np.arange(len(values)) if step is None else step]))


def front_order(F: ArrayLike) -> IntArray:
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


def hypervolume_cost(points: int, objectives: int) -> float:
    """Rates the time that an exact hypervolume takes; see `EXACT_COST`.

    Args:
        points: Number of points of the front.
        objectives: Number of objectives.

    Returns:
        The number of points to the power of the number of objectives less two, times 30 for 4 objectives; 20,000 times
        the number of points for 3, 5,000 times for fewer. Infinite beyond floating point.
    """
    with np.errstate(over="ignore"):
        return float(_COST_OF_FEW.get(objectives, 1.0) * np.float64(points) ** max(objectives - 2, 1))


def hypervolume(F: ArrayLike, reference: ArrayLike) -> float:
    """Measures the volume that the rows dominate, up to a reference point.

    Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms - a comparative case study", PPSN V,
    1998.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        reference: Reference point, shape ``(objectives,)`` or a number; rows beyond it add nothing.

    Returns:
        The hypervolume, in the product of the units of the objectives; 0 without a finite row. An estimate where the
        exact value costs more than `EXACT_COST`; `hypervolumes` tells its standard error.

    Raises:
        ConfigError: `F` is not two-dimensional, or the reference point does not fit it.
    """
    return float(hypervolumes([[F]], reference)[0].values[0])


def hypervolumes(histories: Sequence[Sequence[ArrayLike]], reference: ArrayLike) -> list[Measured]:
    """Measures growing sets, either all exactly or all along the same random rays, so that they can be compared.

    They are measured exactly where the sum of `hypervolume_cost` over all steps that change a front is at most
    `EXACT_COST`.

    Args:
        histories: For each set the objectives of the designs that it gains at each step, shape
            ``(designs, objectives)`` each; one step for a set that does not grow.
        reference: Reference point, shape ``(objectives,)`` or a number; rows beyond it add nothing.

    Returns:
        The hypervolumes of each set, in the product of the units of the objectives; 0 without a finite row.

    Raises:
        ConfigError: An array is not two-dimensional, or the shapes do not fit each other.
    """
    blocks = [[_inside(block, reference) for block in history] for history in histories]
    if len({block.shape[1] for history in blocks for block in history}) > 1:
        raise ConfigError("the sets differ in their number of objectives; expected one number for all of them")
    gains = [_gained(history) for history in blocks]
    moving = [list(gained.values()) for gained in gains if gained]
    found = iter((_exact(moving, reference) or _estimated(moving, reference)) if moving else [])
    return [
        _carried(list(gained), len(history), next(found) if gained else None)
        for gained, history in zip(gains, histories, strict=True)
    ]


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


def normalised_hypervolumes(histories: Sequence[Sequence[FloatArray]]) -> list[Measured]:
    """Hypervolumes of growing sets of normalised objectives, as shares of the box from 0 to `REFERENCE`.

    Args:
        histories: See `hypervolumes`; objectives are scaled so that the ideal point is 0 and the nadir point 1.

    Returns:
        The shares of each set, and their standard errors.

    Raises:
        ConfigError: An array is not two-dimensional, or the sets differ in their number of objectives.
    """
    return hypervolumes([[block / REFERENCE for block in history] for history in histories], 1.0)


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


def _gained(blocks: Sequence[FloatArray]) -> dict[int, FloatArray]:
    """New non-dominated points of a growing set by step, for the steps that have any."""
    if not blocks:
        return {}
    steps = np.repeat(np.arange(len(blocks)), list(map(len, blocks)))
    F = np.concatenate(blocks)
    kept = non_dominated_in_turn(F, steps) if len(blocks) > 1 else non_dominated(F)
    F, steps = F[kept], steps[kept]
    changed, starts = np.unique(steps, return_index=True)
    return dict(zip(changed.tolist(), np.split(F, starts[1:]), strict=True)) if len(F) else {}


def _exact(histories: Sequence[Sequence[FloatArray]], reference: ArrayLike) -> list[Measured]:
    """Measures each set after each step; nothing where that costs too much."""
    cost, fronts = 0.0, []
    for history in histories:
        for front in accumulate(history, lambda front, gained: _front(np.concatenate([front, gained]))):
            cost += hypervolume_cost(*front.shape)
            if cost > EXACT_COST:
                return []
            fronts.append(front)
    values = iter([moocore.hypervolume(front, ref=_corner(front, reference)) for front in fronts])
    steps = [[next(values) for _ in history] for history in histories]
    return [Measured(np.maximum.accumulate(history), np.zeros(len(history))) for history in steps]


def _estimated(histories: Sequence[Sequence[FloatArray]], reference: ArrayLike) -> list[Measured]:
    sides = [[_corner(gained, reference) - gained for gained in history] for history in histories]
    return [Measured(*estimate) for estimate in growing_volumes(sides)]


def _carried(changed: Sequence[int], n_steps: int, measured: Measured | None) -> Measured:
    """Fills the steps in between: a hypervolume is 0 at first and stays as it is until the front changes."""
    place = np.searchsorted(changed, np.arange(n_steps), side="right")
    return Measured(*(np.append(0.0, column)[place] for column in measured or ((), ())))


def _front(F: FloatArray) -> FloatArray:
    return F[non_dominated(F)]


def _inside(F: ArrayLike, reference: ArrayLike) -> FloatArray:
    """The rows that are finite and below the reference point in every objective."""
    values = _matrix(F)
    return values[_below(values, _corner(values, reference))]


def _below(values: FloatArray, corner: FloatArray) -> BoolArray:
    mask: BoolArray = np.logical_and.reduce((values < corner) & np.isfinite(values), axis=1)
    return mask


def _corner(values: FloatArray, reference: ArrayLike) -> FloatArray:
    """The reference point, shape ``(objectives,)``."""
    return _point("reference point", reference, values)


def _finite(F: ArrayLike) -> FloatArray:
    values = _matrix(F)
    return values[_usable(values)]


def _usable(values: FloatArray) -> BoolArray:
    """Marks the rows without an infinite or NaN value."""
    mask: BoolArray = np.logical_and.reduce(np.isfinite(values), axis=1)
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
