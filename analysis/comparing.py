"""The comparison of optimisers that ``moopim compare`` prints."""

from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

from moopim.analysis.box import JOINT_FRONT
from moopim.analysis.indicators import Run, indicator_table
from moopim.analysis.statistics import comparison_table
from moopim.quantities import Objective

__all__ = ["compare_indicators", "comparison", "comparison_text"]


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
        `moopim.analysis.comparison_table`, ``error``, the largest standard error among the runs of the optimiser where
        the indicator is an estimate and else 0, and ``box``, what is measured in, in words.

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
    names = [name for name in table.columns.drop(["algorithm", "seed"]) if name != "box"]
    parts = []
    for indicator in (name for name in names if not name.endswith("_error")):
        sense: Literal["min", "max"] = "min" if indicator == "igd_plus" else "max"
        part = comparison_table(table, indicator, sense, reference)
        if f"{indicator}_error" in names:
            part["error"] = table.groupby(table["algorithm"].astype(str))[f"{indicator}_error"].max()
        else:
            part["error"] = 0.0
        part["box"] = indicator_box(table, indicator)
        part = part.reset_index()
        part.insert(0, "indicator", indicator)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def indicator_box(table: pd.DataFrame, indicator: str) -> str:
    """Names the box that an indicator is measured in.

    Args:
        table: From `moopim.analysis.indicator_table`.
        indicator: Column of the indicator.

    Returns:
        The box in words; empty where the table does not tell.
    """
    box = str(table["box"].iloc[0]) if "box" in table.columns and len(table) else ""
    if indicator != "hypervolume_joint":
        return box
    # What is constant on the fronts of all runs is so on the joint front, and nothing else is left out there.
    _, comma, without = box.partition(", ")
    return f"{JOINT_FRONT}{comma}{without}"


def comparison_text(compared: pd.DataFrame) -> str:
    """Writes a comparison as text: the table, and below it the boxes and how exact the estimates are.

    Args:
        compared: From `comparison` or `compare_indicators`.

    Returns:
        The lines.
    """
    table = compared.drop(columns=["box", "error"])
    lines = [table.to_string(index=False, float_format=lambda value: f"{value:.4g}")]
    for box, rows in compared.groupby("box", sort=False):
        lines.append(f"measured in the box of the {box}: {', '.join(rows['indicator'].unique())}")
    for indicator, rows in compared[compared["error"] > 0].groupby("indicator", sort=False):
        lines.append(f"{indicator} is an estimate with a standard error of at most {rows['error'].max():.1g}")
    return "\n".join(lines)
