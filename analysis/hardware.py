"""Breakdown of energy, time and area of a design on a planar chip, by layer and component: frames and a figure."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from moopim.analysis.style import FONT, SMALL_FONT, figure_legend, series_color, style_axes
from moopim.hardware.planar.model import Breakdown, not_modelled
from moopim.typing import FloatArray
from moopim.workload.layers import LayerKind, LayerTable

COMPONENTS = {
    "crossbar": ("crossbar", "preload"),
    "ADC": ("adc",),
    "DAC": ("dac",),
    "digital": (
        *("digital", "demux", "mux", "input_register", "output_register", "shift_register"),
        *("adder", "joint", "element_wise"),
    ),
    "buffers": ("buffer", "buffer_read", "buffer_write", "pool_reread"),
    "pooling": ("pooling",),
    "interconnect": ("intra_tile", "merge", "transfer"),
    "leakage": ("leakage",),
}
"""Components as they are shown, with the names of their parts in the model; leakage is in the physical mode only."""

_NOT_MODELLED = ("interconnect",)  # but for its time
_QUANTITIES = {"energy_mJ": "energy (mJ)", "time_ms": "busy time (ms)", "area_mm2": "area (mm²)"}
_ENERGY, _TIME = "energy_{}_nJ", "time_{}_ns"
# The accumulator of element-wise layers stands beside the tiles; only the physical mode has one.
_BESIDE_TILES = "element_wise"
# Ticks, and shares, that still fit beside each other.
_MOST_NAMES = 70
_LEAST_SHARE = 0.06
_CROSS = 0.04  # of the height of a panel: where layers that are not modelled are crossed
# The palette has a colour for each kind of work; leakage, which does none, is grey.
_COLORS = (*(series_color(i) for i in range(len(COMPONENTS) - 1)), "#999999")
# Orange, pink, sky blue and grey: black text is read better on them.
_LIGHT = ("#E69F00", "#CC79A7", "#56B4E9", "#999999")


def breakdown_frame(breakdown: Breakdown, table: LayerTable, design: int = 0) -> pd.DataFrame:
    """Energy, busy time and area of a design by layer and component.

    Args:
        breakdown: From `moopim.hardware.planar.model.break_down`.
        table: Its networks.
        design: Index of the design.

    Returns:
        One row per layer and component: ``layer`` (its place in the table), ``name``, ``kind``, ``component`` (those of
        `COMPONENTS` that the mode counts), ``energy_mJ``, ``time_ms`` (busy time) and
        ``area_mm2``. Energy and area add up to those of the design; they are NaN where they are not modelled: of the
        interconnect, and of element-wise layers without the fix ``sum_layers``.
    """
    designs = len(breakdown.totals["energy"])
    kind, element_wise, unknown = (
        np.broadcast_to(column, (designs, table.layers))[design]
        for column in (table.kind, table.element_wise, not_modelled(table, breakdown))
    )
    places = np.flatnonzero(kind != LayerKind.NONE)
    columns = {name: column[design, places] for name, column in breakdown.layers.items()}
    in_tiles = columns["tiles"] / columns["tiles"].sum()
    beside = element_wise[places] / max(element_wise.sum(), 1)
    rows = {
        "layer": places,
        "name": [table.names[place] if table.names else str(place) for place in places],
        "kind": [LayerKind(value).name.lower() for value in kind[places]],
    }
    parts = []
    for component, members in COMPONENTS.items():
        areas = {name: float(breakdown.area_mm2[name][design]) for name in members if name in breakdown.area_mm2}
        if not areas and not any(form.format(name) in columns for form in (_ENERGY, _TIME) for name in members):
            continue
        other = areas.pop(_BESIDE_TILES, 0.0)
        part = {
            "energy_mJ": _total(columns, _ENERGY, members, len(places)) * 1e-6,
            "time_ms": _total(columns, _TIME, members, len(places)) * 1e-6,
            "area_mm2": in_tiles * sum(areas.values()) + beside * other,
        }
        for name in ("energy_mJ", "area_mm2"):
            part[name] = np.where(unknown[places] | (component in _NOT_MODELLED), np.nan, part[name])
        parts.append(pd.DataFrame(rows | {"component": component} | part))
    return pd.concat(parts, ignore_index=True).sort_values("layer", kind="stable", ignore_index=True)


def component_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Energy, busy time and area by component, over all layers.

    Args:
        frame: From `breakdown_frame`.

    Returns:
        One row per component, with its share of each sum in per cent: ``component``, ``energy_mJ``, ``energy_%``,
        ``time_ms``, ``time_%``, ``area_mm2``, ``area_%``; NaN where a component is not modelled.
    """
    sums = frame.groupby("component", sort=False)[list(_QUANTITIES)].sum(min_count=1)
    columns = {}
    for name in _QUANTITIES:
        columns[name] = sums[name]
        columns[_share_of(name)] = 100 * sums[name] / sums[name].sum()
    return pd.DataFrame(columns).rename_axis("component").reset_index()


