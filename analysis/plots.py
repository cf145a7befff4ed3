"""The standard pictures of a run and of a comparison, written as PNG files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from moopim.analysis.box import common_box
from moopim.analysis.comparing import indicator_box
from moopim.analysis.fronts import non_dominated, objective_values
from moopim.analysis.indicators import Run, by_algorithm, hypervolume_bands, hypervolume_history, indicator_table
from moopim.analysis.parallel import parallel_coordinates
from moopim.analysis.progress import plot_hypervolume, plot_samples, share_label
from moopim.analysis.scatter_data import Frames
from moopim.analysis.scatters import scatter, scatter_matrix
from moopim.analysis.space import scatter_3d
from moopim.analysis.style import save_figure
from moopim.quantities import Objective

__all__ = ["plot_comparison", "plot_run"]

_INDICATORS = {
    "hypervolume": "hypervolume",
    "hypervolume_joint": "hypervolume",
    "hypervolume_log": "hypervolume, log scale",
    "igd_plus": "IGD+",
}


def plot_run(evaluations: pd.DataFrame, objectives: Sequence[Objective], directory: Path | str) -> list[Path]:
    """Draws what a run found and how.

    Args:
        evaluations: Every evaluated design.
        objectives: The objectives.
        directory: Where the pictures go; it must exist.

    Returns:
        The files that were written: ``front.png`` (two objectives, or every pair of more), ``front_3d.png`` (three
        objectives or more; of more than four, the first four), ``parallel.png`` and ``hypervolume.png``. Without a
        feasible design only ``front.png``, with the infeasible designs that have objectives.

    Raises:
        ConfigError: The frame has no column for an objective.
    """
    folder = Path(directory)
    front = non_dominated(evaluations, objectives)
    any_feasible = len(front) > 0
    written = []
    if len(objectives) > 1 and np.isfinite(objective_values(evaluations, objectives)).all(axis=1).any():
        written.append(save_figure(_fronts(evaluations, objectives), folder / "front.png"))
    if any_feasible and len(objectives) > 2:  # noqa: PLR2004 (dimensions of the picture)
        written.append(save_figure(scatter_3d(front, objectives[:4]).figure, folder / "front_3d.png"))
    if any_feasible and len(objectives) > 1:
        written.append(save_figure(parallel_coordinates(front, objectives).figure, folder / "parallel.png"))
    if any_feasible:
        box = common_box([evaluations], objectives)
        history = hypervolume_history(evaluations, box)
        written.append(save_figure(plot_hypervolume(history, box=box).figure, folder / "hypervolume.png"))
    return written


def plot_comparison(
    runs: Iterable[Run],
    objectives: Sequence[Objective],
    directory: Path | str,
    indicators: pd.DataFrame | None = None,
) -> list[Path]:
    """Draws how several optimisers compare.

    Args:
        runs: The runs, several seeds of each optimiser.
        objectives: The objectives.
        directory: Where the pictures go; it must exist.
        indicators: From `moopim.analysis.indicator_table`; measured here where not given.

    Returns:
        The files that were written: ``fronts.png`` (of each optimiser, the front of all its seeds),
        ``hypervolume.png`` (median and quartiles over evaluations) and ``comparison.png`` (indicators of every run).

    Raises:
        ConfigError: There is no run or none has a feasible design, or a frame lacks a column.
    """
    folder, entries = Path(directory), list(runs)
    groups = by_algorithm(entries)
    table = indicator_table(entries, objectives) if indicators is None else indicators
    fronts = [non_dominated(run.evaluations, objectives) for run in entries]
    box = common_box(fronts if len(fronts) > 1 else [run.evaluations for run in entries], objectives)
    pictures = {
        "hypervolume.png": plot_hypervolume(hypervolume_bands(entries, box), box=box).figure,
        "comparison.png": _indicator_boxes(table),
    }
    if len(objectives) > 1:
        by_name = {
            name: pd.concat([front for run, front in zip(entries, fronts, strict=True) if run.algorithm == name])
            for name in groups
        }
        pictures = {"fronts.png": _fronts(by_name, objectives), **pictures}
    return [save_figure(figure, folder / name) for name, figure in pictures.items()]


def _fronts(frames: Frames, objectives: Sequence[Objective]) -> Figure | SubFigure:
    if len(objectives) == 2:  # noqa: PLR2004 (dimensions of the picture)
        return scatter(frames, objectives).figure
    return scatter_matrix(frames, objectives)


def _indicator_boxes(table: pd.DataFrame) -> Figure:
    """One row of boxes per indicator."""
    errors = {name: float(table.get(f"{name}_error", pd.Series([0.0])).max()) for name in _INDICATORS}
    labels = {
        name: share_label(label, indicator_box(table, name), errors[name])
        for name, label in _INDICATORS.items()
        if name in table.columns
    }
    heights = [0.55 + 0.36 * table["algorithm"].nunique() + 0.17 * label.count("\n") for label in labels.values()]
    figure = Figure(figsize=(5.6, sum(heights)), layout="constrained")
    panels = figure.subplots(len(labels), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        plot_samples(table, name, label, axes)
    return figure
