"""Temperatures with leakage: the linear system, thermal runaway, and the same bits in any batch and order of PEs."""

import numpy as np
import pytest

from moopim.hardware.thermal.leakage import MOST_CONTRACTION, heat_gain, largest_row_sum, leaky_rise


def heat(rng, designs, pes, contraction):
    """Power, slope and influence; the largest row sum of influence times slope is up to ``contraction``."""
    influence = rng.uniform(0.05, 0.2, (pes, pes)) + np.diag(rng.uniform(0, 5, pes))
    power = rng.uniform(0, 1, (designs, pes)) ** 4
    power[: designs // 4] = 1.0
    slope = rng.uniform(0, 1, (designs, pes)) * contraction / largest_row_sum(influence)
    slope[: designs // 8] = 0.0
    return power, slope, influence


@pytest.mark.parametrize("contraction", [0.03, 0.99 * MOST_CONTRACTION, 0.8])
@pytest.mark.parametrize("pes", [2, 27, 64, 200])
def test_the_rise_solves_the_linear_system(rng, pes, contraction):
    power, slope, influence = heat(rng, 24, pes, contraction)
    rise = leaky_rise(power, slope, influence)
    for some in zip(rise, power, slope, strict=True):
        expected = np.linalg.solve(np.eye(pes) - influence * some[2], influence @ some[1])
        assert some[0] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("pes", [2, 64, 200])
def test_neither_the_batch_nor_the_order_of_the_pes_changes_a_bit(rng, pes):
    power, slope, influence = heat(rng, 80, pes, 0.99 * MOST_CONTRACTION)
    rise = leaky_rise(power, slope, influence)
    for size in (1, 3, 33):
        some = rng.permutation(80)[:size]
        assert leaky_rise(power[some], slope[some], influence).tobytes() == rise[some].tobytes()
    order = rng.permutation(pes)
    mixed = leaky_rise(power[:, order], slope[:, order], influence[np.ix_(order, order)])
    assert mixed.tobytes() == np.ascontiguousarray(rise[:, order]).tobytes()


def test_heat_runs_away_where_the_spectral_radius_is_at_least_1(rng):
    power, slope, influence = heat(rng, 40, 20, 1.0)
    slope *= np.linspace(0.1, 4, 40)[:, None]
    radius = [np.abs(np.linalg.eigvals(influence * some)).max() for some in slope]
    away = np.isnan(leaky_rise(power, slope, influence)).any(axis=1)
    assert away.tolist() == [found >= 1 for found in radius]
    assert 5 < away.sum() < 35
    assert (heat_gain(slope[away], influence) >= 1).all()
