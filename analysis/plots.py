"""Standard figures of a run, of a comparison and of one design, by the names of their files."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from moopim.analysis.box import Box, common_box
from moopim.analysis.frames import check_columns, non_dominated, objective_values
from moopim.analysis.indicators import Run, by_algorithm, hypervolume_bands, hypervolume_history, indicator_table
from moopim.analysis.parallel import plot_parallel
from moopim.analysis.scatter import Frames, plot_scatter, plot_scatter_3d, plot_scatter_matrix
from moopim.analysis.statistics import indicator_box
from moopim.analysis.style import (
    DOMINATED,
    FONT,
    MARKED,
    SMALL_FONT,
    figure_of,
    legend_above,
    new_axes,
    pretty_label,
    series_color,
    set_scale,
)
from moopim.columns import numeric_column
from moopim.errors import ConfigError
from moopim.quantities import Objective
from moopim.typing import FloatArray

_INDICATORS = {
    "hypervolume": "hypervolume",
    "hypervolume_joint": "hypervolume",
    "hypervolume_log": "hypervolume, log scale",
    "igd_plus": "IGD+",
    "igd_plus_true": "IGD+ from the true front",
    "share_found": "share of the true front found",
}
# Share of the search that sets the lower end of the hypervolume axis: the steep start would flatten the rest.
_START = 0.05
_LINE = 56  # letters of a line beside an axis
# Grid of genes: cells in a row, their size (inches), rows of a group at most, letters of a value at most.
_CELLS, _CELL, _GENE_ROWS, _LETTERS = 16, (0.46, 0.24), 40, 7


def run_figures(evaluations: pd.DataFrame, objectives: Sequence[Objective]) -> dict[str, Figure]:
    """Plot the front and the progress of a run.

    Args:
        evaluations: Every evaluated design.
        objectives: The objectives.

    Returns:
        Figures by name, for `moopim.analysis.save_figures`: ``front`` (two objectives, or every pair of more),
        ``front_3d`` (three objectives or more; of more than four, the first four), ``parallel`` and ``hypervolume``.
        Without a feasible design only ``front``, with the infeasible designs that have objectives.

    Raises:
        ConfigError: If the frame has no column for an objective.
    """
    front = non_dominated(evaluations, objectives)
    figures = {}
    if len(objectives) > 1 and np.isfinite(objective_values(evaluations, objectives)).all(axis=1).any():
        figures["front"] = _plot_fronts(evaluations, objectives)
    if len(front) and len(objectives) > 2:  # noqa: PLR2004 (dimensions of the plot)
        figures["front_3d"] = plot_scatter_3d(front, objectives[:4])
    if len(front) and len(objectives) > 1:
        figures["parallel"] = plot_parallel(front, objectives)
    if len(front):
        box = common_box([evaluations], objectives)
        figures["hypervolume"] = plot_hypervolume(hypervolume_history(evaluations, box), box=box)
    return figures


def comparison_figures(
    runs: Iterable[Run], objectives: Sequence[Objective], indicators: pd.DataFrame | None = None
) -> dict[str, Figure]:
    """Plot fronts, progress and indicators of several optimisers.

    Args:
        runs: The runs, several seeds of each optimiser.
        objectives: The objectives.
        indicators: From `moopim.analysis.indicator_table`; measured here by default.

    Returns:
        Figures by name, for `moopim.analysis.save_figures`: ``fronts`` (of each optimiser, the front of all its seeds),
        ``hypervolume`` (median and quartiles over evaluations) and ``comparison`` (indicators of every run).

    Raises:
        ConfigError: If there is no run or none has a feasible design, or a frame lacks a column.
    """
    entries = list(runs)
    groups = by_algorithm(entries)
    table = indicator_table(entries, objectives) if indicators is None else indicators
    fronts = [non_dominated(run.evaluations, objectives) for run in entries]
    box = common_box(fronts if len(fronts) > 1 else [run.evaluations for run in entries], objectives)
    figures = {
        "hypervolume": plot_hypervolume(hypervolume_bands(entries, box), box=box),
        "comparison": _plot_indicators(table),
    }
    if len(objectives) > 1:
        by_name = {
            name: pd.concat([front for run, front in zip(entries, fronts, strict=True) if run.algorithm == name])
            for name in groups
        }
        figures = {"fronts": _plot_fronts(by_name, objectives), **figures}
    return figures


def design_figures(
    evaluations: pd.DataFrame, objectives: Sequence[Objective], genes: Mapping[str, Sequence[object]], number: int
) -> dict[str, Figure]:
    """Plot one design of a run: its place among all designs, and its genes.

    Args:
        evaluations: Every evaluated design.
        objectives: The objectives.
        genes: Values of the design by gene group.
        number: Number of the design, in the column ``evaluation``.

    Returns:
        Figures by name: ``objectives``, where those of the design are known (one over the search, two in a scatter
        plot, more in parallel coordinates), and ``genes``.

    Raises:
        ConfigError: If there is no such design, or the frame has no column for an objective.
    """
    check_columns(evaluations, ("evaluation",))
    design = evaluations[numeric_column(evaluations, "evaluation", missing=False) == number]
    if design.empty:
        raise ConfigError(f"design={number} is not allowed; expected a number of the column 'evaluation'")
    values = objective_values(design, objectives)[0]
    named = ", ".join(f"{pretty_label(o)} {value:.4g}" for o, value in zip(objectives, values, strict=True))
    title = fill(f"design {number}: {named}", 90)
    figures = {}
    if np.isfinite(values).all():
        figures["objectives"] = _plot_marked(evaluations, objectives, design)
        figures["objectives"].suptitle(title, fontsize=FONT)
    return {**figures, "genes": _plot_genes(genes, title)}


def plot_hypervolume(history: pd.DataFrame, ax: Axes | None = None, box: Box | None = None) -> Figure:
    """Plot the hypervolume over evaluations, of several algorithms as the median with the quartiles as a band.

    The lower end of the axis leaves out the first twentieth of the search.

    Args:
        history: From `moopim.analysis.hypervolume_history` or `moopim.analysis.hypervolume_bands`.
        ax: Axes to plot on; those of a new figure by default.
        box: Box of the history, to be named on the axis.

    Returns:
        The figure.
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
    axes.set_ylabel(_share_label("hypervolume", box.label if box else "", error), fontsize=FONT)
    legend_above(axes)
    return figure_of(axes)


