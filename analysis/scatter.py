"""Scatter plots: two objectives, every pair of them, and three in space with a fourth as colour.

Each takes the evaluated designs of one run, or of several by name. One run is shown with everything it evaluated: the
front, the dominated designs faint, the infeasible ones grey. Of several runs only the fronts are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from moopim import pareto
from moopim.analysis.frames import feasible, front_rows, log_floor, objective_values, spans_decades
from moopim.analysis.style import (
    CROWD,
    DOMINATED,
    FONT,
    INFEASIBLE,
    MARKED,
    SMALL_FONT,
    axis_label,
    extremes,
    figure_of,
    legend_above,
    new_axes,
    series_color,
    series_marker,
    set_scale,
    style_axes,
    thin,
)
from moopim.errors import ConfigError
from moopim.quantities import Objective, oriented
from moopim.typing import FloatArray

Frames = pd.DataFrame | Mapping[str, pd.DataFrame]

CLOUD = 3000
"""Most points of the dominated cloud and of the infeasible designs: more only make the cloud solid."""


@dataclass(frozen=True)
class ScatterGroups:
    """Designs of a run by group, natural sign and unit, shape ``(designs, objectives)`` each.

    Attributes:
        front: Non-dominated feasible designs, best first by the first objective.
        dominated: The other feasible designs, thinned.
        infeasible: Designs that violate a constraint but have finite objectives, thinned.
    """

    front: FloatArray
    dominated: FloatArray
    infeasible: FloatArray


def scatter_groups(frame: pd.DataFrame, objectives: Sequence[Objective], limit: int = CLOUD) -> ScatterGroups:
    """Front, dominated and infeasible designs of a frame; of the last two at most `limit` each, evenly over the run."""
    values = objective_values(frame, objectives)
    front = front_rows(frame, objectives)
    dominated = feasible(frame, objectives)
    infeasible = ~dominated & np.isfinite(values).all(axis=1)
    dominated[front] = False
    thinned = [values[mask][thin(int(mask.sum()), limit)] for mask in (dominated, infeasible)]
    return ScatterGroups(values[front], *thinned)


def plot_scatter(
    frames: Frames, objectives: Sequence[Objective], ax: Axes | None = None, marked: pd.DataFrame | None = None
) -> Figure:
    """Plot two objectives against each other, the front as points and a step line.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: The two objectives, of x and y.
        ax: Axes to plot on; those of a new figure by default.
        marked: Designs to circle, feasible or not.

    Returns:
        The figure.

    Raises:
        ConfigError: If there are not two objectives, or a frame has no column for one.
    """
    _check_count("plot_scatter", objectives, 2, 2)
    axes = new_axes(ax, (5.2, 3.9))
    points = np.empty((0, 2)) if marked is None else objective_values(marked, objectives)
    _plot_pair(axes, _groups_by_name(frames, objectives), objectives, (0, 1), points)
    if len(points):
        circle: dict[str, Any] = {"s": 110, "facecolors": "none", "edgecolors": MARKED, "linewidths": 1.6, "zorder": 6}
        axes.scatter(points[:, 0], points[:, 1], label="this design" if len(points) == 1 else "marked", **circle)
    legend_above(axes)
    return figure_of(axes)


def plot_scatter_matrix(frames: Frames, objectives: Sequence[Objective]) -> Figure:
    """Plot every pair of objectives.

    The points are the front of all objectives together, the step line is the best trade-off between the two of a pair.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: Three objectives or more; for two there is `plot_scatter`.

    Returns:
        The figure, with one pair in each place of its lower triangle.

    Raises:
        ConfigError: If there are fewer than three objectives, or a frame has no column for one.
    """
    _check_count("plot_scatter_matrix", objectives, 3)
    groups = _groups_by_name(frames, objectives)
    n = len(objectives) - 1
    figure = Figure(figsize=(1.2 + 2.2 * n, 0.9 + 1.9 * n), layout="constrained")
    grid = figure.subplots(n, n)
    for row, column in np.ndindex(n, n):
        if column > row:
            grid[row, column].set_axis_off()
            continue
        axes = style_axes(grid[row, column])
        _plot_pair(axes, groups, objectives, (column, row + 1))
        axes.label_outer()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if labels:  # above the diagonal there is room
        grid[0, 1].legend(handles, labels, loc="upper left", frameon=False, markerscale=2, fontsize=SMALL_FONT)
    return figure


def plot_scatter_3d(frames: Frames, objectives: Sequence[Objective], ax: Axes | None = None) -> Figure:
    """Plot three objectives in space, a fourth one as the colour of the front of a single run.

    Args:
        frames: Evaluated designs of one run, or of several by name; only fronts are shown.
        objectives: Three or four objectives; the front is that of all of them.
        ax: Axes to plot on, with projection ``"3d"``; those of a new figure by default.

    Returns:
        The figure.

    Raises:
        ConfigError: If there are not three or four objectives, or a frame has no column for one.
    """
    _check_count("plot_scatter_3d", objectives, 3, 4)
    fronts = {name: group.front for name, group in _groups_by_name(frames, objectives).items()}
    union = np.concatenate(list(fronts.values()))
    # An axis in space has no linear part for zeros.
    logs = [spans_decades(column) and bool(column.min() >= log_floor(column)) for column in union.T[:3]]
    axes: Any = new_axes(ax, (5.6, 4.6), projection="3d")
    for i, (name, front) in enumerate(fronts.items()):
        points = [np.log10(front[:, j]) if logs[j] else front[:, j] for j in range(3)]
        style = {"s": 6 if len(front) > CROWD else 16, "marker": series_marker(i), "label": name or None}
        if len(fronts) > 1 or len(objectives) == 3:  # noqa: PLR2004 (dimensions of the plot)
            axes.scatter(*points, color=series_color(i), **style)
        elif len(front):
            floor = log_floor(front[:, 3]) if spans_decades(front[:, 3]) else None
            scale = LogNorm(floor) if floor else None
            shown = axes.scatter(*points, c=front[:, 3], cmap="viridis", norm=scale, **style)
            _plot_colorbar(axes, shown, objectives[3], below=floor is not None and front[:, 3].min() < floor)
    _label_axes(axes, objectives, logs)
    legend_above(axes)
    return figure_of(axes)


def _groups_by_name(frames: Frames, objectives: Sequence[Objective]) -> dict[str, ScatterGroups]:
    """Groups of each run by name: of a single frame all, under ``""``; of runs with names only the fronts."""
    if isinstance(frames, pd.DataFrame):
        return {"": scatter_groups(frames, objectives)}
    nothing = np.empty((0, len(objectives)))
    return {
        name: ScatterGroups(objective_values(frame, objectives)[front_rows(frame, objectives)], nothing, nothing)
        for name, frame in frames.items()
    }


def _check_count(plot: str, objectives: Sequence[Objective], low: int, high: int | None = None) -> None:
    n = len(objectives)
    if n < low or (high is not None and n > high):
        allowed = str(low) if high == low else f"{low} or more" if high is None else f"{low} to {high}"
        raise ConfigError(f"{plot} got {n} objectives; expected {allowed}")


def _plot_pair(
    ax: Axes,
    groups: Mapping[str, ScatterGroups],
    objectives: Sequence[Objective],
    pair: tuple[int, int],
    marked: FloatArray | None = None,
) -> None:
    """Plot one pair of objectives and set scales and limits, which hold the marked points, shape ``(points, 2)``."""
    chosen = [objectives[j] for j in pair]
    alone = len(groups) == 1
    for i, (name, group) in enumerate(groups.items()):
        _plot_cloud(ax, group.infeasible[:, pair], "infeasible", marker="x", color=INFEASIBLE, linewidths=0.5)
        _plot_cloud(ax, group.dominated[:, pair], "dominated", color=DOMINATED, linewidths=0)
        if len(group.front):
            _plot_front(ax, group.front[:, pair], chosen, i, name or "non-dominated", alone=alone)
    shown = [np.concatenate([group.front[:, pair] for group in groups.values()])]
    shown += [group.dominated[:, pair] for group in groups.values()]
    if not any(map(len, shown)):
        shown = [group.infeasible[:, pair] for group in groups.values()]
    if marked is not None:
        shown[0] = np.concatenate([shown[0], marked])
    set_scale(ax, "x", chosen[0], [values[:, 0] for values in shown])
    set_scale(ax, "y", chosen[1], [values[:, 1] for values in shown])


def _plot_cloud(ax: Axes, points: FloatArray, label: str, **style: Any) -> None:
    if len(points):
        ax.scatter(points[:, 0], points[:, 1], s=5, label=label, rasterized=True, **style)


def _plot_front(
    ax: Axes, points: FloatArray, objectives: Sequence[Objective], i: int, label: str, *, alone: bool
) -> None:
    """Plot a front as points and, of the two objectives, a step line; one among several is lighter and thinned."""
    crowded = len(points) > CROWD
    shown = points[thin(len(points), CLOUD if alone else CROWD, extremes(points))]
    ax.scatter(
        shown[:, 0],
        shown[:, 1],
        s=14 if not crowded else 4 if alone else 8,
        alpha=1 if alone else 0.5,
        color=series_color(i),
        marker=series_marker(i),
        linewidths=0,
        label=label,
        rasterized=crowded,
        zorder=3,
    )
    best = points[pareto.front_order(oriented(points, objectives))]
    # Best first by x, so that each step reaches from a design to the next worse x at its own y.
    ax.step(best[:, 0], best[:, 1], where="post", color=series_color(i), linewidth=1.2, zorder=4)


def _label_axes(axes: Any, objectives: Sequence[Objective], logs: Sequence[bool]) -> None:
    """Label three axes in space, whose coordinates are exponents of ten where they are logarithmic."""
    for axis, objective, log in zip((axes.xaxis, axes.yaxis, axes.zaxis), objectives, logs, strict=False):
        axis.set_label_text(axis_label(objective), fontsize=FONT)
        axis.set_major_locator(MaxNLocator(4, integer=log))
        if log:
            axis.set_major_formatter(FuncFormatter(_power_of_ten))


def _plot_colorbar(ax: Any, shown: Any, objective: Objective, *, below: bool) -> None:
    """Add the colour scale; an arrow at its lower end marks zeros on a logarithmic scale."""
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.6, pad=0.12, extend="min" if below else "neither")
    bar.set_label(axis_label(objective), fontsize=FONT)
    bar.ax.tick_params(labelsize=SMALL_FONT)


def _power_of_ten(exponent: float, _: int | None = None) -> str:
    return f"$10^{{{exponent:g}}}$"
