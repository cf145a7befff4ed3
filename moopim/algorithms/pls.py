"""Pareto local search (Paquete, Chiarandini and Stuetzle, LNEMS 535, 2004) as a pymoo algorithm."""

from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.util.display.multi import MultiObjectiveOutput

from moopim.algorithms.archive import Evaluated, nondominated
from moopim.algorithms.proposals import breed, unseen
from moopim.checks import whole_number
from moopim.genes import Permutation
from moopim.genome import Genome
from moopim.operators.duplicates import row_keys
from moopim.typing import IntArray


class ParetoLocalSearch(Algorithm):  # type: ignore[misc]
    """Pareto local search: evaluate the whole neighbourhood of an unexplored member of the archive, drawn at random.

    Neighbours that no member dominates or equals in all objectives enter the archive of non-dominated designs, which is
    not bounded; members that they dominate leave. Without a feasible design the archive is the least violating one.

    This goes beyond the paper: once all members are explored, the search restarts from a random design, and what it
    returns is the non-dominated designs of all searches; neighbours come in batches, in random order; designs proposed
    before are not proposed again.

    Args:
        batch_size: Number of neighbours of one iteration, fewer at the end of a neighbourhood.
        kwargs: Passed on to `pymoo.core.algorithm.Algorithm`.

    Raises:
        ConfigError: If `batch_size` is not positive.
    """

    pop: Population

    def __init__(self, batch_size: int = 100, **kwargs: Any) -> None:
        super().__init__(output=kwargs.pop("output", MultiObjectiveOutput()), **kwargs)
        self.n_offsprings = whole_number("batch_size", batch_size, 1)
        self._proposed: set[bytes] = set()
        self._explored: set[bytes] = set()
        self._best = Population.empty()

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        self._neighbours = np.empty((0, problem.genome.n_genes), dtype=np.int64)  # those still to be evaluated

    def _initialize_infill(self) -> Population:
        return self._restart()

    def _initialize_advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        self._advance(infills)

    def _infill(self) -> Population | None:
        while not len(self._neighbours):
            X = self.pop.get("X")
            unexplored = [i for i, key in enumerate(row_keys(X)) if key not in self._explored]
            if not unexplored:
                return self._restart()
            chosen = X[self.random_state.choice(unexplored)]
            self._explored.update(row_keys(chosen[None]))
            around = self.random_state.permutation(neighbours(self.problem.genome, chosen))
            self._neighbours = unseen(self.problem, around, self._proposed)
        batch, self._neighbours = np.split(self._neighbours, [self.n_offsprings])
        return Population.new("X", batch)

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        if infills is not None:
            self.pop = _front(self.pop, infills)
            self._best = _front(self._best, infills)

    def _set_optimum(self) -> None:
        self.opt = self._best

    def _restart(self) -> Population | None:
        """Empty the archive and draw a random design; end the run if no new one turns up."""
        X = breed(self.problem, 1, lambda n: self.problem.genome.sample(n, self.random_state), self._proposed)
        if not len(X):
            self.termination.force_termination = True
            return None
        self.pop = Population.empty()
        return Population.new("X", X)


def neighbours(genome: Genome, x: IntArray) -> IntArray:
    """All designs ``(n, n_genes)`` that differ from one, ``(n_genes,)``, in one gene; in a permutation by one swap."""
    places, values = [], []
    for group in genome.groups:
        genes = np.arange(genome.n_genes)[genome.slices[group.name]]
        if isinstance(group, Permutation):
            swaps = genes[np.column_stack(np.triu_indices(len(genes), 1))]
            places.append(swaps)
            values.append(x[swaps[:, ::-1]])
            continue
        for gene in genes:
            others = np.delete(np.arange(genome.n_values[gene]), x[gene])
            # A single gene is a pair of the same place, too.
            places.append(np.full((len(others), 2), gene))
            values.append(np.column_stack([others, others]))
    found = np.tile(x, (sum(map(len, places)), 1))
    np.put_along_axis(found, np.concatenate(places), np.concatenate(values), axis=1)
    return found


def _front(members: Population, others: Population) -> Population:
    """Non-dominated designs of both, of equal ones the earliest."""
    merged = Population.merge(members, others)
    return merged[nondominated(Evaluated.from_population(merged).planes)]
