"""Quality indicators of fronts and runs, all measured in one `Box`.

Hypervolumes are exact up to a certain cost (`moopim.pareto.EXACT_COST`), and else estimates with a standard error.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from moopim import pareto
from moopim.analysis.box import Box, common_box, joint_box
from moopim.analysis.frames import feasible, in_order, long_tailed, non_dominated, objective_values
from moopim.columns import truth_column
from moopim.errors import ConfigError
from moopim.quantities import Objective, oriented
from moopim.typing import FloatArray

# Values that differ by a smaller share differ by rounding: by processor, library or place in a batch.
_ROUNDING = 1e-9


class Run(Protocol):
    """Run of one optimiser with one seed, as indicators read it; `moopim.RunResult` is one.

    Attributes:
        algorithm: Name of the optimiser.
        seed: Seed of the run.
        evaluations: Every evaluated design in order; a column ``returned`` may mark those that the optimiser returned.
    """

    @property
    def algorithm(self) -> str:
        """Name of the optimiser."""

    @property
    def seed(self) -> int:
        """Seed of the run."""

    @property
    def evaluations(self) -> pd.DataFrame:
        """Every evaluated design in order."""


def hypervolume(frame: pd.DataFrame, box: Box) -> float:
    """Hypervolume of the feasible designs, normalised to the box.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        box: The box to measure in.

    Returns:
        The dominated share, 0 to 1, of the volume between the ideal point and 1.1 times the box; 0 without a feasible
        design. An estimate where the exact value would take long; `indicator_table` has its standard error.

    Raises:
        ConfigError: If the frame has no column for an objective of the box.
    """
    return pareto.normalised_hypervolume(box.coordinates(frame), 0.0, 1.0)


def igd_plus(frame: pd.DataFrame, reference: pd.DataFrame, box: Box) -> float:
    """IGD+ of the feasible designs against a reference front, in normalised objectives.

    Ishibuchi, Masuda, Tanigaki and Nojima, "Modified distance calculation in generational distance and inverted
    generational distance", EMO 2015: the mean over points z of the reference front of
    min over designs a of sqrt(sum over objectives of max(a - z, 0)^2).

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        reference: The front to be covered; its feasible, non-dominated designs count.
        box: The box to measure in.

    Returns:
        The mean distance as a share of the box: 0 where the front is covered, infinite without a feasible design.

    Raises:
        ConfigError: If a frame has no column for an objective of the box, or `reference` has no feasible design.
    """
    target = box.coordinates(non_dominated(reference, box.objectives))
    return pareto.igd_plus(box.coordinates(frame), target)


def share_found(frame: pd.DataFrame, true_front: pd.DataFrame, objectives: Sequence[Objective]) -> float:
    """Share of a true front that designs have found: of its objective vectors, those that a feasible design has.

    Values count as equal up to rounding: they differ by at most a part in 10^9.

    Args:
        frame: Designs with a column per objective and, as a rule, ``feasible``.
        true_front: The front of the whole space, as of `moopim.enumerate_designs`; its feasible, non-dominated designs
            count.
        objectives: The objectives.

    Returns:
        The share, 0 to 1.

    Raises:
        ConfigError: If a frame has no column for an objective, `true_front` has no feasible design, or a design
            dominates one of it: it is then not that of this problem.
    """
    found, target = (_vectors(designs, objectives) for designs in (frame, true_front))
    if not len(target):
        raise ConfigError("the true front has no feasible design; expected at least one")
    hits = 0
    for vector in target:
        tolerance = _ROUNDING * np.abs(vector)
        near = (found <= vector + tolerance).all(axis=1)
        better = near & (found < vector - tolerance).any(axis=1)
        if better.any():
            values, known = (
                ", ".join(f"{o.name} {v * o.sign:.6g}" for o, v in zip(objectives, row, strict=True))
                for row in (found[better.argmax()], vector)
            )
            raise ConfigError(
                f"a design ({values}) dominates one of the true front ({known}); expected the front of this problem"
            )
        hits += bool(near.any())
    return hits / len(target)


def hypervolume_history(frame: pd.DataFrame, box: Box, points: int = 100) -> pd.DataFrame:
    """Hypervolume of all designs evaluated so far, over the search.

    Args:
        frame: Evaluated designs, sorted by its column ``evaluation`` where there is one.
        box: The box to measure in.
        points: Number of evenly spaced evaluations to measure at.

    Returns:
        Columns ``evaluation`` (number of designs evaluated), ``hypervolume`` (share of the box) and, where it is an
        estimate, ``hypervolume_error`` (its standard error).

    Raises:
        ConfigError: If the frame has no column for an objective of the box, or `points` is below 1.
    """
    counts = _sample_counts(len(frame), points)
    [(values, errors)] = _over_time([frame], box, counts)
    history = pd.DataFrame({"evaluation": counts, "hypervolume": values})
    return history.assign(hypervolume_error=errors) if errors.any() else history


def hypervolume_bands(runs: Iterable[Run], box: Box, points: int = 100) -> pd.DataFrame:
    """Median and quartiles over the seeds of each algorithm's hypervolume, over the search.

    A run that ended early keeps its last value.

    Args:
        runs: The runs.
        box: The box to measure in.
        points: Number of evenly spaced evaluations to measure at.

    Returns:
        Columns ``algorithm``, ``evaluation``, and ``median``, ``q25``, ``q75`` of the hypervolume over the seeds; where
        it is an estimate, ``hypervolume_error``, the largest standard error over the seeds.

    Raises:
        ConfigError: If a frame has no column for an objective of the box, `points` is below 1, or there is no run.
    """
    groups = by_algorithm(runs)
    entries = [run for group in groups.values() for run in group]
    counts = _sample_counts(max(len(run.evaluations) for run in entries), points)
    values, errors = np.swapaxes(_over_time([run.evaluations for run in entries], box, counts), 0, 1)
    bands, start = [], 0
    for algorithm, group in groups.items():
        part = slice(start, start + len(group))
        q25, median, q75 = np.quantile(values[part], (0.25, 0.5, 0.75), axis=0)
        columns = {"evaluation": counts, "median": median, "q25": q25, "q75": q75}
        columns |= {"hypervolume_error": errors[part].max(axis=0)} if errors.any() else {}
        bands.append(pd.DataFrame({"algorithm": algorithm, **columns}))
        start += len(group)
    return pd.concat(bands, ignore_index=True)


def indicator_table(
    runs: Iterable[Run],
    objectives: Sequence[Objective],
    log: Sequence[str] | None = None,
    true_front: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Quality indicators of each run, in common boxes of all of them.

    The box is that of the fronts of all runs, see `moopim.analysis.common_box`. A second hypervolume is measured in the
    box of the joint front, which magnifies the differences between good runs and is 0 for others. IGD+ is the distance
    from the joint front. Fronts that span decades are measured on a logarithmic scale as well, because their plain
    hypervolume is set by a few extremes.

    Args:
        runs: The runs.
        objectives: The objectives.
        log: Names of the objectives on a logarithmic scale in ``hypervolume_log``; by default those that are not
            negative and whose positive values span more than two decades on the fronts of the runs.
        true_front: Front of the whole space, where it is known, such as that of `moopim.enumerate_designs`.

    Returns:
        One row per run: ``algorithm``, ``seed``, ``hypervolume`` and ``igd_plus`` of everything evaluated,
        ``hypervolume_log`` where `log` names an objective, ``hypervolume_joint`` in the box of the joint front,
        ``hypervolume_returned`` of the designs that the optimiser returned, where the evaluations of all runs have the
        column ``returned``, and ``box``, in words that of all but ``hypervolume_joint``. With a true front also
        ``share_found``, see `moopim.analysis.share_found`, and ``igd_plus_true``, IGD+ from it. Where a hypervolume is
        an estimate, a column with ``_error`` at the end of its name has the standard error.

    Raises:
        ConfigError: If no run has a feasible design, a frame lacks a column, `log` names an unknown objective, or the
            true front is that of another problem.
    """
    entries = list(runs)
    frames = [run.evaluations for run in entries]
    fronts = [non_dominated(frame, objectives) for frame in frames]
    # The box of several runs needs no more than their fronts.
    sources = fronts if len(fronts) > 1 else frames
    box, joint = common_box(sources, objectives), joint_box(sources, objectives)
    together = pd.concat(fronts, ignore_index=True)
    names = long_tailed(together, objectives) if log is None else log
    with_returned = all("returned" in frame.columns for frame in frames)
    returned = [frame[truth_column(frame, "returned")] for frame in frames] if with_returned else []
    # Returned and evaluated designs are measured together, along the same rays.
    plain = _shares([*fronts, *returned], box, "hypervolume")
    columns = {name: values[: len(entries)] for name, values in plain.items()}
    if names:
        columns |= _shares(fronts, common_box(sources, objectives, names), "hypervolume_log")
    target = box.coordinates(non_dominated(together, objectives))
    columns["igd_plus"] = np.array([pareto.igd_plus(box.coordinates(front), target) for front in fronts])
    if true_front is not None:
        columns["share_found"] = np.array([share_found(front, true_front, objectives) for front in fronts])
        columns["igd_plus_true"] = np.array([igd_plus(front, true_front, box) for front in fronts])
    columns |= _shares(fronts, joint, "hypervolume_joint")
    if with_returned:
        columns |= {name.replace("volume", "volume_returned"): values[len(entries) :] for name, values in plain.items()}
    who = {"algorithm": [run.algorithm for run in entries], "seed": [run.seed for run in entries]}
    return pd.DataFrame({**who, **columns, "box": box.label})


