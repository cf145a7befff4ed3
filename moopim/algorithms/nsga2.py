"""NSGA-II (Deb et al., IEEE TEVC 6(2), 2002), pymoo's, on arrays of a whole population.

pymoo goes from individual to individual. The classes here compute the same, bit for bit and from the same random
numbers, on arrays; an individual is made once for each design that is evaluated.
"""

import math
from typing import Any

import numpy as np
from pymoo.algorithms.moo import nsga2
from pymoo.core.evaluator import Evaluator
from pymoo.core.individual import Individual
from pymoo.core.mating import Mating
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.survival import Survival
from pymoo.core.variable import get
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from pymoo.util.randomized_argsort import randomized_argsort

from moopim.operators.duplicates import row_keys
from moopim.typing import FloatArray, IntArray

crowding_distance = get_crowding_function("cd").do


class NSGA2(nsga2.NSGA2):  # type: ignore[misc]
    """NSGA-II on arrays, for crossovers of as many children as parents, without equal designs.

    Args:
        survival: Survival; by rank and crowding distance where not given.
        kwargs: Passed on to pymoo's ``NSGA2``.
    """

    def __init__(self, survival: Survival | None = None, **kwargs: Any) -> None:
        selection = TournamentSelection(func_comp=binary_tournament)
        super().__init__(
            selection=selection, survival=survival or RankAndCrowding(), **{"evaluator": _Evaluator(), **kwargs}
        )
        self.mating: ArrayMating = ArrayMating(
            selection, self.mating.crossover, self.mating.mutation, repair=self.repair
        )

    def _set_optimum(self) -> None:
        violations = violations_of(self.problem, self.pop)
        if (violations <= 0).any():
            self.opt = self.pop[[individual.data.get("rank") == 0 for individual in self.pop]]
        else:
            self.opt = self.pop[[violations.argmin()]]


class _Evaluator(Evaluator):  # type: ignore[misc]
    """Evaluator that computes the constraint violations of a population together."""

    def _eval(self, problem: Problem, pop: Population, evaluate_values_of: list[str], **kwargs: Any) -> None:
        X = np.array([individual.X for individual in pop])
        out = problem.evaluate(X, return_values_of=evaluate_values_of, return_as_dictionary=True, **kwargs)
        tolerance = Individual.default_config()["cv_eq"]["eps"]
        F, G, H = (out[name] for name in "FGH")
        violations = np.maximum(0.0, G).sum(axis=1) + np.maximum(0.0, np.abs(H) - tolerance).sum(axis=1)
        for individual, f, g, h, violation in zip(pop, F, G, H, violations[:, None], strict=True):
            individual.F, individual.G, individual.H, individual.CV = f, g, h, violation
            individual.evaluated.update(out)


def violations_of(problem: Problem, pop: Population) -> FloatArray:
    """Constraint violations of evaluated individuals, shape ``(pop,)``."""
    if not problem.has_constraints():
        return np.zeros(len(pop))
    return np.array([individual.CV[0] for individual in pop])


# Mating ---------------------------------------------------------------------------------------------------------------


