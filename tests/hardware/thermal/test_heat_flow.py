"""The solver against physics: series of resistances by hand, a Fourier series, conservation of heat, finer grids."""

from dataclasses import replace

import numpy as np
import pytest

from moopim.hardware.thermal import influence_matrix, load_thermal
from moopim.hardware.thermal.description import TierLayers
from moopim.hardware.thermal.grids import pe_of_cell
from moopim.hardware.thermal.solving import factorised, refine, solve

# A die, a spreader and a sink of one size, 8 x 8 mm2, so that uniform heat flows straight down.
COLUMN = replace(load_thermal(), spreader_side_mm=8, sink_side_mm=8)
AREA = 64e-6
SILICON, BOND, INTERFACE = 100e-6 / 120 / AREA, 20e-6 / 4 / AREA, 20e-6 / 4 / AREA
SPREADER, SINK = 1e-3 / 400 / AREA, 6.9e-3 / 400 / AREA


def uniform_rise(mode, thermal, tiers=3):
    """Rise (K) of each tier for 1 W in each."""
    G = influence_matrix(tiers, 2, 16.0, thermal, mode)
    rise = G.sum(axis=1).reshape(tiers, 4) / 4
    assert np.allclose(rise, rise[:, :1], rtol=1e-10)
    return rise[:, 0]


def test_straight_heat_meets_resistances_in_series():
    # Mode full: from middle to middle. All three watts pass what lies below tier 1, two of them the next bond, ...
    base = 3 * (0.1 + SINK + SPREADER + INTERFACE + SILICON / 2)
    first, second = 2 * (SILICON + BOND), SILICON + BOND
    assert uniform_rise("full", COLUMN) == pytest.approx([base, base + first, base + first + second], rel=1e-10)


def test_straight_heat_in_hotspot_meets_the_whole_silicon_of_the_farther_tier():
    base = 3 * (0.1 + SINK + SPREADER + INTERFACE + SILICON)
    first, second = 2 * (SILICON + BOND), SILICON + BOND
    assert uniform_rise("hotspot", COLUMN) == pytest.approx([base, base + first, base + first + second], rel=1e-10)


def test_figures_of_one_tier_count_where_its_layers_are():
    own = replace(COLUMN, tiers=(TierLayers(2, silicon_W_per_mK=60, bond_um=40),))
    change = uniform_rise("full", own) - uniform_rise("full", COLUMN)
    # Two watts pass the bond below tier 2 and half its silicon, one the other half.
    lower = 2 * (BOND + SILICON / 2)
    assert change == pytest.approx([0, lower, lower + SILICON / 2], abs=1e-9)


@pytest.mark.parametrize("mode", ["hotspot", "full"])
@pytest.mark.parametrize("sides", [(8, 8), (8, 20), (20, 20), (20, 60)])
def test_heat_that_enters_leaves_to_the_ambient(mode, sides, rng):
    thermal = replace(load_thermal(), spreader_side_mm=sides[0], sink_side_mm=sides[1])
    body = factorised(3, 2, 16.0, thermal, mode)
    power = rng.exponential(size=12)
    heat = np.zeros((len(body.system.to_ambient), 1))
    heat[body.system.cells, 0] = power[pe_of_cell(body.system)] / 16
    assert body.system.to_ambient @ solve(body, heat)[:, 0] == pytest.approx(power.sum(), rel=1e-12)


def series(side, thickness, conductivity, convection, source):
    """Mean rise (K/W) of a square source in the middle of a square plate that loses heat from its other face.

    Separation of variables: cosines along both sides, of which only the even ones see a source in the middle.
    """
    film = 1 / (convection * side**2)
    order = np.arange(400)
    wave = 2 * np.pi * order / side
    weight = np.where(order > 0, 2.0, 1.0) * np.sinc(order * source / side) ** 2
    gamma = np.hypot(wave[:, None], wave)
    gamma[0, 0] = 1.0
    biot, tanh = film / (conductivity * gamma), np.tanh(gamma * thickness)
    impedance = (1 + biot * tanh) / (conductivity * gamma * (tanh + biot))
    impedance[0, 0] = thickness / conductivity + 1 / film
    return (weight[:, None] * weight * impedance).sum() / side**2


@pytest.mark.parametrize(("convection", "source"), [(0.1, 5e-3), (1.0, 10e-3), (0.1, 20e-3)])
def test_heat_spreads_in_the_copper_as_the_fourier_series_says(convection, source):
    # An interface that conducts badly makes the heat enter the copper evenly, as in the series. Spreader and sink are
    # one plate of 60 x 60 x 7.9 mm3.
    thermal = replace(
        load_thermal(), spreader_side_mm=60, convection_K_per_W=convection, interface_um=200, interface_W_per_mK=0.01,
        silicon_um=1, cells_per_pe_side=8, growth=1.3
    )  # fmt: skip
    interface, silicon = 200e-6 / 0.01 / source**2, 1e-6 / 120 / source**2
    mean = influence_matrix(1, 4, (source * 1e3 / 4) ** 2, thermal, "full").mean()
    expected = series(60e-3, 7.9e-3, 400.0, convection, source)
    assert mean - interface - silicon / 2 == pytest.approx(expected, rel=0.02)


def test_finer_grids_differ_less_and_less():
    power = np.full(64, 95 / 64)
    grids = refine(power, 4, 4, 1.6, load_thermal(), (1, 2, 4))
    assert [grid.nodes for grid in grids] == [392, 1968, 9628]
    assert grids[-1].growth == load_thermal().growth
    for quantity in ("mean_K", "peak_K"):
        values = [getattr(grid, quantity) for grid in grids]
        coarse, fine = -np.diff(values)
        assert coarse > 2 * fine > 0  # at least of first order, from above
        assert fine < 0.025 * (values[-1] - 300)


@pytest.mark.slow
def test_the_finest_grid_of_the_documentation_is_close_to_the_default_one():
    default, finest = refine(np.full(64, 95 / 64), 4, 4, 1.6, load_thermal(), (4, 8))
    assert (finest.nodes, round(finest.peak_K, 2), round(finest.mean_K, 2)) == (64208, 385.53, 370.63)
    assert 0 < default.peak_K - finest.peak_K < 0.6