def plot_samples(values: pd.DataFrame, value: str, label: str | None = None, ax: Axes | None = None) -> Figure:
    """Plot one number per run as a box per algorithm, with every run as a point.

    Args:
        values: One row per run with the columns ``algorithm`` and `value`, as from `moopim.analysis.indicator_table`.
            Infinite values (IGD+ of a run without a feasible design) are left out.
        value: Column of the number.
        label: Name of the number on the axis; by default that of the column.
        ax: Axes to plot on; those of a new figure by default.

    Returns:
        The figure, algorithms in the order of the frame from top to bottom.
    """
    names = [str(name) for name in values["algorithm"].unique()]
    axes = new_axes(ax, (5.2, 0.9 + 0.42 * len(names)))
    sample = numeric_column(values, value)
    samples = [sample[(values["algorithm"].astype(str) == name).to_numpy()] for name in names]
    samples = [sample[np.isfinite(sample)] for sample in samples]
    for i, sample in enumerate(samples):
        if len(sample):
            _plot_sample(axes, sample, len(names) - i, series_color(i))
    axes.set_yticks(range(len(names), 0, -1), names, fontsize=FONT)
    axes.set_ylim(0.4, len(names) + 0.6)
    axes.set_xlabel(label or value.replace("_", " "), fontsize=FONT)
    return figure_of(axes)


def _share_label(name: str, box: str, error: float = 0.0) -> str:
    """Axis label of an indicator, with its box in words and the largest standard error of estimates."""
    fronts, comma, without = box.partition(", ")
    lines = [name, f"share of the box of the {fronts}{comma}"] if fronts else [f"{name} (share of the box)"]
    lines += [without] if without else []
    lines += [f"estimate, standard error up to {error:.1g}"] if error else []
    return "\n".join(fill(line, _LINE) for line in lines)


def _plot_fronts(frames: Frames, objectives: Sequence[Objective]) -> Figure:
    if len(objectives) == 2:  # noqa: PLR2004 (dimensions of the plot)
        return plot_scatter(frames, objectives)
    return plot_scatter_matrix(frames, objectives)


