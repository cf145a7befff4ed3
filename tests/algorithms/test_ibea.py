"""IBEA, checked against the definitions of Zitzler and Kuenzli (PPSN 2004)."""

import numpy as np
import pytest
from pymoo.core.population import Population
from pymoo.core.problem import Problem

from moopim import ConfigError
from moopim.algorithms import IBEA
from moopim.algorithms.ibea import IndicatorSurvival, _tournament, loss_terms

# By hand, after scaling: (0, 1), (.5, .5), (1, 0) and (1, 1); the greatest indicator is 1.
F = np.array([[0.0, 30.0], [2.0, 20.0], [4.0, 10.0], [4.0, 30.0]])
# Indicator of the row against the column.
INDICATOR = np.array([[0, 0.5, 1, 0], [0.5, 0, 0.5, -0.5], [1, 0.5, 0, 0], [1, 0.5, 1, 0]])
LOSS = [
    np.exp(-10) + 2 * np.exp(-20),  # of (0, 1)
    3 * np.exp(-10),
    np.exp(-10) + 2 * np.exp(-20),
    2 + np.exp(10),
]


def population(F, G=None):
    pop = Population.new("X", np.arange(len(F))[:, None], "F", F)
    pop.set("G", np.zeros((len(F), 1)) if G is None else np.array(G, dtype=float)[:, None])
    return pop


def survivors(F, n_survive, G=None):
    problem = Problem(n_var=1, n_obj=F.shape[1], n_ieq_constr=1)
    return IndicatorSurvival(0.05).do(problem, population(F, G), n_survive=n_survive)


def test_terms_and_losses_are_those_worked_by_hand():
    terms = loss_terms(F, 0.05)
    expected = np.exp(-INDICATOR / 0.05)
    np.fill_diagonal(expected, 0)
    assert terms == pytest.approx(expected, rel=1e-12)
    assert survivors(F, 4).get("loss") == pytest.approx(LOSS, rel=1e-12)


def test_the_worst_leave_one_by_one_and_losses_follow():
    # The dominated one first; then (.5, .5), which both others are near to.
    assert [survivors(F, n).get("X")[:, 0].tolist() for n in (3, 2, 1)] == [[0, 1, 2], [0, 2], [2]]
    assert survivors(F, 2).get("loss") == pytest.approx([np.exp(-20), np.exp(-20)], rel=1e-12)


def test_units_of_objectives_do_not_matter(rng):
    table = rng.random((40, 3))
    own, other = (survivors(table * scale, 15).get("X").tolist() for scale in (1.0, np.array([8.0, 0.25, 1024.0])))
    assert own == other


def test_feasible_designs_survive_and_win_first():
    chosen = survivors(F, 2, G=[3, 2, 1, 0])
    assert chosen.get("X")[:, 0].tolist() == [3, 2]
    everyone = survivors(F, 4, G=[0, 0, 2, 1])
    assert everyone.get("X")[:, 0].tolist() == [0, 1, 3, 2]
    pairs = np.array([[2, 0], [1, 3], [3, 2]])
    random_state = np.random.default_rng(1)
    assert _tournament(everyone, pairs, random_state=random_state).tolist() == [0, 1, 2]
    losing = survivors(F, 4)
    assert _tournament(losing, np.array([[3, 0], [1, 2]]), random_state=random_state).tolist() == [0, 2]
    assert set(_tournament(losing, np.tile([0, 2], (40, 1)), random_state=random_state)) == {0, 2}


def test_equal_designs_are_no_obstacle():
    assert len(survivors(np.ones((5, 2)), 3)) == 3


def test_a_factor_that_is_not_positive_is_refused():
    with pytest.raises(ConfigError, match="kappa"):
        IBEA(kappa=0.0)
