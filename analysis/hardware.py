"""What the energy, the time and the area of a design on a planar chip are made up of: frames and one picture."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from moopim.analysis.style import FONT, SMALL_FONT, series_color, style_axes
from moopim.hardware.planar.model import Breakdown
from moopim.workload.layers import LayerKind, LayerTable

__all__ = ["COMPONENTS", "breakdown_frame", "component_table", "layer_table", "plot_breakdown"]

FloatArray = NDArray[np.float64]

COMPONENTS = {
    "crossbar": ("crossbar", "preload"),
    "ADC": ("adc",),
    "DAC": ("dac",),
    "digital": (
        *("digital", "demux", "mux", "input_register", "output_register", "shift_register"),
        *("adder", "joint", "element_wise"),
    ),
    "buffers": ("buffer", "buffer_read", "buffer_write", "pool_reread", "leakage"),
    "pooling": ("pooling",),
    "interconnect": ("intra_tile", "merge", "transfer"),
}
"""Components as they are shown, and what the model calls their parts."""

_QUANTITIES = {"energy_mJ": "energy (mJ)", "time_ms": "busy time (ms)", "area_mm2": "area (mm²)"}
# What belongs to no layer: leakage, and the accumulator of element-wise layers. Only the physical mode counts them.
_SHARED = "shared"
_SHARED_ENERGY = ("leakage",)
_SHARED_AREA = ("element_wise",)
# Ticks, and shares, that still fit beside each other.
_MOST_NAMES = 70
_LEAST_SHARE = 0.06
_COLORS = tuple(series_color(i) for i in range(len(COMPONENTS)))
# Orange, pink and sky blue: black text is read better on them.
_LIGHT = ("#E69F00", "#CC79A7", "#56B4E9")


def breakdown_frame(breakdown: Breakdown, table: LayerTable, design: int = 0) -> pd.DataFrame:
    """Splits the figures of a design by layer and component.

    Args:
        breakdown: From `moopim.hardware.planar.model.break_down`.
        table: The networks that were broken down.
        design: The design.

    Returns:
        One row per layer and component: ``layer`` (its place in the table), ``name``, ``kind``, ``component`` (one of
        `COMPONENTS`), ``energy_mJ``, ``time_ms`` (how long the layer is busy with it) and ``area_mm2``. Energy and area
        add up to those of the design; a last layer ``shared`` holds what belongs to none, where there is any.
    """
    kind = np.broadcast_to(table.kind, (len(breakdown.totals["energy"]), table.layers))[design]
    places = np.flatnonzero(kind != LayerKind.NONE)
    columns = {name: column[design, places] for name, column in breakdown.layers.items()}
    share = columns["tiles"] / columns["tiles"].sum()
    rows = {
        "layer": places,
        "name": [table.names[place] if table.names else str(place) for place in places],
        "kind": [LayerKind(value).name.lower() for value in kind[places]],
    }
    shared = {"layer": [table.layers], "name": _SHARED, "kind": _SHARED, "time_ms": 0.0}
    parts = []
    for component, members in COMPONENTS.items():
        tiles = [name for name in members if name not in _SHARED_AREA]
        part = {
            "energy_mJ": _total(columns, "energy_{}_nJ", members, len(places)) * 1e-6,
            "time_ms": _total(columns, "time_{}_ns", members, len(places)) * 1e-6,
            "area_mm2": share * _pick(breakdown.area_mm2, tiles, design),
        }
        rest = {
            "energy_mJ": _pick(breakdown.energy_mJ, [name for name in members if name in _SHARED_ENERGY], design),
            "area_mm2": _pick(breakdown.area_mm2, [name for name in members if name in _SHARED_AREA], design),
        }
        parts.append(pd.DataFrame(rows | {"component": component} | part))
        if any(rest.values()):
            parts.append(pd.DataFrame(shared | {"component": component} | rest))
    return pd.concat(parts, ignore_index=True).sort_values("layer", kind="stable", ignore_index=True)


def component_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds up the layers.

    Args:
        frame: From `breakdown_frame`.

    Returns:
        One row per component, with its share of each sum in per cent: ``component``, ``energy_mJ``, ``energy_%``,
        ``time_ms``, ``time_%``, ``area_mm2``, ``area_%``.
    """
    sums = frame.groupby("component")[list(_QUANTITIES)].sum().reindex(list(COMPONENTS))
    columns = {}
    for name in _QUANTITIES:
        columns[name] = sums[name]
        columns[_share_of(name)] = 100 * sums[name] / sums[name].sum()
    return pd.DataFrame(columns).rename_axis("component").reset_index()


