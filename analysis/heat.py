"""Temperatures of a 3-D stack, tier by tier: frames and pictures."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moopim.analysis.checks import check_frame, read_columns
from moopim.analysis.style import SMALL_FONT
from moopim.analysis.tier_panels import add_color_bar, tier_panels
from moopim.errors import ConfigError
from moopim.typing import FloatArray

__all__ = ["heat_frame", "plot_heat"]

_COLUMNS = ("tier", "y", "x", "pe", "temperature_K")
_PANEL = 125.0  # side (points)
_MARGINS = (65.0, 35.0)  # (points)
_COLORS = "inferno"  # its lightness rises with temperature, so that prints without colour show it too
_LEAST_RANGE = 0.01  # of the scale (K)
_LETTER = 0.72  # width of a letter over the size of its font, with room to the border
_LINE = 1.4  # and height of a line
_LIGHT = 0.6  # of the scale: above, black is read more easily than white
_LEAST_FONT = 4.0  # points


def heat_frame(temperature: FloatArray, mesh: int) -> pd.DataFrame:
    """Puts temperatures of a stack in rows.

    Args:
        temperature: Temperatures (K): of the PEs, shape ``(pes,)`` and index ``(tier * mesh + y) * mesh + x``, or of
            cells, shape ``(tiers, cells, cells)``, from `moopim.hardware.thermal.maps.temperature_map`.
        mesh: PEs along each side of a tier.

    Returns:
        One row per cell: ``tier`` (from 1 next to the sink), ``y`` and ``x`` (cells from a corner), ``pe`` (number of
        the PE on its tier, ``y * mesh + x``) and ``temperature_K``.

    Raises:
        ConfigError: If the temperatures do not fill whole tiers or whole PEs.
    """
    if temperature.ndim == 1 and temperature.size and temperature.size % mesh**2 == 0:
        temperature = temperature.reshape(-1, mesh, mesh)
    if temperature.ndim != 3 or temperature.shape[1] != temperature.shape[2] or temperature.shape[1] % mesh:  # noqa: PLR2004 (tier, y, x)
        raise ConfigError(f"temperatures have shape {temperature.shape}; expected tiers of {mesh} x {mesh} PEs")
    tier, y, x = np.indices(temperature.shape).reshape(3, -1)
    side = temperature.shape[1] // mesh
    columns = (tier + 1, y, x, y // side * mesh + x // side, temperature.ravel())
    return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def plot_heat(frame: pd.DataFrame, labels: Sequence[str] = (), title: str = "") -> Figure:
    """Draws temperatures, one panel per tier on one scale.

    Args:
        frame: From `heat_frame`.
        labels: What to write on each PE, such as the layers that it holds; in the order of ``tier`` and ``pe``.
        title: What to write above.

    Returns:
        The figure, the tier next to the sink first.

    Raises:
        ConfigError: If the frame lacks a column or has no rows, or there is not one label per PE.
    """
    check_frame("temperatures", frame, _COLUMNS, "cell")
    frame = read_columns(frame, _COLUMNS)
    tiers, pes = frame["tier"].nunique(), frame["pe"].nunique()
    if labels and len(labels) != tiers * pes:
        raise ConfigError(f"{len(labels)} labels are given; expected {tiers * pes}, one per PE")
    mesh = math.isqrt(pes)
    pitch, font = _sizes(mesh, labels)
    figure, panels = tier_panels(tiers, pitch * mesh, _MARGINS, title)
    low = frame["temperature_K"].min()
    limits = (low, max(frame["temperature_K"].max(), low + _LEAST_RANGE))
    for place, ((_, rows), ax) in enumerate(zip(frame.groupby("tier"), panels, strict=True)):
        _draw_tier(ax, rows, mesh, limits)
        means = rows.groupby("pe")["temperature_K"].mean().to_numpy()
        black = means > low + _LIGHT * (limits[1] - low)
        for pe, label in enumerate(labels[place * pes : (place + 1) * pes]):
            color = "black" if black[pe] else "white"
            ax.text(pe % mesh, pe // mesh, label, ha="center", va="center", fontsize=font, color=color)
    add_color_bar(figure, panels[0].images[0], "temperature (K)")
    return figure


def _sizes(mesh: int, labels: Sequence[str]) -> tuple[float, float]:
    """Side of a PE and size of the font of labels (points): small enough for the PE, which grows rather than they."""
    lines = [label.splitlines() for label in labels]
    most = max(
        1.0,
        _LETTER * max((len(line) for label in lines for line in label), default=0),
        _LINE * max((len(label) for label in lines), default=0),
    )  # sides of a PE over the font
    pitch = max(_PANEL / mesh, most * _LEAST_FONT)
    return pitch, min(SMALL_FONT, pitch / most)


def _draw_tier(ax: Axes, rows: pd.DataFrame, mesh: int, limits: tuple[float, float]) -> None:
    """Draws a tier with the borders of its PEs; PEs are one apart, the first at 0."""
    grid = rows.pivot_table(index="y", columns="x", values="temperature_K").to_numpy()
    low, high = limits
    ends = (-0.5, mesh - 0.5)
    ax.imshow(grid, cmap=_COLORS, vmin=low, vmax=high, origin="lower", extent=(*ends, *ends))
    borders = np.arange(1, mesh) - 0.5
    for draw in (ax.vlines, ax.hlines):
        draw(borders, *ends, color="white", linewidth=0.5)
    ax.set(xlim=ends, ylim=ends, xticks=[], yticks=[])
