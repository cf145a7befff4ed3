"""Accuracy of networks on crossbars over the resolution of their ADCs, and what the ADCs do: frames and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from moopim.analysis.checks import read_columns
from moopim.analysis.style import (
    FONT,
    SMALL_FONT,
    figure_legend,
    new_axes,
    series_color,
    series_marker,
    style_axes,
)
from moopim.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from moopim.network.crossbar.circuit import Circuit
    from moopim.network.crossbar.product import Conversions
    from moopim.network.datasets import Split

__all__ = ["accuracy_frame", "conversion_frame", "plot_adc_accuracy", "plot_conversions"]

_COLUMNS = ("adc_range", "rows", "adc_bits", "dac_bits", "accuracy", "quantised")
_PANEL = (2.0, 1.9)  # inches
_PARTS = {"clipped": "clipped", "rounded": "rounded within the range"}


def accuracy_frame(
    net: nn.Module, split: Split, circuits: Iterable[Circuit], images: Tensor | None = None
) -> pd.DataFrame:
    """Evaluates a quantised network on crossbars of several circuits.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`, trained or calibrated; not changed.
        split: Images of shape ``(images, channels, height, width)`` and labels of shape ``(images,)``.
        circuits: The circuits, each that of all layers.
        images: Images to calibrate ADCs with, shape ``(images, channels, height, width)``; needed for
            ``adc_range='calibrated'``.

    Returns:
        One row per circuit: its fields, ``accuracy``, and ``quantised``, the accuracy without crossbars.

    Raises:
        ConfigError: If the network is not quantised or cannot be on these crossbars; names the layer.
    """
    # Only here: a frame that was kept is drawn without torch.
    from moopim.network.accuracy import accuracy
    from moopim.network.crossbar.inference import on_crossbars

    quantised = accuracy(net, split)
    return pd.DataFrame(
        [
            asdict(circuit) | {"accuracy": accuracy(on_crossbars(net, circuit, images), split), "quantised": quantised}
            for circuit in circuits
        ]
    )


def conversion_frame(counts: Mapping[str, Conversions]) -> pd.DataFrame:
    """Tells for each layer how many conversions lose something.

    Args:
        counts: From `moopim.network.crossbar.inference.count_layer_conversions`.

    Returns:
        One row per layer: ``layer`` (its path), ``conversions``, and of these the shares 0 .. 1 that are ``clipped``,
        ``rounded`` within the range, or ``altered``, either of them.
    """
    frame = pd.DataFrame(
        [(path, *count) for path, count in counts.items()], columns=["layer", "conversions", "clipped", "altered"]
    )
    total = frame["conversions"].clip(lower=1)
    clipped, altered = frame["clipped"] / total, frame["altered"] / total
    return frame[["layer", "conversions"]].assign(clipped=clipped, rounded=altered - clipped, altered=altered)


def plot_adc_accuracy(frame: pd.DataFrame, title: str = "") -> Figure:
    """Draws accuracy over the resolution of the ADCs: a panel for each rule of their range, a line for each crossbar.

    Args:
        frame: From `accuracy_frame`: ``adc_range``, ``rows``, ``adc_bits``, ``dac_bits``, ``accuracy`` and
            ``quantised``. With several resolutions of DACs, each has panels of its own, one below the other.
        title: What network on what images.

    Returns:
        The figure. A dashed line is the quantised network without crossbars.

    Raises:
        ConfigError: If the frame lacks a column, has no rows, or two of them are for one point.
    """
    for column in _COLUMNS:
        if column not in frame.columns:
            raise ConfigError(f"accuracies have no column {column!r}; expected {', '.join(_COLUMNS)}")
    if frame.empty:
        raise ConfigError("accuracies have no rows; expected one per circuit")
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
            _draw_panel(ax, frame[(frame["adc_range"] == rule) & (frame["dac_bits"] == dac)], sorted(sizes))
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


def plot_conversions(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Draws the shares of conversions that lose something, as a stacked bar for each layer.

    Args:
        frame: From `conversion_frame`.
        ax: Axes to draw on; those of a new figure if not given.
        title: What to write above.

    Returns:
        The axes.

    Raises:
        ConfigError: If the frame has no rows.
    """
    if frame.empty:
        raise ConfigError("conversions have no rows; expected one per layer")
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
    return ax


def _draw_panel(ax: Axes, frame: pd.DataFrame, sizes: list[int]) -> None:
    """Draws a line for each size of crossbars, of which one may lack points."""
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
