"""Cells that are not ideal, against the closed forms of their statistics."""

import math

import numpy as np
import pytest
import torch

from moopim.errors import ConfigError
from moopim.network.crossbar import (
    CellModel,
    Circuit,
    cell_model_names,
    chip_programmer,
    crossbar_layer,
    layer_sums,
    load_cell_model,
)
from moopim.network.crossbar.cells import programmed
from moopim.network.crossbar.mapping import Cells, ideal_cells

CELLS = 400_000


def held(devices, level=1, cell_bits=1, **options):
    cells = Cells(torch.full((1, 400, 1000), level, dtype=torch.uint8), torch.zeros(1, 400, 1000, dtype=torch.uint8))
    return tuple(side.double().numpy() for side in programmed(cells, devices, cell_bits, **options))


def close(found, expected, spread):
    """Whether it is within five standard errors of a mean."""
    return abs(found - expected) < 5 * spread / math.sqrt(CELLS)


def random_layer(rng, cells=None):
    weights = torch.from_numpy(rng.integers(-31, 32, (6, 50)))
    return weights, crossbar_layer(weights, Circuit(rows=32, adc_bits=4), weight_bits=6, input_bits=6, cells=cells)


def test_ideal_devices_change_nothing(rng):
    weights, layer = random_layer(rng)
    cells = programmed(layer.cells, CellModel(), 1)
    assert cells.positive.dtype == torch.uint8
    assert torch.equal(cells.positive, layer.cells.positive)
    assert torch.equal(cells.negative, layer.cells.negative)
    codes = torch.from_numpy(rng.integers(-31, 32, (20, 50)))
    _, other = random_layer(np.random.default_rng(1), cells)
    del weights
    assert torch.equal(layer_sums(layer, codes), layer_sums(other, codes))


@pytest.mark.parametrize("cell_bits", [1, 2, 4])
def test_effects_of_size_zero_keep_levels_whole(cell_bits, rng):
    cells = ideal_cells(torch.from_numpy(rng.integers(-255, 256, (5, 40))), 9, cell_bits)
    devices = CellModel(stuck_at_hrs=1e-300, time_s=50, drift_start_s=2, on_off=math.inf)
    for side, expected in zip(programmed(cells, devices, cell_bits), cells, strict=True):
        assert side.dtype == torch.uint8
        assert torch.equal(side, expected)


def test_shares_of_stuck_cells_are_their_rates():
    positive, negative = held(CellModel(stuck_at_hrs=0.1, stuck_at_lrs=0.03))
    assert close((positive == 0).mean(), 0.1, math.sqrt(0.1 * 0.9))
    assert close((negative == 1).mean(), 0.03, math.sqrt(0.03 * 0.97))
    assert set(np.unique(positive)) == {0.0, 1.0}
    # Both sides, and neighbours, are stuck independently of each other.
    assert close(((positive == 0) & (negative == 1)).mean(), 0.003, math.sqrt(0.003))


def test_cells_of_two_bits_stick_at_their_highest_level():
    positive, negative = held(CellModel(stuck_at_lrs=0.5), level=2, cell_bits=2)
    assert set(np.unique(positive)) == {2.0, 3.0}
    assert set(np.unique(negative)) == {0.0, 3.0}


def test_gaussian_variation_has_its_mean_and_deviation():
    positive, negative = held(CellModel(variation=0.1), level=3, cell_bits=2)
    assert close(positive.mean(), 3, 0.3)
    assert close(positive.std(), 0.3, 0.3 / math.sqrt(2))
    assert not negative.any()


def test_lognormal_variation_has_its_median_and_moments():
    s = 0.2
    positive, _ = held(CellModel(variation=s, distribution="lognormal"))
    assert close(np.log(positive).mean(), 0, s)
    mean, deviation = math.exp(s**2 / 2), math.exp(s**2 / 2) * math.sqrt(math.exp(s**2) - 1)
    assert close(positive.mean(), mean, deviation)
    assert positive.std() == pytest.approx(deviation, rel=0.01)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_deviations_depend_on_the_conductance(level):
    g = level / 3
    positive, _ = held(CellModel(sigma_0=0.02, sigma_1=0.05, sigma_2=-0.03), level=level, cell_bits=2)
    sigma = 3 * (0.02 + 0.05 * g - 0.03 * g**2)
    assert close(positive.mean(), level, sigma)
    assert close(positive.std(), sigma, sigma / math.sqrt(2))


def test_cells_that_are_off_leak():
    positive, negative = held(CellModel(on_off=50), level=2, cell_bits=2)
    assert np.unique(negative) == pytest.approx([3 / 50])
    assert np.unique(positive) == pytest.approx([3 * (1 / 50 + (1 - 1 / 50) * 2 / 3)])


