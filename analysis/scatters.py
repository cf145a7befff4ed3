"""Scatter plots of two objectives, and of every pair.

Each takes the evaluated designs of one run, or of several by name. One run is shown with everything it evaluated: the
front, the dominated designs faint, the infeasible ones grey. Of several runs only the fronts are shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moopim import pareto
from moopim.analysis.scatter_data import CLOUD, Frames, ScatterGroups, check_count, groups_by_name
from moopim.analysis.style import (
    CROWD,
    DOMINATED,
    INFEASIBLE,
    SMALL_FONT,
    extremes,
    legend_above,
    new_axes,
    series_color,
    series_marker,
    set_scale,
    style_axes,
    thin,
)
from moopim.quantities import Objective
from moopim.typing import FloatArray

__all__ = ["scatter", "scatter_matrix"]


def scatter(frames: Frames, objectives: Sequence[Objective], ax: Axes | None = None) -> Axes:
    """Draws two objectives against each other, with the front as points and a step line.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: The two objectives, of x and y.
        ax: The axes to draw on; a new figure by default.

    Returns:
        The axes.

    Raises:
        ConfigError: There are not two objectives, or a frame has no column for one.
    """
    check_count("scatter", objectives, 2, 2)
    axes = new_axes(ax, (5.2, 3.9))
    _draw_pair(axes, groups_by_name(frames, objectives), objectives, (0, 1))
    legend_above(axes)
    return axes


def scatter_matrix(frames: Frames, objectives: Sequence[Objective]) -> Figure:
    """Draws every pair of objectives.

    The points are the front of all objectives together, the step line is the best trade-off between the two of a pair.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: Three objectives or more; of two, `scatter` is the picture.

    Returns:
        A new figure with one pair in each place of its lower triangle.

    Raises:
        ConfigError: There are fewer than three objectives, or a frame has no column for one.
    """
    check_count("scatter_matrix", objectives, 3)
    groups = groups_by_name(frames, objectives)
    n = len(objectives) - 1
    figure = Figure(figsize=(1.2 + 2.2 * n, 0.9 + 1.9 * n), layout="constrained")
    grid = figure.subplots(n, n)
    for row, column in np.ndindex(n, n):
        if column > row:
            grid[row, column].set_axis_off()
            continue
        axes = style_axes(grid[row, column])
        _draw_pair(axes, groups, objectives, (column, row + 1))
        axes.label_outer()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if labels:  # above the diagonal there is room
        grid[0, 1].legend(handles, labels, loc="upper left", frameon=False, markerscale=2, fontsize=SMALL_FONT)
    return figure


def _draw_pair(
    ax: Axes, groups: Mapping[str, ScatterGroups], objectives: Sequence[Objective], pair: tuple[int, int]
) -> None:
    """Draws one pair of objectives and sets the axes up for it."""
    chosen = [objectives[j] for j in pair]
    alone = len(groups) == 1
    for i, (name, group) in enumerate(groups.items()):
        _draw_cloud(ax, group.infeasible[:, pair], "infeasible", marker="x", color=INFEASIBLE, linewidths=0.5)
        _draw_cloud(ax, group.dominated[:, pair], "dominated", color=DOMINATED, linewidths=0)
        if len(group.front):
            _draw_front(ax, group.front[:, pair], chosen, i, name or "non-dominated", alone=alone)
    shown = [np.concatenate([group.front for group in groups.values()])]
    shown += [group.dominated for group in groups.values()]
    if not any(map(len, shown)):
        shown = [group.infeasible for group in groups.values()]
    set_scale(ax, "x", chosen[0], [values[:, pair[0]] for values in shown])
    set_scale(ax, "y", chosen[1], [values[:, pair[1]] for values in shown])


def _draw_cloud(ax: Axes, points: FloatArray, label: str, **style: Any) -> None:
    if len(points):
        ax.scatter(points[:, 0], points[:, 1], s=5, label=label, rasterized=True, **style)


def _draw_front(
    ax: Axes, points: FloatArray, objectives: Sequence[Objective], i: int, label: str, *, alone: bool
) -> None:
    """Draws a front as points and, of the two objectives, as a step line; one among several is lighter and thinned."""
    crowded = len(points) > CROWD
    drawn = points[thin(len(points), CLOUD if alone else CROWD, extremes(points))]
    ax.scatter(
        drawn[:, 0],
        drawn[:, 1],
        s=14 if not crowded else 4 if alone else 8,
        alpha=1 if alone else 0.5,
        color=series_color(i),
        marker=series_marker(i),
        linewidths=0,
        label=label,
        rasterized=crowded,
        zorder=3,
    )
    signs = [objective.sign for objective in objectives]
    best = points[pareto.non_dominated(points * signs)]
    best = best[np.argsort(best[:, 0] * signs[0], kind="stable")]
    # Best first by x, so that each step reaches from a design to the next worse x at its own y.
    ax.step(best[:, 0], best[:, 1], where="post", color=series_color(i), linewidth=1.2, zorder=4)
