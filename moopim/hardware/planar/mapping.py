"""Mapping of layers onto crossbars, PEs and tiles of a planar chip (MNSIM 2.0).

Counts are floats, which NumPy divides and mixes several times as fast as integers. Quotients are rounded exactly: one
that is not whole is at least 1 / divisor away from the next whole number, beyond rounding errors below 2**52.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from moopim.errors import ConfigError
from moopim.hardware.planar.chip import Chip
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload.layers import IMAGE, LayerKind, LayerTable, check_table


@dataclass(frozen=True, eq=False)
class LayerMapping:
    """Mapping of each layer; arrays of shape ``(designs, layers)`` unless said otherwise."""

    slices: FloatArray  # bits of a weight that are stored, one crossbar each
    slice_blocks: FloatArray  # PEs that share the slices of a weight
    column_blocks: FloatArray  # PEs that share the output channels
    row_blocks: FloatArray  # PEs that share the input channels, or the groups of channels
    pes: FloatArray  # PEs of the layer; 1 for a pooling layer, which has a tile to itself, 0 for element-wise layers
    tiles: FloatArray  # tiles of the layer
    busy: FloatArray  # busy PEs of a tile, the same for every tile of the layer
    groups: FloatArray  # groups of crossbars that a PE uses
    rows: FloatArray  # rows that a full PE uses
    columns: FloatArray  # columns that a full PE uses
    channels: FloatArray  # input channels of a full PE
    packed: FloatArray  # groups of channels that share a crossbar along its diagonal; 1 for a dense layer
    first_tile: FloatArray  # number of tiles before those of the layer
    total_tiles: FloatArray  # tiles of the chip, shape ``(designs,)``
    input_buffer_KB: FloatArray  # input buffer of a PE (KB), shape ``(designs,)``
    output_buffer_KB: FloatArray  # output buffer of a tile (KB), shape ``(designs,)``


class PEClass(NamedTuple):
    """PEs of a layer with equal utilisation; arrays of shape ``(designs, layers)``."""

    number: FloatArray  # number of such PEs
    groups: FloatArray  # groups of crossbars that each uses
    rows: FloatArray  # rows that each uses
    columns: FloatArray  # columns that each uses


def check_designs(table: LayerTable, chip: Chip) -> int:
    """Number of designs; raise ConfigError unless there is one network or chip for all, or one per design."""
    check_table(table)
    if not isinstance(chip, Chip):
        raise ConfigError(f"chip is {chip!r}; expected a Chip, such as make_chip('cur')")
    networks, chips = len(table), len(chip)
    if networks != chips and 1 not in (networks, chips):
        raise ConfigError(f"{networks} networks and {chips} chips do not fit; expected one of either, or equally many")
    return max(networks, chips)


def map_layers(table: LayerTable, chip: Chip, fixes: Collection[str] = ()) -> LayerMapping:
    """Map layers onto PEs and tiles (MNSIM 2.0; section "LayerMapping" of the documentation).

    A crossbar holds one bit of the weights of as many input channels as fit into its rows; a PE holds `groups` of them:

        PEs = ceil(slices / groups) ceil(c_out / columns) ceil(c_in / floor(rows / k^2))
        tiles = ceil(PEs / PEs per tile)

    Groups of a grouped convolution are packed along the diagonal of a crossbar, as many as fit. The fixes ``cell_bits``
    and ``input_buffer`` apply. Raises ConfigError if a crossbar has fewer rows than a kernel has entries, or weights
    have no bit but the sign.
    """
    check_designs(table, chip)
    crossbar, group_count = chip.crossbar[:, None], chip.groups[:, None]
    weighted = table.weighted
    entries = table.kernel_h * table.kernel_w
    _check_kernels(table, entries, crossbar)
    signed = chip.polarity[:, None] == 2  # noqa: PLR2004 (two crossbars carry the sign)
    slices = np.where(weighted, table.weight_bits - signed, 0)
    _check_slices(table, slices)
    if "cell_bits" in fixes:
        slices = ceil_div(slices, chip.cell_bits[:, None])
    c_in, c_out = _group_channels(table)
    per_crossbar = np.maximum(floor_div(crossbar, entries), 1)  # a pooling window may be larger than a crossbar
    packed = np.clip(np.minimum(floor_div(crossbar, c_in * entries), floor_div(crossbar, c_out)), 1, table.groups)
    slice_blocks, column_blocks = ceil_div(slices, group_count), ceil_div(c_out, crossbar)
    channel_blocks = ceil_div(c_in, per_crossbar)
    row_blocks = ceil_div(table.groups, packed) * channel_blocks
    pes = np.where(weighted, slice_blocks * column_blocks * row_blocks, table.kind == LayerKind.POOL)
    tiles = ceil_div(pes, chip.pes[:, None])
    first_tile = np.cumsum(tiles, axis=1) - tiles
    return LayerMapping(
        slices=slices,
        slice_blocks=slice_blocks,
        column_blocks=column_blocks,
        row_blocks=row_blocks,
        pes=pes,
        tiles=tiles,
        busy=np.minimum(pes, chip.pes[:, None]),
        groups=np.minimum(slices, group_count),
        rows=packed * np.minimum(per_crossbar, c_in) * entries,
        columns=packed * np.minimum(c_out, crossbar),
        channels=packed * np.minimum(per_crossbar, c_in),
        packed=packed,
        first_tile=first_tile,
        total_tiles=tiles.sum(axis=1),
        input_buffer_KB=_input_buffer(table, weighted, row_blocks if "input_buffer" in fixes else pes),
        output_buffer_KB=_largest(weighted, 2 * table.c_out * table.output_bits / 8, tiles),
    )


def pe_classes(mapping: LayerMapping, table: LayerTable, chip: Chip, fixes: Collection[str] = ()) -> Iterator[PEClass]:
    """PEs of each layer by utilisation; a class may be empty in a layer.

    With the fix ``occupancy``, PEs at the edges of a layer count with what they use; without, every tile of a layer is
    as full as the first and every PE of it is full.
    """
    if "occupancy" not in fixes:
        yield PEClass(mapping.tiles * mapping.busy, mapping.groups, mapping.rows, mapping.columns)
        return
    entries = table.kernel_h * table.kernel_w
    c_in, c_out = _group_channels(table)
    dense = mapping.packed == 1
    # Blocks that end a dimension: the last channels of each group, the last groups, the last outputs, the last bits.
    last_rows = np.where(dense, table.groups, 1)
    left = table.groups - (mapping.row_blocks - 1) * mapping.packed
    rest_rows = np.where(
        dense, c_in - (floor_div(mapping.row_blocks, table.groups) - 1) * mapping.channels, left * c_in
    )
    rest_columns = c_out - (mapping.column_blocks - 1) * chip.crossbar[:, None]
    row_ends = (
        (mapping.row_blocks - last_rows, mapping.rows, np.where(dense, rest_columns, mapping.columns)),
        (last_rows, rest_rows * entries, np.where(dense, rest_columns, left * c_out)),
    )
    column_counts = (mapping.column_blocks - 1, np.ones_like(mapping.column_blocks))
    rest_groups = mapping.slices - (mapping.slice_blocks - 1) * mapping.groups
    slice_ends = ((mapping.slice_blocks - 1, mapping.groups), (np.ones_like(mapping.slice_blocks), rest_groups))
    for (n_rows, rows, end), last, (n_slices, groups) in product(row_ends, (False, True), slice_ends):
        count = np.where(table.weighted, n_rows * column_counts[last] * n_slices, 0)
        yield PEClass(count, groups, rows, end if last else mapping.columns)


def _group_channels(table: LayerTable) -> tuple[FloatArray, FloatArray]:
    """Input and output channels of a group."""
    return floor_div(table.c_in, table.groups), floor_div(table.c_out, table.groups)


def _check_kernels(table: LayerTable, entries: IntArray, crossbar: IntArray) -> None:
    too_large = table.weighted & (entries > crossbar)
    if too_large.any():
        design, layer = np.argwhere(too_large)[0]
        kernel = int(np.broadcast_to(entries, too_large.shape)[design, layer])
        size = int(np.broadcast_to(crossbar, too_large.shape)[design, layer])
        raise ConfigError(
            f"crossbar {size} is smaller than one kernel of {_layer_name(table, too_large)} ({kernel} entries); "
            f"expected {kernel} or more"
        )


def _check_slices(table: LayerTable, slices: FloatArray) -> None:
    empty = table.weighted & (slices < 1)
    if empty.any():
        raise ConfigError(
            f"weights of {_layer_name(table, empty)} have no bit to store; expected 2 bits or more for signed weights "
            "in two crossbars, 1 for two's complement"
        )


def _layer_name(table: LayerTable, wrong: BoolArray) -> str:
    """Name of the first wrong layer for a message."""
    design, layer = np.argwhere(wrong)[0]
    name = f" ({table.names[layer]})" if table.names else ""
    return f"layer {layer}{name}" + (f" of design {design}" if len(wrong) > 1 else "")


def _input_buffer(table: LayerTable, weighted: BoolArray, parts: FloatArray) -> FloatArray:
    """Input buffer of a PE (KB): its share of the lines of a kernel, or of the whole input of an FC layer."""
    lines = np.where(table.kind == LayerKind.FC, 1, table.w_in * table.kernel_h)
    return _largest(weighted, lines * table.c_in * table.input_bits / 8, parts)


def _largest(weighted: BoolArray, size: FloatArray, parts: FloatArray) -> FloatArray:
    """Size per part (KB) of the largest layer with weights, rounded up to 2^n bytes, shape ``(designs,)``."""
    share = size / np.maximum(parts, 1)
    return next_power_of_two(np.where(weighted, share, 0.0).max(axis=1)) / 1024


def operand_sizes(table: LayerTable) -> tuple[IntArray, IntArray, FloatArray]:
    """Channels, bits and number of operands of element-wise layers, shape ``(networks, layers)``; else meaningless.

    The bits are those of the first input that is not itself element-wise, as in MNSIM, or the layer's input bits. An
    operand may be a concatenation, whose parts are separate inputs: there are as many operands as the channels of all
    inputs fill.
    """
    columns = (table.element_wise, table.c_out, table.output_bits, table.c_in, table.input_bits)
    element_wise, c_out, output_bits, c_in, input_bits = np.broadcast_arrays(*columns)
    inputs = np.broadcast_to(table.inputs, (*c_in.shape, table.inputs.shape[2]))
    where = design, _ = np.nonzero(element_wise)
    channels, bits = c_in[where], input_bits[where]
    found, given = np.zeros(len(design), dtype=bool), np.zeros(len(design))
    for producer in inputs[where].T:
        at = design, np.maximum(producer, 0)
        usable = ~found & (producer > IMAGE) & ~element_wise[at]
        bits = np.where(usable, output_bits[at], bits)
        found |= usable
        # A part may be a slice of a wider map, and the channels of the image are not in the table.
        part = np.where(producer > IMAGE, np.minimum(c_out[at], channels), channels)
        given += np.where(producer >= IMAGE, part, 0)
    all_bits, count = input_bits.copy(), np.full(c_in.shape, 2.0)
    all_bits[where], count[where] = bits, np.maximum(ceil_div(given, channels), 2)
    return c_in, all_bits, count


def ceil_div(number: ArrayLike, divisor: ArrayLike) -> FloatArray:
    """Quotients of whole numbers from 0 to 2**52, rounded up; broadcasts."""
    quotient: FloatArray = np.ceil(np.true_divide(number, divisor))
    return quotient


def floor_div(number: ArrayLike, divisor: ArrayLike) -> FloatArray:
    """Quotients of whole numbers from 0 to 2**52, rounded down; broadcasts."""
    quotient: FloatArray = np.floor(np.true_divide(number, divisor))
    return quotient


def ceil_log2(number: ArrayLike) -> FloatArray:
    """Levels of binary trees with so many leaves; 0 for one leaf or none."""
    mantissa, exponent = np.frexp(np.maximum(number, 1))
    levels: FloatArray = exponent - (mantissa == 0.5).astype(np.float64)  # noqa: PLR2004 (a power of two needs one less)
    return levels


def next_power_of_two(number: ArrayLike) -> FloatArray:
    """Smallest power of two, including 1/2 and less, that is not below each positive number; 1 for 0."""
    mantissa, exponent = np.frexp(number)
    power: FloatArray = np.ldexp(1.0, exponent - (mantissa == 0.5))  # noqa: PLR2004 (a power of two stays as it is)
    return power
