"""Random search as a pymoo algorithm: the baseline that every comparison shows."""

from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.util.display.multi import MultiObjectiveOutput
from pymoo.util.optimum import filter_optimum


class RandomSearch(Algorithm):  # type: ignore[misc]
    """Random search: draw batch after batch from a sampling and keep every non-dominated design.

    Args:
        sampling: A pymoo sampling that draws designs.
        batch_size: Number of designs of one iteration.
        kwargs: Passed on to `pymoo.core.algorithm.Algorithm`.
    """

    def __init__(self, sampling: Any, batch_size: int = 1000, **kwargs: Any) -> None:
        super().__init__(output=kwargs.pop("output", MultiObjectiveOutput()), **kwargs)
        self.sampling = sampling
        self.n_offsprings = batch_size
        self._best: Population | None = None

    def _infill(self) -> Population:
        return self.sampling(self.problem, self.n_offsprings, random_state=self.random_state)

    _initialize_infill = _infill

    def _initialize_advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        self._advance(infills)

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        self.pop = infills

    def _set_optimum(self) -> None:
        # The kept designs first: of equal ones the earliest stays.
        known = self.pop if self._best is None else Population.merge(self._best, self.pop)
        best = filter_optimum(known, least_infeasible=True)
        if len(best) > 1:
            _, first = np.unique(best.get("X"), axis=0, return_index=True)
            best = best[np.sort(first)]
        self.opt = self._best = best
