"""Element-wise layers: sums and products of activations in the accumulator and the buffer that a chip has once."""

import numpy as np

from moopim.hardware.planar.rounding import ceil_div, next_power_of_two
from moopim.typing import FloatArray, IntArray
from moopim.workload.layers import IMAGE, LayerTable

__all__ = ["global_buffer_KB", "most_adders", "operand_sizes", "shared_equally"]


def operand_sizes(table: LayerTable) -> tuple[IntArray, IntArray, FloatArray]:
    """Channels, bits and number of the operands of element-wise layers.

    The bits are those of the first input that is not itself element-wise, as in MNSIM; the layer's own where there is
    none. An operand may be a concatenation, whose parts are inputs of their own: so many operands there are as the
    channels of all inputs fill.

    Args:
        table: The networks.

    Returns:
        Channels, bits and number of operands, shape ``(networks, layers)``; to be read at element-wise layers.
    """
    columns = (table.element_wise, table.c_out, table.output_bits, table.c_in, table.input_bits)
    element_wise, c_out, output_bits, c_in, input_bits = np.broadcast_arrays(*columns)
    inputs = np.broadcast_to(table.inputs, (*c_in.shape, table.inputs.shape[2]))
    place = design, _ = np.nonzero(element_wise)
    channels, bits = c_in[place], input_bits[place]
    found, given = np.zeros(len(design), dtype=bool), np.zeros(len(design))
    for producer in inputs[place].T:
        at = design, np.maximum(producer, 0)
        usable = ~found & (producer > IMAGE) & ~element_wise[at]
        bits = np.where(usable, output_bits[at], bits)
        found |= usable
        # A part may be cut out of a wider map, and the channels of the image are not in the table.
        part = np.where(producer > IMAGE, np.minimum(c_out[at], channels), channels)
        given += np.where(producer >= IMAGE, part, 0)
    all_bits, count = input_bits.copy(), np.full(c_in.shape, 2.0)
    all_bits[place], count[place] = bits, np.maximum(ceil_div(given, channels), 2)
    return c_in, all_bits, count


def global_buffer_KB(table: LayerTable) -> FloatArray:  # noqa: N802 (the unit is KB)
    """Size of the buffer for the inputs of the largest element-wise layer, a power of two, shape ``(networks,)``."""
    channels, bits, count = operand_sizes(table)
    size = np.where(table.element_wise, count * channels * table.positions * bits / 8, 0.0).max(axis=1)
    return next_power_of_two(size) / 1024


def most_adders(table: LayerTable) -> FloatArray:
    """Adders for the widest element-wise layer, shape ``(networks,)``."""
    channels, _, count = operand_sizes(table)
    adders: FloatArray = np.where(table.element_wise, channels * (count - 1), 0).max(axis=1)
    return adders


def shared_equally(table: LayerTable, figure: FloatArray) -> FloatArray:
    """Splits what the element-wise layers of a network share.

    Args:
        table: The networks.
        figure: A figure of the global buffer or accumulator, shape ``(designs,)``.

    Returns:
        An equal share for each element-wise layer, 0 for others, shape ``(designs, layers)``.
    """
    count = np.maximum(table.element_wise.sum(axis=1, keepdims=True), 1)
    share: FloatArray = np.where(table.element_wise, figure[:, None] / count, 0.0)
    return share
