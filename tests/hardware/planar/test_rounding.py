"""Rounding against whole-number arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim.hardware.planar.mapping import ceil_div, ceil_log2, floor_div, next_power_of_two

whole = st.integers(1, 2**26)


@given(whole, whole, st.integers(-1, 1))
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
