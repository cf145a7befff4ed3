"""Maps of cells: their means over PEs are those of the influence matrix, and they add up."""

from dataclasses import replace

import numpy as np
import pytest

from moopim import ConfigError
from moopim.hardware.thermal import influence_matrix, load_thermal
from moopim.hardware.thermal.solving import temperature_map

STACK = (3, 2, 1.6)


@pytest.mark.parametrize("mode", ["hotspot", "full"])
@pytest.mark.parametrize("cells", [1, 3, 4])
def test_means_over_the_pes_are_those_of_the_influence_matrix(mode, cells, rng):
    thermal = replace(load_thermal(), cells_per_pe_side=cells)
    power = rng.exponential(size=12)
    found = temperature_map(power, *STACK, thermal, mode)
    assert found.shape == (3, 2 * cells, 2 * cells)
    means = found.reshape(3, 2, cells, 2, cells).mean(axis=(2, 4)).ravel()
    assert means == pytest.approx(300 + influence_matrix(*STACK, thermal, mode) @ power, rel=1e-10)


@pytest.mark.parametrize("mode", ["hotspot", "full"])
def test_rises_of_two_maps_add_up(mode, rng):
    first, second = rng.exponential(size=(2, 12))
    rises = [temperature_map(power, *STACK, load_thermal(), mode) - 300 for power in (first, second, first + second)]
    assert rises[0] + rises[1] == pytest.approx(rises[2], rel=1e-9)


def test_without_power_all_is_at_ambient():
    warm = replace(load_thermal(), ambient_K=318.15)
    assert (temperature_map(np.zeros(12), *STACK, warm) == 318.15).all()


def test_the_cell_in_the_middle_of_a_hot_pe_is_the_hottest():
    power = np.zeros(9)
    power[4] = 2.0
    found = temperature_map(power, 1, 3, 1.6, replace(load_thermal(), cells_per_pe_side=3), "full")
    assert np.unravel_index(found.argmax(), found.shape) == (0, 4, 4)


@pytest.mark.parametrize(
    ("power", "mode", "message"),
    [
        (np.ones(11), "full", r"powers have shape \(11,\); expected \(12,\), one per PE"),
        (np.ones((1, 12)), "hotspot", r"powers have shape \(1, 12\)"),
        (np.ones(12), "paper", "unknown thermal mode with a grid 'paper'; allowed: hotspot, full"),
    ],
)
def test_what_has_no_map_is_refused(power, mode, message):
    with pytest.raises(ConfigError, match=message):
        temperature_map(power, *STACK, load_thermal(), mode)
