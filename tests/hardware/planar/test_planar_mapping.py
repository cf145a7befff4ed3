"""Layers on crossbars: numbers worked by hand, a count of the cells of grouped layers, and exact rounding."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.mapping import (
    ceil_div,
    ceil_log2,
    floor_div,
    map_layers,
    next_power_of_two,
    pe_classes,
)
from moopim.hardware.planar.model import break_down
from moopim.workload import Layer, make_table
from moopim.workload.layers import IMAGE


def conv(c_in, c_out, kernel=3, groups=1, size=8, **bits):
    padding = (kernel // 2,) * 2
    return Layer(
        "conv", "conv", (IMAGE,), c_in, c_out, (kernel,) * 2, padding=padding, size_in=(size, size),
        size_out=(size, size), groups=groups, **bits,
    )  # fmt: skip


def lay(layer, fixes=(), **parameters):
    return map_layers(make_table([layer]), make_chip("paper", **parameters), fixes)


def test_a_dense_layer_by_hand():
    # 128 rows hold 14 channels of 3x3; 8 stored bits fill the 8 groups of a PE.
    found = lay(conv(64, 200), crossbar=128)
    assert (found.slices, found.groups, found.rows, found.columns) == (8, 8, 126, 128)
    assert (found.row_blocks, found.column_blocks, found.slice_blocks) == (5, 2, 1)
    assert (found.pes, found.tiles, found.busy) == (10, 3, 4)
    # Output buffer: two sets of 200 values of 9 bits over three tiles, 150 bytes.
    assert found.output_buffer_KB == 256 / 1024
    # Input buffer: three lines of 8 x 64 values of 9 bits over ten PEs, 172.8 bytes.
    assert found.input_buffer_KB == 256 / 1024


def test_a_depthwise_layer_is_packed_along_the_diagonal():
    # 14 groups of 9 x 1 cells fit into 128 rows, so that 64 groups take 5 crossbars.
    found = lay(conv(64, 64, groups=64), crossbar=128)
    assert (found.packed, found.row_blocks, found.column_blocks) == (14, 5, 1)
    assert (found.rows, found.columns, found.channels) == (126, 14, 14)
    layers = break_down(make_table([conv(64, 64, groups=64)]), make_chip("paper", crossbar=128)).layers
    # 64 groups of 9 cells in 5 crossbars of 128 x 128.
    assert layers["utilisation"][0, 0] == pytest.approx(64 * 9 / (5 * 128**2))


def test_wide_groups_are_limited_by_columns():
    # Groups of 4 x 32 cells: 32 would fit by rows, 4 by columns.
    found = lay(conv(64, 512, kernel=1, groups=16), crossbar=128)
    assert (found.packed, found.row_blocks, found.rows, found.columns) == (4, 4, 16, 128)


def test_groups_larger_than_a_crossbar_are_split_each():
    # Each of 2 groups has 50 channels of 3x3 in crossbars of 14 channels, and 150 outputs in crossbars of 128.
    found = lay(conv(100, 300, groups=2), crossbar=128)
    assert (found.packed, found.row_blocks, found.column_blocks, found.pes) == (1, 8, 2, 16)


@given(
    st.integers(1, 6), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(2, 9),
    st.sampled_from([32, 64]), st.sampled_from([1, 4, 8]),
)  # fmt: skip
def test_pes_with_their_own_occupancy_hold_every_weight_once(groups, c_in, c_out, kernel, bits, crossbar, per_pe):
    layer = conv(groups * c_in, groups * c_out, kernel, groups, weight_bits=bits)
    table, chip = make_table([layer]), make_chip("cur", crossbar=crossbar, groups=per_pe)
    mapping = map_layers(table, chip)
    classes = [
        SimpleNamespace(**{name: column.item() for name, column in pes._asdict().items()})
        for pes in pe_classes(mapping, table, chip, ("occupancy",))
    ]
    assert sum(pes.number for pes in classes) == mapping.pes
    cells = 0
    for pes in classes:
        if pes.number > 0:
            assert 0 < pes.rows <= crossbar
            assert 0 < pes.columns <= crossbar
            assert 0 < pes.groups <= per_pe
            # Of groups packed along the diagonal only the blocks on it hold weights.
            share = 1 if mapping.packed == 1 else pes.rows // (c_in * kernel**2)
            cells += pes.number * pes.groups * pes.rows * pes.columns // share
    assert cells == groups * c_in * kernel**2 * c_out * (bits - 1)


def test_cells_of_several_bits_hold_fewer_slices():
    assert lay(conv(3, 8, weight_bits=8), ("cell_bits",)).slices == 4
    assert lay(conv(3, 8, weight_bits=8)).slices == 7


def test_a_product_of_two_activations_is_held_by_heads_and_written_first():
    size = {"size_in": (16, 1), "size_out": (16, 1)}
    layers = [
        Layer("q", "conv", (IMAGE,), 24, 24, **size),
        Layer("k", "conv", (IMAGE,), 24, 24, **size),
        Layer("qk", "matmul", (0, 1), 24, 48, groups=3, weight_bits=9, **size),
    ]
    chip = make_chip("paper", crossbar=128)
    found = break_down(make_table(layers), chip)
    # 3 heads of 8 x 16 cells lie on the diagonal of one crossbar.
    assert found.layers["rows"][0, 2] == 24
    assert found.layers["columns"][0, 2] == 48
    # A row takes 100 ns to write, and the two crossbars of 8 bits have 2 x 8 x 3 x 8 x 16 cells that are written.
    assert found.layers["time_preload_ns"][0, 2] == pytest.approx(24 * 100)
    assert found.layers["energy_preload_nJ"][0, 2] == pytest.approx(2 * 8 * 3 * 8 * 16 * chip.write_pJ[0] * 1e-3)
    # It starts when all of its second operand is there.
    assert found.layers["begin_ns"][0, 2] >= found.layers["finish_ns"][0, 1]


def test_padding_takes_no_place():
    table = make_table([conv(8, 8)])
    padded = map_layers(table, make_chip("cur", crossbar=np.array([64, 128])))
    assert padded.tiles.shape == (2, 1)


WHOLE = st.integers(1, 2**26)


@given(WHOLE, WHOLE, st.integers(-1, 1))
def test_quotients_next_to_whole_numbers_are_exact(quotient, divisor, offset):
    number = quotient * divisor + offset
    assert ceil_div(number, divisor) == -(-number // divisor)
    assert floor_div(number, divisor) == number // divisor


@given(st.integers(1, 2**40))
def test_levels_of_a_tree(leaves):
    assert ceil_log2(leaves) == (leaves - 1).bit_length()


def test_levels_of_one_leaf_or_none():
    assert ceil_log2(np.array([0, 1, 2, 3])).tolist() == [0, 0, 1, 2]


@given(st.floats(1e-3, 1e9))
def test_powers_of_two(number):
    power = float(next_power_of_two(number))
    assert power / 2 < number <= power
    assert math.frexp(power)[0] == 0.5


@pytest.mark.parametrize("power", [0.25, 1.0, 2.0, 1024.0])
def test_a_power_of_two_stays(power):
    assert next_power_of_two(power) == power