def _plot_indicators(table: pd.DataFrame) -> Figure:
    """One row of boxes per indicator."""
    errors = {name: float(table.get(f"{name}_error", pd.Series([0.0])).max()) for name in _INDICATORS}
    labels = {
        name: label if name == "share_found" else _share_label(label, indicator_box(table, name), errors[name])
        for name, label in _INDICATORS.items()
        if name in table.columns
    }
    heights = [0.55 + 0.36 * table["algorithm"].nunique() + 0.17 * label.count("\n") for label in labels.values()]
    figure = Figure(figsize=(5.6, sum(heights)), layout="constrained")
    panels = figure.subplots(len(labels), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        plot_samples(table, name, label, axes)
    return figure


def _plot_sample(ax: Axes, sample: FloatArray, y: int, color: str) -> None:
    """Plot a box from the lower to the upper quartile, a line at the median, and every run as a point."""
    q25, median, q75 = np.quantile(sample, (0.25, 0.5, 0.75))
    ax.add_patch(Rectangle((q25, y - 0.25), q75 - q25, 0.5, facecolor="#ececec", edgecolor="#808080", zorder=2))
    ax.vlines(median, y - 0.25, y + 0.25, color="#000000", linewidth=1.5, zorder=3)
    # Runs with near values overlap: a fixed pattern of heights keeps them apart.
    heights = y + 0.12 * (np.argsort(np.argsort(sample, kind="stable")) % 3 - 1)
    ax.scatter(sample, heights, s=14, color=color, linewidths=0, alpha=0.8, zorder=4)


def _plot_marked(evaluations: pd.DataFrame, objectives: Sequence[Objective], design: pd.DataFrame) -> Figure:
    """All designs by their objectives, one of them marked."""
    if len(objectives) == 2:  # noqa: PLR2004 (dimensions of the plot)
        return plot_scatter(evaluations, objectives, marked=design)
    if len(objectives) > 2:  # noqa: PLR2004 (dimensions of the plot)
        return plot_parallel(non_dominated(evaluations, objectives), objectives, marked=design)
    axes = new_axes(None, (5.2, 3.6))
    at, values = numeric_column(evaluations, "evaluation"), objective_values(evaluations, objectives)[:, 0]
    known = np.isfinite(values)
    axes.scatter(at[known], values[known], s=5, color=DOMINATED, linewidths=0, label="evaluated", rasterized=True)
    place = (float(design["evaluation"].iloc[0]), float(objective_values(design, objectives)[0, 0]))
    axes.scatter(*place, s=110, facecolors="none", edgecolors=MARKED, linewidths=1.6, label="this design", zorder=6)
    set_scale(axes, "y", objectives[0], [np.array(place[1:]), values[known]])
    axes.set_xlabel("evaluations", fontsize=FONT)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_above(axes)
    return figure_of(axes)


def _plot_genes(genes: Mapping[str, Sequence[object]], title: str) -> Figure:
    """A row of cells per gene group, with the number of the gene above its value where a group has several."""
    width, height = _CELL
    rows = {
        name: [values[i : i + _CELLS] for i in range(0, len(values), _CELLS)][:_GENE_ROWS]
        for name, values in genes.items()
    }
    label = 0.085 * max(map(len, genes)) + 0.2  # width (inches)
    lines = sum(len(parts) * (1.0 if len(genes[name]) == 1 else 1.7) + 0.35 for name, parts in rows.items())
    cells = max(len(part) for parts in rows.values() for part in parts)
    figure = Figure(figsize=(max(label + (cells + 0.5) * width, 5.0), (lines + 2.5) * height))
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, figure.get_figwidth()), ylim=(figure.get_figheight(), 0))
    ax.set_axis_off()
    ax.text(0.1, 0.1, title, fontsize=FONT, va="top")
    y = 2.2 * height
    for name, parts in rows.items():
        several = len(genes[name]) > 1
        for row, part in enumerate(parts):
            y += 0.7 * height if several else 0.0
            if row == 0:
                ax.text(label - 0.1, y + height / 2, name, fontsize=SMALL_FONT, ha="right", va="center")
            _plot_cells(ax, part, (label, y), row * _CELLS if several else None)
            y += height
        if left := len(genes[name]) - sum(map(len, parts)):
            ax.text(label, y + 0.15 * height, f"... and {left:,} more", fontsize=SMALL_FONT - 1, va="center")
        y += 0.35 * height
    return figure


def _plot_cells(ax: Axes, values: Sequence[object], corner: tuple[float, float], first: int | None) -> None:
    """A row of cells with values and, above them, numbers that begin at `first`."""
    (x, y), (width, height) = corner, _CELL
    text: dict[str, Any] = {"ha": "center", "va": "center"}
    for i, value in enumerate(values):
        word, left = str(value), x + i * width
        word = word if len(word) <= _LETTERS else f"{word[: _LETTERS - 1]}…"
        ax.add_patch(Rectangle((left, y), width, height, facecolor="#eef3f8", edgecolor="#808080", linewidth=0.6))
        ax.text(left + width / 2, y + height / 2, word, fontsize=SMALL_FONT, **text)
        if first is not None:
            number = str(first + i)
            ax.text(left + width / 2, y - 0.3 * height, number, fontsize=SMALL_FONT - 2, color="#808080", **text)
