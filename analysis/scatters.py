"""Scatter plots of designs in objective space: two objectives, three, and every pair.

Each takes the evaluated designs of one run, or of several by name. One run is shown with everything it evaluated: the
front, the dominated designs faint, the infeasible ones grey. Of several runs only the fronts are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from moopim import pareto
from moopim.analysis.fronts import FloatArray, feasible, front_rows, log_floor, objective_values, spans_decades
from moopim.analysis.style import (
    DOMINATED,
    FONT,
    INFEASIBLE,
    SMALL_FONT,
    axis_label,
    extremes,
    legend_above,
    new_axes,
    series_color,
    series_marker,
    set_scale,
    style_axes,
    thin,
)
from moopim.errors import ConfigError
from moopim.quantities import Objective

__all__ = ["Frames", "ScatterGroups", "scatter", "scatter_3d", "scatter_groups", "scatter_matrix"]

Frames = pd.DataFrame | Mapping[str, pd.DataFrame]

# Points of the dominated cloud and of the infeasible designs that are drawn; more only make the cloud solid.
_CLOUD = 3000
# Points of a front above which they are drawn small, and as pixels in vector formats; of several fronts in one picture
# no more are drawn, so that none hides the others.
_CROWD = 300


@dataclass(frozen=True)
class ScatterGroups:
    """The designs of a run as a scatter plot shows them, natural sign and unit, shape ``(designs, objectives)`` each.

    Attributes:
        front: The feasible designs that no other dominates, best first by the first objective.
        dominated: The other feasible designs, thinned.
        infeasible: The designs that violate a constraint but have finite objectives, thinned.
    """

    front: FloatArray
    dominated: FloatArray
    infeasible: FloatArray


def scatter_groups(frame: pd.DataFrame, objectives: Sequence[Objective], limit: int = _CLOUD) -> ScatterGroups:
    """Sorts designs into front, dominated and infeasible ones.

    Args:
        frame: Evaluated designs.
        objectives: The objectives.
        limit: Number of dominated and of infeasible designs to keep, evenly over the search.

    Returns:
        The groups.

    Raises:
        ConfigError: The frame has no column for an objective.
    """
    values = objective_values(frame, objectives)
    front = front_rows(frame, objectives)
    dominated = feasible(frame, objectives)
    infeasible = ~dominated & np.isfinite(values).all(axis=1)
    dominated[front] = False
    thinned = [values[mask][thin(int(mask.sum()), limit)] for mask in (dominated, infeasible)]
    return ScatterGroups(values[front], *thinned)


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
    _check_count("scatter", objectives, (2,))
    groups = _groups(frames, objectives)
    axes = new_axes(ax, (5.2, 3.9))
    _draw_pair(axes, groups, objectives, (0, 1))
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
    _check_count("scatter_matrix", objectives, range(3, max(4, len(objectives) + 1)))
    groups = _groups(frames, objectives)
    n = len(objectives) - 1
    figure = Figure(figsize=(1.2 + 2.2 * n, 0.9 + 1.9 * n), layout="constrained")
    grid = figure.subplots(n, n, squeeze=False)
    for row in range(n):
        for column in range(n):
            if column > row:
                grid[row, column].set_axis_off()
                continue
            axes = style_axes(grid[row, column])
            _draw_pair(axes, groups, objectives, (column, row + 1))
            axes.label_outer()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if labels:
        columns = 1 if n > 1 else 4
        anchor = grid[0, 1] if n > 1 else grid[0, 0]
        anchor.legend(
            handles, labels, loc="upper left", frameon=False, markerscale=2, fontsize=SMALL_FONT, ncols=columns
        )
    return figure


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
    _check_count("scatter_3d", objectives, (3, 4))
    groups = _groups(frames, objectives)
    axes: Any = new_axes(ax, (5.6, 4.6), projection="3d")
    fronts = np.concatenate([group.front for group in groups.values()])
    floors = [log_floor(column) if spans_decades(column) else None for column in fronts.T]
    # An axis in space has no linear part for zeros; a colour bar has an end for them.
    logs = [floor is not None and fronts[:, j].min() >= floor for j, floor in enumerate(floors[:3])]
    colored = len(objectives) == 4 and len(groups) == 1  # noqa: PLR2004 (three axes and a colour)
    for i, (name, group) in enumerate(groups.items()):
        points = [np.log10(group.front[:, j]) if logs[j] else group.front[:, j] for j in range(3)]
        style: dict[str, Any] = {"color": series_color(i)}
        if colored:
            style = {"c": group.front[:, 3], "cmap": "viridis", "norm": LogNorm(floors[3]) if floors[3] else None}
        size = 6 if len(group.front) > _CROWD else 16
        drawn = axes.scatter(*points, s=size, marker=series_marker(i), label=name or None, **style)
        if colored:
            below = "min" if floors[3] and group.front[:, 3].min() < floors[3] else "neither"
            bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.6, pad=0.12, extend=below)
            bar.set_label(axis_label(objectives[3]), fontsize=FONT)
            bar.ax.tick_params(labelsize=SMALL_FONT)
    for axis, objective, log in zip((axes.xaxis, axes.yaxis, axes.zaxis), objectives, logs, strict=False):
        axis.set_label_text(axis_label(objective), fontsize=FONT)
        axis.set_major_locator(MaxNLocator(4, integer=log))
        if log:
            axis.set_major_formatter(FuncFormatter(_power_of_ten))
    legend_above(axes)
    return cast(Axes, axes)


def _groups(frames: Frames, objectives: Sequence[Objective]) -> dict[str, ScatterGroups]:
    """Sorts the designs of each run; a run that is shown alone has no name, several show their fronts only."""
    if isinstance(frames, pd.DataFrame):
        return {"": scatter_groups(frames, objectives)}
    nothing = np.empty((0, len(objectives)))
    return {
        name: ScatterGroups(objective_values(frame, objectives)[front_rows(frame, objectives)], nothing, nothing)
        for name, frame in frames.items()
    }


def _draw_pair(
    ax: Axes, groups: Mapping[str, ScatterGroups], objectives: Sequence[Objective], pair: tuple[int, int]
) -> None:
    """Draws the points of one pair of objectives and sets the axes up for it."""
    x, y = pair
    signs = [objectives[x].sign, objectives[y].sign]
    cloud = {"s": 5, "rasterized": True}
    for i, (name, group) in enumerate(groups.items()):
        if len(group.infeasible):
            style = {"marker": "x", "color": INFEASIBLE, "linewidths": 0.5}
            _points(ax, group.infeasible[:, pair], label="infeasible", **style, **cloud)
        if len(group.dominated):
            _points(ax, group.dominated[:, pair], label="dominated", color=DOMINATED, linewidths=0, **cloud)
        points = group.front[:, pair]
        # The ends of the front stay, whatever is thinned.
        drawn = points[thin(len(points), _CLOUD if len(groups) == 1 else _CROWD, extremes(points))]
        crowded = len(points) > _CROWD
        style = {
            "s": 4 if crowded and len(groups) == 1 else 8 if crowded else 14,
            "marker": series_marker(i),
            "rasterized": crowded,
            "zorder": 3,
        }
        alpha = 1 if len(groups) == 1 else 0.5
        _points(ax, drawn, color=series_color(i), alpha=alpha, linewidths=0, label=name or "non-dominated", **style)
        best = points[pareto.non_dominated(points * signs)]
        best = best[np.argsort(best[:, 0] * signs[0], kind="stable")]
        # Best first by x, so that each step reaches from a design to the next worse x at its own y.
        ax.step(best[:, 0], best[:, 1], where="post", color=series_color(i), linewidth=1.2, zorder=4)
    shown = [np.concatenate([group.front for group in groups.values()])]
    shown += [group.dominated for group in groups.values()]
    if not any(map(len, shown)):
        shown = [group.infeasible for group in groups.values()]
    set_scale(ax, "x", objectives[x], [values[:, x] for values in shown])
    set_scale(ax, "y", objectives[y], [values[:, y] for values in shown])


def _points(ax: Axes, points: FloatArray, **style: Any) -> None:
    ax.scatter(points[:, 0], points[:, 1], **style)


def _power_of_ten(exponent: float, _: int | None = None) -> str:
    return f"$10^{{{exponent:g}}}$"


def _check_count(function: str, objectives: Sequence[Objective], allowed: Sequence[int]) -> None:
    if len(objectives) not in allowed:
        raise ConfigError(f"{function} got {len(objectives)} objectives; expected {' or '.join(map(str, allowed))}")
