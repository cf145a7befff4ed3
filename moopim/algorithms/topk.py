"""Top-K evolutionary search (CrossNAS, arXiv 2505.22868, Algorithm 1) as a pymoo algorithm.

Every cycle breeds a whole new population from the K best designs seen so far: one half by crossover of two of them,
one half by mutation of one. Fitness is a weighted sum of the objectives.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.util.display.multi import MultiObjectiveOutput

from moopim.algorithms.proposals import breed
from moopim.checks import numbers, whole_number
from moopim.errors import ConfigError
from moopim.operators.crossover import exchange, uniform_mask
from moopim.operators.mutation import reset, reset_probabilities
from moopim.pareto import normalise
from moopim.typing import FloatArray, IntArray


class TopK(Algorithm):  # type: ignore[misc]
    """Top-K evolutionary search on a `moopim.problem.DesignProblem`.

    The paper's fitness is a weighted sum. Here each objective is first scaled to its range over the feasible initial
    designs, so that weights mean the same for any units; ``ideal`` and ``nadir`` replace that range by a given one.
    A design that violates a constraint is worse than any that does not; among these the smaller violation is better.
    Designs proposed before are not proposed again.

    Args:
        pop_size: Number P of designs of a cycle.
        k: Number K of best designs that breed.
        prob: Probability that mutation resets a gene, or such a probability by gene group.
        weights: Weight of each objective in the fitness, in their order; equal where not given.
        ideal: Value of each objective (to be minimised) that counts 0 in the fitness.
        nadir: Value of each objective (to be minimised) that counts 1 in the fitness.
        n_crossover: Number of designs bred by crossover, P / 2 where not given; the rest is bred by mutation.
        kwargs: Passed on to pymoo's ``Algorithm``.

    Raises:
        ConfigError: If a size is not positive or the weights do not fit the problem.
    """

    def __init__(
        self,
        pop_size: int = 50,
        k: int = 10,
        prob: float | Mapping[str, float] = 0.1,
        weights: Sequence[float] | None = None,
        ideal: Sequence[float] | None = None,
        nadir: Sequence[float] | None = None,
        n_crossover: int | None = None,
        **kwargs: Any,
    ) -> None:
        whole_number("pop_size", pop_size, 1)
        whole_number("k", k, 1)
        super().__init__(output=kwargs.pop("output", MultiObjectiveOutput()), **kwargs)
        self.pop_size = pop_size
        self.k = k
        self.prob = prob
        self.weights = weights
        self.ideal = ideal
        self.nadir = nadir
        self.n_crossover = pop_size // 2 if n_crossover is None else n_crossover
        self.n_offsprings = pop_size
        self._proposed: set[bytes] = set()
        self._best: Population | None = None

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        given = np.ones(problem.n_obj) if self.weights is None else self.weights
        weights = numbers("weights", given, (problem.n_obj,), least=0)
        if weights.sum() == 0:
            raise ConfigError(f"weights={self.weights!r} are not allowed; expected one of them positive")
        self._weights = weights / weights.sum()
        self._prob_gene = reset_probabilities(problem.genome, self.prob)

    def _initialize_infill(self) -> Population:
        return self._breed(self.n_offsprings, lambda n: self.problem.genome.sample(n, self.random_state))

    def _initialize_advance(self, infills: Population = None, **kwargs: Any) -> None:
        self._ideal, self._nadir = self._range(infills.get("F"))
        self._advance(infills)

    def _infill(self) -> Population | None:
        n_crossover = min(self.n_crossover, self.n_offsprings)
        crossed = self._breed(n_crossover, self._cross)
        mutated = self._breed(self.n_offsprings - len(crossed), self._mutate)
        if len(crossed) + len(mutated) == 0:
            self.termination.force_termination = True
            return None
        return Population.merge(crossed, mutated)

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        if infills is None:
            return
        merged = infills if self._best is None else Population.merge(self._best, infills)
        fitness = self.fitness(merged.get("F"))
        violation = merged.get("CV")[:, 0]
        fitness[violation > 0] = 0.0
        self._best = merged[np.lexsort((fitness, violation))[: self.k]]
        self.pop = self._best

    def _set_optimum(self) -> None:
        self.opt = self.pop

    def fitness(self, F: FloatArray) -> FloatArray:
        """Weighted sum of the scaled objectives, shape ``(pop,)``, of `F` ``(pop, n_obj)``; smaller is better."""
        return np.asarray((normalise(F, self._ideal, self._nadir) * self._weights).sum(axis=1))

    def _range(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ideal and nadir point: the given ones, or those of the initial designs with a value."""
        known = F[np.isfinite(F).all(axis=1)]
        if len(known) == 0:
            known = np.array([np.zeros(F.shape[1]), np.ones(F.shape[1])])
        ideal = known.min(axis=0) if self.ideal is None else np.asarray(self.ideal, dtype=float)
        nadir = known.max(axis=0) if self.nadir is None else np.asarray(self.nadir, dtype=float)
        return ideal, np.where(nadir > ideal, nadir, ideal + 1.0)

    def _cross(self, n: int) -> IntArray:
        X = self.pop.get("X")
        parents = X[self.random_state.integers(0, len(X), size=(2, n))]
        mask = uniform_mask(self.problem.genome, n, 0.5, self.random_state)
        return np.asarray(exchange(parents, mask)[0])

    def _mutate(self, n: int) -> IntArray:
        X = self.pop.get("X")
        parents = X[self.random_state.integers(0, len(X), size=n)]
        return reset(self.problem.genome, parents, self._prob_gene, self.random_state)

    def _breed(self, n: int, propose: Callable[[int], IntArray]) -> Population:
        """Repaired designs that were not proposed before: ``n``, or fewer if none turn up."""
        X = breed(self.problem, n, propose, self._proposed)
        return Population.new("X", X) if len(X) else Population.empty()
