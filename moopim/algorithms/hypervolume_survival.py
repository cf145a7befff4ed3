"""Survival by hypervolume: NSGA-II with greedy hypervolume, SMS-EMOA also where exact hypervolumes are too dear."""

from typing import Any

import numpy as np
from pymoo.algorithms.moo.sms import LeastHypervolumeContributionSurvival
from pymoo.core.population import Population
from pymoo.core.survival import Survival
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moopim.algorithms.truncation import greedy_hypervolume, least_contributors_out

__all__ = ["EXACT_COST", "BoundedContributionSurvival", "GreedyHypervolumeSurvival"]

EXACT_COST = 5e6
"""Greatest cost of a generation for which `BoundedContributionSurvival` is exact: ``n (2 n)^(n_obj / 2)``.

Each of n survivors makes a rival leave, and one exact look at the 2 n costs the power. At this value a generation takes
about a second. It allows 107 survivors of 4 objectives, 50 of 5, 28 of 6 and 7 of 10.
"""


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


class BoundedContributionSurvival(LeastHypervolumeContributionSurvival):  # type: ignore[misc]
    """SMS-EMOA's survival: out of the last front the least contributors to the hypervolume leave one after the other.

    Up to `EXACT_COST` this is pymoo's, with its reference point 10 ranges beyond the nadir point. Above, contributions
    are estimated from samples (`moopim.algorithms.truncation.least_contributors_out`), for a reference point a tenth of
    the range beyond the nadir point: for a far one almost all of a member's box is dominated by others, and sampling
    it would tell nothing. So are those of designs that tie in a single objective.
    """

    def _do(self, problem: Any, pop: Population, *args: Any, n_survive: int, **kwargs: Any) -> Population:
        # moocore has no contributions for a single objective.
        if problem.n_obj > 1 and n_survive * (2.0 * n_survive) ** (problem.n_obj / 2) <= EXACT_COST:
            return super()._do(problem, pop, *args, n_survive=n_survive, **kwargs)
        F = pop.get("F").astype(float, copy=False)
        survivors: list[int] = []
        for rank, front in enumerate(NonDominatedSorting().do(F, n_stop_if_ranked=n_survive)):
            room = n_survive - len(survivors)
            pop[front].set("rank", rank)
            survivors.extend(front if len(front) <= room else front[least_contributors_out(F[front], room)])
            if len(survivors) >= n_survive:
                break
        return pop[survivors]
