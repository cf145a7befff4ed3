"""Statistics of several runs per algorithm: quartiles, a rank test and an effect size."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import mannwhitneyu, rankdata

from moopim.columns import numbers
from moopim.errors import ConfigError, unknown_name
from moopim.typing import FloatArray

__all__ = ["a12", "comparison_table", "holm"]


def a12(first: ArrayLike, second: ArrayLike) -> float:
    """Estimates the probability that a value of the first sample is larger than one of the second.

    Ties count half. Vargha and Delaney, "A critique and improvement of the CL common language effect size statistics
    of McGraw and Wong", Journal of Educational and Behavioral Statistics 25(2), 2000; they call .56, .64 and .71 small,
    medium and large.

    Args:
        first: The first sample, shape ``(m,)``.
        second: The second sample, shape ``(n,)``.

    Returns:
        The probability: .5 where neither is larger, 1 where every value of the first sample is.

    Raises:
        ConfigError: A sample is empty or holds a NaN.
    """
    x, y = _sample(first), _sample(second)
    rank_sum = rankdata(np.concatenate([x, y]))[: len(x)].sum()
    return float((rank_sum / len(x) - (len(x) + 1) / 2) / len(y))


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjusts p-values for the number of comparisons by Holm's step-down rule.

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


def comparison_table(
    values: pd.DataFrame,
    value: str = "value",
    sense: Literal["min", "max"] = "max",
    reference: str | None = None,
) -> pd.DataFrame:
    """Compares algorithms by one number per run.

    Args:
        values: One row per run, with the columns ``algorithm`` and `value`; as from `indicator_table`.
        value: Column of the number to compare.
        sense: Whether a large (``"max"``) or a small number (``"min"``) is good.
        reference: Algorithm that the others are tested against; the one with the best median by default.

    Returns:
        One row per algorithm, the best median first, with the algorithm as index and the columns ``runs``, ``median``,
        ``q25``, ``q75``; ``p_value`` of the two-sided Mann-Whitney test against the reference and ``p_holm``, adjusted
        for the number of comparisons; ``a12``, the probability that a run of this algorithm is better than one of the
        reference. The last three are NaN in the row of the reference.

    Raises:
        ConfigError: A column is missing, a value is NaN, or the reference is not among the algorithms.
    """
    for column in ("algorithm", value):
        if column not in values.columns:
            raise unknown_name("column", column, map(str, values.columns))
    read = pd.Series(numbers(values, value), values.index)
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


def _quartiles(sample: FloatArray) -> FloatArray:
    """Lower quartile, median and upper quartile; infinite values (IGD+ of an empty front) cannot be interpolated."""
    method: Literal["linear", "higher"] = "linear" if np.isfinite(sample).all() else "higher"
    return np.quantile(sample, (0.25, 0.5, 0.75), method=method)


def _tests(samples: dict[str, FloatArray], reference: str) -> pd.DataFrame:
    """Tests every sample against the reference; larger values are better."""
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
