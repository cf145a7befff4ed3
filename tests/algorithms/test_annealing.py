"""AMOSA's arithmetic against values worked out by hand."""

import math

import numpy as np
import pytest
from pymoo.core.termination import NoTermination, TerminateIfAny
from pymoo.termination import get_termination
from pymoo.termination.default import DefaultMultiObjectiveTermination
from pymoo.termination.max_eval import MaximumFunctionCallTermination
from pymoo.termination.max_gen import MaximumGenerationTermination

from moopim.algorithms.annealing import (
    Cooling,
    acceptance,
    amount_of_domination,
    count_levels,
    improvement,
    termination_limit,
)


def amount(a, b, ranges, **options):
    return amount_of_domination(np.array(a, float), np.array(b, float), np.array(ranges, float), **options)


def test_amount_is_the_product_of_the_scaled_differences():
    assert amount([1, 10], [2, 40], [4, 120]) == (1 / 4) * (30 / 120)
    assert amount([2, 40], [1, 10], [4, 120]) == (1 / 4) * (30 / 120)


def test_amount_skips_ties():
    assert amount([1, 7, 10], [2, 7, 40], [4, 5, 120]) == (1 / 4) * (30 / 120)
    assert amount([1, 7], [2, 7], [4, 0]) == 1 / 4


def test_geometric_amount_is_the_root_of_the_number_of_objectives():
    assert amount([1, 10, 1], [2, 40, 3], [4, 120, 4], geometric=True) == pytest.approx((1 / 32) ** (1 / 3))
    assert amount([1, 7], [2, 7], [4, 1], geometric=True) == pytest.approx(1 / 2)


def test_amounts_of_several_designs():
    a = np.array([[0.0, 1.0, 3.0], [0.0, 2.0, 1.0]])
    assert amount_of_domination(a, np.array([[3.0], [2.0]]), np.array([[3.0], [2.0]])).tolist() == [1.0, 2 / 3, 1 / 2]


def test_acceptance():
    # exp(ln 3) = 3, so 1 / (1 + 3).
    assert acceptance(np.array(math.log(3)), 1.0) == pytest.approx(1 / 4)
    assert acceptance(np.array(2 * math.log(3)), 2.0) == pytest.approx(1 / 4)
    assert acceptance(np.array(0.5 * math.log(3)), 2.0, multiply=True) == pytest.approx(1 / 4)
    assert acceptance(np.array(0.3), math.inf) == 0.5
    assert acceptance(np.array(1.0), 1e-7) == 0.0


def test_improvement():
    assert improvement(np.array(0.0)) == 0.5
    assert improvement(np.array(math.log(3))) == pytest.approx(3 / 4)


def test_number_of_levels():
    # 8, 4, 2, 1 and no more.
    assert count_levels(8.0, 1.0, 0.5) == 4
    assert count_levels(8.0, 0.9, 0.5) == 4
    assert count_levels(8.0, 1.1, 0.5) == 3
    assert count_levels(1.0, 1.0, 0.5) == 1
    # The usual setting: 200 * 0.8^95 = 1.2e-7, 200 * 0.8^96 = 1.0e-7 < T_min.
    assert count_levels(200.0, 1e-7, 0.8) == 96


def test_levels_are_spread_over_the_steps():
    cooling = Cooling(t_max=8.0, alpha=0.5, n_levels=4, n_steps=8)
    assert [cooling.level(step) for step in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]
    assert [cooling.temperature(level) for level in range(4)] == [8.0, 4.0, 2.0, 1.0]
    assert [Cooling(8.0, 0.5, 4, 2).level(step) for step in range(3)] == [0, 2, 3]


@pytest.mark.parametrize(
    ("termination", "evaluations", "generations"),
    [
        (None, math.inf, math.inf),
        (NoTermination(), math.inf, math.inf),
        (get_termination("n_eval", 70), 70, math.inf),
        (get_termination("n_gen", 70), math.inf, 70),
        (TerminateIfAny(MaximumFunctionCallTermination(90), MaximumGenerationTermination(7)), 90, 7),
        (DefaultMultiObjectiveTermination(n_max_evals=500, n_max_gen=30), 500, 30),
    ],
)
def test_limits_are_read_from_the_termination(termination, evaluations, generations):
    assert termination_limit(termination, "n_max_evals") == evaluations
    assert termination_limit(termination, "n_max_gen") == generations
