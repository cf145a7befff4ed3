"""AMOSA's perturbation: the share of each move, mating with the archive."""

import numpy as np
import pytest
from toys import Blocks

from moopim import ConfigError, DesignProblem, Genome, Index, Objective
from moopim.operators import DesignRepair, Perturbation


class Places(DesignProblem):
    genome = Genome(Index("pe", 50, repeat=30))
    objectives = (Objective("f"),)

    def evaluate_designs(self, designs):
        return {"f": designs.pe.sum(axis=1)}


def test_moves_come_in_the_given_shares(rng):
    X = Places().genome.sample(6000, rng)
    moves = Perturbation(reset=2, swap=1, mate=1)
    Y = moves._do(Places(), X, random_state=rng, archive=Places().genome.sample(5, rng))
    same_values = (np.sort(X, axis=1) == np.sort(Y, axis=1)).all(axis=1)
    changed = (X != Y).sum(axis=1)
    assert same_values.mean() == pytest.approx(0.25, abs=0.02)
    assert ((changed == 1) & ~same_values).mean() == pytest.approx(0.5, abs=0.02)
    assert (changed > 2).mean() == pytest.approx(0.25, abs=0.02)


def test_mating_takes_genes_of_the_current_design_and_of_the_archive(rng):
    problem = Places()
    X, archive = problem.genome.sample(40, rng), problem.genome.sample(1, rng)
    Y = Perturbation(reset=0, mate=1)._do(problem, X, random_state=rng, archive=archive)
    assert ((Y == X) | (archive == Y)).all()
    assert (archive == Y).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("archive", [None, np.empty((0, 30), dtype=np.int64)])
def test_mating_without_an_archive_is_a_reset(archive, rng):
    X = Places().genome.sample(40, rng)
    Y = Perturbation(reset=0, mate=1)._do(Places(), X, random_state=rng, archive=archive)
    assert ((X != Y).sum(axis=1) == 1).all()


@pytest.mark.parametrize("weights", [{"reset": -1.0}, {"reset": 0.0}])
def test_weights_that_allow_no_move_are_refused(weights):
    with pytest.raises(ConfigError, match="perturbation weights"):
        Perturbation(**weights)


def test_repair_brings_real_numbers_into_canonical_form(rng):
    problem = Blocks()
    X = DesignRepair()._do(problem, rng.normal(1, 3, (20, problem.n_var)))
    assert np.array_equal(problem.genome.repair(X), X)
