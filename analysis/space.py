"""Scatter plot of three objectives in space, with a fourth as colour."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator

from moopim.analysis.fronts import log_floor, spans_decades
from moopim.analysis.scatter_data import Frames, check_count, groups_by_name
from moopim.analysis.style import (
    CROWD,
    FONT,
    SMALL_FONT,
    axis_label,
    legend_above,
    new_axes,
    series_color,
    series_marker,
)
from moopim.quantities import Objective

__all__ = ["scatter_3d"]


def scatter_3d(frames: Frames, objectives: Sequence[Objective], ax: Axes | None = None) -> Axes:
    """Draws three objectives in space; a fourth one becomes the colour of the front of a single run.

    Args:
        frames: Evaluated designs of one run, or of several by name; only fronts are drawn.
        objectives: Three or four objectives; the front is that of all of them.
        ax: The axes to draw on, with projection ``"3d"``; a new figure by default.

    Returns:
        The axes.

    Raises:
        ConfigError: There are not three or four objectives, or a frame has no column for one.
    """
    check_count("scatter_3d", objectives, 3, 4)
    fronts = {name: group.front for name, group in groups_by_name(frames, objectives).items()}
    union = np.concatenate(list(fronts.values()))
    # An axis in space has no linear part for zeros.
    logs = [spans_decades(column) and bool(column.min() >= log_floor(column)) for column in union.T[:3]]
    axes: Any = new_axes(ax, (5.6, 4.6), projection="3d")
    for i, (name, front) in enumerate(fronts.items()):
        points = [np.log10(front[:, j]) if logs[j] else front[:, j] for j in range(3)]
        style = {"s": 6 if len(front) > CROWD else 16, "marker": series_marker(i), "label": name or None}
        if len(fronts) > 1 or len(objectives) == 3:  # noqa: PLR2004 (dimensions of the picture)
            axes.scatter(*points, color=series_color(i), **style)
        elif len(front):
            floor = log_floor(front[:, 3]) if spans_decades(front[:, 3]) else None
            scale = LogNorm(floor) if floor else None
            drawn = axes.scatter(*points, c=front[:, 3], cmap="viridis", norm=scale, **style)
            _draw_colorbar(axes, drawn, objectives[3], below=floor is not None and front[:, 3].min() < floor)
    for axis, objective, log in zip((axes.xaxis, axes.yaxis, axes.zaxis), objectives, logs, strict=False):
        axis.set_label_text(axis_label(objective), fontsize=FONT)
        axis.set_major_locator(MaxNLocator(4, integer=log))
        if log:
            axis.set_major_formatter(FuncFormatter(_power_of_ten))
    legend_above(axes)
    return cast(Axes, axes)


def _draw_colorbar(ax: Any, drawn: Any, objective: Objective, *, below: bool) -> None:
    """Draws the colour scale; an arrow at its lower end stands for zeros on a logarithmic scale."""
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.6, pad=0.12, extend="min" if below else "neither")
    bar.set_label(axis_label(objective), fontsize=FONT)
    bar.ax.tick_params(labelsize=SMALL_FONT)


def _power_of_ten(exponent: float, _: int | None = None) -> str:
    return f"$10^{{{exponent:g}}}$"
