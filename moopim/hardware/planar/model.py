"""Model of the planar chip: energy, latency, area and power of designs, in all and by component and layer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError, unknown_name
from moopim.hardware.planar.chip import Chip
from moopim.hardware.planar.costs import Consumption, chip_area, layer_consumption, shared_equally
from moopim.hardware.planar.mapping import LayerMapping, check_designs, map_layers
from moopim.hardware.planar.pipeline import LayerTimes, finish_times
from moopim.hardware.planar.placement import Hops, hop_distances
from moopim.hardware.planar.timing import PositionTimes, position_times
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload.layers import LayerTable

FIXES = {
    "adder_energy": "the adders of a PE's groups use energy, not only power",
    "sum_layers": "element-wise layers use energy, power and area",
    "buffers": "each buffer is charged for its own accesses, and leaks all the time",
    "pool_read": "the results of a pooling layer are read once",
    "occupancy": "PEs at the edges of a layer count with what they use",
    "magnitude_bits": "the sign of the inputs takes no cycle",
    "cell_bits": "a cell holds as many bits as it can",
    "input_buffer": "only PEs that read different inputs share an input buffer",
}
"""Corrections of MNSIM's model in the physical mode, by name."""

MODES = {"compat": (), "physical": tuple(FIXES)}
"""Fixes of each mode: none gives the numbers of MNSIM 2.0."""

