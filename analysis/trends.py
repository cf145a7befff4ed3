"""Trends of a front: choices that its designs share, tested against a random draw (section 4.5 of arXiv 2505.22868).

The null hypothesis is that the front is a random draw from all the designs that it was chosen from: as many designs are
drawn at random from all, without replacement, many times, and p is the share of the draws that differ from all designs
at least as much as the front does. This needs no large front, allows for the front being a part of the sample, and
treats choices and orders alike:

- for a choice without an order, and for parts of the circuit, where a value in the middle may be the best, the
  difference is Pearson's chi-square of the counts: the Monte Carlo form of Fisher's exact test with that statistic;
- for depth, channels and bits it is the rank sum of the front, as in the Mann-Whitney test, most sensitive to a drift
  to larger or smaller values.

Designs count once each, however many layers they have: the bits of a part of a network enter the test as their mean.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.stats import rankdata

from moopim.analysis.frames import read_columns
from moopim.analysis.statistics import holm
from moopim.analysis.style import FONT, SMALL_FONT, series_color, style_axes
from moopim.errors import ConfigError, unknown_name
from moopim.typing import BoolArray, FloatArray, IntArray

GENES = ("depth", "block", "channels", "weight_bits", "activation_bits", "crossbar", "adc_bits", "dac_bits")
"""Genes that are tested: depth, by block, by thirds of the layers, and of the circuit."""

SECTIONS = ("head", "middle", "tail")
"""Thirds of the layers of a network, from the image on; the fully connected layer is in the tail."""

CONTRAST = "middle - ends"
"""Place of the mean bits of the middle third minus those of the other two."""

_BITS = ("weight_bits", "activation_bits")
_ORDERED = ("depth", "channels")
_SHOWN_AS = ("lower", "equal", "higher")  # a contrast
# Columns of a run about how a design was found, not about the design.
_BOOKKEEPING = ("evaluation", "generation", "feasible", "cached", "returned")
# Values that differ by rounding only are equal.
_DIGITS = 9
_TIE = 10.0**-_DIGITS

# Of the plot.
_TITLES = {
    "depth": "blocks",
    "block": "type of block",
    "channels": "channels of block",
    "weight_bits": "weight bits by thirds of the layers",
    "activation_bits": "activation bits by thirds of the layers",
    "crossbar": "crossbar",
    "adc_bits": "ADC bits",
    "dac_bits": "DAC bits",
}
_KINDS = {"VGG": series_color(4), "MVGG": series_color(2), "RES": series_color(3)}
# Blues from light to dark for values in order; brown, grey and purple for lower, equal and higher.
_ORDER = ("#cfe1f2", "#93c4df", "#4a98c9", "#1763ab", "#08306b")
_SIGNS = {"lower": "#b35806", "equal": "#d9d9d9", "higher": "#542788"}
_GREY = "#737373"

_BY_THIRDS = ("weight_bits", "activation_bits")
# Of a pair of bars: place, width and column.
_THIN = (-0.32, 0.12, "sample_share")
_WIDE = (0.06, 0.56, "front_share")
_SIGNIFICANT = 0.05
_KEY = "thin bars: all designs; wide bars: front, of which n have such a block; p adjusted (Holm), n.s.: 0.05 or more"
_LEAST = 0.001  # smaller p-values are not told apart
_ROW = 10.7  # widths of places in a row of panels
_MARGIN = 0.8  # of a panel, in widths of places
_MOST_KEYS = 5  # values in a legend, of more only the ends


class _Feature(NamedTuple):
    """A choice of designs at one place, tested as one.

    Attributes:
        gene: One of `GENES`.
        place: Place in the network; empty where there is one only.
        values: Tested values as numbers (of a choice: index in `levels`), shape ``(designs,)``; NaN where a design does
            not have the place.
        ordered: Whether the values have an order.
        levels: Names of the counted values, shape ``(levels,)``.
        counts: Occurrences of each level in each design, shape ``(designs, levels)``.
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
    """Frequency of each choice on a front against that in a sample, with permutation tests.

    Equal designs count once, and those of the front belong to the sample whether it holds them or not. The sample
    decides what a trend means: against everything that an optimiser tried, the front shows its last preferences only;
    against a random sample it shows all of them. The designs of an evolutionary search descend from each other, so that
    p-values there are a guide rather than probabilities.

    Args:
        sample: Designs, one row each, with the columns of a run: ``depth``, ``block_0``, ..., ``weight_bits_0``, ... or
            ``weight_bits_a_0``, ..., ``weight_bits_head``, ``crossbar`` and so on. Genes of blocks beyond ``depth``,
            and of the shortcut of blocks other than RES, are left out.
        front: Designs of the front, with the same columns.
        columns: Genes to test, of `GENES`; by default those of both frames.
        draws: Number of random draws behind each p-value.
        seed: Seed of the draws.

    Returns:
        One row per gene, place and value: ``gene``; ``place`` (the number of the block from 1, one of `SECTIONS`,
        `CONTRAST`, or empty); ``value``; ``front`` and ``sample``, the designs that chose it (of bits: the layers, but
        designs for `CONTRAST`); ``front_share``, ``sample_share`` and their ``difference``. Equal in all rows of a gene
        and place: ``test`` (chi-square or rank sum), ``p_value``, ``p_holm`` (adjusted for the number of tests), and
        ``effect``: 0 to 1, the share of the front that would have to choose otherwise to be like the sample; or, where
        there is an order, Cliff's delta of the front against the sample, -1 to 1. The last three are NaN where there is
        no choice or the front does not have the place.

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
    """Yield the features of a gene, place by place."""
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
    """Yield the bits of each third of the layers, and the contrast of the middle third to the others."""
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
    """Bits of all layers as they run, and a mask of those that a design has; ``(designs, layers)`` each."""
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
    """p-value (the share of random draws that differ at least as much as the front) and effect."""
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


def plot_trends(frame: pd.DataFrame, title: str | None = None) -> Figure:
    """Plot the choices of all designs and of a front: one panel per gene, a pair of bars per place.

    Args:
        frame: From `trends`.
        title: Title of the figure.

    Returns:
        The figure: thin bars are for all designs, wide ones for the front, below the adjusted p-value where it is below
        5 %.

    Raises:
        ConfigError: If the frame has no rows.
    """
    if frame.empty:
        raise ConfigError("the frame of trends has no rows; expected the result of moopim.analysis.trends.trends")
    rows = _arrange({str(gene): part for gene, part in frame.groupby("gene", sort=False)})
    figure = Figure(figsize=(7.4, 0.5 + 1.65 * len(rows)), layout="constrained")
    parts = np.atleast_1d(np.asarray(figure.subfigures(len(rows), 1), dtype=object))
    for subfigure, row in zip(parts, rows, strict=True):
        widths = [_width(part) for part in row]
        blank = _ROW - sum(widths)
        axes = subfigure.subplots(1, len(row) + (blank > 0), width_ratios=widths + [blank] * (blank > 0), squeeze=False)
        for ax, part in zip(axes[0], row, strict=False):
            _plot_gene(ax, part)
        axes[0, 0].set_ylabel("share", fontsize=FONT)
        for ax in axes[0, len(row) :]:
            ax.set_axis_off()
    figure.legend(
        handles=[],
        loc="outside upper left",
        frameon=False,
        title="\n".join(filter(None, [title, _KEY])),
        title_fontsize=SMALL_FONT,
        alignment="left",
    )
    return figure


def _places(part: pd.DataFrame) -> int:
    return part["place"].nunique()


def _width(part: pd.DataFrame) -> float:
    return _places(part) + _MARGIN


def _arrange(parts: dict[str, pd.DataFrame]) -> list[list[pd.DataFrame]]:
    """Fill rows with panels, in order, up to the width of a row."""
    rows: list[list[pd.DataFrame]] = [[]]
    for part in parts.values():
        if rows[-1] and sum(map(_width, rows[-1])) + _width(part) > _ROW:
            rows.append([])
        rows[-1].append(part)
    return rows


def _plot_gene(ax: Axes, part: pd.DataFrame) -> None:
    style_axes(ax).grid(visible=False, axis="x")
    gene = str(part["gene"].iloc[0])
    plain = part[part["place"] != CONTRAST]
    colors = {**_colors(list(dict.fromkeys(plain["value"]))), **_SIGNS}
    names = []
    for x, (place, rows) in enumerate(part.groupby("place", sort=False)):
        bars = [colors[value] for value in rows["value"]]
        for side, width, column in (_THIN, _WIDE):
            shares = rows[column].fillna(0).to_numpy()
            ax.bar([x + side] * len(rows), shares, width, bottom=shares.cumsum() - shares, color=bars, linewidth=0)
        _write_p(ax, x, float(rows["p_holm"].iloc[0]))
        names.append(_tick(str(place), gene, int(rows["front"].sum())))
    ax.set(xlim=(-0.6, len(names) - 0.4), ylim=(0, 1), yticks=[0, 0.5, 1])
    ax.set_xticks(range(len(names)), names)
    ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.set_title(_TITLES.get(gene, gene), fontsize=FONT, loc="left", pad=30)
    _add_keys(ax, colors, plain, CONTRAST in set(part["place"]))


def _tick(place: str, gene: str, front: int) -> str:
    if place == CONTRAST:
        return place.replace(" - ", "\n- ")
    # Of bits, layers are counted; the number of designs is in another panel.
    return place if gene in _BY_THIRDS else f"{place}\nn={front}".strip()


def _write_p(ax: Axes, x: int, p_value: float) -> None:
    strong = p_value < _SIGNIFICANT
    text = "n.s." if not strong else "p<.001" if p_value < _LEAST else f"p={p_value:.3f}".replace("0.", ".")
    if not np.isnan(p_value):
        ax.text(
            x,
            1.02,
            text,
            ha="center",
            va="bottom",
            fontsize=SMALL_FONT - 1,
            color="black" if strong else _GREY,
            fontweight="bold" if strong else "normal",
        )


def _add_keys(ax: Axes, colors: dict[str, str], plain: pd.DataFrame, contrast: bool) -> None:
    values = list(dict.fromkeys(plain["value"]))
    shown = values if len(values) <= _MOST_KEYS else [values[0], values[-1]]
    shown += list(_SIGNS) if contrast else []
    ax.legend(
        handles=[Patch(color=colors[value], linewidth=0) for value in shown],
        labels=shown,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.16),
        ncols=len(shown),
        frameon=False,
        fontsize=SMALL_FONT - 1,
        handlelength=0.8,
        handletextpad=0.3,
        columnspacing=0.7,
        borderpad=0,
    )


def _colors(values: Sequence[str]) -> dict[str, str]:
    """Colours of values: fixed ones of kinds of blocks, else from light to dark."""
    if set(values) <= set(_KINDS):
        return {value: _KINDS[value] for value in values}
    steps = np.linspace(0, len(_ORDER) - 1, max(len(values), 2)).round().astype(int)
    return {value: _ORDER[step] for value, step in zip(values, steps, strict=False)}
