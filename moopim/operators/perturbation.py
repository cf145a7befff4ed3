"""The move that AMOSA makes from a current design to a proposal, composed of the parts of this package."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from pymoo.core.mutation import Mutation

from moopim.errors import ConfigError
from moopim.genome import Genome
from moopim.operators.crossover import exchange, uniform_mask
from moopim.operators.mutation import move_block, reset_one, swap
from moopim.problem import DesignProblem
from moopim.typing import IntArray

__all__ = ["Perturbation"]


class Perturbation(Mutation):  # type: ignore[misc]
    """Makes one random move per design; the weights say how often each kind is drawn.

    Args:
        reset: Weight of setting one gene to a different value.
        swap: Weight of swapping two genes of a group.
        block_move: Weight of moving a run of neighbouring genes by one common step.
        mate: Weight of uniform crossover with a random member of the archive.

    Raises:
        ConfigError: If a weight is negative or all are zero.
    """

    def __init__(self, reset: float = 1.0, swap: float = 0.0, block_move: float = 0.0, mate: float = 0.0) -> None:
        super().__init__(prob=1.0)
        weights = {"reset": reset, "swap": swap, "block_move": block_move, "mate": mate}
        if min(weights.values()) < 0 or sum(weights.values()) == 0:
            raise ConfigError(f"perturbation weights {weights} are not allowed; expected >= 0, one of them positive")
        self.weights = weights
        self._thresholds = np.cumsum(list(weights.values())) / sum(weights.values())

    def _do(
        self,
        problem: DesignProblem,
        X: IntArray,
        *args: Any,
        random_state: np.random.Generator,
        archive: IntArray | None = None,
        **kwargs: Any,
    ) -> IntArray:
        """Proposes one neighbour per design.

        Args:
            problem: The problem, for its genome.
            X: Current designs, shape ``(pop, n_genes)``.
            args: Not used.
            random_state: Source of randomness.
            archive: Designs to mate with, shape ``(archive, n_genes)``; without any, a mating becomes a reset.
            kwargs: Not used.

        Returns:
            Proposals, shape ``(pop, n_genes)``.
        """
        genome = problem.genome
        if self.weights["reset"] == sum(self.weights.values()):
            return reset_one(genome, X, random_state)
        kind = np.searchsorted(self._thresholds, random_state.random(len(X)), side="right")
        moves: list[Callable[[Genome, IntArray, np.random.Generator], IntArray]] = [reset_one, swap, move_block]
        moves.append(partial(_mate, archive) if archive is not None and len(archive) else reset_one)
        result = X.copy()
        for i, move in enumerate(moves):
            rows = kind == i
            if rows.any():
                result[rows] = move(genome, X[rows], random_state)
        return result


def _mate(archive: IntArray, genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
    mates = archive[random_state.integers(0, len(archive), size=len(X))]
    children = exchange(np.stack([X, mates]), uniform_mask(genome, len(X), 0.5, random_state))
    return np.asarray(children[0])
