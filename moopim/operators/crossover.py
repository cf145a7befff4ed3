"""Crossover: two parents exchange genes at the places of a mask."""

from abc import abstractmethod
from typing import Any

import numpy as np
from pymoo.core.crossover import Crossover

from moopim.checks import number, whole_number
from moopim.errors import ConfigError
from moopim.genes import Permutation
from moopim.genome import Genome
from moopim.problem import DesignProblem
from moopim.typing import BoolArray, IntArray


def uniform_mask(genome: Genome, n: int, prob_exchange: float | None, random_state: np.random.Generator) -> BoolArray:
    """Mask ``(n, n_genes)`` of each gene with a probability; a permutation group is marked whole or not at all.

    Without a probability one is drawn for each row, uniformly.
    """
    whole_number("n", n, 0)
    if prob_exchange is not None:
        number("prob_exchange", prob_exchange, least=0, most=1)
    share = random_state.random((n, 1)) if prob_exchange is None else prob_exchange
    return _whole_permutations(genome, random_state.random((n, genome.n_genes)) < share)


def point_mask(genome: Genome, n: int, n_points: int, random_state: np.random.Generator) -> BoolArray:
    """Mask ``(n, n_genes)`` of every other stretch between ``n_points`` random cuts; no permutation group is cut.

    There are fewer cuts where the genome has fewer places to cut.
    """
    whole_number("n", n, 0)
    whole_number("n_points", n_points, 0)
    n_places = genome.n_genes - 1
    cuts = np.argsort(random_state.random((n, n_places)), axis=1)[:, :n_points] + 1
    switches = np.zeros((n, genome.n_genes), dtype=np.int64)
    np.put_along_axis(switches, cuts, 1, axis=1)
    return _whole_permutations(genome, np.cumsum(switches, axis=1) % 2 == 1)


def block_mask(genome: Genome, n: int, random_state: np.random.Generator) -> BoolArray:
    """Mask ``(n, n_genes)`` of each whole gene group with probability one half."""
    whole_number("n", n, 0)
    groups = random_state.random((n, len(genome.groups))) < 0.5  # noqa: PLR2004 (an even coin)
    return np.repeat(groups, [group.width for group in genome.groups], axis=1)


def exchange(parents: IntArray, mask: BoolArray) -> IntArray:
    """Both children of pairs of parents, ``(2, matings, n_genes)`` each, that exchange the genes of a mask."""
    if np.ndim(parents) != 3 or len(parents) != 2 or np.shape(mask) != parents.shape[1:]:  # noqa: PLR2004 (pairs)
        raise ConfigError(
            f"parents have shape {np.shape(parents)} and the mask {np.shape(mask)}; expected (2, matings, n_genes) and "
            "(matings, n_genes)"
        )
    return np.where(mask, parents[::-1], parents)


def _whole_permutations(genome: Genome, mask: BoolArray) -> BoolArray:
    """Mark a permutation group as its first gene is, since part of a permutation is none."""
    for group in genome.groups:
        if isinstance(group, Permutation):
            part = genome.slices[group.name]
            mask[:, part] = mask[:, part.start : part.start + 1]
    return mask


class _MaskedCrossover(Crossover):  # type: ignore[misc]
    """Crossover of two parents that exchange the genes of a mask."""

    def __init__(self, prob: float) -> None:
        number("prob", prob, least=0, most=1)
        super().__init__(n_parents=2, n_offsprings=2, prob=prob)

    @abstractmethod
    def _mask(self, genome: Genome, n: int, random_state: np.random.Generator) -> BoolArray:
        """Genes to exchange, shape ``(n, n_genes)``."""

    def _do(
        self, problem: DesignProblem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return exchange(X, self._mask(problem.genome, X.shape[1], random_state))


class UniformCrossover(_MaskedCrossover):
    """Uniform crossover: exchange each gene with a probability.

    Args:
        prob: Probability that a pair is crossed at all.
        prob_exchange: Probability of each gene; ``None`` draws one for each pair, uniformly.

    Raises:
        ConfigError: If a probability lies outside 0 .. 1.
    """

    def __init__(self, prob: float = 0.9, prob_exchange: float | None = 0.5) -> None:
        if prob_exchange is not None:
            number("prob_exchange", prob_exchange, least=0, most=1)
        super().__init__(prob)
        self.prob_exchange = prob_exchange

    def _mask(self, genome: Genome, n: int, random_state: np.random.Generator) -> BoolArray:
        return uniform_mask(genome, n, self.prob_exchange, random_state)


class PointCrossover(_MaskedCrossover):
    """N-point crossover: exchange every other stretch between random cuts.

    Args:
        n_points: Number of cuts.
        prob: Probability that a pair is crossed at all.

    Raises:
        ConfigError: If there is less than one cut, or the probability lies outside 0 .. 1.
    """

    def __init__(self, n_points: int = 2, prob: float = 0.9) -> None:
        whole_number("n_points", n_points, 1)
        super().__init__(prob)
        self.n_points = n_points

    def _mask(self, genome: Genome, n: int, random_state: np.random.Generator) -> BoolArray:
        return point_mask(genome, n, self.n_points, random_state)


class BlockCrossover(_MaskedCrossover):
    """Block crossover: exchange whole gene groups, each with probability one half.

    Args:
        prob: Probability that a pair is crossed at all.

    Raises:
        ConfigError: If the probability lies outside 0 .. 1.
    """

    def __init__(self, prob: float = 0.9) -> None:
        super().__init__(prob)

    def _mask(self, genome: Genome, n: int, random_state: np.random.Generator) -> BoolArray:
        return block_mask(genome, n, random_state)
