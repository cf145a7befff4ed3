"""Survival of NSGA-II with the last front cut by greedy hypervolume instead of crowding distance."""

from typing import Any

import numpy as np
from pymoo.core.population import Population
from pymoo.core.survival import Survival
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moopim.algorithms.truncation import greedy_hypervolume

__all__ = ["GreedyHypervolumeSurvival"]


class GreedyHypervolumeSurvival(Survival):  # type: ignore[misc]
    """Keeps front after front; from the one that does not fit, the designs that add the most hypervolume.

    The rule is that of AMOSA's preset ``amosa`` (`moopim.algorithms.truncation.greedy_hypervolume`), so that a
    comparison of the two shows the search and not the truncation.
    """

    def __init__(self) -> None:
        super().__init__(filter_infeasible=True)
        self._crowding = get_crowding_function("cd")

    def _do(self, problem: Any, pop: Population, *args: Any, n_survive: int, **kwargs: Any) -> Population:
        F = pop.get("F").astype(float, copy=False)
        survivors: list[int] = []
        for rank, front in enumerate(NonDominatedSorting().do(F, n_stop_if_ranked=n_survive)):
            room = n_survive - len(survivors)
            kept = front if len(front) <= room else front[np.sort(greedy_hypervolume(F[front], room))]
            # NSGA-II's tournament reads both.
            pop[kept].set("rank", rank)
            pop[kept].set("crowding", self._crowding.do(F[kept], n_remove=0))
            survivors.extend(kept.tolist())
            if len(survivors) >= n_survive:
                break
        return pop[survivors]
