"""Quality indicators of fronts and runs, all measured in one `Box`."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import pandas as pd

from moopim import pareto
from moopim.analysis.box import Box, common_box
from moopim.analysis.fronts import FloatArray, feasible, long_tailed, non_dominated
from moopim.errors import ConfigError
from moopim.quantities import Objective

__all__ = [
    "Run",
    "by_algorithm",
    "hypervolume",
    "hypervolume_bands",
    "hypervolume_history",
    "igd_plus",
    "indicator_table",
]


class Run(Protocol):
    """What a result has to offer to be compared, whatever made it."""

    @property
    def algorithm(self) -> str:
        """Name of the optimiser."""

    @property
    def seed(self) -> int:
        """Seed of the run."""

    @property
    def evaluations(self) -> pd.DataFrame:
        """Every evaluated design in order; a column ``returned`` may mark what the optimiser itself returned."""


def hypervolume(frame: pd.DataFrame, box: Box) -> float:
    """Measures the hypervolume of the feasible designs.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        box: The box to measure in.

    Returns:
        The share of the volume between the ideal point and 1.1 times the box, 0 to 1; 0 without a feasible design.

    Raises:
        ConfigError: The frame does not fit the box.
    """
    return pareto.normalised_hypervolume(box.coordinates(frame), 0.0, 1.0)


def igd_plus(frame: pd.DataFrame, reference: pd.DataFrame, box: Box) -> float:
    """Measures IGD+ of the feasible designs against a reference front, in normalised objectives.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        reference: The front to be covered; its feasible, non-dominated designs count.
        box: The box to measure in.

    Returns:
        The mean distance, a share of the box: 0 where the front is covered, infinite without a feasible design.

    Raises:
        ConfigError: A frame does not fit the box, or `reference` has no feasible design.
    """
    target = box.coordinates(non_dominated(reference, box.objectives))
    return pareto.igd_plus(box.coordinates(frame), target)


def hypervolume_history(frame: pd.DataFrame, box: Box, points: int = 100) -> pd.DataFrame:
    """Follows the hypervolume of everything evaluated so far.

    Args:
        frame: Evaluated designs; put in order by its column ``evaluation`` where there is one.
        box: The box to measure in.
        points: Number of evenly spaced evaluations to measure at.

    Returns:
        Columns ``evaluation`` (number of designs evaluated) and ``hypervolume`` (share of the box).

    Raises:
        ConfigError: The frame does not fit the box, or `points` is below 1.
    """
    counts = _sample_counts(len(frame), points)
    return pd.DataFrame({"evaluation": counts, "hypervolume": _hypervolume_at(frame, box, counts)})


def hypervolume_bands(runs: Iterable[Run], box: Box, points: int = 100) -> pd.DataFrame:
    """Summarises the hypervolume over evaluations of several runs of each algorithm.

    A run that ended early keeps its last value.

    Args:
        runs: The runs.
        box: The box to measure in.
        points: Number of evenly spaced evaluations to measure at.

    Returns:
        Columns ``algorithm``, ``evaluation``, and ``median``, ``q25``, ``q75`` of the hypervolume over the seeds.

    Raises:
        ConfigError: A frame does not fit the box, `points` is below 1, or there is no run.
    """
    groups = by_algorithm(runs)
    counts = _sample_counts(max(len(run.evaluations) for group in groups.values() for run in group), points)
    bands = []
    for algorithm, group in groups.items():
        histories = np.array([_hypervolume_at(run.evaluations, box, counts) for run in group])
        q25, median, q75 = np.quantile(histories, (0.25, 0.5, 0.75), axis=0)
        columns = {"evaluation": counts, "median": median, "q25": q25, "q75": q75}
        bands.append(pd.DataFrame({"algorithm": algorithm, **columns}))
    return pd.concat(bands, ignore_index=True)


def indicator_table(
    runs: Iterable[Run], objectives: Sequence[Objective], log: Sequence[str] | None = None
) -> pd.DataFrame:
    """Measures each run in the common box of all of them.

    The box and the reference front of IGD+ are those of everything that any run evaluated. A front whose tail reaches
    over decades is measured on a logarithmic scale as well, because its plain hypervolume is set by a few extremes.

    Args:
        runs: The runs.
        objectives: The objectives.
        log: Names of the objectives on a logarithmic scale in ``hypervolume_log``; by default those that are not
            negative and whose positive values span more than two decades on the front of all runs.

    Returns:
        One row per run: ``algorithm``, ``seed``, ``hypervolume`` and ``igd_plus`` of everything evaluated,
        ``hypervolume_log`` where `log` names an objective, and ``hypervolume_returned`` of the designs that the
        optimiser returned, where the evaluations have the column ``returned``.

    Raises:
        ConfigError: No run has a feasible design, a frame lacks a column, or `log` does not fit.
    """
    entries = list(runs)
    fronts = [non_dominated(run.evaluations, objectives) for run in entries]
    box = common_box((run.evaluations for run in entries), objectives)
    union = non_dominated(pd.concat(fronts, ignore_index=True), objectives)
    names = long_tailed(union, objectives) if log is None else log
    log_box = common_box((run.evaluations for run in entries), objectives, names) if names else None
    target = box.coordinates(union)
    rows = []
    for run, front in zip(entries, fronts, strict=True):
        values = {"hypervolume": hypervolume(front, box)}
        if log_box:
            values["hypervolume_log"] = hypervolume(front, log_box)
        values["igd_plus"] = pareto.igd_plus(box.coordinates(front), target)
        if "returned" in run.evaluations.columns:
            values["hypervolume_returned"] = hypervolume(run.evaluations[run.evaluations["returned"].astype(bool)], box)
        rows.append({"algorithm": run.algorithm, "seed": run.seed, **values})
    return pd.DataFrame(rows)


def by_algorithm(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Groups runs by their algorithm.

    Args:
        runs: The runs.

    Returns:
        The runs of each algorithm, in the order of first appearance.

    Raises:
        ConfigError: There is no run.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.algorithm, []).append(run)
    if not groups:
        raise ConfigError("there is no run to analyse; expected at least one")
    return groups


def _sample_counts(evaluations: int, points: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Spreads sample points evenly over 1 .. evaluations, the last one included."""
    if points < 1:
        raise ConfigError(f"points={points} is not allowed; expected 1 or more")
    counts = np.unique(np.linspace(0, evaluations, points + 1).round().astype(np.int64))
    return counts[counts > 0]


def _hypervolume_at(frame: pd.DataFrame, box: Box, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    """Measures after each number of evaluations, carrying the front of the designs so far along."""
    ordered = frame.sort_values("evaluation", kind="stable") if "evaluation" in frame.columns else frame
    F = np.full((len(ordered), len(box.objectives)), np.inf)
    F[feasible(ordered, box.objectives)] = box.coordinates(ordered)
    front, value, history = F[:0], 0.0, []
    for start, stop in pairwise([0, *counts.tolist()]):
        candidates = np.concatenate([front, F[start:stop]])
        kept = pareto.non_dominated(candidates)
        if kept[len(front) :].any():
            front = candidates[kept]
            value = pareto.normalised_hypervolume(front, 0.0, 1.0)
        history.append(value)
    return np.array(history)