def test_drift_follows_its_power_law_and_spares_stuck_cells():
    devices = CellModel(drift_exponent=0.05, time_s=2000, drift_start_s=20, stuck_at_lrs=0.25)
    positive, _ = held(devices)
    assert sorted(np.unique(positive)) == pytest.approx([100**-0.05, 1])
    spread, _ = held(CellModel(drift_exponent=0.05, drift_spread=0.005, time_s=2000, drift_start_s=20))
    exponents = -np.log(spread) / math.log(100)
    assert close(exponents.mean(), 0.05, 0.005)
    assert exponents.std() == pytest.approx(0.005, rel=0.01)


def test_read_noise_is_relative():
    positive, negative = held(CellModel(read_noise=0.05, on_off=10))
    assert close(positive.mean(), 1, 0.05)
    assert close(positive.std(), 0.05, 0.05 / math.sqrt(2))
    assert close(negative.mean(), 0.1, 0.005)


def test_chips_and_layers_differ_and_repeat():
    devices = CellModel(variation=0.1)
    first = held(devices, seed=3, chip=1, name="layer")[0]
    assert np.array_equal(first, held(devices, seed=3, chip=1, name="layer")[0])
    others = [{"seed": 4}, {"chip": 2}, {"name": "layer1"}]
    for other in others:
        again = held(devices, **{"seed": 3, "chip": 1, "name": "layer", **other})[0]
        assert abs(np.corrcoef(first.ravel(), again.ravel())[0, 1]) < 0.01
    cells = Cells(torch.ones(1, 400, 1000, dtype=torch.uint8), torch.zeros(1, 400, 1000, dtype=torch.uint8))
    by_path = chip_programmer(devices, seed=3, chip=1)("layer", cells, Circuit(rows=64, adc_bits=8))
    assert np.array_equal(by_path.positive.numpy(), first)


def test_an_effect_does_not_change_what_another_draws():
    stuck = held(CellModel(stuck_at_hrs=0.1))[0] == 0
    assert np.array_equal(stuck, held(CellModel(stuck_at_hrs=0.1, variation=0.01))[0] == 0)


def test_conductances_of_any_size_give_the_same_bits_in_any_batch(rng):
    weights, layer = random_layer(rng)
    cells = programmed(layer.cells, CellModel(variation=0.2, on_off=30), 1)
    _, layer = random_layer(np.random.default_rng(1), cells)
    codes = torch.from_numpy(rng.integers(0, 32, (300, 50)))
    together = layer_sums(layer, codes)
    assert torch.equal(together, torch.cat([layer_sums(layer, part) for part in codes.split([1, 7, 292])]))
    # Against a plain sum over digits; variation makes ties as good as impossible.
    total = torch.zeros(300, 6, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            for start, end in layer.blocks:
                level = (cells.positive - cells.negative)[j, :, start:end]
                sums = (codes[:, start:end] >> i & 1).double() @ level.T
                total += 2 ** (i + j) * (sums * layer.adc.kappa).round().clamp(-7, 7)
    assert torch.equal(together, total)
    assert weights.shape == (6, 50)


def test_built_in_devices_have_their_figures():
    assert cell_model_names() == ("ideal", "rram", "pcm")
    assert load_cell_model("ideal") == CellModel()
    assert load_cell_model("rram") == CellModel(stuck_at_hrs=0.001, stuck_at_lrs=0.001, on_off=100)
    assert load_cell_model("pcm").sigma_1 == pytest.approx(1.97 / 25)
    with pytest.raises(ConfigError, match="unknown devices 'flash'"):
        load_cell_model("flash")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("stuck_at_hrs", -0.1, "a number from 0 to 1"),
        ("stuck_at_lrs", 1.5, "a number from 0 to 1"),
        ("variation", -1, "a number from 0 to 10"),
        ("variation", math.nan, "a number from 0 to 10"),
        ("variation", 1e308, "a number from 0 to 10"),
        ("read_noise", math.inf, "a number from 0 to 10"),
        ("on_off", 1, "a number above 1"),
        ("sigma_1", math.nan, "a number from -10 to 10"),
        ("time_s", 0.5, "at least drift_start_s, 1 s"),
        ("time_s", math.inf, "a number from 1e-09 to 1e+12 s"),
        ("drift_start_s", 0, "a number from 1e-09 to 1e+09 s"),
        ("drift_exponent", "fast", "a number from 0 to 10"),
        ("stuck_at_hrs", True, "a number from 0 to 1"),
    ],
)
def test_a_device_that_is_not_allowed_is_refused(field, value, allowed):
    with pytest.raises(ConfigError) as error:
        CellModel(**{field: value})
    assert field in str(error.value)
    assert repr(value) in str(error.value)
    assert str(error.value).endswith(f"; expected {allowed}")


def test_names_and_rates_that_do_not_go_together_are_refused():
    with pytest.raises(ConfigError, match="unknown distribution of devices 'uniform'"):
        CellModel(distribution="uniform")
    with pytest.raises(ConfigError, match="expected at most 1"):
        CellModel(stuck_at_hrs=0.6, stuck_at_lrs=0.6)
    with pytest.raises(ConfigError, match="chip=-1 of devices is not allowed"):
        held(CellModel(), chip=-1)
