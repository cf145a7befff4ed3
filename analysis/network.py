"""Plots of networks: training curves, accuracy over ADC bits, losses of conversions; with the frames behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from moopim.analysis.frames import check_columns, read_columns, spans_decades
from moopim.analysis.style import (
    FONT,
    SMALL_FONT,
    figure_legend,
    legend_above,
    new_axes,
    series_color,
    series_marker,
    style_axes,
)
from moopim.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from moopim.network.crossbar import Circuit
    from moopim.network.crossbar.engines import Conversions
    from moopim.network.datasets import Split

_COLUMNS = ("adc_range", "rows", "adc_bits", "dac_bits", "accuracy", "quantised")
_PANEL = (2.0, 1.9)  # inches
_PARTS = {"clipped": "clipped", "rounded": "rounded within the range"}
_MARKED = 40  # measurements of a training above which a line has no markers


def plot_training(frame: pd.DataFrame, title: str | None = None) -> Figure:
    """Plot the loss of a training over its epochs, and beside it every accuracy.

    Args:
        frame: The frame of a `moopim.network.TrainingLog`: ``epoch``, ``loss``, and columns whose names end in
            ``accuracy``; NaN where nothing was measured.
        title: Title of the figure, such as `TrainingLog.title`, which marks synthetic images.

    Returns:
        The figure. The loss has a logarithmic axis where it spans more than two decades.

    Raises:
        ConfigError: If the frame has no rows or no column ``epoch`` or ``loss``.
    """
    check_columns(frame, ("epoch", "loss"), "frame of a training", rows=True)
    frame = read_columns(frame, ["epoch", "loss", *(name for name in frame.columns if name.endswith("accuracy"))])
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    left, right = (style_axes(axes) for axes in figure.subplots(1, 2))
    _plot_measurements(left, frame, "loss", 0)
    if spans_decades(frame["loss"].to_numpy(dtype=np.float64)):
        left.set_yscale("log")
    left.set_ylabel("loss (mean of the epoch)", fontsize=FONT)
    measured = [name for name in frame.columns if name.endswith("accuracy") and frame[name].notna().any()]
    for i, name in enumerate(measured):
        _plot_measurements(right, frame, name, i)
    right.set_ylabel("accuracy ↑", fontsize=FONT)
    legend_above(right)
    for axes in (left, right):
        axes.set_xlabel("epoch", fontsize=FONT)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if title:
        figure.suptitle(title, fontsize=FONT)
    return figure


def accuracy_frame(
    net: nn.Module, split: Split, circuits: Iterable[Circuit], images: Tensor | None = None
) -> pd.DataFrame:
    """Accuracy of a quantised network on crossbars of several circuits.

    Args:
        net: Result of `moopim.network.quantise_module`, trained or calibrated; not changed.
        split: Images of shape ``(images, channels, height, width)`` and labels of shape ``(images,)``.
        circuits: The circuits; all layers have the same.
        images: Images for the calibration of ADCs, shape ``(images, channels, height, width)``; needed for
            ``adc_range='calibrated'``.

    Returns:
        One row per circuit: its fields, ``accuracy``, and ``quantised``, the accuracy without crossbars.

    Raises:
        ConfigError: If the network is not quantised, or a layer (named) does not fit these crossbars.
    """
    # Only here: a frame that was kept is plotted without torch.
    from moopim.network.accuracy import accuracy
    from moopim.network.crossbar import on_crossbars

    quantised = accuracy(net, split)
    return pd.DataFrame(
        [
            asdict(circuit) | {"accuracy": accuracy(on_crossbars(net, circuit, images), split), "quantised": quantised}
            for circuit in circuits
        ]
    )


def conversion_frame(counts: Mapping[str, Conversions]) -> pd.DataFrame:
    """Shares of the conversions of each layer that lose information.

    Args:
        counts: Counts by layer, from `moopim.network.crossbar.count_layer_conversions`.

    Returns:
        One row per layer: ``layer`` (its path), ``conversions``, and the shares of these, 0 to 1, that are ``clipped``,
        ``rounded`` within the range, or ``altered`` (either).
    """
    frame = pd.DataFrame(
        [(path, *count) for path, count in counts.items()], columns=["layer", "conversions", "clipped", "altered"]
    )
    total = frame["conversions"].clip(lower=1)
    clipped, altered = frame["clipped"] / total, frame["altered"] / total
    return frame[["layer", "conversions"]].assign(clipped=clipped, rounded=altered - clipped, altered=altered)


def plot_adc_accuracy(frame: pd.DataFrame, title: str = "") -> Figure:
    """Plot accuracy over ADC resolution: a panel per range rule, a line per crossbar size.

    Args:
        frame: From `accuracy_frame`: ``adc_range``, ``rows``, ``adc_bits``, ``dac_bits``, ``accuracy`` and
            ``quantised``. Each DAC resolution has its own row of panels.
        title: Title of the figure, such as the network and its images.

    Returns:
        The figure; a dashed line is the quantised network without crossbars.

    Raises:
        ConfigError: If the frame lacks a column, has no rows, or two of them are for one point.
    """
    check_columns(frame, _COLUMNS, "frame of accuracies", rows=True)
    frame = read_columns(frame, _COLUMNS[1:])
    twice = frame[frame.duplicated(list(_COLUMNS[:4]))]
    if len(twice):
        point = ", ".join(f"{name}={twice.iloc[0][name]}" for name in _COLUMNS[:4])
        raise ConfigError(f"accuracies hold {point} twice; expected each point once")
    ranges, sizes, dacs = (frame[name].unique() for name in ("adc_range", "rows", "dac_bits"))
    size = (_PANEL[0] * len(ranges) + 0.6, _PANEL[1] * len(dacs) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(dacs), len(ranges), sharex=True, sharey=True, squeeze=False)
    for line, dac in zip(axes, sorted(dacs), strict=True):
        for ax, rule in zip(line, ranges, strict=True):
            _plot_panel(ax, frame[(frame["adc_range"] == rule) & (frame["dac_bits"] == dac)], sorted(sizes))
        line[0].set_ylabel("accuracy ↑" if len(dacs) == 1 else f"DAC of {_bits(dac)}\naccuracy ↑", fontsize=FONT)
    for ax, rule in zip(axes[0], ranges, strict=True):
        ax.set_title(f"range {rule}", fontsize=FONT)
    for ax in axes[-1]:
        ax.set_xlabel("ADC (bit)", fontsize=FONT)
        ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes[0, 0].set_ylim(0, 1.03)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure_legend(figure, handles, labels, title)
    return figure


def plot_conversions(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Figure:
    """Plot the shares of conversions that lose information, a stacked bar per layer.

    Args:
        frame: From `conversion_frame`.
        ax: Axes of an existing figure; a new figure by default.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ConfigError: If the frame lacks a column or has no rows.
    """
    check_columns(frame, ("layer", *_PARTS), "frame of conversions", rows=True)
    frame = read_columns(frame, list(_PARTS))
    ax = new_axes(ax, (float(np.clip(0.35 * len(frame) + 1.5, 3.5, 15)), 2.9))
    ax.grid(visible=False, axis="x")
    bottom = np.zeros(len(frame))
    for i, (name, label) in enumerate(_PARTS.items()):
        share = frame[name].to_numpy(dtype=np.float64)
        ax.bar(np.arange(len(frame)), share, bottom=bottom, color=series_color(1 - i), width=0.7, label=label)
        bottom += share
    ax.set_xticks(np.arange(len(frame)), frame["layer"], rotation=90)
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.set_ylabel("share of conversions", fontsize=FONT)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2,
        frameon=False,
        fontsize=SMALL_FONT,
        title=title,
        title_fontsize=FONT,
        alignment="left",
    )
    return ax.figure.figure


def _plot_panel(ax: Axes, frame: pd.DataFrame, sizes: list[int]) -> None:
    """Plot a line per crossbar size; a size may lack points."""
    style_axes(ax)
    for i, rows in enumerate(sizes):
        points = frame[frame["rows"] == rows].sort_values("adc_bits")
        ax.plot(
            points["adc_bits"],
            points["accuracy"],
            color=series_color(i),
            marker=series_marker(i),
            markersize=3.5,
            linewidth=1.2,
            label=f"{rows} rows",
        )
    if len(frame):
        ax.axhline(
            frame["quantised"].iloc[0], color="black", linestyle="--", linewidth=0.9, label="quantised, no crossbars"
        )


def _bits(count: int) -> str:
    return f"{count} bit" if count == 1 else f"{count} bits"


def _plot_measurements(ax: Axes, frame: pd.DataFrame, column: str, i: int) -> None:
    """Plot the measured values of a column as a line; few of them, or sparse ones, with markers."""
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
