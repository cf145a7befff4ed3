"""Networks as strips of blocks, the bits of their layers in colour: Figure 6 of CrossNAS (arXiv 2505.22868)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from moopim.analysis.style import FONT, SMALL_FONT
from moopim.errors import ConfigError, unknown_name

__all__ = ["network_strip", "plot_networks"]

_LAYERS = {"VGG": ("a", "b"), "MVGG": ("a", "b"), "RES": ("a", "b", "shortcut")}
_CIRCUIT = ("crossbar", "adc_bits", "dac_bits")
_HEAD = "head"
_BITS = {"weight_bits": "weights", "activation_bits": "activations"}

# Sizes (inches).
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


def network_strip(
    blocks: Sequence[tuple[str, int, int]],
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    circuit: Mapping[str, int],
) -> pd.DataFrame:
    """Lists the layers of a network with their bits, and the circuit that it runs on.

    Args:
        blocks: Kind (VGG, MVGG or RES), channels and stride of each block, such as `moopim.network.subnets.Block`.
        weight_bits: Bits of the weights of each layer: of each block the 3x3 convolutions ``a`` and ``b`` and, of RES,
            the 1x1 convolution ``shortcut``; then the fully connected ``head``.
        activation_bits: Bits of the outputs of the same layers.
        circuit: ``crossbar`` (rows), ``adc_bits`` and ``dac_bits``.

    Returns:
        One row per layer: ``place`` (number of the block from 1; the head has the next), ``block``, ``channels``,
        ``stride``, ``layer``, ``weight_bits``, ``activation_bits``, ``crossbar``, ``adc_bits``, ``dac_bits``. The head
        is a block of its own kind with 0 channels.

    Raises:
        ConfigError: If there is no block, a kind is unknown, the number of bits is not that of the layers, or a part
            of the circuit is missing.
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
    """Draws networks as strips of blocks, one below the other.

    Each block has a box with its kind and channels, underlined where its stride is 2, and below it two cells per layer:
    the bits of the weights and, under them, those of the activations, the darker the more. The circuit is written
    beside the name of the network.

    Args:
        strips: Frames from `network_strip`, by what to write above each.
        title: What to write above all.

    Returns:
        The figure.

    Raises:
        ConfigError: If there is no network.
    """
    if not strips:
        raise ConfigError("there is no network to draw; expected at least one")
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
        _draw_network(ax, name, strip, top + i * _STRIP, shades)
    layers = pd.concat(strips.values())
    words = ["columns: 3x3 convolutions" + (", last of RES: 1x1" if (layers["layer"] == "shortcut").any() else "")]
    words += ["underlined: stride 2"] if (layers["stride"] > 1).any() else []
    _draw_key(ax, height - _KEY / 2, shades, "; ".join(words))
    return figure


def _strip_width(strip: pd.DataFrame) -> float:
    return sum(_block_width(len(layers)) + _GAP for _, layers in strip.groupby("place")) - _GAP


def _block_width(layers: int) -> float:
    """Width of a block: its cells, or its name where that is wider."""
    return max(layers * 0.25, 0.7 if layers > 1 else 0.32)


def _shades(strips: Mapping[str, pd.DataFrame]) -> dict[int, str]:
    """Colour of each number of bits that occurs."""
    found = sorted({int(bits) for strip in strips.values() for name in _BITS for bits in strip[name]})
    steps = np.linspace(0, len(_SHADES) - 1, len(found)).round().astype(int) if len(found) > 1 else [2]
    return {bits: _SHADES[step] for bits, step in zip(found, steps, strict=True)}


def _draw_network(ax: Axes, name: str, strip: pd.DataFrame, top: float, shades: Mapping[int, str]) -> None:
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
        _draw_block(ax, layers, x, y, width)
        cell = width / len(layers)
        for column, (_, layer) in enumerate(layers.iterrows()):
            for row, bits in enumerate(_BITS):
                _draw_cell(ax, int(layer[bits]), (x + column * cell, y + _NAME + row * _CELL), cell, shades)
        ax.add_patch(Rectangle((x, y), width, _NAME + 2 * _CELL, fill=False, edgecolor=_FRAME, linewidth=0.8))
        x += width + _GAP


def _draw_block(ax: Axes, layers: pd.DataFrame, x: float, y: float, width: float) -> None:
    """Draws the box of a block with its name."""
    block = layers.iloc[0]
    head = block["block"] == _HEAD
    text = "FC" if head else f"{block['block']} {block['channels']}"
    ax.add_patch(Rectangle((x, y), width, _NAME, facecolor=_TINTS[block["block"]], linewidth=0))
    ax.text(x + width / 2, y + _NAME / 2, text, fontsize=SMALL_FONT, ha="center", va="center")
    if block["stride"] > 1:
        half, low = _text_width(text, SMALL_FONT) / 2, y + _NAME / 2 + 0.068
        ax.plot([x + width / 2 - half, x + width / 2 + half], [low, low], color="black", linewidth=0.8)


def _draw_cell(ax: Axes, bits: int, corner: tuple[float, float], width: float, shades: Mapping[int, str]) -> None:
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


def _draw_key(ax: Axes, y: float, shades: Mapping[int, str], words: str) -> None:
    x = _MARGIN + _LABELS
    ax.text(x - 0.08, y, "bits", fontsize=SMALL_FONT, ha="right", va="center")
    for bits in shades:
        _draw_cell(ax, bits, (x, y - _CELL / 2), _CELL, shades)
        x += _CELL
    ax.text(x + 0.12, y, words, fontsize=SMALL_FONT, va="center", color=_FRAME)


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a text (inches)."""
    path = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return float(path.get_extents().width) / 72