# Tiles of larger designs are not placed: they are far from fitting on any grid.
_MOST_TILES = 65_536
_COUNTS = ("tiles", "pes", "m_x", "m_y", "rows", "columns", "busy_pes", "first_tile")
# Designs per block: few enough for the processor's cache, many enough for arrays to pay off.
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Breakdown of designs by component and layer.

    Attributes:
        totals: Results of `evaluate_planar`, shape ``(designs,)``.
        layers: Columns by name, shape ``(designs, layers)``: the mapping, ``begin_ns``, ``first_finish_ns``,
            ``finish_ns``, ``area_um2``, ``power_W``, ``energy_nJ``, ``energy_<component>_nJ``, which add up to it, and
            ``time_<component>_ns``, which add up to ``time_ns``, the time that the layer is busy. Area, power and
            energy of layers that are `not_modelled` are 0, as MNSIM adds them up.
        energy_mJ: Energy by component (mJ), shape ``(designs,)``, which add up to the total. The interconnect is not
            modelled.
        area_mm2: Area by component (mm2), likewise.
        buffers: ``input_buffer_KB`` of a PE, ``output_buffer_KB`` of a tile, ``tile_area_um2``, shape ``(designs,)``.
    """

    totals: dict[str, FloatArray]
    layers: dict[str, NDArray[Any]]
    energy_mJ: dict[str, FloatArray]
    area_mm2: dict[str, FloatArray]
    buffers: dict[str, FloatArray]


def evaluate_planar(table: LayerTable, chip: Chip, mode: str | Collection[str] = "compat") -> dict[str, FloatArray]:
    """Evaluate designs: networks on planar chips (MNSIM 2.0, Zhu et al., TCAD 2023).

    With the time t and the power P of each component of each layer and N its output positions:

    - energy = sum over layers and components of N P t
    - latency = largest finish of an output layer in the pipeline, where position q of a layer finishes at
      f(q) = max(f(q - 1), r(q)) + t(q), with r(q) the time at which its inputs are ready
    - area = tiles (area of a tile, with buffers for the layer that needs the largest)

    Args:
        table: One network, or one per design.
        chip: One chip, or one per design.
        mode: ``compat`` for the numbers of MNSIM 2.0, ``physical`` for those with all of `FIXES`, or names of fixes.

    Returns:
        By name, shape ``(designs,)``: ``energy`` (mJ), ``latency`` (ms), ``area`` (mm2), ``power`` (W), ``edp``
        (mJ ms), ``edap`` (mJ ms mm2), ``tops_per_W`` (operations are two per multiplication, 1e12/J), ``tops_per_mm2``
        (of one image at a time, 1e12/(s mm2)), ``tiles``, ``violation`` (tiles / tiles of the grid - 1; above 0 where a
        design does not fit). A design that does not fit is evaluated as on a larger grid; beyond 65,536 tiles its
        latency, and what depends on it, is NaN.

    Raises:
        ConfigError: If there is no such mode or fix, the number of networks is not that of the chips, a crossbar is
            smaller than a kernel, or a table that was not made by `moopim.workload.layers.make_table` is none.
    """
    fixes = _fixes(mode)
    return _join([_totals(part, _run(part, chips, fixes)) for part, chips in _blocks(table, chip)])


def break_down(table: LayerTable, chip: Chip, mode: str | Collection[str] = "compat") -> Breakdown:
    """Evaluate designs in detail, by component and layer.

    Args:
        table: One network, or one per design.
        chip: One chip, or one per design.
        mode: As in `evaluate_planar`.

    Returns:
        The breakdown.

    Raises:
        ConfigError: As `evaluate_planar`.
    """
    fixes = _fixes(mode)
    blocks = [_break_down_block(part, _run(part, chips, fixes), chips) for part, chips in _blocks(table, chip)]
    return Breakdown(*(_join([getattr(block, field.name) for block in blocks]) for field in fields(Breakdown)))


def not_modelled(table: LayerTable, breakdown: Breakdown) -> BoolArray:
    """Mask of layers that have a time, but no model of their energy, power and area.

    Args:
        table: The networks.
        breakdown: Their breakdown.

    Returns:
        Mask, shape ``(designs, layers)``: element-wise layers without the fix ``sum_layers``.
    """
    modelled = "energy_element_wise_nJ" in breakdown.layers
    return np.broadcast_to(table.element_wise & (not modelled), breakdown.layers["energy_nJ"].shape)


class _Parts(NamedTuple):
    """Results of the steps of the model for a block; areas by component and latency have shape ``(designs,)``."""

    mapping: LayerMapping
    hops: Hops
    times: PositionTimes
    finish: LayerTimes
    latency_ns: FloatArray
    used: Consumption
    area_um2: dict[str, FloatArray]
    grid: IntArray


def _blocks(table: LayerTable, chip: Chip) -> Iterator[tuple[LayerTable, Chip]]:
    """Blocks of designs that fit into the processor's cache."""
    for start in range(0, check_designs(table, chip), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield table.take(block), chip.take(block)


def _join(blocks: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _run(table: LayerTable, chip: Chip, fixes: Collection[str]) -> _Parts:
    mapping = map_layers(table, chip, fixes)
    hops = hop_distances(table, mapping, chip.grid, _MOST_TILES)
    times = position_times(table, chip, mapping, hops, fixes)
    finish = finish_times(table, times.position)
    # Tiles without a placement have no distances, and layers no times.
    unknown = np.where(mapping.total_tiles > _MOST_TILES, np.nan, 0.0)
    finish = LayerTimes(*(time + unknown[:, None] for time in finish))
    latency = np.where(table.last, finish.finish, 0.0).max(axis=1)
    used = layer_consumption(table, chip, mapping, times, latency, fixes)
    return _Parts(mapping, hops, times, finish, latency, used, chip_area(table, chip, mapping, fixes), chip.grid)


def _break_down_block(table: LayerTable, parts: _Parts, chip: Chip) -> Breakdown:
    totals = _totals(table, parts)
    shape = (len(totals["energy"]), table.layers)
    mapping, used, times, area = parts.mapping, parts.used, parts.times, parts.area_um2
    shared = area.get("element_wise", np.zeros(1))
    tile_area = (_add(area) - shared) / mapping.total_tiles
    duration = {**times.parts, "buffer_read": times.output_read, "buffer_write": times.output_write}
    busy = {name: table.positions * time for name, time in duration.items()}
    busy["buffer_read"] = busy["buffer_read"] + times.fetch.total(table.h_out, table.w_out)
    busy["buffer_write"] = busy["buffer_write"] + times.fill.total(table.h_out, table.w_out)
    busy["preload"] = times.preload
    columns: dict[str, NDArray[Any]] = {
        "tiles": mapping.tiles,
        "pes": mapping.pes,
        "m_x": np.where(table.weighted, mapping.slice_blocks * mapping.column_blocks, 0),
        "m_y": np.where(table.weighted, mapping.row_blocks, 0),
        "rows": np.where(table.weighted, mapping.rows, 0),
        "columns": np.where(table.weighted, mapping.columns, 0),
        "busy_pes": mapping.busy,
        "first_tile": mapping.first_tile,
        "utilisation": _utilisation(table, chip, mapping),
        "hops_in": parts.hops.within,
        "hops_out": parts.hops.onward,
        "positions": table.positions,
        "begin_ns": parts.finish.begin,
        "first_finish_ns": parts.finish.first,
        "finish_ns": parts.finish.finish,
        "time_ns": _add(busy),
        "area_um2": mapping.tiles * tile_area[:, None] + shared_equally(table, shared),
        "power_W": _add(used.power_W),
        "energy_nJ": _add(used.energy_nJ),
        **{f"energy_{name}_nJ": energy for name, energy in used.energy_nJ.items()},
        **{f"time_{name}_ns": time for name, time in busy.items()},
    }
    buffers = {
        "input_buffer_KB": mapping.input_buffer_KB,
        "output_buffer_KB": mapping.output_buffer_KB,
        "tile_area_um2": tile_area,
    }
    energy = {name: part.sum(axis=1) * 1e-6 for name, part in used.energy_nJ.items()}
    return Breakdown(
        totals=totals,
        layers={name: np.broadcast_to(_whole(name, column), shape) for name, column in columns.items()},
        energy_mJ={name: np.broadcast_to(part, shape[:1]) for name, part in energy.items()},
        area_mm2={name: np.broadcast_to(part * 1e-6, shape[:1]) for name, part in area.items()},
        buffers={name: np.broadcast_to(part, shape[:1]) for name, part in buffers.items()},
    )


def _totals(table: LayerTable, parts: _Parts) -> dict[str, FloatArray]:
    tiles = parts.mapping.total_tiles
    latency = parts.latency_ns * 1e-6
    energy = _add(parts.used.energy_nJ).sum(axis=1) * 1e-6
    power = _add(parts.used.power_W).sum(axis=1)
    area = _add(parts.area_um2) * 1e-6
    operations = 2.0 * table.macs.sum(axis=1)
    totals = {
        "energy": energy,
        "latency": latency,
        "area": area,
        "power": power,
        "edp": energy * latency,
        "edap": energy * latency * area,
        "tops_per_W": operations / energy * 1e-9,
        "tops_per_mm2": operations / (latency * area) * 1e-9,
        "tiles": tiles.astype(np.float64),
        "violation": tiles / parts.grid**2 - 1.0,
    }
    designs = max(map(len, totals.values()))
    return {name: np.broadcast_to(value, (designs,)) for name, value in totals.items()}


def _whole(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """Counts as whole numbers."""
    return column.astype(np.int64) if name in _COUNTS else column


def _add(parts: Mapping[str, FloatArray]) -> FloatArray:
    return reduce(np.add, parts.values())


def _utilisation(table: LayerTable, chip: Chip, mapping: LayerMapping) -> FloatArray:
    """Share of the cells of a layer's crossbars that hold weights."""
    cells = table.rows * table.c_out * mapping.slices
    available = mapping.pes * (chip.groups * chip.crossbar**2)[:, None]
    share: FloatArray = np.where(table.weighted, cells / np.maximum(available, 1), 0.0)
    return share


def _fixes(mode: str | Collection[str]) -> tuple[str, ...]:
    if isinstance(mode, str):
        if mode not in MODES:
            raise unknown_name("mode", mode, MODES)
        return MODES[mode]
    if not isinstance(mode, Collection):
        raise ConfigError(f"mode is {mode!r}; expected one of {', '.join(MODES)}, or names of fixes")
    for name in mode:
        if name not in FIXES:
            raise unknown_name("fix", name, FIXES)
    return tuple(mode)
