"""Temperatures do not depend on the batch, noise by hand."""

import math

import numpy as np
import pytest

from moopim.hardware.stack.devices import load_devices
from moopim.hardware.stack.noise import noise
from moopim.hardware.stack.parameters import load_stack
from moopim.hardware.thermal import temperature_rise


def test_temperature_is_a_sum_over_sources_with_the_same_bits_in_any_batch(rng):
    influence, power = rng.uniform(0.1, 1.0, (64, 64)), rng.uniform(0.0, 2.0, (300, 64))
    whole = temperature_rise(power, influence)
    assert whole[7, 3] == pytest.approx(math.fsum(influence[3, k] * power[7, k] for k in range(64)), rel=1e-14)
    for size in range(1, 40):
        some = rng.permutation(300)[:size]
        assert temperature_rise(power[some], influence).tobytes() == whole[some].tobytes()


def test_noise_by_hand():
    sram, reram, fefet = load_devices()
    rise = np.array([0.0, 20.0, 50.0, 1e6])
    assert noise(rise, sram, load_stack()).tolist() == [0.0] * 4
    assert noise(rise, fefet, load_stack()) == pytest.approx([0.0, 0.2, 0.5, 1e4])
    assert noise(rise, reram, load_stack()) == pytest.approx([0.0, math.e - 1, math.exp(2.5) - 1, math.exp(50) - 1])
