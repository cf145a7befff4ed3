"""Time of an output position of each layer (MNSIM 2.0, inner-layer pipeline)."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from moopim.hardware.planar.chip import Chip
from moopim.hardware.planar.digital import crossbar_read_ns, load_buffers, load_digital, mux_levels
from moopim.hardware.planar.mapping import LayerMapping, ceil_div, ceil_log2, operand_sizes
from moopim.hardware.planar.placement import Hops
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload.layers import LayerKind, LayerTable


class Edges(NamedTuple):
    """Values of the positions of a feature map: those of the first row and column differ from the rest."""

    corner: FloatArray  # first position
    top: FloatArray  # rest of the first row
    left: FloatArray  # rest of the first column
    inner: FloatArray  # all others

    def total(self, height: IntArray, width: IntArray) -> FloatArray:
        """Sum over all positions of maps of this size."""
        across, down = width - 1.0, height - 1.0
        return (self.corner + self.top * across) + (self.left + self.inner * across) * down

    def plus(self, other: "Edges | FloatArray") -> "Edges":
        """Sum with other values, or with one value for all positions."""
        parts = other if isinstance(other, Edges) else (other,) * 4
        return Edges(*(mine + theirs for mine, theirs in zip(self, parts, strict=True)))


class PositionTimes(NamedTuple):
    """Times of one output position (ns), shape ``(designs, layers)``."""

    parts: Mapping[str, FloatArray]  # time of each component with the same time at every position, by name
    fill: Edges  # writes of new inputs to the input buffers
    fetch: Edges  # reads of a kernel's inputs from the input buffers
    output_write: FloatArray  # writes of the results to the output buffers
    output_read: FloatArray  # reads of the results from the output buffers
    preload: FloatArray  # writes of the second operand of a product of two activations to the crossbars, once an image
    position: Edges  # sum of all


def position_times(
    table: LayerTable, chip: Chip, mapping: LayerMapping, hops: Hops, fixes: Collection[str] = ()
) -> PositionTimes:
    """Times of an output position of each layer: the sum of its steps, which follow each other.

    The fixes ``magnitude_bits`` and ``pool_read`` apply.
    """
    digital = load_digital()
    weighted, pool = table.weighted, table.kind == LayerKind.POOL
    sum_channels, sum_bits, sum_inputs = operand_sizes(table)
    parts = {
        name: np.where(weighted, time, 0.0)
        for name, time in conversion_times(table, chip, mapping.rows, mapping.columns, fixes).items()
    }
    chunks, merge_levels = ceil_div(mapping.columns, chip.adcs[:, None]), ceil_log2(mapping.busy)
    widths = chip.adc_bits[:, None] + merge_levels
    # Values of all busy PEs of a tile that go through its output buffer together.
    results = mapping.columns * mapping.busy
    parts["adder"] = np.where(weighted, chunks * ceil_log2(chip.groups)[:, None] * digital.cycle_ns, 0.0)
    parts["joint"] = np.where(weighted, merge_levels * digital.cycle_ns, 0.0)
    tree = ceil_log2(chip.pes)[:, None] * widths - merge_levels * (merge_levels + 1) / 2
    parts["intra_tile"] = np.where(weighted, tree * mapping.columns / chip.tile_bits_per_ns[:, None], 0.0)
    merge = hops.within * (digital.cycle_ns + results * table.output_bits / chip.noc_bits_per_ns[:, None])
    passes = ceil_div(table.c_in, digital.pool_channels) * ceil_div(
        table.kernel_h * table.kernel_w, digital.pool_window
    )
    parts["pooling"] = np.where(pool, digital.pool_ns * passes, 0.0)
    # Operands of an element-wise layer go into the global buffer and out of it again.
    operands = np.where(table.element_wise, sum_inputs * sum_bits * sum_channels, 0)
    output_write = _access(
        np.where(weighted, widths * results, np.where(pool, table.c_in * table.output_bits, operands))
    )
    read = np.where(weighted, results, np.where(pool, table.c_out, 0)) * table.output_bits
    output_read = _access(read + operands)
    parts["merge"] = np.where(weighted, merge, 0.0)
    # MNSIM reads the results of a pooling layer twice.
    parts["pool_reread"] = np.where(pool & ("pool_read" not in fixes), output_read, 0.0)
    values = np.where(table.element_wise, sum_channels * sum_bits, table.c_out * table.output_bits)
    sent = hops.onward * values / chip.noc_bits_per_ns[:, None]
    parts["transfer"] = np.where(weighted | pool | table.element_wise, sent, 0.0)
    parts["element_wise"] = np.where(table.element_wise, digital.sum_ns, 0.0)
    fill, fetch = _input_buffer_times(table, mapping, weighted, pool)
    preload = np.where(table.kind == LayerKind.MATMUL, mapping.rows * chip.write_ns[:, None], 0.0)
    constant = sum(parts.values(), output_write + output_read)
    position = fill.plus(fetch).plus(constant)
    position = position._replace(corner=position.corner + preload)
    return PositionTimes(parts, fill, fetch, output_write, output_read, preload, position)


def conversion_times(
    table: LayerTable, chip: Chip, rows: FloatArray, columns: FloatArray, fixes: Collection[str] = ()
) -> dict[str, FloatArray]:
    """Time of a PE's crossbars, converters and registers for one output position, by component (ns).

    The inputs are applied ``dac_bits`` at a time to as many rows as there are DACs, and as many columns are read as
    there are ADCs; ``rows`` and ``columns`` are those that the PE uses, shape ``(designs, layers)``:

        cycles = ceil(bits / dac_bits) ceil(rows / dacs) ceil(columns / adcs)

    With the fix ``magnitude_bits``, the sign of the inputs takes no cycle.
    """
    digital = load_digital()
    bits = np.maximum(table.input_bits - ("magnitude_bits" in fixes), 1)
    row_steps, column_steps = ceil_div(rows, chip.dacs[:, None]), ceil_div(columns, chip.adcs[:, None])
    steps = row_steps * column_steps
    cycles = ceil_div(bits, chip.dac_bits[:, None]) * steps
    demux_ns = digital.decoder_level_ns * mux_levels(ceil_div(chip.crossbar, chip.dacs))
    mux_ns = digital.mux_level_ns * mux_levels(ceil_div(chip.crossbar, chip.adcs))
    return {
        "crossbar": cycles * crossbar_read_ns(chip.read_ns, chip.crossbar)[:, None],
        "dac": cycles * chip.dac_ns[:, None],
        "adc": cycles * chip.adc_ns[:, None],
        "input_register": (steps + cycles) * digital.cycle_ns,
        "shift_register": cycles * digital.cycle_ns,
        "demux": cycles * demux_ns[:, None],
        "mux": cycles * mux_ns[:, None],
        "output_register": column_steps * digital.cycle_ns,
    }


def _access(bits: IntArray) -> FloatArray:
    """Time to move so many bits through a buffer (ns)."""
    buffers = load_buffers()
    accesses = ceil_div(bits, buffers.bus_bits)
    return accesses.astype(np.float64) * buffers.access_ns


def _input_buffer_times(
    table: LayerTable, mapping: LayerMapping, weighted: BoolArray, pool: BoolArray
) -> tuple[Edges, Edges]:
    """Times to fill and to read the input buffers; pools count a whole row of new inputs at the top, too."""
    bits = np.where(weighted, mapping.channels, np.where(pool, table.c_in, 0)) * table.input_bits
    step_h, step_w, tall, wide = table.stride_h, table.stride_w, table.kernel_h, table.kernel_w
    # The padding of the first kernel is not read.
    first_h, first_w = np.maximum(tall - table.padding_h, 0), np.maximum(wide - table.padding_w, 0)
    inner = _access(bits * step_h * step_w)
    fill = Edges(
        corner=_access(bits * first_h * first_w),
        top=np.where(pool, inner, _access(bits * step_w * tall)),
        left=_access(bits * step_h * first_w),
        inner=inner,
    )
    whole, slide = _access(bits * tall * wide), _access(bits * step_w * tall)
    return fill, Edges(corner=whole, top=slide, left=whole, inner=slide)
