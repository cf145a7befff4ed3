"""Search by hardware alone: costs of the planar model, the error of a network by hand, options and refusals."""

import numpy as np
import pytest

from moopim import ConfigError
from moopim.hardware.planar import evaluate_planar, make_chip
from moopim.problems.crossnas import CrossNasSpace, HardwareSearch


def test_costs_are_those_of_the_planar_chip():
    problem, space = HardwareSearch(), CrossNasSpace()
    assert problem.genome.fingerprint == space.genome.fingerprint
    X = space.genome.sample(50, np.random.default_rng(1))
    designs = space.genome.decode(X)
    table = problem.tabulate(X)
    expected = evaluate_planar(space.layer_table(designs), make_chip("paper", None, **space.chip_parameters(designs)))
    for i, name in enumerate(("energy", "latency", "area"), start=1):
        assert problem.quantities[i].name == name
        np.testing.assert_array_equal(table[:, i], expected[name])
    assert np.array_equal(problem.repair_designs(X), space.canonical(X))


def test_the_error_of_a_network_by_hand():
    problem = HardwareSearch(max_blocks=1, channels="32", weight_bits="5", activation_bits="7", goals="error,edp")
    columns = {"depth": [1], "block": [["MVGG"]], "channels": [[32]]}
    columns |= {"crossbar": [64], "adc_bits": [4], "dac_bits": [1]}
    genes = {name: columns[name] for name in columns if name in problem.genome.slices}
    error = problem.tabulate(problem.genome.encode(genes))[0, 0]
    weights = 9 * 3 * 32 + 9 * 32 * 32 + 32 * 10
    macs = (9 * 3 * 32 + 9 * 32 * 32) * 32**2 + 32 * 10
    expected = 0.3 * (weights / 1e4) ** -0.2 * (macs / 1e7) ** -0.1 + 0.3 * (1 / 4 + 1 / 64) + 0.01 * 4.0 ** (3 + 1 - 4)
    assert error == pytest.approx(expected, rel=1e-12)


def test_limits_count_as_violation():
    problem = HardwareSearch(goals="error,edp", max="area=100")
    table = problem.tabulate(problem.genome.sample(200, np.random.default_rng(1)))
    column = {quantity.name: i for i, quantity in enumerate(problem.quantities)}
    feasible = problem.feasible(table)
    assert np.array_equal(feasible, table[:, column["area"]] <= 100)
    assert 0 < feasible.sum() < 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adc_bits": "4,50"}, "adc_bits of design 1 is 50 bit; expected a whole number from 1 to 32 bit"),
        ({"crossbar": "3,64"}, "crossbar 3 is smaller than one kernel"),
        ({"channels": "many"}, "channels='many' is not allowed"),
        ({"dac_bits": "1,1"}, "has a value twice"),
        ({"max_blocks": 0}, "max_blocks 0 of the CrossNAS space is not allowed"),
        ({"profile": "other"}, "unknown profile 'other'"),
        ({"goals": "accuracy,edp"}, "accuracy"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError) as error:
        HardwareSearch(**options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
