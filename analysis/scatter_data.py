"""What a scatter plot shows: front, dominated and infeasible designs of each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moopim.analysis.fronts import feasible, front_rows, objective_values
from moopim.analysis.style import thin
from moopim.errors import ConfigError
from moopim.quantities import Objective
from moopim.typing import FloatArray

__all__ = ["CLOUD", "Frames", "ScatterGroups", "check_count", "groups_by_name", "scatter_groups"]

Frames = pd.DataFrame | Mapping[str, pd.DataFrame]

CLOUD = 3000
"""Points of the dominated cloud and of the infeasible designs that are drawn; more only make the cloud solid."""


@dataclass(frozen=True)
class ScatterGroups:
    """The designs of a run as a scatter plot shows them, natural sign and unit, shape ``(designs, objectives)`` each.

    Attributes:
        front: The feasible designs that no other dominates, best first by the first objective.
        dominated: The other feasible designs, thinned.
        infeasible: The designs that violate a constraint but have finite objectives, thinned.
    """

    front: FloatArray
    dominated: FloatArray
    infeasible: FloatArray


def scatter_groups(frame: pd.DataFrame, objectives: Sequence[Objective], limit: int = CLOUD) -> ScatterGroups:
    """Sorts designs into front, dominated and infeasible ones.

    Args:
        frame: Evaluated designs.
        objectives: The objectives.
        limit: Number of dominated and of infeasible designs to keep, evenly over the search.

    Returns:
        The groups.

    Raises:
        ConfigError: The frame has no column for an objective.
    """
    values = objective_values(frame, objectives)
    front = front_rows(frame, objectives)
    dominated = feasible(frame, objectives)
    infeasible = ~dominated & np.isfinite(values).all(axis=1)
    dominated[front] = False
    thinned = [values[mask][thin(int(mask.sum()), limit)] for mask in (dominated, infeasible)]
    return ScatterGroups(values[front], *thinned)


def groups_by_name(frames: Frames, objectives: Sequence[Objective]) -> dict[str, ScatterGroups]:
    """Sorts the designs of each run.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: The objectives.

    Returns:
        The groups by name. One run without a name has ``""``; of runs with names there are only the fronts.

    Raises:
        ConfigError: A frame has no column for an objective.
    """
    if isinstance(frames, pd.DataFrame):
        return {"": scatter_groups(frames, objectives)}
    nothing = np.empty((0, len(objectives)))
    return {
        name: ScatterGroups(objective_values(frame, objectives)[front_rows(frame, objectives)], nothing, nothing)
        for name, frame in frames.items()
    }


def check_count(picture: str, objectives: Sequence[Objective], low: int, high: int | None = None) -> None:
    """Checks that a picture has the number of objectives that it can show.

    Args:
        picture: Name of the drawing function.
        objectives: The objectives.
        low: The smallest number.
        high: The largest number, if there is one.

    Raises:
        ConfigError: There are more or fewer.
    """
    n = len(objectives)
    if n < low or (high is not None and n > high):
        allowed = str(low) if high == low else f"{low} or more" if high is None else f"{low} to {high}"
        raise ConfigError(f"{picture} got {n} objectives; expected {allowed}")
