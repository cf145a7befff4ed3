"""Crossbar layers as nested loops over row blocks and digits in NumPy, after the published equations."""

import itertools

import numpy as np


def digit(codes, index, base_bits):
    return np.sign(codes) * ((np.abs(codes) >> (index * base_bits)) % 2**base_bits)


def round_to(values, ties):
    low = np.floor(values)
    if ties == "floor":
        return low
    up = np.where(values - low == 0.5, low % 2 == (1 if ties == "even" else 0), values - low > 0.5)
    return low + up


def oracle_sums(
    codes, weights, blocks, dac_bits, cell_bits, input_bits, weight_bits, kappa, limit, ties, digital=False
):
    """Sums in codes of the ADC, shape (positions, outputs); codes (positions, rows), weights (outputs, rows)."""
    codes, weights = np.asarray(codes, dtype=np.int64), np.asarray(weights, dtype=np.int64)
    total = np.zeros((len(codes), len(weights)))
    sides = [(1, np.maximum(weights, 0)), (-1, np.maximum(-weights, 0))] if digital else [(1, weights)]
    for i, j in itertools.product(range(-(-(input_bits - 1) // dac_bits)), range(-(-(weight_bits - 1) // cell_bits))):
        for (start, end), (sign, side) in itertools.product(blocks, sides):
            sums = digit(codes, i, dac_bits)[:, start:end] @ digit(side, j, cell_bits)[:, start:end].T
            total += sign * 2.0 ** (i * dac_bits + j * cell_bits) * np.clip(round_to(sums * kappa, ties), -limit, limit)
    return total


def unfold(images, kernel, stride, padding, dilation):
    """Windows of images (images, channels, height, width), shape (images, rows, outputs high, outputs wide)."""
    images = np.pad(images, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    high, wide = ((images.shape[2 + k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1 for k in range(2))
    rows = [
        images[
            :,
            channel,
            y * dilation[0] : y * dilation[0] + stride[0] * (high - 1) + 1 : stride[0],
            x * dilation[1] : x * dilation[1] + stride[1] * (wide - 1) + 1 : stride[1],
        ]
        for channel in range(images.shape[1])
        for y in range(kernel[0])
        for x in range(kernel[1])
    ]
    return np.stack(rows, axis=1)