def by_algorithm(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs of each algorithm, in the order of first appearance; raise ConfigError without a run."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.algorithm, []).append(run)
    if not groups:
        raise ConfigError("there is no run to analyse; expected at least one")
    return groups


def _vectors(frame: pd.DataFrame, objectives: Sequence[Objective]) -> FloatArray:
    """Distinct objectives, to be minimised, of the front of a frame, shape ``(points, objectives)``."""
    return oriented(objective_values(non_dominated(frame, objectives), objectives), objectives)


def _sample_counts(evaluations: int, points: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Evenly spread sample points among 1 .. evaluations, the last one included."""
    if points < 1:
        raise ConfigError(f"points={points} is not allowed; expected 1 or more")
    counts = np.unique(np.linspace(0, evaluations, points + 1).round().astype(np.int64))
    return counts[counts > 0]


def _shares(fronts: Sequence[pd.DataFrame], box: Box, name: str) -> dict[str, FloatArray]:
    """Columns of the hypervolumes of fronts in a box and, where they are estimates, of their standard errors."""
    coordinates = [box.coordinates(front) for front in fronts]
    values, errors = np.array(pareto.normalised_hypervolumes([[front] for front in coordinates]))[:, :, 0].T
    return {name: values, f"{name}_error": errors} if errors.any() else {name: values}


def _over_time(
    frames: Sequence[pd.DataFrame], box: Box, counts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[pareto.HypervolumeTrace]:
    """Hypervolume of each run after each number of evaluations, with standard errors."""
    histories = []
    for frame in frames:
        ordered = in_order(frame)
        mask = feasible(ordered, box.objectives)
        # Number of feasible designs among those evaluated so far.
        ends = np.append(0, np.cumsum(mask))[np.minimum(counts, len(mask))]
        histories.append(np.split(box.coordinates(ordered), ends)[:-1])
    return pareto.normalised_hypervolumes(histories)
