"""Temperatures against HotSpot, noise by hand."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from moopim.hardware.stack.parameters import load_devices, load_influence, load_stack
from moopim.hardware.stack.thermal import noise, temperature_rise

REFERENCE = Path(__file__).parents[2] / "reference" / "hunt" / "hotspot.csv"


def hotspot(quantity):
    with REFERENCE.open() as file:
        return np.array([list(row.values())[3:] for row in csv.DictReader(file) if row["quantity"] == quantity], float)


def test_temperatures_are_those_of_hotspot():
    # HotSpot prints 0.01 K.
    power, expected = hotspot("power_W"), hotspot("temp_K")
    assert power.shape == expected.shape == (20, 64)
    found = load_stack().ambient_K + temperature_rise(power, load_influence())
    assert np.abs(found - expected).max() < 0.006


def test_temperature_of_a_design_has_the_same_bits_in_any_batch(rng):
    power = rng.uniform(0.0, 2.0, (300, 64))
    whole = temperature_rise(power, load_influence())
    for size in range(1, 40):
        some = rng.permutation(300)[:size]
        assert temperature_rise(power[some], load_influence()).tobytes() == whole[some].tobytes()


def test_noise_by_hand():
    sram, reram, fefet = load_devices()
    rise = np.array([0.0, 20.0, 50.0, 1e6])
    assert noise(rise, sram, load_stack()).tolist() == [0.0] * 4
    assert noise(rise, fefet, load_stack()) == pytest.approx([0.0, 0.2, 0.5, 1e4])
    assert noise(rise, reram, load_stack()) == pytest.approx([0.0, math.e - 1, math.exp(2.5) - 1, math.exp(50) - 1])
