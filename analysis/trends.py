"""What the designs of a front have in common: section 4.5 of CrossNAS (arXiv 2505.22868) as a function.

The question is whether a front could be a random draw from all the designs that it was chosen from. So that is the
test: as many designs are drawn at random from all, without replacement, many times, and p is the share of the draws
that differ from all designs at least as much as the front does. It needs no large front, allows for the front being a
part of the sample, and treats choices and orders alike:

- of a choice without an order, and of parts of the circuit, where a value in the middle may be the best, the difference
  is Pearson's chi-square of the counts; this is the Monte Carlo form of Fisher's exact test with that statistic;
- of depth, channels and bits it is the rank sum of the front, as in the test of Mann and Whitney, in which a drift to
  larger or smaller values counts most.

Designs count once each, however many layers they have: the bits of a part of a network enter the test as their mean.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from moopim.analysis.checks import read_columns
from moopim.analysis.statistics import holm
from moopim.errors import ConfigError, unknown_name
from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = ["CONTRAST", "GENES", "SECTIONS", "trends"]

GENES = ("depth", "block", "channels", "weight_bits", "activation_bits", "crossbar", "adc_bits", "dac_bits")
"""Genes that are looked at: depth, then by block, then by thirds of the layers, then the circuit."""

SECTIONS = ("head", "middle", "tail")
"""Thirds of the layers of a network, from the image on; the fully connected layer is in the tail."""

CONTRAST = "middle - ends"
"""Place of the mean bits of the middle third less those of the other two."""

_BITS = ("weight_bits", "activation_bits")
_ORDERED = ("depth", "channels")
_SHOWN_AS = ("lower", "equal", "higher")  # a contrast
# Columns of a run that tell how a design was found, not what it is.
_BOOKKEEPING = ("evaluation", "generation", "feasible", "cached", "returned")
# What differs by rounding only is the same.
_DIGITS = 9
_TIE = 10.0**-_DIGITS


class _Feature(NamedTuple):
    """Something that designs choose.

    Attributes:
        gene: One of `GENES`.
        place: Where in the network; empty where there is one place only.
        values: What is tested, as numbers (of a choice: its place in `levels`); NaN where a design has no such place,
            shape ``(designs,)``.
        ordered: Whether the values have an order.
        levels: What is counted, shape ``(levels,)``.
        counts: How often a design has each, shape ``(designs, levels)``.
    """

    gene: str
    place: str
    values: FloatArray
    ordered: bool
    levels: list[str]
    counts: IntArray


def trends(
    sample: pd.DataFrame,
    front: pd.DataFrame,
    columns: Sequence[str] | None = None,
    draws: int = 9999,
    seed: int = 1,
) -> pd.DataFrame:
    """Compares how often the designs of a front choose each value with how often all designs do.

    Equal designs count once, and those of the front belong to the sample whether it holds them or not. What the sample
    is decides what a trend means: beside everything that an optimiser tried, the front shows its last preferences only;
    beside a random sample it shows all of them. The designs of an evolutionary search descend from each other, so that
    p-values there are a guide rather than probabilities.

    Args:
        sample: Designs, one row each, with columns as a run writes them: ``depth``, ``block_0``, ...,
            ``weight_bits_0``, ... or ``weight_bits_a_0``, ..., ``weight_bits_head``, ``crossbar`` and so on. What
            belongs to blocks beyond ``depth``, and to the shortcut of blocks other than RES, is left out.
        front: Designs of the front, with the same columns.
        columns: The genes to look at, of `GENES`; by default those that both frames have.
        draws: Number of random draws behind each p-value.
        seed: Seed of the draws.

    Returns:
        One row per gene, place and value: ``gene``; ``place`` (the number of the block from 1, one of `SECTIONS`,
        `CONTRAST`, or nothing); ``value``; ``front`` and ``sample``, how many designs chose it (of bits: how many
        layers, but designs for `CONTRAST`); ``front_share``, ``sample_share`` and their ``difference``. The others say
        the same in each row of a gene and place: ``test`` (chi-square or rank sum), ``p_value``, and ``p_holm``,
        adjusted for the number of tests; ``effect``, from 0 to 1 the share of the front that would have to choose
        otherwise to be like the sample, or, where there is an order, from -1 to 1 how much more probable it is that the
        front has the larger value than that the sample has it (Cliff's delta). The last three are NaN where there is no
        choice or the front has no such place.

    Raises:
        ConfigError: If the front is empty, a gene is unknown or a frame has no column for it.

    Example:
        >>> import pandas as pd
        >>> from moopim.analysis.trends import trends
        >>> sample = pd.DataFrame({"crossbar": [32, 64, 128, 256] * 10, "dac_bits": [1, 2] * 20, "id": range(40)})
        >>> found = trends(sample, sample[sample["crossbar"] == 256])
        >>> found.loc[found["gene"] == "crossbar", "value"].tolist()
        ['32', '64', '128', '256']
        >>> found.loc[found["gene"] == "crossbar", "difference"].tolist()
        [-0.25, -0.25, -0.25, 0.75]
    """
    if front.empty:
        raise ConfigError("the front has no designs; expected at least one")
    shared = [name for name in front.columns if name in sample.columns and name not in _BOOKKEEPING]
    genes = _genes(shared, columns)
    counted = [name for name in shared if re.fullmatch(_form([gene for gene in GENES if gene != "block"]), name)]
    front, sample = read_columns(front[shared], counted), read_columns(sample[shared], counted)
    own = front.drop_duplicates()
    designs = pd.concat([own, sample], ignore_index=True).drop_duplicates(ignore_index=True)
    of_front = np.arange(len(designs)) < len(own)
    features = [feature for gene in genes for feature in _features(designs, gene)]
    rng = np.random.default_rng(seed)
    p_values, effects = np.array([_test(feature, of_front, draws, rng) for feature in features]).T
    adjusted = np.full_like(p_values, np.nan)
    tested = ~np.isnan(p_values)
    adjusted[tested] = holm(p_values[tested])
    parts = [
        _count(feature, of_front).assign(p_value=p_value, p_holm=p_holm, effect=effect)
        for feature, p_value, p_holm, effect in zip(features, p_values, adjusted, effects, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _genes(columns: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    there = [gene for gene in GENES if any(re.fullmatch(_form([gene]), name) for name in columns)]
    for gene in wanted or ():
        if gene not in there:
            raise unknown_name("gene of both frames", gene, there)
    if not there:
        raise ConfigError(f"the frames share no column of a gene; expected some of {', '.join(GENES)}")
    return there if wanted is None else list(wanted)


def _form(genes: Sequence[str]) -> str:
    """Pattern of the columns of some genes."""
    return rf"({'|'.join(genes)})((_(a|b|shortcut))?_\d+|_head)?"


def _features(designs: pd.DataFrame, gene: str) -> Iterator[_Feature]:
    """Yields what a gene stands for, place by place."""
    if gene in _BITS:
        yield from _by_section(designs, gene)
    elif gene in designs.columns:
        yield _choice(gene, "", designs[gene], np.ones(len(designs), dtype=np.bool_))
    else:
        for place, name in _numbered(designs, gene):
            yield _choice(gene, str(place + 1), designs[name], _has_block(designs, place))


def _numbered(designs: pd.DataFrame, prefix: str) -> list[tuple[int, str]]:
    """Columns ``prefix_0``, ... and their numbers, in order."""
    found = [(name, re.fullmatch(rf"{prefix}_(\d+)", name)) for name in designs.columns]
    return sorted((int(match[1]), name) for name, match in found if match)


def _has_block(designs: pd.DataFrame, place: int) -> BoolArray:
    if "depth" not in designs.columns:
        return np.ones(len(designs), dtype=np.bool_)
    return designs["depth"].to_numpy() > place


def _choice(gene: str, place: str, column: pd.Series, there: BoolArray) -> _Feature:
    levels, codes = np.unique(column.to_numpy()[there], return_inverse=True)
    values = np.full(len(column), np.nan)
    values[there] = codes
    counts = (values[:, None] == np.arange(len(levels))).astype(np.int64)
    return _Feature(gene, place, values, gene in _ORDERED, [str(level) for level in levels.tolist()], counts)


def _by_section(designs: pd.DataFrame, gene: str) -> Iterator[_Feature]:
    """Yields the bits of each third of the layers, and the contrast between the middle one and the others."""
    bits, there = _layers(designs, gene)
    levels = np.unique(bits[there])
    # The third of each layer among those that a design has; -1 where it has none.
    section = np.where(there, (there.cumsum(axis=1) - 1) * len(SECTIONS) // there.sum(axis=1, keepdims=True), -1)
    means = []
    for i, name in enumerate(SECTIONS):
        inside = section == i
        counts = np.stack([((bits == level) & inside).sum(axis=1) for level in levels], axis=1)
        means.append(_mean(bits, inside))
        yield _Feature(gene, name, means[-1], True, [str(level) for level in levels.tolist()], counts)
    contrast = means[1] - _mean(bits, there & (section != 1))
    sign = np.where(np.abs(contrast) < _TIE, 0, np.sign(contrast))
    yield _Feature(
        gene, CONTRAST, contrast, True, list(_SHOWN_AS), (sign[:, None] == np.array([-1, 0, 1])).astype(np.int64)
    )


def _layers(designs: pd.DataFrame, gene: str) -> tuple[IntArray, BoolArray]:
    """Bits of all layers in the order in which they run, and which of them a design has; ``(designs, layers)`` each."""
    layers = [(place, name, _has_block(designs, place)) for place, name in _numbered(designs, gene)]
    for part in ("a", "b", "shortcut"):
        for place, name in _numbered(designs, f"{gene}_{part}"):
            there = _has_block(designs, place)
            if part == "shortcut" and f"block_{place}" in designs.columns:
                there = there & (designs[f"block_{place}"] == "RES").to_numpy()
            layers.append((place, name, there))
    layers.sort(key=lambda layer: layer[0])  # stable: a, b, shortcut within a block
    if f"{gene}_head" in designs.columns:
        layers.append((len(layers), f"{gene}_head", np.ones(len(designs), dtype=np.bool_)))
    if not layers:
        raise ConfigError(f"the frames have no column {gene}_0 or {gene}_a_0; expected one per layer")
    return designs[[name for _, name, _ in layers]].to_numpy(), np.stack([there for *_, there in layers], axis=1)


def _mean(bits: IntArray, inside: BoolArray) -> FloatArray:
    """Mean over the layers inside, NaN where there is none, shape ``(designs,)``."""
    count = inside.sum(axis=1)
    return np.where(count > 0, np.where(inside, bits, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _count(feature: _Feature, of_front: BoolArray) -> pd.DataFrame:
    front, sample = feature.counts[of_front].sum(axis=0), feature.counts.sum(axis=0)
    share, whole = front / front.sum() if front.any() else front * np.nan, sample / max(sample.sum(), 1)
    return pd.DataFrame(
        {
            "gene": feature.gene,
            "place": feature.place,
            "value": feature.levels,
            "front": front,
            "sample": sample,
            "front_share": share,
            "sample_share": whole,
            "difference": share - whole,
            "test": "rank sum" if feature.ordered else "chi-square",
        }
    )


def _test(feature: _Feature, of_front: BoolArray, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """The p-value, which is the share of random draws that differ at least as much as the front, and the effect."""
    there = ~np.isnan(feature.values)
    values, chosen = feature.values[there].round(_DIGITS), of_front[there]
    levels, codes = np.unique(values, return_inverse=True)
    size = int(chosen.sum())
    if len(levels) < 2 or size in (0, len(values)):  # noqa: PLR2004 (a choice has two values or more)
        return float("nan"), float("nan")
    total = np.bincount(codes)
    expected = total * (size / len(values))
    rank = np.bincount(codes, weights=rankdata(values)) / total

    def difference(counts: IntArray) -> FloatArray:
        apart = counts - expected
        return np.abs(apart @ rank) if feature.ordered else (apart**2 / expected).sum(axis=-1)

    front = np.bincount(codes[chosen], minlength=len(levels))
    drawn = difference(rng.multivariate_hypergeometric(total, size, size=draws))
    p_value = (1 + (drawn >= difference(front) * (1 - _TIE)).sum()) / (1 + draws)
    if feature.ordered:  # from the mean rank of the front among all designs
        return float(p_value), float((2 * (front @ rank) / size - 1) / len(values) - 1)
    return float(p_value), float(np.abs(front - expected).sum() / (2 * size))
