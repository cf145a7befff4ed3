"""The box in which fronts are measured: one scale for all the runs of a comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moopim import pareto
from moopim.analysis.fronts import FloatArray, feasible, log_floor, objective_values
from moopim.errors import ConfigError, unknown_name
from moopim.quantities import Objective

__all__ = ["Box", "common_box"]


@dataclass(frozen=True)
class Box:
    """The ideal and the nadir point that become 0 and 1 when objectives are normalised.

    Indicators of different runs can be compared only when they are measured in the same box.

    Attributes:
        objectives: The objectives.
        ideal: Best value of each objective, natural sign and unit.
        nadir: Worst value of each objective on the front, natural sign and unit.
        log: Names of the objectives that are measured on a logarithmic scale, so that one with a long tail does not
            outweigh the others. On it, values below the smaller end of the box (zeros, say) count as that end.
    """

    objectives: Sequence[Objective]
    ideal: Sequence[float]
    nadir: Sequence[float]
    log: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_log(self.objectives, self.log)
        for objective, best, worst in zip(self.objectives, self.ideal, self.nadir, strict=True):
            if not objective.sign * best <= objective.sign * worst:
                raise ConfigError(f"ideal {best!r} of objective {objective.name!r} is worse than its nadir {worst!r}")
            if objective.name in self.log and not min(best, worst) > 0:
                raise ConfigError(f"the box of {objective.name!r} is {best!r} to {worst!r}; log= expects positive ends")

    def coordinates(self, frame: pd.DataFrame) -> FloatArray:
        """Places the feasible designs of a frame in the box.

        Args:
            frame: Designs with a column per objective and, as a rule, ``feasible``.

        Returns:
            Normalised objectives, to be minimised: 0 at the ideal and 1 at the nadir point, shape
            ``(feasible designs, objectives)``.

        Raises:
            ConfigError: The frame has no column for an objective, or a negative value is to be measured on a
                logarithmic scale.
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
        signs = np.array([objective.sign for objective in self.objectives])
        return pareto.normalise(values * signs, *(ends * signs))


def common_box(frames: Iterable[pd.DataFrame], objectives: Sequence[Objective], log: Sequence[str] = ()) -> Box:
    """Makes the box of the union of the fronts of some frames.

    An objective that has one value on the whole front reaches to the worst value of any feasible design. A logarithmic
    scale begins at the smallest positive value on the front, but not below a millionth of the largest.

    Args:
        frames: Designs of each run; pass all evaluated designs of all runs for a fair comparison.
        objectives: The objectives.
        log: Names of the objectives to measure on a logarithmic scale.

    Returns:
        The box, from the ideal to the nadir point of the union.

    Raises:
        ConfigError: No design is feasible, a frame lacks a column, or an objective in `log` is unknown or not
            positive anywhere on the front.
    """
    _check_log(objectives, log)
    parts = [objective_values(frame, objectives)[feasible(frame, objectives)] for frame in frames]
    if not any(map(len, parts)):
        raise ConfigError("no design is feasible; a box needs at least one")
    signs = np.array([objective.sign for objective in objectives])
    F = np.concatenate(parts) * signs
    front = F[pareto.non_dominated(F)]
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    ends = np.array([ideal, np.where(ideal == nadir, F.max(axis=0), nadir)]) * signs
    for j, objective in enumerate(objectives):
        if objective.name in log:
            # fmax: without a positive value the floor is NaN, and the box refuses the end that is left.
            ends[:, j] = np.fmax(ends[:, j], log_floor(front[:, j] * signs[j]))
    return Box(tuple(objectives), tuple(ends[0].tolist()), tuple(ends[1].tolist()), tuple(log))


def _check_log(objectives: Sequence[Objective], log: Sequence[str]) -> None:
    names = [objective.name for objective in objectives]
    for name in log:
        if name not in names:
            raise unknown_name("objective", name, names)
