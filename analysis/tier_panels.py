"""Panels of a 3-D stack, one per tier, with one scale of colours."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from moopim.analysis.style import FONT, SMALL_FONT

__all__ = ["add_color_bar", "tier_panels"]

_MOST_ACROSS = 4
_TITLE = 20.0  # height above a panel (points)


def tier_panels(tiers: int, side: float, margins: tuple[float, float], title: str) -> tuple[Figure, list[Axes]]:
    """Makes a figure with a square panel for each tier, the one next to the sink first.

    Args:
        tiers: Tiers.
        side: Side of a panel (points).
        margins: What is left beside and below all panels (points).
        title: What to write above.

    Returns:
        The figure and its panels.
    """
    across = min(tiers, _MOST_ACROSS)
    down = -(-tiers // across)
    width, height = np.array([side * across + margins[0], (side + _TITLE) * down + margins[1]]) / 72
    figure = Figure(figsize=(width, height), layout="compressed")
    panels = list(figure.subplots(down, across, squeeze=False).ravel())
    for tier, ax in enumerate(panels[:tiers], start=1):
        ax.set_title(f"tier {tier}{', next to the sink' if tier == 1 else ''}", fontsize=SMALL_FONT)
    for ax in panels[tiers:]:
        ax.set_axis_off()
    figure.suptitle(title, fontsize=FONT)
    return figure, panels[:tiers]


def add_color_bar(figure: Figure, colors: ScalarMappable, label: str) -> None:
    """Adds the scale of colours beside all panels.

    Args:
        figure: From `tier_panels`.
        colors: The colours and their scale.
        label: What they mean, with its unit.
    """
    panels = figure.axes
    down = -(-len(panels) // min(len(panels), _MOST_ACROSS))
    bar = figure.colorbar(colors, ax=panels, pad=0.01, aspect=15 * down)
    bar.set_label(label, fontsize=FONT)
    bar.ax.tick_params(labelsize=SMALL_FONT)
