"""Tier orders and architectures of a 3-D stack, as in Figures 3, 4 and 6 of HuNT (IEEE TCAD 2024)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from moopim.analysis.frames import check_columns, read_columns
from moopim.analysis.labels import Label, place_labels
from moopim.analysis.style import FONT, SMALL_FONT, figure_legend, series_color, series_marker, set_scale, style_axes
from moopim.quantities import Objective

_EFFICIENCIES = {"tops_per_W": "TOPS/W ↑", "tops_per_mm2": "TOPS/mm² ↑"}
_PAIRS = (("period_norm", "power_norm"), ("area_norm", "peak_K"))
_NAMES = {
    "period_norm": "latency (relative)",
    "power_norm": "power (relative)",
    "area_norm": "area (relative)",
    "peak_K": "hottest PE (K)",
}
_SPREAD = 2  # of latencies, above which their axis is logarithmic
_GREY = "#4d4d4d"
_STYLES = {"--": "dashed", ":": "dotted", "-.": "dash-dotted"}
_TITLE_PAD = 16  # above the line of published numbers (points)
_LIGHT, _DARK = "#9ecae1", "#0072B2"


def plot_tier_orders(frame: pd.DataFrame, named: Sequence[str] = ()) -> Figure:
    """Plot one design per tier order, objective against objective, as in Figure 3; `named` orders have a label.

    Designs are rows with ``model``, ``tiers``, ``kind`` (of the mark), ``period_norm``, ``power_norm`` and
    ``area_norm``, relative to a reference design, and ``peak_K``. Each model has a row with power against latency and
    the hottest PE against area.
    """
    frame = _read(frame, ("model", "tiers", "kind"), [name for pair in _PAIRS for name in pair])
    models, kinds = list(dict.fromkeys(frame["model"])), sorted(set(frame["kind"]))
    figure = Figure(figsize=(7.4, 0.5 + 3.0 * len(models)), layout="constrained")
    panels = figure.subplots(len(models), 2, squeeze=False)
    for row, name in zip(panels, models, strict=True):
        part = frame[frame["model"] == name]
        for ax, pair in zip(row, _PAIRS, strict=True):
            _plot_orders(ax, part, pair, kinds, named)
        row[0].set_title(str(name), fontsize=FONT, loc="left")
    handles = [_mark(i) for i in range(len(kinds))]
    figure_legend(figure, handles, kinds, "one design per tier order, tier 1 (at the heat sink) first")
    return figure


def plot_order_efficiency(frame: pd.DataFrame, named: Sequence[str] = (), shown: int = 14) -> Figure:
    """Plot the best efficiencies of tier orders as bars, as in Figure 4, with a row of panels per model.

    Tier orders are rows, the best of a model first: ``model``, ``tiers``, ``tops_per_W``, ``tops_per_mm2`` and both
    with ``_feasible`` behind, NaN where an order has no feasible design. The `shown` best of each model and the `named`
    orders (bold) have a bar.
    """
    frame = _read(frame, ("model", "tiers"), [*_EFFICIENCIES, *(f"{quantity}_feasible" for quantity in _EFFICIENCIES)])
    parts = {}
    for name, part in frame.groupby("model", sort=False):
        keep = part["tiers"].isin(part["tiers"].head(shown)) | part["tiers"].isin(list(named))
        parts[name] = part[keep].iloc[::-1]
    height = sum(0.17 * len(part) + 0.5 for part in parts.values())
    figure = Figure(figsize=(7.0, 0.4 + height), layout="constrained")
    ratios = [len(part) + 2 for part in parts.values()]
    panels = figure.subplots(len(parts), 2, squeeze=False, height_ratios=ratios)
    for row, (name, part) in zip(panels, parts.items(), strict=True):
        for ax, (quantity, label) in zip(row, _EFFICIENCIES.items(), strict=True):
            style_axes(ax).grid(visible=False, axis="y")
            places = np.arange(len(part))
            ax.barh(places, part[quantity], 0.72, color=_LIGHT, linewidth=0)
            ax.barh(places, part[f"{quantity}_feasible"].fillna(0), 0.36, color=_DARK, linewidth=0)
            ax.set_yticks(places, part["tiers"] if ax is row[0] else [""] * len(part), family="monospace")
            ax.set_ylim(-0.7, len(part) - 0.3)
            ax.set_xlabel(label, fontsize=FONT)
        for text, order in zip(row[0].get_yticklabels(), part["tiers"], strict=True):
            text.set_fontweight("bold" if order in named else "normal")
        row[0].set_title(str(name), fontsize=FONT, loc="left")
    labels = ("best on the front", "best that loses at most 1 % of accuracy")
    figure_legend(figure, [Patch(color=_LIGHT), Patch(color=_DARK)], labels, "by tier order")
    return figure


def plot_architectures(frame: pd.DataFrame, claims: pd.DataFrame | None = None, limit: float = 0.05) -> Figure:
    """Plot efficiencies and losses of architectures on networks as bars, as in Figure 6, with a column per model.

    Rows have ``model``, ``workload``, ``architecture``, ``tops_per_W``, ``tops_per_mm2`` and ``loss`` (a share, NaN in
    models without one). Claims are dashed lines: ``architecture``, ``quantity`` (one of these columns), ``statistic``
    and ``value``. Bars of losses beyond `limit` (a share) end there and carry their number.
    """
    frame = _read(frame, ("model", "workload", "architecture"), ("loss", *_EFFICIENCIES))
    claims = None if claims is None else read_columns(claims, ("value",))
    models, names = list(dict.fromkeys(frame["model"])), list(dict.fromkeys(frame["architecture"]))
    figure = Figure(figsize=(3.7 * len(models) + 0.6, 6.6), layout="constrained")
    panels = figure.subplots(3, len(models), squeeze=False, sharex="col")
    for column, name in enumerate(models):
        part = frame[frame["model"] == name]
        for ax, (quantity, label) in zip(panels[:, column], {**_EFFICIENCIES, "loss": "loss (%)"}.items(), strict=True):
            _plot_bars(ax, part, quantity, names)
            if claims is not None and (claims["quantity"] == quantity).any():
                _plot_claims(ax, claims[claims["quantity"] == quantity])
            ax.set_ylabel(label if column == 0 else "", fontsize=FONT)
        _cut(panels[2, column], 100 * limit)
        if part["loss"].isna().all():
            _mark_missing(panels[2, column])
        panels[0, column].set_title(str(name), fontsize=FONT, loc="left", pad=_TITLE_PAD)
    handles = [Patch(facecolor=series_color(i), hatch=_hatch(i), edgecolor="white") for i in range(len(names))]
    figure.legend(
        handles, names, loc="outside upper left", ncols=5, frameon=False, fontsize=SMALL_FONT, columnspacing=1.2
    )
    return figure


def _read(frame: pd.DataFrame, words: Sequence[str], numeric: Sequence[str]) -> pd.DataFrame:
    check_columns(frame, (*words, *numeric), rows=True)
    return read_columns(frame, numeric)


def _plot_orders(
    ax: Axes, part: pd.DataFrame, pair: tuple[str, str], kinds: Sequence[str], named: Sequence[str]
) -> None:
    style_axes(ax)
    x, y = (part[name].to_numpy(dtype=np.float64) for name in pair)
    for which, name, values in (("x", pair[0], x), ("y", pair[1], y)):
        set_scale(ax, which, Objective(name), [values])  # type: ignore[arg-type]
        ax.set(**{f"{which}label": _NAMES[name]})
    if pair[0] == "period_norm" and x.max() > _SPREAD * x.min():  # most orders are fast, a few ten times as slow
        ax.set_xscale("log")
        ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if 0.8 * x.min() <= tick <= 1.2 * x.max()]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_xticks([], minor=True)
        ax.set_xlim(0.85 * x.min(), 1.2 * x.max())
    for i, kind in enumerate(kinds):
        rows = (part["kind"] == kind).to_numpy()
        ax.add_line(_mark(i, x[rows], y[rows]))
    colors = part["kind"].map({kind: series_color(i) for i, kind in enumerate(kinds)})
    points = zip(x.tolist(), y.tolist(), part["tiers"], colors, strict=True)
    labels = [Label(*point) for point in points if point[2] in named]
    ax.plot([label.x for label in labels], [label.y for label in labels], "o", ms=8, mfc="none", mec="black", mew=0.7)
    for label, text in zip(labels, place_labels(ax, labels), strict=True):
        leader = {"arrowstyle": "-", "color": label.color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
        ax.annotate("", (label.x, label.y), text.get_position(), textcoords="offset points", arrowprops=leader)


def _mark(i: int, x: ArrayLike = (), y: ArrayLike = ()) -> Line2D:
    color, marker = series_color(i), series_marker(i)
    return Line2D(x, y, linestyle="", color=color, marker=marker, markersize=4.5, markeredgewidth=0, zorder=3)


def _plot_bars(ax: Axes, part: pd.DataFrame, quantity: str, names: Sequence[str]) -> None:
    style_axes(ax).grid(visible=False, axis="x")
    table = part.pivot(index="workload", columns="architecture", values=quantity).loc[
        list(dict.fromkeys(part["workload"]))
    ]
    width = 0.86 / len(names)
    for i, name in enumerate(names):
        if name in table.columns:
            values = table[name].to_numpy(dtype=np.float64) * (100 if quantity == "loss" else 1)
            places = np.arange(len(table)) + (i - (len(names) - 1) / 2) * width
            ax.bar(places, values, width, color=series_color(i), hatch=_hatch(i), edgecolor="white", linewidth=0.3)
    ax.set_xticks(np.arange(len(table)), table.index, fontsize=SMALL_FONT - 1)


def _plot_claims(ax: Axes, claims: pd.DataFrame) -> None:
    """Plot published numbers that are on the scale of the bars as lines, and name all of them above."""
    texts, top = [], ax.get_ylim()[1]
    for value, style, (_, claim) in zip(claims["value"], _STYLES, claims.iterrows(), strict=False):
        shown = value <= 1.1 * top
        if shown:
            ax.axhline(value, color=_GREY, linewidth=0.9, linestyle=style, zorder=0)
        how = _STYLES[style] if shown else "off scale"
        texts.append(f"{claim['architecture']} {claim['statistic']} {value:g} ({how})")
    text = f"paper: {', '.join(texts)}"
    ax.annotate(
        text,
        (1, 1),
        (0, 2),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        fontsize=SMALL_FONT - 2,
        color=_GREY,
    )


def _cut(ax: Axes, limit: float) -> None:
    """End an axis at a limit and write the number on bars that go beyond."""
    top = ax.get_ylim()[1]
    if top <= limit:
        return
    ax.set_ylim(0, limit)
    for bar in ax.patches:
        if bar.get_height() > limit:  # type: ignore[attr-defined]
            ax.annotate(
                f"{bar.get_height():.0f}",  # type: ignore[attr-defined]
                (bar.get_x() + bar.get_width() / 2, limit),  # type: ignore[attr-defined]
                (0, 1),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=SMALL_FONT - 2,
            )


def _mark_missing(ax: Axes) -> None:
    """Say in a panel without bars that the model has none."""
    ax.set_yticks([])
    ax.text(0.5, 0.5, "no loss in this model", ha="center", transform=ax.transAxes, fontsize=SMALL_FONT, color=_GREY)


def _hatch(i: int) -> str:
    return "" if i < 7 else "////"  # noqa: PLR2004 (colours)
