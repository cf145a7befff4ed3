"""Crossover: children hold the genes of their parents, groups and permutations stay whole where they must."""

import numpy as np
import pytest
from pymoo.core.population import Population
from toys import Blocks, Buffers

from moopim import ConfigError
from moopim.operators import BlockCrossover, PointCrossover, UniformCrossover
from moopim.operators.crossover import block_mask, exchange, point_mask, uniform_mask

OPERATORS = [UniformCrossover(), PointCrossover(3), BlockCrossover()]


def test_exchange_swaps_exactly_the_marked_genes():
    parents = np.array([[[1, 2, 3]], [[7, 8, 9]]])
    mask = np.array([[True, False, True]])
    assert exchange(parents, mask).tolist() == [[[7, 2, 9]], [[1, 8, 3]]]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
def test_every_gene_of_a_pair_goes_to_one_child_or_the_other(operator, rng):
    problem = Blocks()
    pop = Population.new("X", problem.genome.sample(40, rng))
    parents = rng.integers(0, 40, size=(25, 2))
    X = operator(problem, pop, parents=parents, random_state=rng).get("X")
    assert X.dtype == np.int64
    children = X.reshape(2, 25, -1)
    pairs = np.swapaxes(pop.get("X")[parents], 0, 1)
    assert np.array_equal(np.sort(children, axis=0), np.sort(pairs, axis=0))
    problem.genome.encode(problem.genome.decode(X))  # whole permutations


def test_uniform_mask_has_the_given_share(rng):
    mask = uniform_mask(Buffers().genome, 4000, 0.2, rng)
    assert mask.mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("n_points", [1, 2, 5])
def test_point_mask_switches_as_often_as_there_are_points(n_points, rng):
    mask = point_mask(Buffers().genome, 200, n_points, rng)
    assert (np.diff(mask.astype(int), axis=1) != 0).sum(axis=1).tolist() == [n_points] * 200
    assert not mask[:, 0].any()


def test_point_mask_with_more_points_than_places_cuts_everywhere(rng):
    mask = point_mask(Buffers().genome, 3, 99, rng)
    assert (np.diff(mask.astype(int), axis=1) != 0).all()


def test_block_mask_marks_groups_whole(rng):
    genome = Blocks().genome
    mask = block_mask(genome, 300, rng)
    for part in genome.slices.values():
        assert (mask[:, part] == mask[:, part][:, :1]).all()
    assert 0.4 < mask[:, 0].mean() < 0.6


def test_no_cut_is_refused():
    with pytest.raises(ConfigError, match="n_points is 0; expected 1"):
        PointCrossover(0)
