"""Parallel coordinates: one vertical axis per objective, one line per design of the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from moopim.analysis.fronts import log_floor, non_dominated, objective_values, spans_decades
from moopim.analysis.style import FONT, SMALL_FONT, extremes, legend_above, new_axes, pretty_label, series_color, thin
from moopim.errors import ConfigError
from moopim.quantities import Objective
from moopim.typing import FloatArray

__all__ = ["ParallelLines", "parallel_coordinates", "parallel_lines"]

# More lines than this only fill the picture.
_LINES = 300


@dataclass(frozen=True)
class ParallelLines:
    """The fronts of some runs on common axes.

    Attributes:
        heights: Of each run, 1 at the best and 0 at the worst value of an objective over all the runs, shape
            ``(designs, objectives)``.
        best: Best value of each objective, natural sign and unit, shape ``(objectives,)``.
        worst: Worst value of each objective, natural sign and unit, shape ``(objectives,)``.
        log: Whether the axis is logarithmic: no value is negative and the positive ones span more than two decades.
            Zeros, and values below a millionth of the largest, lie at its lower end.
    """

    heights: dict[str, FloatArray]
    best: FloatArray
    worst: FloatArray
    log: tuple[bool, ...]


def parallel_lines(
    frames: Mapping[str, pd.DataFrame], objectives: Sequence[Objective], limit: int = _LINES
) -> ParallelLines:
    """Computes the lines of the fronts of some runs.

    Args:
        frames: Evaluated designs of each run by name.
        objectives: The objectives.
        limit: Number of lines of each run; more are thinned evenly by the first objective, and the designs with the
            best and the worst value of an objective stay.

    Returns:
        The lines.

    Raises:
        ConfigError: No design is feasible, or a frame has no column for an objective.
    """
    fronts = {name: objective_values(non_dominated(frame, objectives), objectives) for name, frame in frames.items()}
    union = np.concatenate(list(fronts.values()))
    if not len(union):
        raise ConfigError("no design is feasible; parallel coordinates need at least one")
    log = tuple(spans_decades(column) for column in union.T)
    floors = np.array([log_floor(column) if log[j] else -np.inf for j, column in enumerate(union.T)])
    signs = np.array([objective.sign for objective in objectives])
    best, worst = (union * signs).min(axis=0), (union * signs).max(axis=0)
    heights = {}
    for name, front in fronts.items():
        kept = front[thin(len(front), limit, extremes(front))]
        heights[name] = _heights(kept, best * signs, worst * signs, floors)
    return ParallelLines(heights, best * signs, worst * signs, log)


def parallel_coordinates(
    frames: pd.DataFrame | Mapping[str, pd.DataFrame], objectives: Sequence[Objective], ax: Axes | None = None
) -> Axes:
    """Draws the front with one vertical axis per objective.

    Better is up on every axis; the values at its ends are printed there. Lines that cross between two neighbouring axes
    show a trade-off between these objectives. The lines of a single run are coloured by the first objective, those of
    several by run.

    Args:
        frames: Evaluated designs of one run, or of several by name.
        objectives: The objectives, in the order of the axes.
        ax: The axes to draw on; a new figure by default.

    Returns:
        The axes.

    Raises:
        ConfigError: No design is feasible, or a frame has no column for an objective.
    """
    single = isinstance(frames, pd.DataFrame)
    lines = parallel_lines({"": frames} if isinstance(frames, pd.DataFrame) else frames, objectives)
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
    _draw_axes(axes, objectives, lines)
    legend_above(axes)
    return axes


def _heights(values: FloatArray, best: FloatArray, worst: FloatArray, floors: FloatArray) -> FloatArray:
    """Scales values to 1 at the best and 0 at the worst; an axis with a finite floor is logarithmic."""
    scaled = [np.maximum(part, floors) for part in (values, best, worst)]
    scaled = [np.log10(part, out=part, where=np.isfinite(floors)) for part in scaled]
    extent = np.where(scaled[1] == scaled[2], 1.0, scaled[1] - scaled[2])
    return 1.0 - (scaled[1] - scaled[0]) / extent


def _draw_axes(ax: Axes, objectives: Sequence[Objective], lines: ParallelLines) -> None:
    """Draws the vertical axes with the natural values at their ends and the names below."""
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
