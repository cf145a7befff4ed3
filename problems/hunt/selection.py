"""How HuNT (IEEE TCAD 2024, section III-D) takes one design out of a Pareto set."""

import numpy as np
import pandas as pd

from moopim.errors import ConfigError, unknown_name
from moopim.messages import count

__all__ = ["GOALS", "LIMIT", "select", "selected_text"]

GOALS = ("tops_per_W", "tops_per_mm2")
"""What the best design may be the best in."""


LIMIT = 0.01
"""The most accuracy that a design may lose (a share), as in the paper."""


def select(front: pd.DataFrame, goal: str = "tops_per_W", limit: float = LIMIT, loss: str = "loss") -> pd.Series:
    """Selects a design: of the Pareto set, those that lose little accuracy; of these, the most efficient.

    Args:
        front: The Pareto set, one design per row, such as a ``front.csv`` with a column for the loss of accuracy
            (`moopim.problems.hunt.loss.losses`).
        goal: What the design shall be best in, a name of `GOALS`.
        limit: The most accuracy that it may lose (a share).
        loss: Column of the loss (a share).

    Returns:
        The row; of equally good ones the first.

    Raises:
        ConfigError: If a name is unknown, the limit is no number from 0, or no design is below it.

    Example:
        >>> import pandas as pd
        >>> from moopim.problems.hunt.selection import select
        >>> front = pd.DataFrame({"tops_per_W": [3.0, 2.0, 1.0], "loss": [0.02, 0.01, 0.0]})
        >>> float(select(front)["tops_per_W"])
        2.0
    """
    if goal not in GOALS:
        raise unknown_name("goal", goal, GOALS)
    for column in (goal, loss):
        if column not in front.columns:
            raise unknown_name("column", column, map(str, front.columns))
    if not limit >= 0:
        raise ConfigError(f"limit={limit!r} is not allowed; expected a share of accuracy from 0, such as 0.01")
    known = front[np.isfinite(front[[goal, loss]].to_numpy(dtype=np.float64)).all(axis=1)]
    if known.empty:
        raise ConfigError(f"none of the {len(front)} designs has finite {goal} and {loss}; expected at least one")
    feasible = known[known[loss] <= limit]
    if feasible.empty:
        raise ConfigError(
            f"no design loses at most {100 * limit:g} % of accuracy; the lowest loss of the "
            f"{count(len(known), 'design')} is {100 * known[loss].min():.3g} %"
        )
    best: pd.Series = feasible.loc[feasible[goal].idxmax()]
    return best


def selected_text(front: pd.DataFrame, goal: str) -> str:
    """Says which design is selected, for notes and tables.

    Args:
        front: Mappings with columns ``tiers`` and ``loss``, and one for the goal.
        goal: A name of `GOALS`.

    Returns:
        Such as ``RRFS 15.1``, or ``none`` where no design is below `LIMIT`.
    """
    if not (front["loss"] <= LIMIT).any():
        return "none"
    best = select(front, goal)
    return f"{best['tiers']} {best[goal]:.3g}"