class ArrayMating(Mating):  # type: ignore[misc]
    """Selection, crossover, mutation and repair on arrays, until there are enough new designs."""

    def do(
        self, problem: Problem, pop: Population, n_offsprings: int, random_state: np.random.Generator, **kwargs: Any
    ) -> Population:
        """Make offspring that differ from each other and from the population.

        Args:
            problem: The problem.
            pop: The parents, evaluated.
            n_offsprings: Number of offspring.
            random_state: Source of randomness.
            kwargs: Passed on to the operators.

        Returns:
            The offspring, not evaluated; fewer than asked for where mating finds no more.
        """
        X = np.array([individual.X for individual in pop])
        known, offspring = set(row_keys(X)), list[IntArray]()
        kwargs |= {"standing": _standing(problem, pop)}
        for _ in range(self.n_max_iterations):
            children = self._children(problem, pop, X, n_offsprings - len(offspring), random_state, **kwargs)
            for child, key in zip(children, row_keys(children), strict=True):
                if key not in known and len(offspring) < n_offsprings:
                    known.add(key)
                    offspring.append(child)
            if len(offspring) == n_offsprings:
                break
        config = Individual.default_config()
        return Population([Individual(config=config, X=child) for child in offspring])

    def _children(
        self,
        problem: Problem,
        pop: Population,
        X: IntArray,
        n: int,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> IntArray:
        """Children of one round of mating, about `n`, of a population with designs `X` ``(pop, n_var)``."""
        kwargs |= {"random_state": random_state}
        n_parents = self.crossover.n_parents
        n_matings = math.ceil(n / self.crossover.n_offsprings)
        chosen = self.selection(problem, pop, n_matings, n_parents=n_parents, to_pop=False, **kwargs)
        parents = X[chosen].swapaxes(0, 1)
        crossed = random_state.random(n_matings) < get(self.crossover.prob, size=n_matings)
        if crossed.any():
            children = self.crossover._do(problem, parents, **kwargs)
            parents = np.where(crossed[:, None], children, parents)
        children = parents.reshape(-1, X.shape[1])
        mutants = self.mutation._do(problem, children, **kwargs)
        mutated = random_state.random(len(children)) <= get(self.mutation.prob, size=len(children))
        children = np.where(mutated[:, None], mutants, children)
        return np.asarray(self.repair._do(problem, children, **kwargs))


def _standing(problem: Problem, pop: Population) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Objectives, violations and crowding distances of a population, of those that survival has given one."""
    crowding = np.array([individual.data.get("crowding", 0.0) for individual in pop])
    return objectives_of(pop), violations_of(problem, pop), crowding


def binary_tournament(
    pop: Population,
    P: IntArray,
    algorithm: nsga2.NSGA2,
    standing: tuple[FloatArray, FloatArray, FloatArray],
    **kwargs: Any,
) -> IntArray:
    """Winners of tournaments of two: the less violating, the dominating, the less crowded; a drawn one of equals.

    Args:
        pop: The population, after survival.
        P: Competitors, shape ``(tournaments, 2)``.
        algorithm: The algorithm, which has the source of randomness.
        standing: Objectives ``(pop, n_obj)``, violations and crowding distances ``(pop,)`` of the population.
        kwargs: Further arguments of pymoo, not used.

    Returns:
        Indices of the winners, shape ``(tournaments, 1)``.
    """
    (F, violation, crowding), (a, b) = standing, P.T
    feasible = ~((violation[a] > 0) | (violation[b] > 0))
    worse, better = (F[a] > F[b]).any(axis=1), (F[a] < F[b]).any(axis=1)
    one_dominates = feasible & (better != worse)
    merit = np.where(feasible, crowding[P.T], -violation[P.T])
    first = np.where(one_dominates, better, merit[0] > merit[1])
    second = np.where(one_dominates, worse, merit[0] < merit[1])
    winners = np.where(first, a, b)
    for i in np.flatnonzero(~(first | second)):
        winners[i] = algorithm.random_state.choice(P[i])
    return np.asarray(winners[:, None])


# Survival -------------------------------------------------------------------------------------------------------------


class ArraySurvival(Survival):  # type: ignore[misc]
    """Survival of the feasible designs by a rule, and of the others by their violation."""

    def __init__(self) -> None:
        super().__init__(filter_infeasible=True)

    def do(
        self, problem: Problem, pop: Population, *args: Any, n_survive: int | None = None, **kwargs: Any
    ) -> Population:
        """Select the survivors of a population.

        Args:
            problem: The problem.
            pop: Evaluated individuals.
            args: Passed on to the rule.
            n_survive: Number of survivors; all where not given.
            kwargs: Passed on to the rule.

        Returns:
            The survivors: feasible ones in the order of the rule, then the others, the least violating first.
        """
        violations = violations_of(problem, pop)
        feasible, infeasible = np.flatnonzero(violations <= 0), np.flatnonzero(~(violations <= 0))
        room = len(pop) if n_survive is None else min(n_survive, len(pop))
        survivors = pop[:0]
        if len(feasible):
            survivors = self._do(problem, pop[feasible], *args, n_survive=min(room, len(feasible)), **kwargs)
        least = infeasible[np.argsort(violations[infeasible])]
        return np.concatenate([survivors, pop[least[: room - len(survivors)]]]).view(Population)


class RankAndCrowding(ArraySurvival):
    """Survival by rank; of the front that does not fit, those with the largest crowding distances."""

    def _do(
        self,
        problem: Problem,
        pop: Population,
        *args: Any,
        n_survive: int,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> Population:
        F = objectives_of(pop)
        survivors: list[IntArray] = []
        room = n_survive
        for rank, front in enumerate(NonDominatedSorting().do(F, n_stop_if_ranked=n_survive)):
            crowding = crowding_distance(F[front])
            set_rank(pop[front], rank, crowding)
            if len(front) > room:
                order = randomized_argsort(crowding, order="descending", method="numpy", random_state=random_state)
                survivors.append(front[order[:room]])
            else:
                survivors.append(front)
            room -= len(front)
        return pop[np.concatenate(survivors)]


def objectives_of(pop: Population) -> FloatArray:
    """Objectives of evaluated individuals, shape ``(pop, n_obj)``."""
    return np.array([individual.F for individual in pop], dtype=np.float64)


def set_rank(front: Population, rank: int, crowding: FloatArray) -> None:
    """Set what the tournament reads: the rank of a front and the crowding distances of its individuals."""
    for individual, distance in zip(front, crowding.tolist(), strict=True):
        individual.data.update(rank=rank, crowding=distance)
