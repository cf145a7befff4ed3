"""IBEA (Zitzler and Kuenzli, PPSN 2004) with the additive epsilon indicator as a pymoo algorithm.

The indicator of a design against another is the least shift of all objectives by which it weakly dominates the other.
"""

from typing import Any

import numpy as np
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.population import Population
from pymoo.core.survival import Survival
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.util.display.multi import MultiObjectiveOutput

from moopim.checks import number
from moopim.pareto import normalise
from moopim.typing import FloatArray, IntArray


class IBEA(GeneticAlgorithm):  # type: ignore[misc]
    """IBEA, adaptive version: survival and binary tournament by the epsilon indicator.

    Feasible designs come before infeasible ones, and of these the smaller violation before the larger.

    Args:
        pop_size: Number of designs of a population.
        kappa: Scaling factor of the fitness: the smaller, the more the nearest design decides.
        kwargs: Passed on to pymoo's ``GeneticAlgorithm``, with sampling, crossover and mutation.

    Raises:
        ConfigError: If `kappa` is not positive.
    """

    def __init__(self, pop_size: int = 100, kappa: float = 0.05, **kwargs: Any) -> None:
        super().__init__(
            pop_size=pop_size,
            selection=TournamentSelection(func_comp=_tournament),
            survival=IndicatorSurvival(kappa),
            advance_after_initial_infill=True,
            output=kwargs.pop("output", MultiObjectiveOutput()),
            **kwargs,
        )


class IndicatorSurvival(Survival):  # type: ignore[misc]
    """IBEA's survival: the design with the greatest loss leaves, one after another.

    The loss of a design, the negative of the paper's fitness, is the sum of exp(-I(other, design) / (c kappa)) over all
    others, where c is the greatest absolute indicator. Objectives are scaled to their ranges over the population. Of
    equal losses the first leaves.
    """

    def __init__(self, kappa: float) -> None:
        super().__init__(filter_infeasible=True)
        number("kappa", kappa, positive=True)
        self.kappa = kappa

    def _do(self, problem: Any, pop: Population, *args: Any, n_survive: int, **kwargs: Any) -> Population:
        terms = loss_terms(pop.get("F").astype(float, copy=False), self.kappa)
        alive = np.arange(len(pop))
        loss = terms.sum(axis=0)
        while len(alive) > n_survive:
            worst = loss[alive].argmax()
            # The terms of one design span many orders of magnitude: differences would not be exact.
            terms[alive[worst]] = 0.0
            alive = np.delete(alive, worst)
            loss = terms.sum(axis=0)
        pop.set("loss", loss)
        return pop[alive]


def loss_terms(F: FloatArray, kappa: float) -> FloatArray:
    """Terms of the loss of each design (column) by each other (row), shape ``(n, n)``, from objectives ``(n, m)``."""
    scaled = normalise(F, F.min(axis=0), F.max(axis=0))
    indicator = np.full((len(F), len(F)), -np.inf)
    for values in scaled.T:
        np.maximum(indicator, values[:, None] - values, out=indicator)
    terms = np.exp(-indicator / ((np.abs(indicator).max() or 1.0) * kappa))
    np.fill_diagonal(terms, 0.0)
    return np.asarray(terms)


def _tournament(pop: Population, P: IntArray, random_state: np.random.Generator, **kwargs: Any) -> IntArray:
    """Winners ``(n,)`` of pairs ``(n, 2)``: the smaller violation, then the smaller loss, then one at random."""
    violation = pop.get("CV")[:, 0]
    # Infeasible designs have no loss.
    loss = np.where(violation > 0, 0.0, pop.get("loss")).astype(float)
    order = np.lexsort((random_state.random(P.shape), loss[P], violation[P]), axis=1)
    return np.asarray(np.take_along_axis(P, order, axis=1)[:, 0])
