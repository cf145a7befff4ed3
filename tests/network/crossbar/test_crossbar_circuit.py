"""Circuits, the rows of their crossbars and their converters, against hand-worked numbers."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moopim.errors import ConfigError
from moopim.network.crossbar import Circuit
from moopim.network.crossbar.adc import AdcTransfer, LayerShape, adc_transfer, effective_bits, kappa_of
from moopim.network.crossbar.circuit import AdcStep, RowGroups, Subtraction, Ties
from moopim.network.crossbar.mapping import digits, ideal_cells, row_blocks, slice_count, used_rows


def circuit(**changes):
    return Circuit(**{"rows": 128, "adc_bits": 8, **changes})


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("rows", 0, "1..65536"),
        ("adc_bits", 1, "2..16"),
        ("adc_bits", 8.0, "2..16"),
        ("dac_bits", 9, "1..8"),
        ("cell_bits", 5, "1..4"),
        ("cell_bits", True, "1..4"),
        ("dacs", "all", "1..65536"),
    ],
)
def test_a_size_that_is_not_allowed_is_refused(field, value, allowed):
    with pytest.raises(ConfigError) as error:
        circuit(**{field: value})
    assert str(error.value) == f"{field}={value!r} of a circuit is not allowed; expected a whole number {allowed}"


@pytest.mark.parametrize("field", ["row_groups", "split", "adc_range", "ties", "step", "subtraction"])
def test_an_unknown_name_is_refused(field):
    with pytest.raises(ConfigError, match=f"unknown {field} of a circuit 'other'"):
        circuit(**{field: "other"})


def test_a_point_shift_that_is_not_finite_is_refused():
    with pytest.raises(ConfigError, match="point_shift=inf"):
        circuit(point_shift=float("inf"))


def test_digits_make_up_the_code():
    codes = torch.tensor([-13, 0, 6, 15])
    assert slice_count(5, 1) == 4
    assert slice_count(5, 3) == 2
    assert digits(codes, 5, 1).tolist() == [[-1, 0, 0, 1], [0, 0, 1, 1], [-1, 0, 1, 1], [-1, 0, 0, 1]]
    assert digits(codes, 5, 3).tolist() == [[-5, 0, 6, 7], [-1, 0, 0, 1]]
    cells = ideal_cells(codes[None], 5, 3)
    assert cells.positive.tolist() == [[[0, 0, 6, 7]], [[0, 0, 0, 1]]]
    assert cells.negative.tolist() == [[[5, 0, 0, 0]], [[1, 0, 0, 0]]]


def test_crossbars_take_whole_channels_or_rows():
    # 3 x 3: 7 channels of 9 rows on 64.
    assert row_blocks(circuit(rows=64), 16, 9) == ((0, 63), (63, 126), (126, 144))
    assert row_blocks(circuit(rows=64, split="rows"), 16, 9) == ((0, 64), (64, 128), (128, 144))
    assert row_blocks(circuit(rows=64), 100) == ((0, 64), (64, 100))
    sequential = circuit(rows=64, dacs=40, row_groups="sequential")
    assert row_blocks(sequential, 10, 9) == ((0, 40), (40, 63), (63, 90))
    assert row_blocks(circuit(rows=8, split="rows"), 1, 9) == ((0, 8), (8, 9))
    with pytest.raises(ConfigError, match="rows=8 of a crossbar are too few for a kernel of 9 positions"):
        row_blocks(circuit(rows=8), 1, 9)


def test_groups_of_rows_are_bits_or_conversions():
    assert used_rows(circuit(rows=256), 3, 9) == 252
    assert used_rows(circuit(rows=256), 3) == 3
    assert used_rows(circuit(rows=256, split="rows"), 20, 9) == 180
    assert effective_bits(circuit(rows=256), 252) == 9
    assert effective_bits(circuit(rows=1024), 1024) == 11
    assert effective_bits(circuit(), 63) == 8
    assert effective_bits(circuit(row_groups="sequential"), 252) == 8


def test_the_fixed_range_has_its_steps_for_the_largest_current():
    shape = LayerShape(256, 1, 9, 9)
    # Q = 9: 256 steps for 256 units; for 768 units with DACs of 2 bits, a third, and a fourth as a power of two.
    assert kappa_of(circuit(rows=256, adc_range="fix"), shape) == 1
    assert kappa_of(circuit(rows=256, dac_bits=2, step="any", adc_range="fix"), shape) == pytest.approx(1 / 3)
    assert kappa_of(circuit(rows=256, dac_bits=2, adc_range="fix"), shape) == 0.25
    assert kappa_of(circuit(rows=256, subtraction="digital", adc_range="fix"), shape) == 2
    # 8 bits for 128 rows at a time.
    assert kappa_of(circuit(rows=256, row_groups="sequential", adc_range="fix"), LayerShape(128, 2, 9, 9)) == 1


def test_the_full_range_has_its_codes_for_all_currents():
    shape = LayerShape(256, 1, 9, 9)
    # Q = 9: codes to 255 for 256 units, or for 768 with DACs of 2 bits.
    assert kappa_of(circuit(rows=256, step="any"), shape) == 255 / 256
    assert kappa_of(circuit(rows=256), shape) == 0.5
    assert kappa_of(circuit(rows=255), shape) == 1
    assert kappa_of(circuit(rows=256, dac_bits=2, step="any"), shape) == 255 / 768
    assert kappa_of(circuit(rows=256, subtraction="digital", step="any"), shape) == 511 / 256


@given(
    rows=st.integers(1, 300),
    adc_bits=st.integers(2, 12),
    widths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dacs=st.sampled_from([1, 20, 128]),
    names=st.tuples(
        st.sampled_from(get_args(RowGroups)),
        st.sampled_from(get_args(Ties)),
        st.sampled_from(get_args(AdcStep)),
        st.sampled_from(get_args(Subtraction)),
    ),
)
def test_the_full_range_clips_nothing_and_the_fixed_one_at_most_a_step(rows, adc_bits, widths, dacs, names):
    words = dict(zip(("row_groups", "ties", "step", "subtraction"), names, strict=True))
    full = Circuit(rows, adc_bits, *widths, dacs, **words)
    together = min(rows, dacs) if full.row_groups == "sequential" else rows
    currents = torch.arange(together + 1, dtype=torch.float64) * (2 ** widths[0] - 1) * (2 ** widths[1] - 1)
    for name, most in (("full", 0), ("fix", 1)):
        converter = adc_transfer(replace(full, adc_range=name), LayerShape(together, 1, 9, 9))
        for sign in (1, -1) if full.ties != "floor" or name == "full" else (1,):  # MNSIM knows no ties of that kind
            rounded = converter.round_(sign * currents)
            assert (rounded - converter.convert_(sign * currents)).abs().max() <= most


def test_the_range_of_the_output_follows_its_scale():
    # layer00 of the reference: 9 bits each, Q = 7, S = 0.25, steps 2^-9: 2^(7 + 7 - 2 + 6) / 2^16 = 4.
    shape = LayerShape(252, 1, 9, 9, 0.25 * 2**18)
    assert kappa_of(circuit(rows=256, adc_bits=6, adc_range="output", step="any"), shape) == 4
    wide = shape._replace(output_scale=0.3 * 2**18)
    assert kappa_of(circuit(rows=256, adc_bits=6, adc_range="output", step="any"), wide) == pytest.approx(4 / 1.2)
    assert kappa_of(circuit(rows=256, adc_bits=6, adc_range="output"), wide) == 4
    # Five crossbars: floor(-2 + 1.16) is one more.
    assert kappa_of(circuit(rows=256, adc_bits=6, adc_range="output"), shape._replace(blocks=5)) == 8
    for scale in (None, 0.0, float("inf")):
        with pytest.raises(ConfigError, match="scale"):
            kappa_of(circuit(adc_range="output"), shape._replace(output_scale=scale))
    with pytest.raises(ConfigError, match="calibrated"):
        kappa_of(circuit(adc_range="calibrated"), shape)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("even", [-3, -3, -2, -2, 0, 0, 0, 2, 2, 3, 3]),
        ("odd", [-3, -3, -3, -1, -1, 0, 1, 1, 3, 3, 3]),
        ("floor", [-3, -3, -3, -2, -1, 0, 0, 1, 2, 3, 3]),
    ],
)
def test_halves_go_where_they_should(ties, expected):
    sums = torch.tensor([-9.0, -7, -5, -3, -1, 0, 1, 3, 5, 7, 9])
    assert AdcTransfer(0.5, 3, ties).convert_(sums).tolist() == expected


def test_steps_that_are_powers_of_two_have_a_shift():
    assert [AdcTransfer(kappa, 7).shift for kappa in (0.25, 1.0, 8.0, 0.3, 3.0)] == [2, 0, -3, None, None]


def test_what_is_lossless_or_silent_is_so_for_every_sum():
    for kappa, ties in ((1.0, "even"), (2.0, "odd"), (0.25, "even"), (0.25, "odd"), (0.25, "floor"), (1.5, "even")):
        converter = AdcTransfer(kappa, 15, ties)
        for most in range(40):
            sums = torch.arange(-most, most + 1, dtype=torch.float64)
            codes = converter.convert_(sums.clone())
            bound = torch.tensor([float(most)], dtype=torch.float64)
            if bool(converter.lossless(bound)):
                assert torch.equal(codes, sums * kappa)
            assert bool(converter.silent(bound)) == (not codes.any())
    assert bool(AdcTransfer(2.0, 15).lossless(torch.tensor([7.0])))
    assert not bool(AdcTransfer(2.0, 15).lossless(torch.tensor([8.0])))


def test_digital_subtraction_leaves_all_bits_to_the_magnitude():
    shape = LayerShape(63, 1, 5, 5)
    assert adc_transfer(circuit(rows=63, adc_bits=4), shape).limit == 7
    assert adc_transfer(circuit(rows=63, adc_bits=4, subtraction="digital"), shape).limit == 15
    assert np.isclose(adc_transfer(circuit(), shape, kappa=0.7).kappa, 0.7)
