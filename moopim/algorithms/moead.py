"""MOEA/D (Zhang and Li, IEEE TEVC 11(6), 2007), pymoo's, with constraints and for objectives of any scale."""

from typing import Any

import numpy as np
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.core.population import Population
from scipy.spatial.distance import cdist

from moopim.typing import FloatArray, IntArray

# A weight of 0 would leave an objective out of a subproblem.
_LEAST_WEIGHT = 1e-6


class MOEAD(ParallelMOEAD):  # type: ignore[misc]
    """MOEA/D with the Tchebycheff approach: every reference direction is a subproblem, which holds a design.

    As in the paper, children are bred from the designs of neighbouring subproblems, and a child takes the place of each
    of these designs that is not better; objectives are scaled to their ranges, from the best feasible value so far to
    the worst of the population. A tenth of the children have any parents (Li and Zhang, IEEE TEVC 13(2), 2009). The
    children of a generation are evaluated together. Of two designs the one of the smaller violation is the better.

    Args:
        ref_dirs: Reference directions, two or more, shape ``(n_dirs, n_obj)``.
        n_neighbors: Number of neighbours of a subproblem, itself among them.
        kwargs: Passed on to pymoo's ``MOEAD``, with sampling, crossover and mutation.
    """

    pop: Population

    def __init__(self, ref_dirs: FloatArray, n_neighbors: int = 20, **kwargs: Any) -> None:
        super().__init__(ref_dirs, n_neighbors=n_neighbors, **kwargs)

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        # pymoo's refuses constraints here.
        nearest = np.argsort(cdist(self.ref_dirs, self.ref_dirs), axis=1, kind="stable")
        self.neighbors = nearest[:, : self.n_neighbors]
        self.ideal = np.full(problem.n_obj, np.inf)

    def _initialize_advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        self._distances(self.pop)

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        merged = Population.merge(self.pop, infills)
        places = self.neighbors[self.indices]
        self.pop = merged[replaced(self._distances(merged), merged.get("CV")[:, 0], places)]

    def _distances(self, pop: Population) -> FloatArray:
        """Tchebycheff distance of designs in every subproblem, shape ``(designs, n_dirs)``; the ideal point follows.

        Infeasible designs, whose objectives need not be finite, are all at one distance.
        """
        feasible = pop.get("CV")[:, 0] <= 0
        F = pop.get("F")[feasible].astype(float)
        distances = np.zeros((len(pop), len(self.ref_dirs)))
        if len(F):
            self.ideal = np.minimum(self.ideal, F.min(axis=0))
            extent = F.max(axis=0) - self.ideal
            scaled = (F - self.ideal) / np.where(extent > 0, extent, 1.0)
            distances[feasible] = (np.maximum(self.ref_dirs, _LEAST_WEIGHT) * scaled[:, None]).max(axis=2)
        return distances


def replaced(distances: FloatArray, violation: FloatArray, places: IntArray) -> IntArray:
    """Design that each subproblem holds after its children, which are the last designs, have competed in turn.

    Args:
        distances: Distance of every design in every subproblem, shape ``(n_dirs + children, n_dirs)``.
        violation: Constraint violation of the designs, shape ``(n_dirs + children,)``.
        places: Subproblems in which each child competes, shape ``(children, n_neighbors)``.

    Returns:
        Index of a design for each subproblem, shape ``(n_dirs,)``.
    """
    held = np.arange(distances.shape[1])
    for child, place in enumerate(places, start=len(held)):
        rivals = held[place]
        as_good = (violation[child] == violation[rivals]) & (distances[child, place] <= distances[rivals, place])
        held[place[(violation[child] < violation[rivals]) | as_good]] = child
    return held
