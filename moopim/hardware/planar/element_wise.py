"""Element-wise layers: sums and products of activations in the accumulator and the buffer that a chip has once."""

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.planar.rounding import next_power_of_two
from moopim.workload.layers import IMAGE, LayerTable

__all__ = ["global_buffer_KB", "most_adders", "operand_sizes"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def operand_sizes(table: LayerTable) -> tuple[IntArray, IntArray, IntArray]:
    """Channels, bits and number of the inputs of element-wise layers.

    Channels and bits are those of the first input that is not itself element-wise, as in MNSIM; the layer's own where
    there is none.

    Args:
        table: The networks.

    Returns:
        Channels, bits and number of inputs, shape ``(networks, layers)``; to be read at element-wise layers.
    """
    inputs = table.inputs
    columns = (table.element_wise, table.c_out, table.output_bits, table.c_in, table.input_bits)
    element_wise, c_out, output_bits, c_in, input_bits = np.broadcast_arrays(*columns)
    every = np.arange(len(c_out))[:, None]
    channels, bits = c_in.copy(), input_bits.copy()
    found = ~element_wise
    for slot in range(inputs.shape[2]):
        producer = np.broadcast_to(inputs[:, :, slot], c_out.shape)
        at = np.maximum(producer, 0)
        usable = ~found & (producer > IMAGE) & ~element_wise[every, at]
        channels = np.where(usable, c_out[every, at], channels)
        bits = np.where(usable, output_bits[every, at], bits)
        found |= usable
    return channels, bits, (inputs >= IMAGE).sum(axis=2)


def global_buffer_KB(table: LayerTable) -> FloatArray:  # noqa: N802 (the unit is KB)
    """Size of the buffer for the inputs of the largest element-wise layer, a power of two, shape ``(networks,)``."""
    channels, bits, count = operand_sizes(table)
    size = np.where(table.element_wise, count * channels * table.positions * bits / 8, 0.0).max(axis=1)
    return next_power_of_two(size) / 1024


def most_adders(table: LayerTable) -> IntArray:
    """Adders for the widest element-wise layer, shape ``(networks,)``."""
    channels, _, count = operand_sizes(table)
    adders: IntArray = np.where(table.element_wise, channels * (count - 1), 0).max(axis=1)
    return adders
