"""Pictures of searches and of comparisons: hypervolume over evaluations, indicators by algorithm."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from moopim.analysis.box import Box
from moopim.analysis.style import FONT, legend_above, new_axes, series_color
from moopim.columns import numbers
from moopim.typing import FloatArray

__all__ = ["plot_hypervolume", "plot_samples", "share_label"]

# Share of the search that sets the lower end of the hypervolume axis: the steep start would flatten all that follows.
_START = 0.05


_LINE = 56  # letters of a line beside an axis


def plot_hypervolume(history: pd.DataFrame, ax: Axes | None = None, box: Box | None = None) -> Axes:
    """Draws the hypervolume over evaluations, of several algorithms as the median with the quartiles as a band.

    The lower end of the axis leaves out the first twentieth of the search.

    Args:
        history: From `moopim.analysis.hypervolume_history` or `moopim.analysis.hypervolume_bands`.
        ax: The axes to draw on; a new figure by default.
        box: The box of the history, to be named on the axis.

    Returns:
        The axes.
    """
    axes = new_axes(ax, (5.2, 3.6))
    if "algorithm" in history.columns:
        for i, (name, band) in enumerate(history.groupby("algorithm", sort=False)):
            axes.plot(band["evaluation"], band["median"], color=series_color(i), label=str(name))
            axes.fill_between(
                band["evaluation"], band["q25"], band["q75"], color=series_color(i), alpha=0.2, linewidth=0
            )
        low, high = history["q25"], history["q75"]
    else:
        axes.plot(history["evaluation"], history["hypervolume"], color=series_color(0))
        low = high = history["hypervolume"]
    late = history["evaluation"] >= _START * history["evaluation"].max()
    bottom, top = float(low[late].min()), float(high.max())
    margin = 0.06 * (top - bottom) or 0.05
    axes.set_xlim(0, float(history["evaluation"].max()))
    axes.set_ylim(bottom - margin, top + margin)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("evaluations", fontsize=FONT)
    error = float(history["hypervolume_error"].max()) if "hypervolume_error" in history.columns else 0.0
    axes.set_ylabel(share_label("hypervolume", box.label if box else "", error), fontsize=FONT)
    legend_above(axes)
    return axes


def share_label(name: str, box: str, error: float = 0.0) -> str:
    """Names an indicator on an axis, with the box that it is measured in and how exact it is.

    Args:
        name: The indicator.
        box: The box in words, see `moopim.analysis.Box`; empty where it is not known.
        error: Largest standard error of the estimates; 0 where the values are exact.

    Returns:
        The lines, such as ``hypervolume`` and ``share of the box of the fronts of all runs``.
    """
    fronts, comma, without = box.partition(", ")
    lines = [name, f"share of the box of the {fronts}{comma}"] if fronts else [f"{name} (share of the box)"]
    lines += [without] if without else []
    lines += [f"estimate, standard error up to {error:.1g}"] if error else []
    return "\n".join(fill(line, _LINE) for line in lines)


def plot_samples(values: pd.DataFrame, value: str, label: str | None = None, ax: Axes | None = None) -> Axes:
    """Draws one number per run as a box per algorithm, with every run as a point.

    Args:
        values: One row per run with the columns ``algorithm`` and `value`, as from `moopim.analysis.indicator_table`.
            Infinite values (IGD+ of a run without a feasible design) are left out.
        value: Column of the number.
        label: Name of the number on the axis; by default that of the column.
        ax: The axes to draw on; a new figure by default.

    Returns:
        The axes, algorithms in the order of the frame from top to bottom.
    """
    names = [str(name) for name in values["algorithm"].unique()]
    axes = new_axes(ax, (5.2, 0.9 + 0.42 * len(names)))
    sample = numbers(values, value)
    samples = [sample[(values["algorithm"].astype(str) == name).to_numpy()] for name in names]
    samples = [sample[np.isfinite(sample)] for sample in samples]
    for i, sample in enumerate(samples):
        if len(sample):
            _draw_sample(axes, sample, len(names) - i, series_color(i))
    axes.set_yticks(range(len(names), 0, -1), names, fontsize=FONT)
    axes.set_ylim(0.4, len(names) + 0.6)
    axes.set_xlabel(label or value.replace("_", " "), fontsize=FONT)
    return axes


def _draw_sample(ax: Axes, sample: FloatArray, y: int, color: str) -> None:
    """Draws a box from the lower to the upper quartile, a line at the median, and every run as a point."""
    q25, median, q75 = np.quantile(sample, (0.25, 0.5, 0.75))
    ax.add_patch(Rectangle((q25, y - 0.25), q75 - q25, 0.5, facecolor="#ececec", edgecolor="#808080", zorder=2))
    ax.vlines(median, y - 0.25, y + 0.25, color="#000000", linewidth=1.5, zorder=3)
    # Runs with near values lie one above the other: a fixed pattern of heights keeps them apart.
    heights = y + 0.12 * (np.argsort(np.argsort(sample, kind="stable")) % 3 - 1)
    ax.scatter(sample, heights, s=14, color=color, linewidths=0, alpha=0.8, zorder=4)
