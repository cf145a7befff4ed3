"""How figures look: colours, sizes, scales and limits, given to matplotlib explicitly and never set globally."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from moopim.analysis.fronts import log_floor, spans_decades
from moopim.errors import ConfigError
from moopim.quantities import Objective
from moopim.typing import FloatArray, IntArray

__all__ = [
    "CROWD",
    "DOMINATED",
    "FONT",
    "INFEASIBLE",
    "SMALL_FONT",
    "axis_label",
    "extremes",
    "figure_legend",
    "legend_above",
    "new_axes",
    "pretty_label",
    "save_figure",
    "series_color",
    "series_marker",
    "set_scale",
    "style_axes",
    "thin",
]

# Okabe and Ito, "Color Universal Design", 2008: told apart with any common colour blindness. Without yellow, which is
# too light for points and lines on white.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*X"
DOMINATED = "#9ecae1"
INFEASIBLE = "#c4c4c4"

CROWD = 300
"""Points of a front above which they are drawn small, and as pixels in vector formats; of several fronts in one picture
no more are drawn, so that none hides the others."""

_DPI = 200
FONT = 9
SMALL_FONT = 8


def new_axes(ax: Axes | None, size: tuple[float, float], **options: Any) -> Axes:
    """Takes the axes of the caller, or makes a figure of its own with one.

    Args:
        ax: The axes to draw on, if there are any.
        size: Width and height of a new figure (inches).
        options: Passed on to ``add_subplot`` of a new figure.

    Returns:
        The axes.
    """
    return style_axes(ax if ax is not None else Figure(figsize=size, layout="constrained").add_subplot(**options))


def save_figure(figure: Figure | SubFigure, path: Path) -> Path:
    """Writes a picture.

    Args:
        figure: The figure.
        path: Its file.

    Returns:
        The file.

    Raises:
        ConfigError: If no picture can be written there; names the file.
    """
    known = figure.figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise ConfigError(f"picture {str(path)!r} has no known suffix; expected one of .{', .'.join(sorted(known))}")
    try:
        figure.figure.savefig(path, dpi=_DPI, bbox_inches="tight", pad_inches=0.08)
    except OSError as error:
        raise ConfigError(f"picture {str(path)!r} cannot be written: {error.strerror}") from None
    return path


def style_axes(ax: Axes) -> Axes:
    """Gives axes small tick labels and, in the plane, a faint grid without a frame.

    Args:
        ax: The axes.

    Returns:
        The same axes.
    """
    ax.tick_params(labelsize=SMALL_FONT)
    if ax.name != "3d":
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
    return ax


def axis_label(objective: Objective) -> str:
    """Names an objective on an axis, with its unit; an arrow marks that larger is better.

    Args:
        objective: The objective.

    Returns:
        The label, such as ``energy (mJ)`` or ``accuracy ↑``.
    """
    return pretty_label(objective) + (" ↑" if objective.sense == "max" else "")


def pretty_label(objective: Objective) -> str:
    """Names an objective with its unit, squares and cubes of units as superscripts.

    Args:
        objective: The objective.

    Returns:
        The label, such as ``area (mm²)`` for the unit ``mm2`` or ``mm^2``.
    """
    if objective.unit == "1":
        return objective.label
    unit = re.sub(r"(?<=[A-Za-z])\^?([23])(?!\d)", lambda match: "²³"[int(match[1]) - 2], objective.unit)
    return objective.label.removesuffix(f"({objective.unit})") + f"({unit})"


def set_scale(ax: Axes, which: Literal["x", "y"], objective: Objective, shown: Sequence[FloatArray]) -> None:
    """Labels an axis and chooses its scale and limits.

    The scale is logarithmic where no value is negative and the positive ones span more than two decades; where there
    are zeros, or values below a millionth of the largest, its lowest part is linear. The limits hold the whole first
    group (the front) and all but the outermost hundredth of the others, so that a few far designs do not press the
    front into a corner.

    Args:
        ax: The axes.
        which: The axis of theirs.
        objective: The objective on it.
        shown: Groups of values on it, shape ``(designs,)`` each, the one that must be whole first.
    """
    ax.set(**{f"{which}label": axis_label(objective)})
    getattr(ax, f"{which}axis").label.set_fontsize(FONT)
    ends = [np.quantile(values, (0.01, 0.99) if i else (0, 1)) for i, values in enumerate(shown) if len(values)]
    if not ends:
        return
    limits = np.array([np.min(ends), np.max(ends)])
    values = np.clip(np.concatenate(shown), *limits)
    floor = log_floor(values)
    if not spans_decades(values):
        ax.set(**{f"{which}lim": _padded(limits)})
        getattr(ax, f"{which}axis").set_major_locator(MaxNLocator(5))
    elif limits[0] >= floor:
        ax.set(**{f"{which}scale": "log", f"{which}lim": 10 ** _padded(np.log10(limits))})
    else:
        decade = 10 ** np.round(np.log10(floor))  # the linear part ends at a labelled tick
        getattr(ax, f"set_{which}scale")("symlog", linthresh=decade, linscale=0.5)
        ax.set(**{f"{which}lim": (-0.2 * decade, 10 ** _padded(np.log10([decade, limits[1]]))[1])})


def series_color(i: int) -> str:
    """Colour of a run or an algorithm.

    Args:
        i: Its number, from 0.

    Returns:
        A colour that is told apart with any common colour blindness from those of six others.
    """
    return _PALETTE[i % len(_PALETTE)]


def series_marker(i: int) -> str:
    """Marker of a run or an algorithm, for prints without colour.

    Args:
        i: Its number, from 0.

    Returns:
        A marker of matplotlib.
    """
    return _MARKERS[i % len(_MARKERS)]


def thin(n: int, limit: int, keep: IntArray | None = None) -> IntArray:
    """Picks rows evenly, so that a picture of many designs stays readable and is the same every time.

    Args:
        n: Number of rows.
        limit: Number of rows to pick, at most.
        keep: Rows to pick in any case, shape ``(kept,)``.

    Returns:
        The rows in rising order, shape ``(picked,)``; up to ``limit + kept`` of them.
    """
    if n <= limit:
        return np.arange(n)
    rows = np.linspace(0, n - 1, limit).round().astype(np.int64)
    return np.unique(rows if keep is None else np.concatenate([rows, keep]))


def extremes(values: FloatArray) -> IntArray:
    """Finds the rows with the least and the largest value of each column.

    Args:
        values: Values, shape ``(designs, objectives)``.

    Returns:
        The rows, shape ``(2 * objectives,)``; none where there is no design.
    """
    return np.concatenate([values.argmin(axis=0), values.argmax(axis=0)]) if len(values) else np.arange(0)


def legend_above(ax: Axes, columns: int = 4) -> None:
    """Puts the legend above the axes, where it hides no data; without labels there is none.

    Args:
        ax: The axes.
        columns: Number of entries in a row.
    """
    if ax.get_legend_handles_labels()[1]:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            frameon=False,
            fontsize=SMALL_FONT,
            markerscale=1.5,
            handletextpad=0.4,
            columnspacing=1.2,
        )


def figure_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str, **options: Any) -> None:
    """Puts one legend for all panels above them, in a row, with a title.

    Args:
        figure: The figure.
        handles: What is explained.
        labels: What each is.
        title: What to write above the legend.
        **options: Further options of `matplotlib.figure.Figure.legend`.
    """
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=len(labels),
        frameon=False,
        fontsize=SMALL_FONT,
        title=title,
        title_fontsize=FONT,
        alignment="left",
        columnspacing=1.2,
        **options,
    )


def _padded(limits: FloatArray) -> FloatArray:
    low, high = limits
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return np.array([low - margin, high + margin])
