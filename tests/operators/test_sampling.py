"""Sampling: uniform, and stratified per gene."""

import numpy as np
import pytest
from toys import Blocks, Buffers

from moopim import Choice, Genome, Index, Permutation
from moopim.operators import LatinHypercubeSampling, RandomSampling
from moopim.operators.sampling import latin_hypercube


@pytest.mark.parametrize("n", [1, 5, 12, 37])
def test_latin_hypercube_spreads_every_gene_evenly(n, rng):
    genome = Genome(Choice("a", (1, 2, 4), repeat=4), Index("b", 5), Permutation("p", 4))
    X = latin_hypercube(genome, n, rng)
    assert np.array_equal(genome.check(X), X)
    for column in range(5):
        counts = np.bincount(X[:, column], minlength=genome.n_values[column])
        assert counts.min() >= n // genome.n_values[column]
        assert counts.max() <= -(-n // genome.n_values[column])


def test_random_sampling_uses_every_value(rng):
    X = Buffers().genome.sample(500, rng)
    assert all(len(np.unique(X[:, i])) == n for i, n in enumerate(Buffers().genome.n_values))


@pytest.mark.parametrize("sampling", [RandomSampling(), LatinHypercubeSampling()], ids=lambda s: type(s).__name__)
def test_pymoo_gets_canonical_integers_from_its_generator(sampling):
    problem = Blocks()
    first, second = (sampling(problem, 30, random_state=np.random.default_rng(3)).get("X") for _ in range(2))
    assert first.dtype == np.int64
    assert np.array_equal(first, second)
    assert np.array_equal(problem.genome.canonical(first), first)
