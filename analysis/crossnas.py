"""Plots of CrossNAS (arXiv 2505.22868): accuracy against EDP (Figure 5) and networks as strips of blocks (Figure 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from moopim.analysis.frames import check_columns, read_columns
from moopim.analysis.labels import HALO, Label, place_labels
from moopim.analysis.scatter import CLOUD
from moopim.analysis.style import (
    DOMINATED,
    FONT,
    SMALL_FONT,
    legend_above,
    series_color,
    series_marker,
    style_axes,
    thin,
)
from moopim.errors import ConfigError, unknown_name

_GREY = "#4d4d4d"

_LAYERS = {"VGG": ("a", "b"), "MVGG": ("a", "b"), "RES": ("a", "b", "shortcut")}
_CIRCUIT = ("crossbar", "adc_bits", "dac_bits")
_HEAD = "head"
_BITS = {"weight_bits": "weights", "activation_bits": "activations"}

# Sizes of the strips (inches).
_CELL = 0.21
_NAME = 0.27  # height of the box with the name of a block
_TITLE = 0.24
_GAP = 0.09  # between blocks
_LABELS = 0.82  # width of the labels of the rows
_STRIP = _TITLE + _NAME + 2 * _CELL + 0.22  # height of a network with its margin
_MARGIN = 0.06
_KEY = 0.42  # height of the legend
_LEAST_WIDTH = 5.0  # what the legend needs

_TINTS = {"VGG": "#fbe5c0", "MVGG": "#d5eee4", "RES": "#f3dde9", _HEAD: "#ebebeb"}
# From light to dark, for few bits and many; text on the last two is white.
_SHADES = ("#e3eef9", "#a6cde3", "#4a98c9", "#1763ab", "#08306b")
_FRAME = "#595959"


def plot_accuracy_edp(frame: pd.DataFrame, cloud: pd.DataFrame | None = None, title: str = "") -> Figure:
    """Plot accuracy against EDP of networks: ``method``, ``accuracy`` (0 to 1), ``edp_mJ_ms``, ``quoted``, ``w_acc``.

    Rows with a ``w_acc`` (optional) are joined in its order and labelled with it, the others with their method; those
    without accuracy are left out, those without EDP marked at the right edge. The cloud holds all evaluated designs.
    """
    check_columns(frame, ("method", "accuracy", "edp_mJ_ms", "quoted"))
    weights = [name for name in ("w_acc",) if name in frame.columns]
    frame = read_columns(frame, ("accuracy", "edp_mJ_ms", *weights), flags=("quoted",))
    figure = Figure(figsize=(5.4, 3.9), layout="constrained")
    axes = style_axes(figure.add_subplot())
    axes.set_xscale("log")
    axes.set_xlabel("EDP (mJ ms)", fontsize=FONT)
    axes.set_ylabel("accuracy (%) ↑", fontsize=FONT)
    shown = frame[frame["accuracy"].notna()]
    known = shown[shown["edp_mJ_ms"].notna()]
    if cloud is not None:
        _plot_cloud(axes, cloud)
    weight = known["w_acc"] if "w_acc" in known.columns else pd.Series(index=known.index, dtype=float)
    quoted = known["quoted"]
    sweep = known[~quoted & weight.notna()]
    labels = [
        *_plot_group(axes, known[quoted], "quoted", 1),
        *_plot_group(axes, known[~quoted & weight.isna()], "evaluated here", 2),
    ]
    if not sweep.empty:
        labels += _plot_group(axes, sweep.sort_values("w_acc"), "found here, by w_acc", 0, joined=True)
    _mark_without_edp(axes, shown[shown["edp_mJ_ms"].isna()])
    axes.margins(x=0.12, y=0.1)
    legend_above(axes)
    place_labels(axes, labels)
    if title:
        axes.set_title(title, fontsize="small", loc="left", pad=24)
    return figure


def _plot_cloud(ax: Axes, cloud: pd.DataFrame) -> None:
    cloud = read_columns(cloud, ("accuracy", "edp_mJ_ms"))
    finite = cloud[cloud["accuracy"].notna() & (cloud["edp_mJ_ms"] > 0)]
    points = finite.iloc[thin(len(finite), CLOUD)]
    ax.scatter(
        points["edp_mJ_ms"],
        100 * points["accuracy"],
        s=5,
        color=DOMINATED,
        linewidths=0,
        label="all evaluated",
        rasterized=True,
    )


def _plot_group(ax: Axes, rows: pd.DataFrame, name: str, i: int, *, joined: bool = False) -> list[Label]:
    """Plot the points of one kind, if any; return their labels."""
    if rows.empty:
        return []
    x, y = rows["edp_mJ_ms"].to_numpy(), 100 * rows["accuracy"].to_numpy()
    ax.plot(
        x,
        y,
        linestyle="-" if joined else "",
        linewidth=1.2,
        color=series_color(i),
        marker=series_marker(i),
        markersize=5,
        markeredgewidth=0,
        label=name,
        zorder=4,
    )
    texts = [f"{weight:g}" for weight in rows["w_acc"]] if joined else rows["method"].astype(str)
    return [Label(*point, series_color(i)) for point in zip(x, y, texts, strict=True)]


def _mark_without_edp(ax: Axes, rows: pd.DataFrame) -> None:
    """Mark accuracies without an EDP at the right edge."""
    for method, accuracy in zip(rows["method"], rows["accuracy"].to_numpy(dtype=np.float64), strict=True):
        place = (1.0, 100 * float(accuracy))
        ax.annotate(
            f"{method}: no EDP given",
            place,
            (-7, 0),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=SMALL_FONT - 1,
            color=_GREY,
            path_effects=[*HALO],
        )
        ax.plot(*place, marker="<", markersize=4, color=_GREY, transform=ax.get_yaxis_transform(), clip_on=False)


def network_strip(
    blocks: Sequence[tuple[str, int, int]],
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    circuit: Mapping[str, int],
) -> pd.DataFrame:
    """Layer frame of a network, for `plot_networks`: a row per layer with its block, bits and circuit; the head last.

    ``blocks`` holds kind, channels and stride of each. Bits are in the order in which layers run: of each block the 3x3
    convolutions a and b and, of RES, the 1x1 convolution of the shortcut; then the fully connected head, a block of its
    own kind with 0 channels.
    """
    if not blocks:
        raise ConfigError("the network has no blocks; expected at least one")
    rows = []
    for place, (kind, channels, stride) in enumerate(blocks, start=1):
        if kind not in _LAYERS:
            raise unknown_name("kind of block", kind, _LAYERS)
        rows += [(place, kind, channels, stride, layer) for layer in _LAYERS[kind]]
    rows.append((len(blocks) + 1, _HEAD, 0, 1, _HEAD))
    frame = pd.DataFrame(rows, columns=["place", "block", "channels", "stride", "layer"])
    for name, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
        if len(bits) != len(frame):
            raise ConfigError(f"{name} has {len(bits)} values; expected {len(frame)}, one per layer, the head last")
        frame[name] = np.asarray(bits, dtype=np.int64)
    for name in _CIRCUIT:
        if name not in circuit:
            raise ConfigError(f"{name} of the circuit is missing; expected {', '.join(_CIRCUIT)}")
        frame[name] = int(circuit[name])
    return frame


def plot_networks(strips: Mapping[str, pd.DataFrame], title: str | None = None) -> Figure:
    """Plot networks as strips of blocks (Figure 6), one below the other, from `network_strip` by the title of each.

    Each block has a box with its kind and channels, underlined where its stride is 2, and below it two cells per layer:
    the bits of its weights above those of its activations, the darker the more. The circuit stands beside the title.
    """
    if not strips:
        raise ConfigError("there is no network to plot; expected at least one")
    top = _MARGIN + (_TITLE if title else 0)
    width = max(_LABELS + _strip_width(strip) for strip in strips.values()) + 2 * _MARGIN
    width = max(width, _LEAST_WIDTH)
    height = top + _STRIP * len(strips) + _KEY
    figure = Figure(figsize=(width, height))
    # One unit of the axes is an inch, downwards.
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    if title:
        ax.text(_MARGIN, _MARGIN + _TITLE / 2, title, fontsize=FONT, va="center")
    shades = _shades(strips)
    for i, (name, strip) in enumerate(strips.items()):
        _plot_network(ax, name, strip, top + i * _STRIP, shades)
    layers = pd.concat(strips.values())
    notes = ["columns: 3x3 convolutions" + (", last of RES: 1x1" if (layers["layer"] == "shortcut").any() else "")]
    notes += ["underlined: stride 2"] if (layers["stride"] > 1).any() else []
    _add_key(ax, height - _KEY / 2, shades, "; ".join(notes))
    return figure


def _strip_width(strip: pd.DataFrame) -> float:
    return sum(_block_width(len(layers)) + _GAP for _, layers in strip.groupby("place")) - _GAP


def _block_width(layers: int) -> float:
    """Width of a block (inches): that of its cells, or of its name where that is wider."""
    return max(layers * 0.25, 0.7 if layers > 1 else 0.32)


def _shades(strips: Mapping[str, pd.DataFrame]) -> dict[int, str]:
    """Colour of each bit width that occurs."""
    found = sorted({int(bits) for strip in strips.values() for name in _BITS for bits in strip[name]})
    steps = np.linspace(0, len(_SHADES) - 1, len(found)).round().astype(int) if len(found) > 1 else [2]
    return {bits: _SHADES[step] for bits, step in zip(found, steps, strict=True)}


def _plot_network(ax: Axes, name: str, strip: pd.DataFrame, top: float, shades: Mapping[int, str]) -> None:
    first = strip.iloc[0]
    circuit = (
        f"{first['crossbar']}x{first['crossbar']} crossbar, {first['adc_bits']}-bit ADC, {first['dac_bits']}-bit DAC"
    )
    middle = top + _TITLE / 2
    ax.text(_MARGIN, middle, name, fontsize=FONT, fontweight="bold", va="center")
    shift = _text_width(name, FONT, "bold") + 0.15
    ax.text(_MARGIN + shift, middle, circuit, fontsize=SMALL_FONT, va="center", color=_FRAME)
    x, y = _MARGIN + _LABELS, top + _TITLE
    for row, label in enumerate(_BITS.values()):
        ax.text(x - 0.08, y + _NAME + (row + 0.5) * _CELL, label, fontsize=SMALL_FONT, ha="right", va="center")
    for _, layers in strip.groupby("place"):
        width = _block_width(len(layers))
        _add_block(ax, layers, x, y, width)
        cell = width / len(layers)
        for column, (_, layer) in enumerate(layers.iterrows()):
            for row, bits in enumerate(_BITS):
                _add_cell(ax, int(layer[bits]), (x + column * cell, y + _NAME + row * _CELL), cell, shades)
        ax.add_patch(Rectangle((x, y), width, _NAME + 2 * _CELL, fill=False, edgecolor=_FRAME, linewidth=0.8))
        x += width + _GAP


def _add_block(ax: Axes, layers: pd.DataFrame, x: float, y: float, width: float) -> None:
    """Add the box of a block with its name."""
    block = layers.iloc[0]
    head = block["block"] == _HEAD
    text = "FC" if head else f"{block['block']} {block['channels']}"
    ax.add_patch(Rectangle((x, y), width, _NAME, facecolor=_TINTS[block["block"]], linewidth=0))
    ax.text(x + width / 2, y + _NAME / 2, text, fontsize=SMALL_FONT, ha="center", va="center")
    if block["stride"] > 1:
        half, low = _text_width(text, SMALL_FONT) / 2, y + _NAME / 2 + 0.068
        ax.plot([x + width / 2 - half, x + width / 2 + half], [low, low], color="black", linewidth=0.8)


def _add_cell(ax: Axes, bits: int, corner: tuple[float, float], width: float, shades: Mapping[int, str]) -> None:
    color = shades[bits]
    ax.add_patch(Rectangle(corner, width, _CELL, facecolor=color, edgecolor="white", linewidth=0.6))
    ax.text(
        corner[0] + width / 2,
        corner[1] + _CELL / 2,
        str(bits),
        fontsize=SMALL_FONT - 1,
        ha="center",
        va="center_baseline",
        color="white" if color in _SHADES[-2:] else "black",
    )


def _add_key(ax: Axes, y: float, shades: Mapping[int, str], notes: str) -> None:
    """Legend of the bits, with notes, at height y."""
    x = _MARGIN + _LABELS
    ax.text(x - 0.08, y, "bits", fontsize=SMALL_FONT, ha="right", va="center")
    for bits in shades:
        _add_cell(ax, bits, (x, y - _CELL / 2), _CELL, shades)
        x += _CELL
    ax.text(x + 0.12, y, notes, fontsize=SMALL_FONT, va="center", color=_FRAME)


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a text (inches)."""
    path = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return float(path.get_extents().width) / 72
