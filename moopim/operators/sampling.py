"""Initial designs: uniform, and stratified per gene (Latin hypercube)."""

from typing import Any

import numpy as np
from pymoo.core.sampling import Sampling

from moopim.checks import whole_number
from moopim.genes import Permutation
from moopim.genome import Genome
from moopim.problem import DesignProblem
from moopim.typing import IntArray


def latin_hypercube(genome: Genome, n: int, random_state: np.random.Generator) -> IntArray:
    """Designs ``(n, n_genes)`` in which every gene takes its values as evenly as ``n`` designs allow.

    Each value of a gene appears floor or ceil (n / n_values) times, before genes are switched off by a length group;
    permutation groups are drawn uniformly.
    """
    whole_number("n", n, 0)
    strata = np.broadcast_to(np.arange(n)[:, None], (n, genome.n_genes))
    # One random offset per gene turns the strata so that the surplus values differ between genes.
    offset = random_state.integers(0, genome.n_values, size=genome.n_genes)
    X = random_state.permuted((strata + offset) % genome.n_values, axis=0)
    for group in genome.groups:
        if isinstance(group, Permutation):
            X[:, genome.slices[group.name]] = random_state.permuted(np.tile(group.values, (n, 1)), axis=1)
    return genome.canonical(X)


class RandomSampling(Sampling):  # type: ignore[misc]
    """Uniform random designs, gene by gene."""

    def _do(
        self, problem: DesignProblem, n_samples: int, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return problem.repaired(problem.genome.sample(n_samples, random_state))


class LatinHypercubeSampling(Sampling):  # type: ignore[misc]
    """Latin hypercube designs: stratified per gene."""

    def _do(
        self, problem: DesignProblem, n_samples: int, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return problem.repaired(latin_hypercube(problem.genome, n_samples, random_state))
