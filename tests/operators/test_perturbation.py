"""The published AMOSA's perturbation, the share of each move; crossover of a random share."""

import numpy as np
import pytest
from toys import Blocks

from moopim import ConfigError, DesignProblem, Genome, Index, Objective
from moopim.operators import DesignRepair, Perturbation, UniformCrossover


class Places(DesignProblem):
    genome = Genome(Index("pe", 50, repeat=30))
    objectives = (Objective("f"),)

    def evaluate_designs(self, designs):
        return {"f": designs.pe.sum(axis=1)}


def test_moves_come_in_the_given_shares(rng):
    X = Places().genome.sample(6000, rng)
    Y = Perturbation(reset=2, swap=1, block_move=1)._do(Places(), X, random_state=rng)
    same_values = (np.sort(X, axis=1) == np.sort(Y, axis=1)).all(axis=1)
    changed = (X != Y).sum(axis=1)
    assert same_values.mean() == pytest.approx(0.25, abs=0.02)
    assert ((changed == 1) & ~same_values).mean() == pytest.approx(0.5, abs=0.02)
    # Two of 31 places bound a block: in 30 + 29 of 465 cases it has one or two genes.
    assert (changed > 2).mean() == pytest.approx(0.25 * (1 - 59 / 465), abs=0.02)


def test_crossover_without_a_probability_draws_one_for_each_pair(rng):
    problem = Places()
    parents = np.stack([np.zeros((20_000, 30), np.int64), np.ones((20_000, 30), np.int64)])
    share = UniformCrossover(prob_exchange=None)._do(problem, parents, random_state=rng)[0].mean(axis=1)
    # Uniform shares: 31 numbers of exchanged genes, equally likely.
    assert np.bincount((share * 30).round().astype(int)) / 20_000 == pytest.approx(np.full(31, 1 / 31), abs=0.006)


@pytest.mark.parametrize("weights", [{"reset": -1.0}, {"reset": 0.0}])
def test_weights_that_allow_no_move_are_refused(weights):
    with pytest.raises(ConfigError, match="perturbation weights"):
        Perturbation(**weights)


def test_repair_brings_real_numbers_into_canonical_form(rng):
    problem = Blocks()
    X = DesignRepair()._do(problem, rng.normal(1, 3, (20, problem.n_var)))
    assert np.array_equal(problem.genome.repair(X), X)