def layer_table(frame: pd.DataFrame, breakdown: Breakdown, design: int = 0) -> pd.DataFrame:
    """Adds up the components, beside what each layer takes of the chip and when it works.

    Args:
        frame: From `breakdown_frame`.
        breakdown: What the frame was made of.
        design: The design that it was made for.

    Returns:
        One row per layer: ``layer``, ``name``, ``kind``, ``tiles``, ``energy_mJ``, ``energy_%``, ``begin_ms``,
        ``finish_ms``, ``time_ms`` (busy), ``area_mm2``, ``area_%``.
    """
    sums = frame.groupby(["layer", "name", "kind"], sort=False)[list(_QUANTITIES)].sum().reset_index()
    real = sums["kind"] != _SHARED
    places = sums["layer"][real].to_numpy()
    sums["tiles"] = 0
    sums.loc[real, "tiles"] = breakdown.layers["tiles"][design, places]
    for name in ("begin", "finish"):
        sums.loc[real, f"{name}_ms"] = breakdown.layers[f"{name}_ns"][design, places] * 1e-6
    for name in ("energy_mJ", "area_mm2"):
        sums[_share_of(name)] = 100 * sums[name] / sums[name].sum()
    times = ["begin_ms", "finish_ms", "time_ms"]
    return sums[["layer", "name", "kind", "tiles", "energy_mJ", "energy_%", *times, "area_mm2", "area_%"]]


def plot_breakdown(frame: pd.DataFrame, title: str = "") -> Figure:
    """Draws energy, busy time and area as stacked bars, one bar per layer and one for the whole chip.

    Args:
        frame: From `breakdown_frame`. What belongs to no layer is in the bar of the chip only.
        title: What to write above.

    Returns:
        The figure.
    """
    layers = frame[frame["kind"] != _SHARED].drop_duplicates("layer")
    width = float(np.clip(0.2 * len(layers), 4.5, 15.0))
    figure = Figure(figsize=(width + 2.2, 7.2), layout="constrained")
    axes = figure.subplots(3, 2, width_ratios=[width, 1.3], sharex="col")
    for (left, right), (name, label) in zip(axes, _QUANTITIES.items(), strict=True):
        stack = frame.pivot_table(index="layer", columns="component", values=name, aggfunc="sum", fill_value=0.0)
        stack = stack.reindex(columns=list(COMPONENTS), fill_value=0.0)
        _draw_stack(left, stack.loc[layers["layer"]].to_numpy())
        _draw_stack(right, stack.to_numpy().sum(axis=0, keepdims=True), shares=True)
        left.set_ylabel(label, fontsize=FONT)
    step = -(-len(layers) // _MOST_NAMES)
    axes[-1, 0].set_xticks(np.arange(len(layers))[::step], layers["name"][::step], rotation=90)
    axes[-1, 0].set_xlim(-0.7, len(layers) - 0.3)
    axes[-1, 1].set_xticks([0], ["chip"])
    figure.legend(
        axes[0, 0].containers,
        list(COMPONENTS),
        loc="outside upper left",
        ncols=len(COMPONENTS),
        frameon=False,
        fontsize=SMALL_FONT,
        title=title,
        title_fontsize=FONT,
        alignment="left",
        handlelength=1.2,
        columnspacing=1.2,
    )
    return figure


def _draw_stack(ax: Axes, values: FloatArray, shares: bool = False) -> None:
    """Draws bars of shape ``(bars, components)``, with the shares of the larger parts in per cent if asked for."""
    style_axes(ax).grid(visible=False, axis="x")
    ends = values.cumsum(axis=1)
    highest = ends.max(initial=0.0) or 1.0
    ax.set_ylim(0, 1.05 * highest)
    for i, color in enumerate(_COLORS):
        place, bottom = np.arange(len(values)), ends[:, i] - values[:, i]
        bars = ax.bar(place, values[:, i], bottom=bottom, color=color, edgecolor="white", linewidth=0.2)
        part = values[:, i].sum() / highest
        if shares and part >= _LEAST_SHARE:
            text = "black" if color in _LIGHT else "white"
            ax.bar_label(bars, [f"{100 * part:.0f} %"], label_type="center", color=text, fontsize=SMALL_FONT)


def _total(columns: Mapping[str, NDArray[np.generic]], pattern: str, members: tuple[str, ...], n: int) -> FloatArray:
    """Sum of the parts of a component that a design has, shape ``(layers,)``."""
    names = [pattern.format(member) for member in members]
    return sum((columns[name].astype(np.float64) for name in names if name in columns), np.zeros(n))


def _pick(figures: Mapping[str, FloatArray], names: list[str], design: int) -> float:
    """Sum of the figures of these names that a design has."""
    return sum(float(figures[name][design]) for name in names if name in figures)


def _share_of(name: str) -> str:
    return f"{name.rpartition('_')[0]}_%"
