"""Figures of a 3-D stack, tier by tier: layers, temperatures and loads of links."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from scipy.optimize import isotonic_regression

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
_LAYER_COLUMNS = ("tier", "device", "back_propagation", "layer", "start", "extent", "copies", "in_use", "engine")
_PLACEMENT = 7.4  # width (inches)
_PLACEMENT_MARGIN = 0.75  # of it beside the tiers
_BAND = 0.62  # height of a tier, from one to the next = 1
_MOST_TICKS = 32
_NARROW_LETTER = 0.6  # width of a letter over the size of its font
_EDGE = "#4d4d4d"
_UNUSED = "#a8a8a8"
_HATCH = "////"
_ENGINE = "#f4c9a8"


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
    a tier. The heat sink is below; layers are numbered from 1, light ones come first; ``12 x3`` are three copies.
    """
    if not frames:
        raise ConfigError("there is no mapping to plot; expected at least one")
    for frame in frames.values():
        check_columns(frame, _LAYER_COLUMNS)
    numbers = ("tier", "layer", "start", "extent", "copies", "in_use", "engine")
    frames = {title: read_columns(frame, numbers, flags=("back_propagation",)) for title, frame in frames.items()}
    tiers = max(int(frame["tier"].max()) for frame in frames.values())
    figure = Figure(figsize=(_PLACEMENT, (0.75 * tiers + 0.75) * len(frames) + 0.2), layout="constrained")
    panels = figure.subplots(len(frames), 1, squeeze=False)[:, 0]
    for ax, (title, frame) in zip(panels, frames.items(), strict=True):
        _plot_layers(ax, frame, title, pes)
    marks = [Patch(facecolor="none", edgecolor=_UNUSED, hatch=_HATCH, label="not in use", linewidth=0.0)]
    if any((frame["engine"] > 0).any() for frame in frames.values()):
        marks.append(Patch(facecolor=_ENGINE, label="gradient engine"))
    figure.legend(handles=marks, loc="outside lower right", ncols=len(marks), frameon=False, fontsize=SMALL_FONT)
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
    for tier, part in frame.groupby("tier"):
        base = float(np.asarray(tier).item()) - 1
        in_use, engine = part[["in_use", "engine"]].iloc[0]
        ax.fill_between([0, pes], base, base + _BAND, color="#f0f0f0", linewidth=0, zorder=0)
        unused = Rectangle((in_use, base), pes - in_use, _BAND, hatch=_HATCH, linewidth=0, zorder=0.5)
        ax.add_patch(unused).set(facecolor="none", edgecolor=_UNUSED, hatch_linewidth=0.6)
        ax.bar(np.arange(pes), _BAND, engine, base, align="edge", color=_ENGINE, zorder=0.5)
        if part["back_propagation"].iloc[0]:
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": SMALL_FONT,
                "color": _EDGE,
                "bbox": box,
            }
            ax.text(pes / 2, base + _BAND / 2, "back-propagation", zorder=4, **style)
        runs = part[part["layer"] > 0]
        faces = [_layer_color(layer, int(frame["layer"].max())) for layer in runs["layer"]]
        ax.barh(
            np.full(len(runs), base + _BAND / 2),
            runs["extent"],
            _BAND,
            runs["start"],
            color=faces,
            edgecolor="white",
            linewidth=0.4,
        )
        _number_layers(ax, runs, base, faces, pes)
        ax.vlines(np.arange(pes + 1), base, base + _BAND, color=_EDGE, linewidth=0.35, zorder=3)
        ax.hlines([base, base + _BAND], 0, pes, color=_EDGE, linewidth=0.6, zorder=3)
    names = [f"tier {tier}: {device}" for tier, device in frame.drop_duplicates("tier")[["tier", "device"]].to_numpy()]
    ax.set_yticks(np.arange(len(names)) + _BAND / 2, names)
    step = -(-pes // _MOST_TICKS)
    ax.set_xticks(np.arange(0, pes, step) + 0.5, [str(pe) for pe in range(0, pes, step)])
    ax.tick_params(labelsize=SMALL_FONT, length=0)
    ax.set(xlim=(-0.05, pes + 0.05), ylim=(-0.08, len(names) + 0.02))
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    ax.set_xlabel("PE along the snake of its tier (heat sink below tier 1)", fontsize=SMALL_FONT)
    ax.set_title(title, fontsize=FONT, loc="left")


def _layer_color(layer: int, last: int) -> tuple[float, float, float, float]:
    return colormaps["viridis_r"](0.05 + 0.9 * (layer - 1) / max(last - 1, 1))


def _number_layers(
    ax: Axes, runs: pd.DataFrame, base: float, faces: Sequence[tuple[float, float, float, float]], pes: int
) -> None:
    """Write number and copies of each layer on its run, between two borders of PEs; where there is no room, above.

    Above, neighbours with successive numbers and as many copies have one label.
    """
    letter = _NARROW_LETTER * (SMALL_FONT - 1) * pes / (72 * (_PLACEMENT - _PLACEMENT_MARGIN))  # width (PEs)
    on: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL_FONT - 1, "linespacing": 0.95}
    over: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": SMALL_FONT - 2, "linespacing": 0.9}
    above: list[_Label] = []
    for face, (number, start, extent, copies) in zip(
        faces, runs[["layer", "start", "extent", "copies"]].to_numpy(), strict=True
    ):
        end, before = start + extent, above[-1] if above else None
        low, high = _widest_piece(start, end)
        texts = [f"{number:.0f} x{copies:.0f}", f"{number:.0f}\nx{copies:.0f}"] if copies > 1 else [f"{number:.0f}"]
        fitting = [text for text in texts if letter * (_width(text) + 1) <= high - low]
        if fitting:
            color = "white" if np.mean(face[:3]) < 0.5 else "black"  # noqa: PLR2004 (of white)
            ax.text((low + high) / 2, base + _BAND / 2, fitting[0], color=color, **on)
        elif before and np.isclose(before.end, start) and (before.last + 1, before.copies) == (number, copies):
            above[-1] = before._replace(end=end, last=number)
        else:
            above.append(_Label(start, end, number, number, copies))
    widths = np.array([letter * (_width(label.text) + 0.6) for label in above])
    middles = np.array([(label.start + label.end) / 2 for label in above])
    tall = any("\n" in label.text for label in above)
    for label, middle, place in zip(above, middles, _side_by_side(middles, widths, pes), strict=True):
        foot, bend, top = base + _BAND + np.array([-0.05, 0.025, 0.08])
        if label.last > label.first:
            ax.plot([label.start, label.end], [bend, bend], color=_EDGE, linewidth=0.8, zorder=3.5)
            foot = bend
        ax.plot([middle, middle, place], [foot, bend, top], color=_EDGE, linewidth=0.4, zorder=3.5)
        numbers_above = "\n" if tall and "\n" not in label.text else ""  # and copies below them
        ax.text(place, top, label.text + numbers_above, color=_EDGE, **over)


