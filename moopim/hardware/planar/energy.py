"""Power and energy of the layers on a planar chip (MNSIM 2.0)."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from moopim.hardware.planar.area import column_share, row_share
from moopim.hardware.planar.buffers import buffer_figures, load_buffers
from moopim.hardware.planar.chip import Chip
from moopim.hardware.planar.digital import cell_power_W, load_digital, mux_transistors
from moopim.hardware.planar.element_wise import global_buffer_KB, operand_sizes, shared_equally
from moopim.hardware.planar.mapping import LayerMapping, PEClass, pe_classes
from moopim.hardware.planar.rounding import ceil_div, ceil_log2
from moopim.hardware.planar.timing import PositionTimes, conversions
from moopim.typing import FloatArray
from moopim.workload.layers import LayerKind, LayerTable

__all__ = ["Consumption", "layer_consumption"]


class Consumption(NamedTuple):
    """What the layers consume, by component; arrays of shape ``(designs, layers)``.

    Attributes:
        energy_nJ: Energy of an image (nJ).
        power_W: Power while a layer works (W).
    """

    energy_nJ: dict[str, FloatArray]
    power_W: dict[str, FloatArray]


def layer_consumption(
    table: LayerTable,
    chip: Chip,
    mapping: LayerMapping,
    times: PositionTimes,
    latency_ns: FloatArray,
    fixes: Collection[str] = (),
) -> Consumption:
    """Multiplies the power of each component by how long it is busy.

    Args:
        table: The networks.
        chip: The chips.
        mapping: The mapping of the networks onto the chips.
        times: Times of an output position.
        latency_ns: Time of an image (ns), shape ``(designs,)``, for what goes on all the while.
        fixes: Names of `moopim.hardware.planar.model.FIXES`.

    Returns:
        Energy and power.
    """
    digital = load_digital()
    positions, exact = table.positions.astype(np.float64), "occupancy" in fixes
    energy: dict[str, FloatArray] = {}
    power: dict[str, FloatArray] = {}
    for pes in pe_classes(mapping, table, chip, fixes):
        number = np.where(table.weighted, pes.number, 0)
        durations = dict(conversions(table, chip, pes.rows, pes.columns, fixes) if exact else times.parts)
        durations.pop("adder", None)
        if "adder_energy" in fixes:
            chunks = ceil_div(pes.columns, chip.adcs[:, None])
            durations["adder"] = chunks * (ceil_log2(chip.groups)[:, None] * digital.cycle_ns)
        for name, watts in _pe_power(chip, pes).items():
            used = number * watts
            power[name] = power[name] + used if name in power else used
            if name in durations:
                used = used * (positions * durations[name])
                energy[name] = energy[name] + used if name in energy else used
    active = ceil_div(mapping.columns, column_share(chip)[:, None])
    merges = mapping.pes - mapping.tiles if exact else mapping.tiles * (mapping.busy - 1)
    power["joint"] = np.where(table.weighted, merges * active * digital.joint_power_W, 0.0)
    energy["joint"] = power["joint"] * (positions * times.parts["joint"])
    pool = table.kind == LayerKind.POOL
    power["pooling"] = np.where(pool, digital.pool_power_W, 0.0)
    energy["pooling"] = power["pooling"] * (positions * times.parts["pooling"])
    _add_buffers(table, mapping, times, fixes, energy, power)
    if (table.kind == LayerKind.MATMUL).any():
        _add_preload(table, chip, mapping, times, energy, power)
    if "sum_layers" in fixes:
        _add_element_wise(table, fixes, energy, power)
    if "buffers" in fixes:
        power["leakage"] = _leakage(table, chip, mapping, fixes)
        energy["leakage"] = power["leakage"] * latency_ns[:, None]
    return Consumption(energy, power)


def _pe_power(chip: Chip, pes: PEClass) -> dict[str, FloatArray]:
    """Power of the components of one PE (W), shape ``(designs, layers)``."""
    digital = load_digital()
    shared_rows, shared_columns = row_share(chip)[:, None], column_share(chip)[:, None]
    cell = cell_power_W(chip.resistance_low_ohm, chip.resistance_high_ohm, chip.read_low_V, chip.read_high_V)
    # Of the rows that share a DAC, and of the columns that share an ADC, one is active at a time.
    rows, columns = ceil_div(pes.rows, shared_rows), ceil_div(pes.columns, shared_columns)
    row_mux = mux_transistors(shared_rows) * digital.mux_transistor_power_W
    column_mux = mux_transistors(shared_columns) * digital.mux_transistor_power_W
    cells = (chip.polarity * cell)[:, None] * (pes.rows * pes.columns) / (shared_rows * shared_columns)
    return {
        "crossbar": pes.groups * cells,
        "dac": pes.groups * rows * chip.dac_power_W[:, None],
        "demux": pes.groups * rows * row_mux,
        "input_register": pes.groups * rows * digital.register_power_W,
        "adc": pes.groups * columns * chip.adc_power_W[:, None],
        "mux": pes.groups * columns * column_mux,
        "shift_register": pes.groups * columns * digital.shift_power_W,
        "output_register": pes.groups * columns * digital.register_power_W,
        "adder": np.maximum(pes.groups - 1, 0) * columns * digital.adder_power_W,
    }


def _add_buffers(
    table: LayerTable,
    mapping: LayerMapping,
    times: PositionTimes,
    fixes: Collection[str],
    energy: dict[str, FloatArray],
    power: dict[str, FloatArray],
) -> None:
    """Adds what the buffers of tiles and PEs consume in accesses."""
    access_ns = load_buffers().access_ns
    apart = "buffers" in fixes
    small, large = buffer_figures(mapping.input_buffer_KB), buffer_figures(mapping.output_buffer_KB)
    busy = mapping.pes if "occupancy" in fixes else mapping.tiles * mapping.busy
    pes = np.where(table.weighted, busy, 0)
    for name, whole, edges in (
        ("read", times.output_read, times.fetch),
        ("write", times.output_write, times.fill),
    ):
        # MNSIM counts leakage with the accesses, and lets both buffers work whenever one of them does.
        watts = [
            (getattr(figures, f"{name}_nJ") / access_ns + (0.0 if apart else figures.leakage_W))[:, None]
            for figures in (small, large)
        ]
        of_pes, of_tiles = pes * watts[0], mapping.tiles * watts[1]
        power[f"buffer_{name}"] = of_pes + of_tiles
        outer, inner = table.positions * whole, edges.total(table.h_out, table.w_out)
        if apart:
            energy[f"buffer_{name}"] = of_pes * inner + of_tiles * np.where(table.weighted, outer, outer + inner)
        else:
            energy[f"buffer_{name}"] = (of_pes + of_tiles) * (outer + inner)


def _add_preload(
    table: LayerTable,
    chip: Chip,
    mapping: LayerMapping,
    times: PositionTimes,
    energy: dict[str, FloatArray],
    power: dict[str, FloatArray],
) -> None:
    """Adds the writing of the second operand of products of two activations."""
    cells = table.rows * table.c_out * mapping.slices * chip.polarity[:, None]
    written = np.where(table.kind == LayerKind.MATMUL, cells * chip.write_pJ[:, None] * 1e-3, 0.0)
    energy["preload"] = written
    power["preload"] = written / np.where(times.preload > 0, times.preload, 1.0)


def _add_element_wise(
    table: LayerTable, fixes: Collection[str], energy: dict[str, FloatArray], power: dict[str, FloatArray]
) -> None:
    """Adds the work of the global accumulator, and of the global buffer between the tiles and it."""
    digital, buffers = load_digital(), load_buffers()
    channels, bits, count = operand_sizes(table)
    figures = buffer_figures(global_buffer_KB(table))
    access_nJ = figures.read_nJ + figures.write_nJ
    if "buffers" not in fixes:  # leakage counts with the accesses, a read and a write
        access_nJ = access_nJ + 2 * figures.leakage_W * buffers.access_ns
    adders = channels * (count - 1) * digital.adder_power_W
    words = ceil_div(count * bits * channels, buffers.bus_bits)
    position_nJ = words * access_nJ[:, None] + adders * digital.cycle_ns
    energy["element_wise"] = np.where(table.element_wise, table.positions * position_nJ, 0.0)
    power["element_wise"] = np.where(table.element_wise, (access_nJ / buffers.access_ns)[:, None] + adders, 0.0)


def _leakage(table: LayerTable, chip: Chip, mapping: LayerMapping, fixes: Collection[str]) -> FloatArray:
    """Power that the buffers of a layer's tiles leak all the time, working or not (W), shape ``(designs, layers)``."""
    small, large = buffer_figures(mapping.input_buffer_KB), buffer_figures(mapping.output_buffer_KB)
    leakage: FloatArray = mapping.tiles * (chip.pes * small.leakage_W + large.leakage_W)[:, None]
    if "sum_layers" in fixes:
        leakage = leakage + shared_equally(table, buffer_figures(global_buffer_KB(table)).leakage_W)
    return leakage
