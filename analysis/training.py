"""The picture of a training: loss and accuracy over epochs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from moopim.analysis.checks import read_columns
from moopim.analysis.fronts import spans_decades
from moopim.analysis.style import FONT, legend_above, series_color, series_marker, style_axes
from moopim.errors import ConfigError

__all__ = ["plot_training"]

# Measurements of a column above which they are drawn without markers.
_MARKED = 40


def plot_training(frame: pd.DataFrame, title: str | None = None) -> Figure:
    """Draws the loss of a training over its epochs, and beside it every accuracy.

    Args:
        frame: The frame of a `moopim.network.training.TrainingLog`: ``epoch``, ``loss``, and columns whose names end in
            ``accuracy``; NaN where nothing was measured.
        title: What was trained on what, such as `TrainingLog.title`, which says where images are synthetic.

    Returns:
        The figure. The loss has a logarithmic axis where it spans more than two decades.

    Raises:
        ConfigError: If the frame has no rows or no column ``epoch`` or ``loss``.
    """
    for column in ("epoch", "loss"):
        if column not in frame.columns:
            raise ConfigError(f"training log has no column {column!r}; expected epoch, loss and accuracies")
    if frame.empty:
        raise ConfigError("training log has no rows; expected one per epoch")
    frame = read_columns(frame, ["epoch", "loss", *(name for name in frame.columns if name.endswith("accuracy"))])
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    left, right = (style_axes(axes) for axes in figure.subplots(1, 2))
    _draw(left, frame, "loss", 0)
    if spans_decades(frame["loss"].to_numpy(dtype=np.float64)):
        left.set_yscale("log")
    left.set_ylabel("loss (mean of the epoch)", fontsize=FONT)
    measured = [name for name in frame.columns if name.endswith("accuracy") and frame[name].notna().any()]
    for i, name in enumerate(measured):
        _draw(right, frame, name, i)
    right.set_ylabel("accuracy ↑", fontsize=FONT)
    legend_above(right)
    for axes in (left, right):
        axes.set_xlabel("epoch", fontsize=FONT)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if title:
        figure.suptitle(title, fontsize=FONT)
    return figure


def _draw(ax: Axes, frame: pd.DataFrame, column: str, i: int) -> None:
    """Draws the measured values of a column as a line; few of them, or sparse ones, with markers."""
    rows = frame[frame[column].notna()]
    ax.plot(
        rows["epoch"],
        rows[column],
        color=series_color(i),
        marker=series_marker(i) if len(rows) <= _MARKED else "",
        markersize=3.5,
        linewidth=1.2,
        label=column.replace("_", " ").removesuffix(" accuracy"),
    )
