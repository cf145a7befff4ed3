"""SEMO, the simple evolutionary multi-objective optimiser (Laumanns, Thiele and Zitzler, IEEE TEVC 8(2), 2004)."""

from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.util.display.multi import MultiObjectiveOutput

from moopim.algorithms.archive import Evaluated, nondominated
from moopim.algorithms.proposals import breed
from moopim.algorithms.truncation import greedy_hypervolume
from moopim.checks import number, whole_number
from moopim.operators.crossover import exchange, uniform_mask
from moopim.operators.mutation import reset_one
from moopim.typing import IntArray


class SEMO(Algorithm):  # type: ignore[misc]
    """SEMO, steady-state: a random member of the archive of non-dominated designs has one gene set to another value.

    A design that no member dominates or equals in all objectives enters the archive; members that it dominates leave.
    Without a feasible design the archive is the least violating one.

    This goes beyond the paper: a part of the children is crossed with a second random member before the mutation;
    children come in batches; an archive above its limit is truncated by greedy hypervolume; designs proposed before are
    not proposed again, and where no new children turn up random designs take their places.

    Args:
        limit: Number of members of the archive.
        batch_size: Number of designs of one iteration.
        prob_crossover: Probability of the uniform crossover.
        kwargs: Passed on to `pymoo.core.algorithm.Algorithm`.

    Raises:
        ConfigError: If a size is not positive or the probability lies outside 0 .. 1.
    """

    def __init__(self, limit: int = 100, batch_size: int = 20, prob_crossover: float = 0.5, **kwargs: Any) -> None:
        super().__init__(output=kwargs.pop("output", MultiObjectiveOutput()), **kwargs)
        self.limit = whole_number("limit", limit, 1)
        self.n_offsprings = whole_number("batch_size", batch_size, 1)
        self.prob_crossover = number("prob_crossover", prob_crossover, least=0, most=1)
        self._proposed: set[bytes] = set()

    def _initialize_infill(self) -> Population:
        return Population.new("X", breed(self.problem, self.n_offsprings, self._sample, self._proposed))

    def _initialize_advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        self.pop = Population.empty()
        self._advance(infills)

    def _infill(self) -> Population | None:
        children = breed(self.problem, self.n_offsprings, self._children, self._proposed)
        others = breed(self.problem, self.n_offsprings - len(children), self._sample, self._proposed)
        if len(children) + len(others) == 0:
            self.termination.force_termination = True
            return None
        return Population.new("X", np.concatenate([children, others]))

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        if infills is None:
            return
        # The members first: of equal ones the earliest stays.
        merged = Population.merge(self.pop, infills)
        kept = nondominated(Evaluated.from_population(merged).planes)
        if len(kept) > self.limit:
            kept = kept[greedy_hypervolume(merged[kept].get("F"), self.limit)]
        self.pop = merged[kept]

    def _set_optimum(self) -> None:
        self.opt = self.pop

    def _sample(self, n: int) -> IntArray:
        return np.asarray(self.problem.genome.sample(n, self.random_state))

    def _children(self, n: int) -> IntArray:
        """Mutated children of random members, shape ``(n, n_genes)``."""
        X = self.pop.get("X")
        parents = X[self.random_state.integers(0, len(X), size=(2, n))]
        mask = uniform_mask(self.problem.genome, n, 0.5, self.random_state)
        mask &= (self.random_state.random(n) < self.prob_crossover)[:, None]
        return reset_one(self.problem.genome, exchange(parents, mask)[0], self.random_state)
