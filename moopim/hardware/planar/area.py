"""Area of a planar chip (MNSIM 2.0): all tiles are alike, sized for the layer that needs the largest buffers."""

from collections.abc import Collection

import numpy as np

from moopim.hardware.planar.buffers import buffer_figures
from moopim.hardware.planar.chip import Chip
from moopim.hardware.planar.digital import load_digital, mux_transistors
from moopim.hardware.planar.element_wise import global_buffer_KB, most_adders
from moopim.hardware.planar.mapping import LayerMapping
from moopim.hardware.planar.rounding import ceil_div
from moopim.typing import FloatArray
from moopim.workload.layers import LayerTable

__all__ = ["chip_area", "column_share", "row_share"]


def chip_area(
    table: LayerTable, chip: Chip, mapping: LayerMapping, fixes: Collection[str] = ()
) -> dict[str, FloatArray]:
    """Adds up the area of all tiles.

    Args:
        table: The networks.
        chip: The chips.
        mapping: The mapping of the networks onto the chips.
        fixes: With ``sum_layers``, the global buffer and accumulator are counted, too.

    Returns:
        Area of each component (um2), shape ``(designs,)``.
    """
    digital = load_digital()
    groups, adcs, dacs, pes = chip.groups, chip.adcs, chip.dacs, chip.pes
    crossbar = chip.crossbar**2 * chip.cell_area_um2 + chip.driver_area_um2 * chip.crossbar
    transistor = digital.mux_transistor_area_F2 * chip.mux_nm**2 * 1e-6
    switches = dacs * mux_transistors(row_share(chip)) + adcs * mux_transistors(column_share(chip))
    registers = adcs * digital.shift_area_um2 + (adcs + dacs) * digital.register_area_um2
    # Both trees add pairs until one is left: the results of the groups of a PE, and those of the PEs of a tile.
    adders = adcs * (groups - 1) * digital.adder_area_um2
    joints = (pes - 1) * groups * adcs * digital.joint_area_um2
    buffers = pes * buffer_figures(mapping.input_buffer_KB).area_um2 + buffer_figures(mapping.output_buffer_KB).area_um2
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
        adders = most_adders(table) * digital.adder_area_um2
        area["element_wise"] = np.where(adders > 0, adders + buffer_figures(global_buffer_KB(table)).area_um2, 0.0)
    return area


def row_share(chip: Chip) -> FloatArray:
    """Rows that share a DAC, shape ``(designs,)``."""
    return ceil_div(chip.crossbar, chip.dacs)


def column_share(chip: Chip) -> FloatArray:
    """Columns that share an ADC, twice as many where the two polarities are converted one by one; ``(designs,)``."""
    both = 1 + (chip.digital_subtraction & (chip.polarity == 2))  # noqa: PLR2004 (a signed weight in two crossbars)
    return ceil_div(chip.crossbar * both, chip.adcs)
