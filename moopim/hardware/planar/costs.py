"""Area, power and energy of the layers on a planar chip (MNSIM 2.0).

All tiles are alike, sized for the layer that needs the largest buffers. Energy is power times the time that a component
is busy. Element-wise layers use an accumulator and a buffer that the chip has once.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from moopim.hardware.planar.chip import Chip
from moopim.hardware.planar.digital import buffer_costs, cell_power_W, load_buffers, load_digital, mux_transistors
from moopim.hardware.planar.mapping import (
    LayerMapping,
    PEClass,
    ceil_div,
    ceil_log2,
    next_power_of_two,
    operand_sizes,
    pe_classes,
)
from moopim.hardware.planar.timing import PositionTimes, conversion_times
from moopim.typing import FloatArray
from moopim.workload.layers import LayerKind, LayerTable


def chip_area(
    table: LayerTable, chip: Chip, mapping: LayerMapping, fixes: Collection[str] = ()
) -> dict[str, FloatArray]:
    """Area of each component (um2), shape ``(designs,)``: tiles times that of a tile.

    A tile has its PEs, their groups of crossbars with ADCs and DACs, and its buffers. The fix ``sum_layers`` adds the
    global buffer and accumulator.
    """
    digital = load_digital()
    groups, adcs, dacs, pes = chip.groups, chip.adcs, chip.dacs, chip.pes
    crossbar = chip.crossbar**2 * chip.cell_area_um2 + chip.driver_area_um2 * chip.crossbar
    transistor = digital.mux_transistor_area_F2 * chip.mux_nm**2 * 1e-6
    switches = dacs * mux_transistors(_row_share(chip)) + adcs * mux_transistors(_column_share(chip))
    registers = adcs * digital.shift_area_um2 + (adcs + dacs) * digital.register_area_um2
    # Both trees add pairs until one is left: the results of the groups of a PE, and those of the PEs of a tile.
    adders = adcs * (groups - 1) * digital.adder_area_um2
    joints = (pes - 1) * groups * adcs * digital.joint_area_um2
    buffers = pes * buffer_costs(mapping.input_buffer_KB).area_um2 + buffer_costs(mapping.output_buffer_KB).area_um2
    tile: dict[str, FloatArray] = {
        "crossbar": pes * groups * chip.polarity * crossbar,
        "adc": pes * groups * adcs * chip.adc_area_um2,
        "dac": pes * groups * dacs * chip.dac_area_um2,
        "digital": pes * (groups * (registers + switches * transistor) + adders) + joints,
        "buffer": buffers,
        "pooling": np.full_like(buffers, digital.pool_area_um2),
    }
    area = {name: part * mapping.total_tiles for name, part in tile.items()}
    if "sum_layers" in fixes:
        adders = _most_adders(table) * digital.adder_area_um2
        area["element_wise"] = np.where(adders > 0, adders + buffer_costs(_global_buffer_KB(table)).area_um2, 0.0)
    return area


def _row_share(chip: Chip) -> FloatArray:
    """Rows that share a DAC, shape ``(designs,)``."""
    return ceil_div(chip.crossbar, chip.dacs)


def _column_share(chip: Chip) -> FloatArray:
    """Columns that share an ADC, shape ``(designs,)``; of both polarities if these are converted in turn."""
    both = 1 + (chip.digital_subtraction & (chip.polarity == 2))  # noqa: PLR2004 (a signed weight in two crossbars)
    return ceil_div(chip.crossbar * both, chip.adcs)


class Consumption(NamedTuple):
    """Consumption of the layers by component; arrays of shape ``(designs, layers)``."""

    energy_nJ: dict[str, FloatArray]  # of an image
    power_W: dict[str, FloatArray]  # while a layer works


def layer_consumption(
    table: LayerTable,
    chip: Chip,
    mapping: LayerMapping,
    times: PositionTimes,
    latency_ns: FloatArray,
    fixes: Collection[str] = (),
) -> Consumption:
    """Energy and power of each layer: E = positions (power of a component) (its time per position).

    ``latency_ns``, the time of an image, shape ``(designs,)``, is that of leakage; ``fixes``: names of
    `moopim.hardware.planar.model.FIXES`.
    """
    digital = load_digital()
    positions, exact = table.positions.astype(np.float64), "occupancy" in fixes
    energy: dict[str, FloatArray] = {}
    power: dict[str, FloatArray] = {}
    for pes in pe_classes(mapping, table, chip, fixes):
        number = np.where(table.weighted, pes.number, 0)
        durations = dict(conversion_times(table, chip, pes.rows, pes.columns, fixes) if exact else times.parts)
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
    active = ceil_div(mapping.columns, _column_share(chip)[:, None])
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
    shared_rows, shared_columns = _row_share(chip)[:, None], _column_share(chip)[:, None]
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
    """Add the accesses to the buffers of tiles and PEs."""
    access_ns = load_buffers().access_ns
    apart = "buffers" in fixes
    small, large = buffer_costs(mapping.input_buffer_KB), buffer_costs(mapping.output_buffer_KB)
    busy = mapping.pes if "occupancy" in fixes else mapping.tiles * mapping.busy
    pes = np.where(table.weighted, busy, 0)
    for name, whole, edges in (
        ("read", times.output_read, times.fetch),
        ("write", times.output_write, times.fill),
    ):
        # MNSIM counts leakage with the accesses, and lets both buffers work whenever one of them does.
        watts = [
            (getattr(buffer, f"{name}_nJ") / access_ns + (0.0 if apart else buffer.leakage_W))[:, None]
            for buffer in (small, large)
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
    """Add the writing of the second operand of products of two activations."""
    cells = table.rows * table.c_out * mapping.slices * chip.polarity[:, None]
    written = np.where(table.kind == LayerKind.MATMUL, cells * chip.write_pJ[:, None] * 1e-3, 0.0)
    energy["preload"] = written
    power["preload"] = written / np.where(times.preload > 0, times.preload, 1.0)


def _add_element_wise(
    table: LayerTable, fixes: Collection[str], energy: dict[str, FloatArray], power: dict[str, FloatArray]
) -> None:
    """Add the global accumulator, and the global buffer between the tiles and it."""
    digital, buffers = load_digital(), load_buffers()
    channels, bits, count = operand_sizes(table)
    buffer = buffer_costs(_global_buffer_KB(table))
    access_nJ = buffer.read_nJ + buffer.write_nJ
    if "buffers" not in fixes:  # leakage counts with the accesses, a read and a write
        access_nJ = access_nJ + 2 * buffer.leakage_W * buffers.access_ns
    adders = channels * (count - 1) * digital.adder_power_W
    words = ceil_div(count * bits * channels, buffers.bus_bits)
    position_nJ = words * access_nJ[:, None] + adders * digital.cycle_ns
    energy["element_wise"] = np.where(table.element_wise, table.positions * position_nJ, 0.0)
    power["element_wise"] = np.where(table.element_wise, (access_nJ / buffers.access_ns)[:, None] + adders, 0.0)


def _leakage(table: LayerTable, chip: Chip, mapping: LayerMapping, fixes: Collection[str]) -> FloatArray:
    """Leakage power of the buffers of a layer's tiles, at work or idle (W), shape ``(designs, layers)``."""
    small, large = buffer_costs(mapping.input_buffer_KB), buffer_costs(mapping.output_buffer_KB)
    leakage: FloatArray = mapping.tiles * (chip.pes * small.leakage_W + large.leakage_W)[:, None]
    if "sum_layers" in fixes:
        leakage = leakage + shared_equally(table, buffer_costs(_global_buffer_KB(table)).leakage_W)
    return leakage


def _global_buffer_KB(table: LayerTable) -> FloatArray:  # noqa: N802 (the unit is KB)
    """Buffer for the inputs of the largest element-wise layer (KB), a power of two, shape ``(networks,)``."""
    channels, bits, count = operand_sizes(table)
    size = np.where(table.element_wise, count * channels * table.positions * bits / 8, 0.0).max(axis=1)
    return next_power_of_two(size) / 1024


def _most_adders(table: LayerTable) -> FloatArray:
    """Adders for the widest element-wise layer, shape ``(networks,)``."""
    channels, _, count = operand_sizes(table)
    adders: FloatArray = np.where(table.element_wise, channels * (count - 1), 0).max(axis=1)
    return adders


def shared_equally(table: LayerTable, total: FloatArray) -> FloatArray:
    """Equal share of ``total``, shape ``(designs,)``, for each element-wise layer, ``(designs, layers)``."""
    count = np.maximum(table.element_wise.sum(axis=1, keepdims=True), 1)
    share: FloatArray = np.where(table.element_wise, total[:, None] / count, 0.0)
    return share
