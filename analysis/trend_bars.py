"""The picture of what a front has in common: bars of all designs and of the front side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from moopim.analysis.style import FONT, SMALL_FONT, series_color, style_axes
from moopim.analysis.trends import CONTRAST
from moopim.errors import ConfigError

__all__ = ["plot_trends"]

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


def plot_trends(frame: pd.DataFrame, title: str | None = None) -> Figure:
    """Draws how all designs and those of a front choose, one panel per gene, a pair of bars per place.

    Args:
        frame: From `moopim.analysis.trends.trends`.
        title: What to write above.

    Returns:
        The figure: of a pair, the thin bar is for all designs and the wide one for the front; above it stands the
        adjusted p-value where it is below 5 %.

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
            _draw(ax, part)
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
    """Fills rows with panels, in order, as long as they are wide enough."""
    rows: list[list[pd.DataFrame]] = [[]]
    for part in parts.values():
        if rows[-1] and sum(map(_width, rows[-1])) + _width(part) > _ROW:
            rows.append([])
        rows[-1].append(part)
    return rows


def _draw(ax: Axes, part: pd.DataFrame) -> None:
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
    # Of bits, layers are counted; how many designs there are says another panel.
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
    """Colours of values: of kinds of blocks their own, else from light to dark."""
    if set(values) <= set(_KINDS):
        return {value: _KINDS[value] for value in values}
    steps = np.linspace(0, len(_ORDER) - 1, max(len(values), 2)).round().astype(int)
    return {value: _ORDER[step] for value, step in zip(values, steps, strict=False)}
