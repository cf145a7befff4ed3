"""Crossover: two parents exchange genes at the places of a mask."""

from typing import Any

import numpy as np
from pymoo.core.crossover import Crossover

from moopim.checks import is_whole, number, whole_number
from moopim.errors import ConfigError
from moopim.genes import Permutation
from moopim.genome import Genome
from moopim.problem import DesignProblem
from moopim.typing import BoolArray, IntArray

__all__ = [
    "BlockCrossover",
    "PointCrossover",
    "UniformCrossover",
    "block_mask",
    "exchange",
    "point_mask",
    "uniform_mask",
]

Mask = BoolArray


def uniform_mask(genome: Genome, n: int, prob_exchange: float, random_state: np.random.Generator) -> Mask:
    """Marks each gene with a probability; a permutation group is marked whole or not at all.

    Args:
        genome: The genome.
        n: Number of rows.
        prob_exchange: Probability of each gene.
        random_state: Source of randomness.

    Returns:
        The mask, shape ``(n, n_genes)``.

    Raises:
        ConfigError: If ``n`` is no whole number from 0, or the probability lies outside 0 .. 1.
    """
    whole_number("n", n, 0)
    number("prob_exchange", prob_exchange, least=0, most=1)
    return _whole_permutations(genome, random_state.random((n, genome.n_genes)) < prob_exchange)


def point_mask(genome: Genome, n: int, n_points: int, random_state: np.random.Generator) -> Mask:
    """Marks every other stretch between ``n_points`` random cuts; a permutation group is never cut.

    Args:
        genome: The genome.
        n: Number of rows.
        n_points: Number of cuts; fewer where the genome has fewer places to cut.
        random_state: Source of randomness.

    Returns:
        The mask, shape ``(n, n_genes)``.

    Raises:
        ConfigError: If ``n`` or ``n_points`` is no whole number from 0.
    """
    whole_number("n", n, 0)
    whole_number("n_points", n_points, 0)
    n_places = genome.n_genes - 1
    cuts = np.argsort(random_state.random((n, n_places)), axis=1)[:, :n_points] + 1
    switches = np.zeros((n, genome.n_genes), dtype=np.int64)
    np.put_along_axis(switches, cuts, 1, axis=1)
    return _whole_permutations(genome, np.cumsum(switches, axis=1) % 2 == 1)


def block_mask(genome: Genome, n: int, random_state: np.random.Generator) -> Mask:
    """Marks each gene group whole, with probability one half.

    Args:
        genome: The genome.
        n: Number of rows.
        random_state: Source of randomness.

    Returns:
        The mask, shape ``(n, n_genes)``.

    Raises:
        ConfigError: If ``n`` is no whole number from 0.
    """
    whole_number("n", n, 0)
    groups = random_state.random((n, len(genome.groups))) < 0.5  # noqa: PLR2004 (an even coin)
    return np.repeat(groups, [group.width for group in genome.groups], axis=1)


def exchange(parents: IntArray, mask: Mask) -> IntArray:
    """Lets pairs of parents exchange the marked genes.

    Args:
        parents: Genes, shape ``(2, matings, n_genes)``.
        mask: Genes to exchange, shape ``(matings, n_genes)``.

    Returns:
        Both children of every pair, shape ``(2, matings, n_genes)``.

    Raises:
        ConfigError: If a shape is wrong.
    """
    if np.ndim(parents) != 3 or len(parents) != 2 or np.shape(mask) != parents.shape[1:]:  # noqa: PLR2004 (pairs)
        raise ConfigError(
            f"parents have shape {np.shape(parents)} and the mask {np.shape(mask)}; expected (2, matings, n_genes) and "
            "(matings, n_genes)"
        )
    return np.where(mask, parents[::-1], parents)


def _whole_permutations(genome: Genome, mask: Mask) -> Mask:
    """Marks a permutation group as its first gene is, since part of a permutation is none."""
    for group in genome.groups:
        if isinstance(group, Permutation):
            part = genome.slices[group.name]
            mask[:, part] = mask[:, part.start : part.start + 1]
    return mask


class UniformCrossover(Crossover):  # type: ignore[misc]
    """Exchanges each gene with a probability.

    Args:
        prob: Probability that a pair is crossed at all.
        prob_exchange: Probability of each gene.

    Raises:
        ConfigError: If a probability lies outside 0 .. 1.
    """

    def __init__(self, prob: float = 0.9, prob_exchange: float = 0.5) -> None:
        number("prob", prob, least=0, most=1)
        number("prob_exchange", prob_exchange, least=0, most=1)
        super().__init__(n_parents=2, n_offsprings=2, prob=prob)
        self.prob_exchange = prob_exchange

    def _do(
        self, problem: DesignProblem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return exchange(X, uniform_mask(problem.genome, X.shape[1], self.prob_exchange, random_state))


class PointCrossover(Crossover):  # type: ignore[misc]
    """Exchanges every other stretch between random cuts.

    Args:
        n_points: Number of cuts.
        prob: Probability that a pair is crossed at all.

    Raises:
        ConfigError: If there is less than one cut.
    """

    def __init__(self, n_points: int = 2, prob: float = 0.9) -> None:
        if not is_whole(n_points, 1):
            raise ConfigError(f"n_points={n_points} is not allowed; expected 1, 2, ...")
        super().__init__(n_parents=2, n_offsprings=2, prob=prob)
        self.n_points = n_points

    def _do(
        self, problem: DesignProblem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return exchange(X, point_mask(problem.genome, X.shape[1], self.n_points, random_state))


class BlockCrossover(Crossover):  # type: ignore[misc]
    """Exchanges whole gene groups.

    Args:
        prob: Probability that a pair is crossed at all.
    """

    def __init__(self, prob: float = 0.9) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=prob)

    def _do(
        self, problem: DesignProblem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return exchange(X, block_mask(problem.genome, X.shape[1], random_state))
