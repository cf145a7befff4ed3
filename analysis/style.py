"""Style of figures: colours, sizes, scales and limits, passed to matplotlib explicitly and never set globally."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from moopim.analysis.frames import log_floor, spans_decades
from moopim.errors import ConfigError
from moopim.quantities import Objective
from moopim.typing import FloatArray, IntArray

# Okabe and Ito, "Color Universal Design", 2008: distinct with any common colour blindness. Without yellow, which is
# too light for points and lines on white.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*X"
DOMINATED = "#9ecae1"
INFEASIBLE = "#c4c4c4"
MARKED = "#D55E00"
"""Colour of a design that stands out."""

CROWD = 300
"""Points of a front above which they are small, and pixels in vector formats; of several fronts in one plot no more are
shown, so that none hides the others."""

_DPI = 200
FONT = 9
SMALL_FONT = 8


def new_axes(ax: Axes | None, size: tuple[float, float], **options: Any) -> Axes:
    """Axes of the caller, or those of a new figure of some size (inches), with options of ``add_subplot``."""
    return style_axes(ax if ax is not None else Figure(figsize=size, layout="constrained").add_subplot(**options))


def figure_of(ax: Axes) -> Figure:
    """Figure that axes belong to."""
    return cast(Figure, ax.get_figure(root=True))


def save_figures(figures: Mapping[str, Figure], directory: Path | str) -> list[Path]:
    """Write figures as PNG files.

    Args:
        figures: The figures, by the stem of their files.
        directory: Folder of the files; it must exist.

    Returns:
        The files.

    Raises:
        ConfigError: If a file cannot be written; names it.
    """
    return [save_figure(figure, Path(directory) / f"{name}.png") for name, figure in figures.items()]


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure to a file.

    Args:
        figure: The figure.
        path: The file; its suffix names the format, such as ``.png`` or ``.pdf``.

    Returns:
        The file.

    Raises:
        ConfigError: If the format is unknown or the file cannot be written; names the file.
    """
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise ConfigError(f"figure {str(path)!r} has no known suffix; expected one of .{', .'.join(sorted(known))}")
    try:
        figure.savefig(path, dpi=_DPI, bbox_inches="tight", pad_inches=0.08)
    except OSError as error:
        raise ConfigError(f"figure {str(path)!r} cannot be written: {error.strerror}") from None
    return path


def style_axes(ax: Axes) -> Axes:
    """Give axes small tick labels and, in the plane, a faint grid without a frame."""
    ax.tick_params(labelsize=SMALL_FONT)
    if ax.name != "3d":
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
    return ax


def axis_label(objective: Objective) -> str:
    """Axis label such as ``energy (mJ)`` or ``accuracy ↑``; the arrow marks that larger is better."""
    return pretty_label(objective) + (" ↑" if objective.sense == "max" else "")


def pretty_label(objective: Objective) -> str:
    """Name and unit, such as ``area (mm²)`` for the unit ``mm2`` or ``mm^2``."""
    if objective.unit == "1":
        return objective.label
    unit = re.sub(r"(?<=[A-Za-z])\^?([23])(?!\d)", lambda match: "²³"[int(match[1]) - 2], objective.unit)
    return objective.label.removesuffix(f"({objective.unit})") + f"({unit})"


def set_scale(ax: Axes, which: Literal["x", "y"], objective: Objective, shown: Sequence[FloatArray]) -> None:
    """Label an axis and choose its scale and limits.

    The scale is logarithmic where no value is negative and the positive ones span more than two decades; where there
    are zeros, or values below a millionth of the largest, its lowest part is linear. The limits hold the whole first
    group of `shown` (the front) and all but the outermost hundredth of the others, so that a few far designs do not
    squeeze the front into a corner. Groups have shape ``(designs,)``.
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
    """Colour of series `i` from 0: seven that are distinct with any common colour blindness."""
    return _PALETTE[i % len(_PALETTE)]


def series_marker(i: int) -> str:
    """Marker of series `i` from 0, for prints without colour."""
    return _MARKERS[i % len(_MARKERS)]


def thin(n: int, limit: int, keep: IntArray | None = None) -> IntArray:
    """At most `limit` of `n` rows, evenly spread and rising, and those of `keep`, shape ``(kept,)``."""
    if n <= limit:
        return np.arange(n)
    rows = np.linspace(0, n - 1, limit).round().astype(np.int64)
    return np.unique(rows if keep is None else np.concatenate([rows, keep]))


def extremes(values: FloatArray) -> IntArray:
    """Rows with the least and the largest value of each column of ``(designs, objectives)``; none without designs."""
    return np.concatenate([values.argmin(axis=0), values.argmax(axis=0)]) if len(values) else np.arange(0)


def legend_above(ax: Axes, columns: int = 4) -> None:
    """Put the legend above the axes, where it hides no data; none without labels."""
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
    """Put one titled legend for all panels above them, in a row; options as of ``Figure.legend``."""
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
