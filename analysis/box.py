"""The box in which fronts are measured: one scale for all the runs of a comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from moopim.analysis.fronts import FloatArray, feasible, objective_values

from moopim import pareto
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
            outweigh the others. A zero of such an objective counts as the ideal value when it is minimised (its
            logarithm is infinitely good), and leaves the design out when it is maximised.
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
        ideal, nadir = (_to_minimise(np.array(end), self.objectives, self.log) for end in (self.ideal, self.nadir))
        F = _to_minimise(_feasible_values(frame, self.objectives), self.objectives, self.log)
        return pareto.normalise(np.where(np.isneginf(F), ideal, F), ideal, nadir)


def common_box(frames: Iterable[pd.DataFrame], objectives: Sequence[Objective], log: Sequence[str] = ()) -> Box:
    """Makes the box of the union of the fronts of some frames.

    An objective that has one value on the whole front reaches to the worst value of any feasible design. Zeros are
    left out of an objective on a logarithmic scale.

    Args:
        frames: Designs of each run; pass all evaluated designs of all runs for a fair comparison.
        objectives: The objectives.
        log: Names of the objectives to measure on a logarithmic scale.

    Returns:
        The box, from the ideal to the nadir point of the union.

    Raises:
        ConfigError: No design is feasible, a frame lacks a column, an objective in `log` is unknown, has a negative
            value, or has no positive one.
    """
    _check_log(objectives, log)
    values = np.concatenate(
        [np.empty((0, len(objectives))), *(_feasible_values(frame, objectives) for frame in frames)]
    )
    if not len(values):
        raise ConfigError("no design is feasible; a box needs at least one")
    usable = np.isfinite(_to_minimise(values, objectives, log))
    if not usable.any(axis=0).all():
        raise ConfigError(f"an objective of log={list(log)} has no positive value; expected at least one")
    signs = np.array([objective.sign for objective in objectives])
    F = values * signs
    on_front = usable & pareto.non_dominated(F)[:, None]
    ideal = np.where(on_front, F, np.inf).min(axis=0)
    nadir = np.where(on_front, F, -np.inf).max(axis=0)
    nadir = np.where(ideal >= nadir, np.where(usable, F, -np.inf).max(axis=0), nadir)
    ideal = np.minimum(ideal, nadir)
    return Box(tuple(objectives), tuple((ideal * signs).tolist()), tuple((nadir * signs).tolist()), tuple(log))


def _feasible_values(frame: pd.DataFrame, objectives: Sequence[Objective]) -> FloatArray:
    return objective_values(frame, objectives)[feasible(frame, objectives)]


def _to_minimise(values: FloatArray, objectives: Sequence[Objective], log: Sequence[str]) -> FloatArray:
    """Takes the logarithms and changes the sign of maximised objectives; the logarithm of 0 becomes infinite."""
    scaled = np.array(values, dtype=np.float64)
    for j, objective in enumerate(objectives):
        if objective.name in log:
            if (values[..., j] < 0).any():
                least = values[..., j].min()
                raise ConfigError(f"objective {objective.name!r} has the value {least:g}; log= expects at least 0")
            with np.errstate(divide="ignore"):
                scaled[..., j] = np.log10(values[..., j])
        scaled[..., j] *= objective.sign
    return scaled


def _check_log(objectives: Sequence[Objective], log: Sequence[str]) -> None:
    names = [objective.name for objective in objectives]
    for name in log:
        if name not in names:
            raise unknown_name("objective", name, names)
