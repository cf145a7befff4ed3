"""Figures of a 3-D stack, tier by tier: layers, temperatures and loads of links."""

import math
from collections.abc import Mapping, Sequence

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

from moopim.analysis.frames import check_columns, read_columns
from moopim.analysis.style import FONT, SMALL_FONT
from moopim.errors import ConfigError
from moopim.hardware.noc.routing import coordinates, link_ends
from moopim.typing import FloatArray, IntArray

# Panels, one per tier.
_MOST_ACROSS = 4
_TITLE = 20.0  # height above a panel (points)

# Temperatures.
_CELL_COLUMNS = ("tier", "y", "x", "pe", "temperature_K")
_HEAT_PANEL = 125.0  # side (points)
_HEAT_MARGINS = (65.0, 35.0)  # (points)
_HEAT_COLORS = "inferno"  # its lightness rises with temperature, so that prints without colour show it too
_LEAST_HEAT_RANGE = 0.01  # of the scale (K)
_LETTER = 0.72  # width of a letter over the size of its font, with room to the border
_LINE = 1.4  # and height of a line
_LIGHT = 0.6  # of the scale: above, black is read more easily than white
_LEAST_FONT = 4.0  # points

# Links.
_LINK_COLUMNS = ("link", "from", "to", "utilisation")
_PITCH = 34.0  # from a node to the next (points)
_LINK_MARGINS = (70.0, 50.0)  # (points)
_SIDE = 0.46  # of a node, from one node to the next = 1
_ASIDE = 0.11  # from the middle to the links of one direction
_GAP = 0.04  # between a node and a link
_MARKER = 24.0  # area of a vertical link (square points)
_BORDER = "#b0b0b0"
_LEAST_LINK_RANGE = 1e-3  # flits/cycle

# Layers.
_LAYER_COLUMNS = ("tier", "device", "back_propagation", "layer", "start", "extent")
_EDGE = "#4d4d4d"
_NARROW = 0.30  # extent of a layer (PEs) below which its number goes above the tier
_STEP = 0.42  # between two such numbers (PEs)


def heat_frame(temperature: FloatArray, mesh: int) -> pd.DataFrame:
    """Temperatures of a stack as a frame.

    Args:
        temperature: Temperatures (K): of the PEs, shape ``(pes,)`` and index ``(tier * mesh + y) * mesh + x``, or of
            cells, shape ``(tiers, cells, cells)``, from `moopim.hardware.thermal.solving.temperature_map`.
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
    return pd.DataFrame(dict(zip(_CELL_COLUMNS, columns, strict=True)))


def plot_heat(frame: pd.DataFrame, labels: Sequence[str] = (), title: str = "") -> Figure:
    """Plot temperatures, one panel per tier on one scale.

    Args:
        frame: From `heat_frame`.
        labels: Text on each PE, such as its layers; in the order of ``tier`` and ``pe``.
        title: Title.

    Returns:
        The figure, the tier next to the sink first.

    Raises:
        ConfigError: If the frame lacks a column or has no rows, or there is not one label per PE.
    """
    check_columns(frame, _CELL_COLUMNS, "frame of temperatures", rows=True)
    frame = read_columns(frame, _CELL_COLUMNS)
    tiers, pes = frame["tier"].nunique(), frame["pe"].nunique()
    if labels and len(labels) != tiers * pes:
        raise ConfigError(f"{len(labels)} labels are given; expected {tiers * pes}, one per PE")
    mesh = math.isqrt(pes)
    pitch, font = _label_sizes(mesh, labels)
    figure, panels = _tier_panels(tiers, pitch * mesh, _HEAT_MARGINS, title)
    low = frame["temperature_K"].min()
    limits = (low, max(frame["temperature_K"].max(), low + _LEAST_HEAT_RANGE))
    for place, ((_, rows), ax) in enumerate(zip(frame.groupby("tier"), panels, strict=True)):
        _plot_tier_heat(ax, rows, mesh, limits)
        means = rows.groupby("pe")["temperature_K"].mean().to_numpy()
        black = means > low + _LIGHT * (limits[1] - low)
        for pe, label in enumerate(labels[place * pes : (place + 1) * pes]):
            color = "black" if black[pe] else "white"
            ax.text(pe % mesh, pe // mesh, label, ha="center", va="center", fontsize=font, color=color)
    _add_color_bar(figure, panels[0].images[0], "temperature (K)")
    return figure


def link_frame(tiers: int, mesh: int, utilisation: FloatArray) -> pd.DataFrame:
    """Loads of links as a frame.

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
    return pd.DataFrame(dict(zip(_LINK_COLUMNS, columns, strict=True)))


