"""Ranking of optimisers over several runs each: quartiles, a rank test and an effect size by quality indicator."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import mannwhitneyu, rankdata

from moopim.analysis.box import JOINT_FRONT
from moopim.analysis.frames import check_columns
from moopim.analysis.indicators import Run, indicator_table
from moopim.columns import numeric_column
from moopim.errors import ConfigError, unknown_name
from moopim.quantities import Objective
from moopim.typing import FloatArray


def a12(first: ArrayLike, second: ArrayLike) -> float:
    """Vargha-Delaney A: the probability that a value of the first sample is larger than one of the second.

    A = (R / m - (m + 1) / 2) / n with R, the rank sum of the first sample among both; ties count half. Vargha and
    Delaney, "A critique and improvement of the CL common language effect size statistics of McGraw and Wong", Journal
    of Educational and Behavioral Statistics 25(2), 2000; they call .56, .64 and .71 small, medium and large.

    Args:
        first: The first sample, shape ``(m,)``.
        second: The second sample, shape ``(n,)``.

    Returns:
        The probability: .5 where neither is larger, 1 where every value of the first sample is.

    Raises:
        ConfigError: If a sample is empty or holds a NaN.
    """
    x, y = _sample(first), _sample(second)
    rank_sum = rankdata(np.concatenate([x, y]))[: len(x)].sum()
    return float((rank_sum / len(x) - (len(x) + 1) / 2) / len(y))


def holm(p_values: ArrayLike) -> FloatArray:
    """P-values adjusted for the number of comparisons by Holm's step-down rule.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979: the
    smallest of k p-values is multiplied by k, the next by k - 1, and so on, never falling and never above 1.

    Args:
        p_values: One p-value per comparison, shape ``(comparisons,)``.

    Returns:
        The adjusted p-values in the same order, shape ``(comparisons,)``.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def significance_table(
    values: pd.DataFrame,
    value: str = "value",
    sense: Literal["min", "max"] = "max",
    reference: str | None = None,
) -> pd.DataFrame:
    """Median, quartiles, rank test and effect size of one number per run, by algorithm.

    Args:
        values: One row per run, with the columns ``algorithm`` and `value`; as from `indicator_table`.
        value: Column of the number.
        sense: Whether large (``"max"``) or small numbers (``"min"``) are better.
        reference: Algorithm that the others are tested against; the one with the best median by default.

    Returns:
        One row per algorithm, the best median first, with the algorithm as index and the columns ``runs``, ``median``,
        ``q25``, ``q75``; ``p_value`` of the two-sided Mann-Whitney test against the reference and ``p_holm``, adjusted
        for the number of comparisons; ``a12``, the probability that a run of this algorithm is better than one of the
        reference. The last three are NaN in the row of the reference.

    Raises:
        ConfigError: If a column is missing, a value is NaN, or the reference is not among the algorithms.
    """
    check_columns(values, ("algorithm", value))
    read = pd.Series(numeric_column(values, value), values.index)
    samples = {str(name): _sample(sample) for name, sample in read.groupby(values["algorithm"], sort=False)}
    if not samples:
        raise ConfigError("there is no run to compare; expected at least one")
    quartiles = {name: _quartiles(sample) for name, sample in samples.items()}
    sign = 1.0 if sense == "max" else -1.0
    ranking = sorted(samples, key=lambda name: -sign * float(quartiles[name][1]))
    if reference is not None and reference not in samples:
        raise unknown_name("reference algorithm", reference, samples)
    table = pd.DataFrame(
        {
            "runs": [len(samples[name]) for name in ranking],
            "median": [quartiles[name][1] for name in ranking],
            "q25": [quartiles[name][0] for name in ranking],
            "q75": [quartiles[name][2] for name in ranking],
        },
        index=pd.Index(ranking, name="algorithm"),
    )
    return table.join(_tests({name: sign * samples[name] for name in ranking}, reference or ranking[0]))