class _Label(NamedTuple):
    """Label of neighbouring layers with successive numbers, above their tier."""

    start: float
    end: float
    first: float
    last: float
    copies: float

    @property
    def text(self) -> str:
        numbers = f"{self.first:.0f}" if self.first == self.last else f"{self.first:.0f}-{self.last:.0f}"
        return f"{numbers}\nx{self.copies:.0f}" if self.copies > 1 else numbers


def _width(text: str) -> int:
    """Letters in the longest line."""
    return max(map(len, text.splitlines()))


def _widest_piece(start: float, end: float) -> tuple[float, float]:
    """Ends of the widest piece of a run between two borders of PEs; of equal ones that nearest to the middle."""
    borders = np.arange(np.floor(start) + 1, end)
    edges = np.concatenate([[start], borders, [end]])
    widths, middles = np.diff(edges).round(9), (edges[1:] + edges[:-1]) / 2
    best = np.lexsort((np.abs(middles - (start + end) / 2), -widths))[0]
    return float(edges[best]), float(edges[best + 1])


def _side_by_side(wanted: FloatArray, widths: FloatArray, end: float) -> FloatArray:
    """Middles of labels that do not overlap, in order, as near to the wanted ones as possible, within 0 .. end."""
    if not wanted.size:
        return wanted
    steps = np.concatenate([[0.0], np.cumsum((widths[1:] + widths[:-1]) / 2)])
    first = isotonic_regression(wanted - steps).x
    low = widths[0] / 2
    return np.asarray(np.clip(first, low, max(low, end - widths[-1] / 2 - steps[-1])) + steps)
