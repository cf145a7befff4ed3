"""Parallel coordinates: one vertical axis per objective, one line per design of the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moopim.analysis.frames import log_floor, non_dominated, objective_values, spans_decades
from moopim.analysis.style import (
    FONT,
    MARKED,
    SMALL_FONT,
    extremes,
    figure_of,
    legend_above,
    new_axes,
    pretty_label,
    series_color,
    thin,
)
from moopim.errors import ConfigError
from moopim.quantities import Objective, oriented
from moopim.typing import FloatArray

# More lines than this only fill the plot.
_LINES = 300


@dataclass(frozen=True)
class ParallelLines:
    """Fronts of some runs on common axes.

    Attributes:
        heights: Of each run, 1 at the best and 0 at the worst value of an objective over all the runs, shape
            ``(designs, objectives)``.
        best: Best value of each objective, natural sign and unit, shape ``(objectives,)``.
        worst: Worst value of each objective, natural sign and unit, shape ``(objectives,)``.
        log: Whether the axis is logarithmic: no value is negative and the positive ones span more than two decades.
            Zeros, and values below a millionth of the largest, lie at its lower end.
        marked: Heights of the marked designs, shape ``(marked, objectives)``.
    """

    heights: dict[str, FloatArray]
    best: FloatArray
    worst: FloatArray
    log: tuple[bool, ...]
    marked: FloatArray


def parallel_lines(
    frames: Mapping[str, pd.DataFrame],
    objectives: Sequence[Objective],
    limit: int = _LINES,
    marked: pd.DataFrame | None = None,
) -> ParallelLines:
    """Lines of the fronts of some runs and of marked designs, feasible or not.

    Of each run at most `limit` lines: thinned evenly by the first objective, without losing the best and the worst
    value of an objective.
    """
    fronts = {name: objective_values(non_dominated(frame, objectives), objectives) for name, frame in frames.items()}
    chosen = np.empty((0, len(objectives))) if marked is None else objective_values(marked, objectives)
    union = np.concatenate([*fronts.values(), chosen])
    if not len(union):
        raise ConfigError("no design is feasible; parallel coordinates need at least one")
    log = tuple(spans_decades(column) for column in union.T)
    floors = np.array([log_floor(column) if log[j] else -np.inf for j, column in enumerate(union.T)])
    F = oriented(union, objectives)
    best, worst = oriented(F.min(axis=0), objectives), oriented(F.max(axis=0), objectives)
    heights = {
        name: _heights(front[thin(len(front), limit, extremes(front))], best, worst, floors)
        for name, front in fronts.items()
    }
    return ParallelLines(heights, best, worst, log, _heights(chosen, best, worst, floors))


def plot_parallel(
    frames: pd.DataFrame | Mapping[str, pd.DataFrame],
    objectives: Sequence[Objective],
    ax: Axes | None = None,
    marked: pd.DataFrame | None = None,
) -> Figure:
    """Plot the front in parallel coordinates: one vertical axis per objective, one line per design.

    Better is up on every axis; the values at its ends are printed there. Lines that cross between two neighbouring axes
    show a trade-off between these objectives. The lines of a single run are coloured by the first objective, those of
    several by run.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: The objectives, in the order of the axes.
        ax: Axes to plot on; those of a new figure by default.
        marked: Designs whose lines stand out, feasible or not.

    Returns:
        The figure.

    Raises:
        ConfigError: If no design is feasible, or a frame has no column for an objective.
    """
    single = isinstance(frames, pd.DataFrame)
    lines = parallel_lines({"": frames} if isinstance(frames, pd.DataFrame) else frames, objectives, marked=marked)
    axes = new_axes(ax, (1.6 + 1.5 * len(objectives), 3.8))
    x = np.arange(len(objectives))
    for i, (name, heights) in enumerate(lines.heights.items()):
        # The lightest part of the colour map would be lost on white.
        colors: Any = colormaps["viridis"](0.85 * heights[:, 0]) if single else series_color(i)
        alpha = float(np.clip(40 / max(len(heights), 1), 0.25, 0.9))
        segments = np.stack([np.broadcast_to(x, heights.shape), heights], axis=2)
        axes.add_collection(LineCollection(list(segments), colors=colors, alpha=alpha, linewidths=0.9, rasterized=True))
        if name:
            axes.add_line(Line2D([], [], color=series_color(i), label=name))
    for i, line in enumerate(lines.marked):
        label = ("this design" if len(lines.marked) == 1 else "marked") if i == 0 else None
        axes.plot(x, line, color=MARKED, linewidth=2.2, marker="o", markersize=4, label=label, zorder=4)
    _plot_axes(axes, objectives, lines)
    legend_above(axes)
    return figure_of(axes)


def _heights(values: FloatArray, best: FloatArray, worst: FloatArray, floors: FloatArray) -> FloatArray:
    """Values scaled to 1 at the best and 0 at the worst; an axis with a finite floor is logarithmic."""
    scaled = [np.maximum(part, floors) for part in (values, best, worst)]
    scaled = [np.log10(part, out=part, where=np.isfinite(floors)) for part in scaled]
    extent = np.where(scaled[1] == scaled[2], 1.0, scaled[1] - scaled[2])
    return 1.0 - (scaled[1] - scaled[0]) / extent


def _plot_axes(ax: Axes, objectives: Sequence[Objective], lines: ParallelLines) -> None:
    """Plot the vertical axes with the natural values at their ends and the names below."""
    names = []
    for objective, log in zip(objectives, lines.log, strict=True):
        better = "larger" if objective.sense == "max" else "smaller"
        names.append(f"{pretty_label(objective)}\n{better} is better{', log' if log else ''}")
    for j in range(len(objectives)):
        ax.vlines(j, 0, 1, color="#4d4d4d", linewidth=1, zorder=3)
        text: dict[str, Any] = {"ha": "center", "fontsize": SMALL_FONT, "color": "#4d4d4d"}
        ax.text(j, 1.02, f"{lines.best[j]:.4g}", va="bottom", **text)
        ax.text(j, -0.02, f"{lines.worst[j]:.4g}", va="top", **text)
    ax.set(xlim=(-0.25, len(objectives) - 0.75), ylim=(-0.08, 1.08), yticks=[])
    ax.set_xticks(range(len(objectives)), names, fontsize=FONT)
    ax.tick_params(axis="x", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.grid(visible=False)
    ax.set_ylabel("better →", fontsize=FONT)