def plot_links(frame: pd.DataFrame, tiers: int, mesh: int, title: str = "") -> Figure:
    """Plot the loads of links as colours on one scale, one panel per tier.

    Each link is at the node where it begins: an arrow within a tier, a triangle to the tier above or below.

    Args:
        frame: From `link_frame`.
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        title: Title.

    Returns:
        The figure, the tier next to the sink first.

    Raises:
        ConfigError: If the frame lacks a column or has no rows.
    """
    check_columns(frame, _LINK_COLUMNS, "frame of links", rows=True)
    frame = read_columns(frame, _LINK_COLUMNS)
    figure, panels = _tier_panels(tiers, _PITCH * mesh, _LINK_MARGINS, title)
    # Light to dark, without the lightest part, which would not be seen on white.
    colors = ListedColormap(colormaps["magma_r"](np.linspace(0.07, 0.95, 256)))
    scale = Normalize(0.0, max(frame["utilisation"].max(), _LEAST_LINK_RANGE))
    places = coordinates(tiers, mesh)
    for tier, ax in enumerate(panels):
        here = frame[places[2][frame["from"].to_numpy()] == tier]
        _plot_tier_links(ax, here, places, mesh, (colors, scale))
    _add_color_bar(figure, ScalarMappable(scale, colors), "utilisation (flits/cycle)")
    _add_link_legend(figure)
    return figure


def plot_placement(frames: Mapping[str, pd.DataFrame], pes: int = 16) -> Figure:
    """Plot the layers of mappings: a band per tier, a cell per PE along the snake, a coloured run per layer.

    Frames are those of `moopim.problems.hunt.plots.layers_frame` by title, a panel each; `pes` is the number of PEs of
    a tier. The heat sink is below; layers are numbered from 1, light ones come first.
    """
    if not frames:
        raise ConfigError("there is no mapping to plot; expected at least one")
    for frame in frames.values():
        check_columns(frame, _LAYER_COLUMNS)
    frames = {
        title: read_columns(frame, ("tier", "layer", "start", "extent"), flags=("back_propagation",))
        for title, frame in frames.items()
    }
    tiers = max(int(frame["tier"].max()) for frame in frames.values())
    figure = Figure(figsize=(7.4, (0.62 * tiers + 0.75) * len(frames)), layout="constrained")
    panels = figure.subplots(len(frames), 1, squeeze=False)[:, 0]
    for ax, (title, frame) in zip(panels, frames.items(), strict=True):
        _plot_layers(ax, frame, title, pes)
    return figure


def _tier_panels(tiers: int, side: float, margins: tuple[float, float], title: str) -> tuple[Figure, list[Axes]]:
    """Figure with a square panel for each tier, the one next to the sink first; sides and margins in points."""
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


def _add_color_bar(figure: Figure, colors: ScalarMappable, label: str) -> None:
    """Add the scale of colours beside all panels."""
    panels = figure.axes
    down = -(-len(panels) // min(len(panels), _MOST_ACROSS))
    bar = figure.colorbar(colors, ax=panels, pad=0.01, aspect=15 * down)
    bar.set_label(label, fontsize=FONT)
    bar.ax.tick_params(labelsize=SMALL_FONT)


def _label_sizes(mesh: int, labels: Sequence[str]) -> tuple[float, float]:
    """Side of a PE and size of the font of labels (points): to fit, PEs grow rather than labels shrink."""
    lines = [label.splitlines() for label in labels]
    most = max(
        1.0,
        _LETTER * max((len(line) for label in lines for line in label), default=0),
        _LINE * max((len(label) for label in lines), default=0),
    )  # sides of a PE over the font
    pitch = max(_HEAT_PANEL / mesh, most * _LEAST_FONT)
    return pitch, min(SMALL_FONT, pitch / most)


def _plot_tier_heat(ax: Axes, rows: pd.DataFrame, mesh: int, limits: tuple[float, float]) -> None:
    """Plot a tier with the borders of its PEs; PEs are one apart, the first at 0."""
    grid = rows.pivot_table(index="y", columns="x", values="temperature_K").to_numpy()
    low, high = limits
    ends = (-0.5, mesh - 0.5)
    ax.imshow(grid, cmap=_HEAT_COLORS, vmin=low, vmax=high, origin="lower", extent=(*ends, *ends))
    borders = np.arange(1, mesh) - 0.5
    for lines in (ax.vlines, ax.hlines):
        lines(borders, *ends, color="white", linewidth=0.5)
    ax.set(xlim=ends, ylim=ends, xticks=[], yticks=[])


def _plot_tier_links(
    ax: Axes, rows: pd.DataFrame, places: IntArray, mesh: int, style: tuple[Colormap, Normalize]
) -> None:
    """Plot the links that begin on a tier; nodes have coordinates of shape ``(3, nodes)``."""
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


def _add_link_legend(figure: Figure) -> None:
    """Add a legend of the marks."""
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


def _plot_layers(ax: Axes, frame: pd.DataFrame, title: str, pes: int) -> None:
    colors, last = colormaps["viridis_r"], int(frame["layer"].max())
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
        _number_layers(ax, runs, base, colors, (last, pes))
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


def _number_layers(ax: Axes, runs: pd.DataFrame, base: float, colors: Colormap, sizes: tuple[int, int]) -> None:
    """Write the layer's number on each run; on runs that are too narrow, above the tier, side by side."""
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