def layer_table(frame: pd.DataFrame, breakdown: Breakdown, design: int = 0) -> pd.DataFrame:
    """Energy, time and area by layer, over all components, with tiles and schedule.

    Args:
        frame: From `breakdown_frame`.
        breakdown: The breakdown of that frame.
        design: The design of that frame.

    Returns:
        One row per layer: ``layer``, ``name``, ``kind``, ``tiles``, ``energy_mJ``, ``energy_%``, ``begin_ms``,
        ``finish_ms``, ``time_ms`` (busy), ``area_mm2``, ``area_%``; NaN where a layer is not modelled.
    """
    sums = frame.groupby(["layer", "name", "kind"], sort=False)[list(_QUANTITIES)].sum(min_count=1).reset_index()
    places = sums["layer"].to_numpy()
    sums["tiles"] = breakdown.layers["tiles"][design, places]
    for name in ("begin", "finish"):
        sums[f"{name}_ms"] = breakdown.layers[f"{name}_ns"][design, places] * 1e-6
    for name in ("energy_mJ", "area_mm2"):
        sums[_share_of(name)] = 100 * sums[name] / sums[name].sum()
    times = ["begin_ms", "finish_ms", "time_ms"]
    return sums[["layer", "name", "kind", "tiles", "energy_mJ", "energy_%", *times, "area_mm2", "area_%"]]


def plot_breakdown(frame: pd.DataFrame, title: str = "") -> Figure:
    """Plot energy, busy time and area as stacked bars, one bar per layer and one for the whole chip.

    Components that are not modelled are named below; layers whose energy and area are not modelled have a cross.

    Args:
        frame: From `breakdown_frame`.
        title: Title.

    Returns:
        The figure.
    """
    layers = frame.drop_duplicates("layer")
    components = [name for name in COMPONENTS if name in set(frame["component"])]
    width = float(np.clip(0.2 * len(layers), 4.5, 15.0))
    figure = Figure(figsize=(width + 2.2, 7.2), layout="constrained")
    axes = figure.subplots(3, 2, width_ratios=[width, 1.3], sharex="col")
    crossed = False
    for (left, right), (name, label) in zip(axes, _QUANTITIES.items(), strict=True):
        stack = frame.pivot_table(index="layer", columns="component", values=name, aggfunc="sum", fill_value=0.0)
        stack = stack[components]
        _plot_stack(left, stack.to_numpy())
        _plot_stack(right, stack.to_numpy().sum(axis=0, keepdims=True), shares=True)
        left.set_ylabel(label, fontsize=FONT)
        unknown = np.flatnonzero(frame.groupby("layer")[name].count() == 0)
        if len(unknown):
            above = left.get_xaxis_transform()  # places of layers, shares of the panel's height
            left.plot(unknown, np.full(len(unknown), _CROSS), "x", color="black", ms=4, transform=above)
            crossed = True
    step = -(-len(layers) // _MOST_NAMES)
    axes[-1, 0].set_xticks(np.arange(len(layers))[::step], layers["name"][::step], rotation=90)
    axes[-1, 0].set_xlim(-0.7, len(layers) - 0.3)
    axes[-1, 1].set_xticks([0], ["chip"])
    figure_legend(figure, axes[0, 0].containers, components, title, handlelength=1.2)
    counted = frame.groupby("component", sort=False)[list(_QUANTITIES)].count()
    unknown_parts = [*counted.index[(counted == 0).any(axis=1)], *(["layers with a cross"] if crossed else [])]
    if unknown_parts:
        note = f"energy and area not modelled: {', '.join(unknown_parts)}"
        axes[-1, 0].set_xlabel(note, fontsize=SMALL_FONT, loc="left")
    return figure


def _plot_stack(ax: Axes, values: FloatArray, shares: bool = False) -> None:
    """Plot bars of shape ``(bars, components)``, with the shares of the larger parts in per cent if asked for."""
    style_axes(ax).grid(visible=False, axis="x")
    ends = values.cumsum(axis=1)
    highest = ends.max(initial=0.0) or 1.0
    ax.set_ylim(0, 1.05 * highest)
    for i, color in enumerate(_COLORS[: values.shape[1]]):
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


def _share_of(name: str) -> str:
    return f"{name.rpartition('_')[0]}_%"
