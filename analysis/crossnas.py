"""Accuracy against energy-delay product, as in Figure 5 of CrossNAS (arXiv 2505.22868)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from moopim.analysis.checks import check_columns, read_columns
from moopim.analysis.labels import HALO, Label, place_labels
from moopim.analysis.scatter_data import CLOUD
from moopim.analysis.style import (
    DOMINATED,
    FONT,
    SMALL_FONT,
    legend_above,
    new_axes,
    series_color,
    series_marker,
    thin,
)

__all__ = ["plot_accuracy_edp"]

_GREY = "#4d4d4d"


def plot_accuracy_edp(frame: pd.DataFrame, ax: Axes | None = None, cloud: pd.DataFrame | None = None) -> Axes:
    """Draws accuracy against the energy-delay product, as Figure 5 of CrossNAS does.

    Args:
        frame: Networks, one row each: ``method``, ``accuracy`` (a share), ``edp_mJ_ms``, ``quoted`` and, where a row
            comes from a search with that weight, ``w_acc``; such as from
            `moopim.problems.crossnas.baselines.comparison`. One's own rows with a ``w_acc`` are joined in its order and
            labelled with it, the others are labelled with their method. Rows without accuracy are left out; those
            without EDP are marked at the right edge.
        ax: The axes to draw on; a new figure by default.
        cloud: Everything that was evaluated, with the columns ``accuracy`` and ``edp_mJ_ms``; drawn faintly.

    Returns:
        The axes, with a logarithmic one for the EDP.

    Raises:
        ConfigError: A frame lacks a column.
    """
    check_columns(frame, ("method", "accuracy", "edp_mJ_ms", "quoted"))
    weights = [name for name in ("w_acc",) if name in frame.columns]
    frame = read_columns(frame, ("accuracy", "edp_mJ_ms", *weights), flags=("quoted",))
    axes = new_axes(ax, (5.4, 3.9))
    axes.set_xscale("log")
    axes.set_xlabel("EDP (mJ ms)", fontsize=FONT)
    axes.set_ylabel("accuracy (%) ↑", fontsize=FONT)
    shown = frame[frame["accuracy"].notna()]
    known = shown[shown["edp_mJ_ms"].notna()]
    if cloud is not None:
        _draw_cloud(axes, cloud)
    weight = known["w_acc"] if "w_acc" in known.columns else pd.Series(index=known.index, dtype=float)
    quoted = known["quoted"]
    sweep = known[~quoted & weight.notna()]
    labels = [
        *_draw_group(axes, known[quoted], "quoted", 1),
        *_draw_group(axes, known[~quoted & weight.isna()], "evaluated here", 2),
    ]
    if not sweep.empty:
        labels += _draw_group(axes, sweep.sort_values("w_acc"), "found here, by w_acc", 0, joined=True)
    _draw_without_edp(axes, shown[shown["edp_mJ_ms"].isna()])
    axes.margins(x=0.12, y=0.1)
    legend_above(axes)
    place_labels(axes, labels)
    return axes


def _draw_cloud(ax: Axes, cloud: pd.DataFrame) -> None:
    cloud = read_columns(cloud, ("accuracy", "edp_mJ_ms"))
    finite = cloud[cloud["accuracy"].notna() & (cloud["edp_mJ_ms"] > 0)]
    points = finite.iloc[thin(len(finite), CLOUD)]
    ax.scatter(
        points["edp_mJ_ms"],
        100 * points["accuracy"],
        s=5,
        color=DOMINATED,
        linewidths=0,
        label="all evaluated",
        rasterized=True,
    )


def _draw_group(ax: Axes, rows: pd.DataFrame, name: str, i: int, *, joined: bool = False) -> list[Label]:
    """Draws points of one kind, unless there are none; gives their labels."""
    if rows.empty:
        return []
    x, y = rows["edp_mJ_ms"].to_numpy(), 100 * rows["accuracy"].to_numpy()
    ax.plot(
        x,
        y,
        linestyle="-" if joined else "",
        linewidth=1.2,
        color=series_color(i),
        marker=series_marker(i),
        markersize=5,
        markeredgewidth=0,
        label=name,
        zorder=4,
    )
    texts = [f"{weight:g}" for weight in rows["w_acc"]] if joined else rows["method"].astype(str)
    return [Label(*point, series_color(i)) for point in zip(x, y, texts, strict=True)]


def _draw_without_edp(ax: Axes, rows: pd.DataFrame) -> None:
    """Marks accuracies without an EDP at the right edge."""
    for method, accuracy in zip(rows["method"], rows["accuracy"].to_numpy(dtype=np.float64), strict=True):
        place = (1.0, 100 * float(accuracy))
        ax.annotate(
            f"{method}: no EDP given",
            place,
            (-7, 0),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=SMALL_FONT - 1,
            color=_GREY,
            path_effects=[*HALO],
        )
        ax.plot(*place, marker="<", markersize=4, color=_GREY, transform=ax.get_yaxis_transform(), clip_on=False)