def rank_optimisers(
    runs: Iterable[Run],
    objectives: Sequence[Objective],
    log: Sequence[str] | None = None,
    reference: str | None = None,
    true_front: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Rank optimisers by every quality indicator.

    Args:
        runs: The runs, several seeds of each optimiser.
        objectives: The objectives.
        log: Names of objectives on a logarithmic scale; see `moopim.analysis.indicator_table`.
        reference: Optimiser that the others are tested against; for each indicator the one with the best median by
            default.
        true_front: Front of the whole space, where it is known; see `moopim.analysis.indicator_table`.

    Returns:
        One row per indicator and optimiser, the best median first: ``indicator`` and ``algorithm``, then the columns of
        `moopim.analysis.significance_table`, ``error``, the largest standard error among the runs of the optimiser
        where the indicator is an estimate and else 0, and ``box``, that of the indicator in words.

    Raises:
        ConfigError: If no run has a feasible design, a frame lacks a column, or a name is unknown.
    """
    return rank_by_indicators(indicator_table(runs, objectives, log, true_front), reference)


def rank_by_indicators(table: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Rank optimisers by indicators that are already measured.

    Args:
        table: From `moopim.analysis.indicator_table`.
        reference: Optimiser that the others are tested against; see `rank_optimisers`.

    Returns:
        The frame of `rank_optimisers`.

    Raises:
        ConfigError: If the reference is not among the algorithms.
    """
    names = [name for name in table.columns.drop(["algorithm", "seed"]) if name != "box"]
    parts = []
    for indicator in (name for name in names if not name.endswith("_error")):
        sense: Literal["min", "max"] = "min" if indicator.startswith("igd_plus") else "max"
        part = significance_table(table, indicator, sense, reference)
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
    """Box of an indicator in words, from `indicator_table`; empty where the table or the indicator has none."""
    if indicator == "share_found":
        return ""
    box = str(table["box"].iloc[0]) if "box" in table.columns and len(table) else ""
    if indicator != "hypervolume_joint":
        return box
    # Objectives that are constant on the fronts of all runs are so on the joint front; no others are left out there.
    _, comma, without = box.partition(", ")
    return f"{JOINT_FRONT}{comma}{without}"


def ranking_text(ranking: pd.DataFrame) -> str:
    """Ranking as text: the table, and below it the boxes and the standard errors of estimates.

    Args:
        ranking: From `rank_optimisers` or `rank_by_indicators`.

    Returns:
        The lines.
    """
    table = ranking.drop(columns=["box", "error"])
    lines = [table.to_string(index=False, float_format=lambda value: f"{value:.4g}")]
    for box, rows in ranking[ranking["box"] != ""].groupby("box", sort=False):
        lines.append(f"measured in the box of the {box}: {', '.join(rows['indicator'].unique())}")
    for indicator, rows in ranking[ranking["error"] > 0].groupby("indicator", sort=False):
        lines.append(f"{indicator} is an estimate with a standard error of at most {rows['error'].max():.1g}")
    return "\n".join(lines)


def _quartiles(sample: FloatArray) -> FloatArray:
    """Lower quartile, median and upper quartile; infinite values (IGD+ of an empty front) cannot be interpolated."""
    method: Literal["linear", "higher"] = "linear" if np.isfinite(sample).all() else "higher"
    return np.quantile(sample, (0.25, 0.5, 0.75), method=method)


def _tests(samples: dict[str, FloatArray], reference: str) -> pd.DataFrame:
    """Rank test and effect size of every sample against the reference; larger values are better."""
    others = [name for name in samples if name != reference]
    p_values = [_mann_whitney(samples[name], samples[reference]) for name in others]
    return pd.DataFrame(
        {
            "p_value": p_values,
            "p_holm": holm(p_values),
            "a12": [a12(samples[name], samples[reference]) for name in others],
        },
        index=pd.Index(others, name="algorithm"),
        dtype=np.float64,
    )


def _mann_whitney(first: FloatArray, second: FloatArray) -> float:
    p_value = float(mannwhitneyu(first, second, alternative="two-sided").pvalue)
    return 1.0 if np.isnan(p_value) else p_value  # all values equal: the statistic has no spread


def _sample(values: ArrayLike | Sequence[float]) -> FloatArray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample) or np.isnan(sample).any():
        raise ConfigError(f"the sample {sample.tolist()} cannot be compared; expected one number per run and no NaN")
    return sample
