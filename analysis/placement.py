"""The picture of a network on a 3-D stack: layers as runs along the tiers, as in Figure 5 of HuNT (IEEE TCAD 2024)."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from moopim.analysis.checks import check_columns, read_columns
from moopim.analysis.style import FONT, SMALL_FONT
from moopim.errors import ConfigError

__all__ = ["plot_placement"]

_COLUMNS = ("tier", "device", "back_propagation", "layer", "start", "extent")
_EDGE = "#4d4d4d"
_NARROW = 0.30  # extent of a run (PEs) below which its number goes above the tier
_STEP = 0.42  # between two such numbers (PEs)


def plot_placement(frames: Mapping[str, pd.DataFrame], pes: int = 16) -> Figure:
    """Draws where layers lie: a band per tier, a cell per PE along the snake, a coloured run per layer.

    Args:
        frames: By title, from `moopim.problems.hunt.placement.placement`.
        pes: PEs of a tier.

    Returns:
        The figure, one panel per title, the heat sink below; layers are numbered from 1, light ones come first.

    Raises:
        ConfigError: If there is no frame, or one lacks a column.
    """
    if not frames:
        raise ConfigError("there is no mapping to draw; expected at least one")
    for frame in frames.values():
        check_columns(frame, _COLUMNS)
    frames = {
        title: read_columns(frame, ("tier", "layer", "start", "extent"), flags=("back_propagation",))
        for title, frame in frames.items()
    }
    tiers = max(int(frame["tier"].max()) for frame in frames.values())
    figure = Figure(figsize=(7.4, (0.62 * tiers + 0.75) * len(frames)), layout="constrained")
    panels = figure.subplots(len(frames), 1, squeeze=False)[:, 0]
    for ax, (title, frame) in zip(panels, frames.items(), strict=True):
        _draw(ax, frame, title, pes)
    return figure


def _draw(ax: Axes, frame: pd.DataFrame, title: str, pes: int) -> None:
    colors, last = matplotlib.colormaps["viridis_r"], int(frame["layer"].max())
    for tier, part in frame.groupby("tier"):
        base = float(np.asarray(tier).item()) - 1
        bp = bool(part["back_propagation"].iloc[0])
        ax.fill_between([0, pes], base, base + 0.7, color="#f0f0f0", linewidth=0, zorder=0)
        if bp:
            text = "back-propagation"
            ax.text(pes / 2, base + 0.35, text, ha="center", va="center", fontsize=SMALL_FONT, color=_EDGE)
        runs = part[part["layer"] > 0]
        for _, run in runs.iterrows():
            face = colors(0.05 + 0.9 * (run["layer"] - 1) / max(last - 1, 1))
            ax.barh(base + 0.35, run["extent"], 0.7, run["start"], color=face, edgecolor="white", linewidth=0.4)
        _number(ax, runs, base, colors, (last, pes))
        ax.vlines(np.arange(pes + 1), base, base + 0.7, color=_EDGE, linewidth=0.35, zorder=3)
        ax.hlines([base, base + 0.7], 0, pes, color=_EDGE, linewidth=0.6, zorder=3)
    names = [f"tier {tier}: {device}" for tier, device in frame.drop_duplicates("tier")[["tier", "device"]].to_numpy()]
    ax.set_yticks(np.arange(len(names)) + 0.35, names)
    ax.set_xticks(np.arange(pes) + 0.5, [str(pe) for pe in range(pes)])
    ax.tick_params(labelsize=SMALL_FONT, length=0)
    ax.set(xlim=(-0.05, pes + 0.05), ylim=(-0.08, len(names) + 0.05))
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    ax.set_xlabel("PE along the snake of its tier (heat sink below tier 1)", fontsize=SMALL_FONT)
    ax.set_title(title, fontsize=FONT, loc="left")


def _number(ax: Axes, runs: pd.DataFrame, base: float, colors: Colormap, sizes: tuple[int, int]) -> None:
    """Writes the layer's number on each run; those of runs that are too narrow stand above the tier, side by side."""
    (last, pes), free = sizes, -1.0
    for layer, start, extent in runs[["layer", "start", "extent"]].to_numpy():
        middle = start + extent / 2
        if extent >= _NARROW:
            dark = np.mean(colors(0.05 + 0.9 * (layer - 1) / max(last - 1, 1))[:3]) < 0.5  # noqa: PLR2004 (of white)
            color = "white" if dark else "black"
            ax.text(middle, base + 0.35, f"{layer:.0f}", ha="center", va="center", fontsize=SMALL_FONT - 1, color=color)
        else:
            free = min(max(middle, free + _STEP), pes - 0.1)
            ax.plot([middle, middle, free], [base + 0.64, base + 0.71, base + 0.76], color=_EDGE, linewidth=0.4)
            ax.text(free, base + 0.77, f"{layer:.0f}", ha="center", va="bottom", fontsize=SMALL_FONT - 2, color=_EDGE)
