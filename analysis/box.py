"""Normalisation box of objectives: one scale for all the runs of a comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moopim import pareto
from moopim.analysis.frames import feasible, in_order, log_floor, objective_values
from moopim.errors import ConfigError, unknown_name
from moopim.quantities import Objective, oriented
from moopim.typing import BoolArray, FloatArray

ALL_FRONTS = "fronts of all runs"
JOINT_FRONT = "joint front"

# Values that differ by a smaller share of the larger one differ by rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Box:
    """Ideal and nadir point that become 0 and 1 when objectives are normalised.

    Indicators of different runs can be compared only when they are measured in the same box. Objectives whose ideal and
    nadir are equal have no scale and are left out, unless all of them are constant.

    Attributes:
        objectives: The objectives.
        ideal: Best value of each objective, natural sign and unit.
        nadir: Worst value of each objective on the fronts, natural sign and unit.
        log: Names of the objectives that are measured on a logarithmic scale, so that one with a long tail does not
            outweigh the others. On it, values below the smaller end of the box (zeros, say) count as that end.
        fronts: In words, the fronts that the box bounds, for tables and figures.

    Raises:
        ConfigError: If an ideal is worse than its nadir, or an objective of `log` is unknown or has an end below or at
            0.
    """

    objectives: Sequence[Objective]
    ideal: Sequence[float]
    nadir: Sequence[float]
    log: Sequence[str] = ()
    fronts: str = ""

    def __post_init__(self) -> None:
        _check_log(self.objectives, self.log)
        for objective, best, worst in zip(self.objectives, self.ideal, self.nadir, strict=True):
            if not objective.sign * best <= objective.sign * worst:
                raise ConfigError(f"ideal {best!r} of objective {objective.name!r} is worse than its nadir {worst!r}")
            if objective.name in self.log and not min(best, worst) > 0:
                raise ConfigError(f"the box of {objective.name!r} is {best!r} to {worst!r}; log= expects positive ends")

    @property
    def constant(self) -> tuple[str, ...]:
        """Names of the objectives left out because they are constant."""
        return tuple(o.name for o, kept in zip(self.objectives, self._measured, strict=True) if not kept)

    @property
    def label(self) -> str:
        """The box in words, such as ``fronts of all runs, without area (constant)``; empty where nothing is known."""
        without = f"without {', '.join(self.constant)} (constant)" if self.constant else ""
        return ", ".join(filter(None, [self.fronts, without]))

    @property
    def _measured(self) -> BoolArray:
        """Mask of the objectives that are measured, shape ``(objectives,)``."""
        low, high = np.sort(np.array([self.ideal, self.nadir], dtype=np.float64), axis=0)
        varied = high - low > _ROUNDING * np.maximum(np.abs(low), np.abs(high))
        return np.asarray(varied if varied.any() else ~varied)

    def coordinates(self, frame: pd.DataFrame) -> FloatArray:
        """Normalised objectives of the feasible designs, to be minimised: 0 at the ideal, 1 at the nadir point.

        Args:
            frame: Designs with a column per objective and, as a rule, ``feasible``.

        Returns:
            Array of shape ``(feasible designs, objectives that are not left out)``.

        Raises:
            ConfigError: If the frame has no column for an objective, or a value on a logarithmic scale is negative.
        """
        values = objective_values(frame, self.objectives)[feasible(frame, self.objectives)]
        ends = np.array([self.ideal, self.nadir], dtype=np.float64)
        for j, objective in enumerate(self.objectives):
            if objective.name in self.log:
                if len(values) and values[:, j].min() < 0:
                    least = values[:, j].min()
                    raise ConfigError(f"objective {objective.name!r} has the value {least:g}; log= expects at least 0")
                values[:, j] = np.log10(np.maximum(values[:, j], ends[:, j].min()))
                ends[:, j] = np.log10(ends[:, j])
        F, ends = oriented(values, self.objectives), oriented(ends, self.objectives)
        return pareto.normalise(F, *ends)[:, self._measured]


def common_box(frames: Iterable[pd.DataFrame], objectives: Sequence[Objective], log: Sequence[str] = ()) -> Box:
    """Box of the fronts of all runs, in which every run with a front has a hypervolume above 0.

    Of a single run it is the box of its front over time: of every design that was once on the front. A logarithmic
    scale begins at the smallest positive value, but not below a millionth of the largest.

    Args:
        frames: All evaluated designs of each run, in order of their column ``evaluation`` where there is one.
        objectives: The objectives.
        log: Names of the objectives to measure on a logarithmic scale.

    Returns:
        The box, from the best to the worst value of each objective on these fronts.

    Raises:
        ConfigError: If no design is feasible, a frame lacks a column, or an objective in `log` is unknown or nowhere
            positive on the fronts.
    """
    runs = list(frames)
    return _box(_fronts(runs, objectives), objectives, log, "front over time" if len(runs) == 1 else ALL_FRONTS)


def joint_box(frames: Iterable[pd.DataFrame], objectives: Sequence[Objective], log: Sequence[str] = ()) -> Box:
    """Box of the joint front: of the designs that no design of any run dominates.

    It magnifies the differences between good runs; runs whose fronts lie outside have no hypervolume in it. An
    objective that is constant on the joint front extends to its worst value on the fronts of all runs.

    Args:
        frames: All evaluated designs of each run; see `common_box`.
        objectives: The objectives.
        log: Names of the objectives to measure on a logarithmic scale.

    Returns:
        The box.

    Raises:
        ConfigError: As `common_box`.
    """
    F = _fronts(list(frames), objectives)
    joint = F[pareto.non_dominated(F)]
    if len(joint):
        flat = joint.min(axis=0) == joint.max(axis=0)
        joint = np.concatenate([joint, np.where(flat, F.max(axis=0), joint.max(axis=0))[None]])
    return _box(joint, objectives, log, JOINT_FRONT)


def _fronts(frames: Sequence[pd.DataFrame], objectives: Sequence[Objective]) -> FloatArray:
    """Objectives (to be minimised) on the front of each run, or on that of a single run over time."""
    select = pareto.non_dominated_in_turn if len(frames) == 1 else pareto.non_dominated
    fronts = [np.empty((0, len(objectives)))]
    for frame in map(in_order, frames):
        F = oriented(objective_values(frame, objectives)[feasible(frame, objectives)], objectives)
        fronts.append(F[select(F)])
    return np.concatenate(fronts)


def _box(F: FloatArray, objectives: Sequence[Objective], log: Sequence[str], fronts: str) -> Box:
    """Smallest box around designs, given by their objectives to be minimised, shape ``(designs, objectives)``."""
    _check_log(objectives, log)
    if not len(F):
        raise ConfigError("no design is feasible; a box needs at least one")
    ends = oriented(np.array([F.min(axis=0), F.max(axis=0)]), objectives)
    for j, objective in enumerate(objectives):
        if objective.name in log:
            # fmax: without a positive value the floor is NaN, and Box raises for the remaining end.
            ends[:, j] = np.fmax(ends[:, j], log_floor(F[:, j] * objective.sign))
    return Box(tuple(objectives), tuple(ends[0].tolist()), tuple(ends[1].tolist()), tuple(log), fronts)


def _check_log(objectives: Sequence[Objective], log: Sequence[str]) -> None:
    names = [objective.name for objective in objectives]
    for name in log:
        if name not in names:
            raise unknown_name("objective", name, names)
