"""The comparison of optimisers that ``moopim compare`` prints."""

from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

from moopim.analysis.indicators import Run, indicator_table
from moopim.analysis.statistics import comparison_table
from moopim.quantities import Objective

__all__ = ["compare_indicators", "comparison"]


def comparison(
    runs: Iterable[Run],
    objectives: Sequence[Objective],
    log: Sequence[str] | None = None,
    reference: str | None = None,
) -> pd.DataFrame:
    """Compares optimisers by every quality indicator.

    Args:
        runs: The runs, several seeds of each optimiser.
        objectives: The objectives.
        log: Names of objectives on a logarithmic scale; see `moopim.analysis.indicator_table`.
        reference: Optimiser that the others are tested against; for each indicator the one with the best median by
            default.

    Returns:
        One row per indicator and optimiser, the best median first: ``indicator`` and ``algorithm``, then the columns of
        `moopim.analysis.comparison_table`.

    Raises:
        ConfigError: No run has a feasible design, a frame lacks a column, or a name is unknown.
    """
    return compare_indicators(indicator_table(runs, objectives, log), reference)


def compare_indicators(table: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Compares optimisers by indicators that are measured already.

    Args:
        table: From `moopim.analysis.indicator_table`.
        reference: Optimiser that the others are tested against; see `comparison`.

    Returns:
        The same as `comparison`.

    Raises:
        ConfigError: The reference is not among the algorithms.
    """
    parts = []
    for indicator in table.columns.drop(["algorithm", "seed"]):
        sense: Literal["min", "max"] = "min" if indicator == "igd_plus" else "max"
        part = comparison_table(table, indicator, sense, reference).reset_index()
        part.insert(0, "indicator", indicator)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
