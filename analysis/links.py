"""Loads of the links of a network on a 3-D stack, tier by tier: a frame and a picture."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from moopim.analysis.checks import check_frame, read_columns
from moopim.analysis.style import SMALL_FONT
from moopim.analysis.tier_panels import add_color_bar, tier_panels
from moopim.errors import ConfigError
from moopim.hardware.noc.routing import coordinates, link_ends
from moopim.typing import FloatArray, IntArray

__all__ = ["link_frame", "plot_links"]

_COLUMNS = ("link", "from", "to", "utilisation")
_PITCH = 34.0  # from a node to the next (points)
_MARGINS = (70.0, 50.0)  # (points)
_SIDE = 0.46  # of a node, from one node to the next = 1
_ASIDE = 0.11  # from the middle to the links of one direction
_GAP = 0.04  # between a node and a link
_MARKER = 24.0  # area of a vertical link (square points)
_BORDER = "#b0b0b0"
_LEAST_RANGE = 1e-3


def link_frame(tiers: int, mesh: int, utilisation: FloatArray) -> pd.DataFrame:
    """Puts loads of links in rows.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        utilisation: Flits per cycle over each link, numbered as in `moopim.hardware.noc.routing`, shape ``(links,)``.

    Returns:
        One row per link: ``link``, ``from`` and ``to`` (nodes), ``utilisation``.

    Raises:
        ConfigError: If there is not one load per link.
    """
    ends = link_ends(tiers, mesh)
    if utilisation.shape != (len(ends),):
        raise ConfigError(f"utilisation has shape {utilisation.shape}; expected ({len(ends)},), one per link")
    columns = (np.arange(len(ends)), ends[:, 0], ends[:, 1], utilisation)
    return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def plot_links(frame: pd.DataFrame, tiers: int, mesh: int, title: str = "") -> Figure:
    """Draws the links of a network, one panel per tier, their loads as colours on one scale.

    Each link is drawn at the node where it begins: an arrow within a tier, a triangle to the tier above or below.

    Args:
        frame: From `link_frame`.
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        title: What to write above.

    Returns:
        The figure, the tier next to the sink first.

    Raises:
        ConfigError: If the frame lacks a column or has no rows.
    """
    check_frame("links", frame, _COLUMNS, "link")
    frame = read_columns(frame, _COLUMNS)
    figure, panels = tier_panels(tiers, _PITCH * mesh, _MARGINS, title)
    colors = _colors()
    scale = Normalize(0.0, max(frame["utilisation"].max(), _LEAST_RANGE))
    places = coordinates(tiers, mesh)
    for tier, ax in enumerate(panels):
        here = frame[places[2][frame["from"].to_numpy()] == tier]
        _draw_tier(ax, here, places, mesh, (colors, scale))
    add_color_bar(figure, ScalarMappable(scale, colors), "utilisation (flits/cycle)")
    _explain(figure)
    return figure


def _colors() -> Colormap:
    """Light to dark, without the lightest part, which would not be seen on white."""
    return ListedColormap(colormaps["magma_r"](np.linspace(0.07, 0.95, 256)))


def _draw_tier(ax: Axes, rows: pd.DataFrame, places: IntArray, mesh: int, style: tuple[Colormap, Normalize]) -> None:
    """Draws the links that begin on a tier."""
    y, x = np.divmod(np.arange(mesh**2), mesh)
    squares = [Rectangle((a - _SIDE / 2, b - _SIDE / 2), _SIDE, _SIDE) for a, b in zip(x, y, strict=True)]
    ax.add_collection(PatchCollection(squares, facecolor="none", edgecolor=_BORDER, linewidth=0.6))
    begin, end = (places[:, rows[side].to_numpy()].astype(float) for side in ("from", "to"))
    load = rows["utilisation"].to_numpy()
    (dx, dy, dz), (colors, scale) = end - begin, style
    flat = dz == 0
    # Opposite links pass each other on the right.
    left = begin[0] + dx * (_SIDE / 2 + _GAP) + dy * _ASIDE
    low = begin[1] + dy * (_SIDE / 2 + _GAP) - dx * _ASIDE
    length = 1 - _SIDE - 2 * _GAP
    ax.quiver(
        left[flat],
        low[flat],
        dx[flat] * length,
        dy[flat] * length,
        load[flat],
        cmap=colors,
        norm=scale,
        angles="xy",
        units="xy",
        scale_units="xy",
        scale=1,
        width=0.075,
        headwidth=2.6,
        headlength=2.6,
        headaxislength=2.6,
        minlength=0,
    )
    for step, marker in ((1, "^"), (-1, "v")):
        some = dz == step
        place = begin[0, some] - step * _ASIDE, begin[1, some]
        ax.scatter(*place, _MARKER, load[some], marker=marker, cmap=colors, norm=scale, linewidths=0)
    ends = (-0.5, mesh - 0.5)
    ax.set(xlim=ends, ylim=ends, xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def _explain(figure: Figure) -> None:
    """Says what the marks are."""
    marks = ((r"$\rightarrow$", 9, "within the tier"), ("^", 5, "to the next tier"), ("v", 5, "to the previous tier"))
    handles = [
        Line2D([], [], linestyle="none", color="#606060", marker=marker, markersize=size) for marker, size, _ in marks
    ]
    figure.legend(
        handles,
        [f"link {what}" for *_, what in marks],
        loc="outside lower left",
        ncols=len(marks),
        frameon=False,
        fontsize=SMALL_FONT,
        handletextpad=0.2,
        columnspacing=1.2,
    )
