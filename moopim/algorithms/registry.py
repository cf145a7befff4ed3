"""Optimisers by name, set up for integer genomes.

Each factory takes the problem and the evaluation budget and returns a new pymoo algorithm; the first line of its
docstring is what the command line shows. Other packages add theirs through the entry point group ``moopim.algorithms``.
"""

import copy
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec
from math import comb
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm

from moopim.errors import ConfigError, unknown_name
from moopim.operators import (
    DesignRepair,
    HashedDuplicateElimination,
    Perturbation,
    RandomSampling,
    ResetMutation,
    SingleResetMutation,
    UniformCrossover,
)
from moopim.problem import DesignProblem
from moopim.typing import FloatArray

Factory = Callable[[DesignProblem, int], Algorithm]

_POP_SIZE = 100


def algorithm_names() -> dict[str, str]:
    """Names of all optimisers, of other packages too, each with the first line of its description."""
    third_party = {entry.name: f"from {entry.value}" for entry in entry_points(group="moopim.algorithms")}
    return {name: (make.__doc__ or "").split("\n")[0] for name, make in ALGORITHMS.items()} | third_party


def make_algorithm(name: str, problem: DesignProblem, evaluations: int) -> Algorithm:
    """Make an optimiser by name.

    Args:
        name: A name of `algorithm_names`.
        problem: The problem it will be used on.
        evaluations: Evaluation budget.

    Returns:
        A new pymoo algorithm.

    Raises:
        ConfigError: If the name is unknown, or the optimiser needs a package that is not installed.
    """
    factory: Factory | None = ALGORITHMS.get(name)
    if factory is None:
        found = list(entry_points(group="moopim.algorithms", name=name))
        if not found:
            raise unknown_name("algorithm", name, algorithm_names())
        factory = found[0].load()
    # pymoo's default arguments are objects that all algorithms share, some of which keep a state (SPEA2Survival).
    return copy.deepcopy(factory(problem, evaluations))


def _integer_operators(problem: DesignProblem) -> dict[str, Any]:
    return {
        "sampling": RandomSampling(),
        "crossover": UniformCrossover(),
        "mutation": ResetMutation(problem.mutation),
        "eliminate_duplicates": HashedDuplicateElimination(),
        "repair": DesignRepair(),
    }


def _directions(n_obj: int, limit: int) -> FloatArray:
    """Das-Dennis reference directions ``(n_dirs, n_obj)``: at most ``limit``, but one for each objective."""
    from pymoo.util.ref_dirs import get_reference_directions

    partitions = (p for p in range(1, _POP_SIZE) if comb(p + n_obj - 1, n_obj - 1) <= limit)
    return np.asarray(get_reference_directions("das-dennis", n_obj, n_partitions=max(partitions, default=1)))


def _need_numba(name: str) -> None:
    if find_spec("numba") is None:
        raise ConfigError(f"algorithm {name!r} needs numba, which is not installed: pip install 'moopim[compiled]'")


def _need_two_objectives(name: str, problem: DesignProblem) -> None:
    if problem.n_obj == 1:
        raise ConfigError(f"algorithm {name!r} does not take problems with 1 objective; expected 2 or more")


def amosa(problem: DesignProblem, evaluations: int) -> Algorithm:
    """AMOSA set up for the budget: a growing archive, greedy-hypervolume truncation, mating with near members."""
    from moopim.algorithms.amosa import recommended_amosa

    return recommended_amosa(
        evaluations,
        sampling=RandomSampling(),
        mutation=SingleResetMutation(),
        crossover=UniformCrossover(prob_exchange=None),
        repair=DesignRepair(),
    )


def amosa_paper(problem: DesignProblem, evaluations: int) -> Algorithm:
    """AMOSA as published: one chain, single-linkage clustering, hill climb of the initial designs."""
    from moopim.algorithms.amosa import AMOSA

    return AMOSA(sampling=RandomSampling(), mutation=Perturbation(), repair=DesignRepair(), steps_per_iteration=100)


def nsga2(problem: DesignProblem, evaluations: int) -> Algorithm:
    """NSGA-II, population 100, uniform crossover and random reset."""
    from moopim.algorithms.nsga2 import NSGA2

    return NSGA2(pop_size=min(_POP_SIZE, evaluations), **_integer_operators(problem))


def nsga2_hv(problem: DesignProblem, evaluations: int) -> Algorithm:
    """NSGA-II with greedy-hypervolume survival, the truncation rule of `amosa`; population 20 to 100 by the budget."""
    from moopim.algorithms.nsga2 import NSGA2
    from moopim.algorithms.truncation import GreedyHypervolumeSurvival

    # Short runs reach more with few designs in many generations: 20 for 500 evaluations, 57 for 5,000, 100 from 15,000.
    pop_size = int(np.clip(np.sqrt(evaluations / 1.5), 20, _POP_SIZE))
    return NSGA2(
        pop_size=min(pop_size, evaluations), survival=GreedyHypervolumeSurvival(), **_integer_operators(problem)
    )


def nsga3(problem: DesignProblem, evaluations: int) -> Algorithm:
    """NSGA-III with at most 100 Das-Dennis reference directions."""
    from pymoo.algorithms.moo.nsga3 import NSGA3

    limit = min(_POP_SIZE, evaluations)
    # Fewer evaluations than objectives are all spent on the initial designs, whatever the directions.
    return NSGA3(_directions(problem.n_obj, limit)[:limit], pop_size=limit, **_integer_operators(problem))


def spea2(problem: DesignProblem, evaluations: int) -> Algorithm:
    """SPEA2, population 100."""
    from pymoo.algorithms.moo.spea2 import SPEA2

    return SPEA2(pop_size=min(_POP_SIZE, evaluations), **_integer_operators(problem))


def agemoea(problem: DesignProblem, evaluations: int) -> Algorithm:
    """AGE-MOEA, population 100; needs numba."""
    _need_numba("agemoea")
    from pymoo.algorithms.moo.age import AGEMOEA

    return AGEMOEA(pop_size=min(_POP_SIZE, evaluations), **_integer_operators(problem))


def agemoea2(problem: DesignProblem, evaluations: int) -> Algorithm:
    """AGE-MOEA-II, population 100; needs numba."""
    _need_numba("agemoea2")
    from pymoo.algorithms.moo.age2 import AGEMOEA2

    from moopim.algorithms.agemoea2 import ProjectedSurvival

    algorithm = AGEMOEA2(pop_size=min(_POP_SIZE, evaluations), **_integer_operators(problem))
    algorithm.survival = ProjectedSurvival()  # no argument of pymoo's class
    return algorithm


def rvea(problem: DesignProblem, evaluations: int) -> Algorithm:
    """RVEA with at most 100 Das-Dennis reference directions, adapted ten times; needs two or more objectives."""
    _need_two_objectives("rvea", problem)
    from moopim.algorithms.rvea import RVEA

    limit = min(_POP_SIZE, evaluations)
    return RVEA(_directions(problem.n_obj, limit), pop_size=limit, **_integer_operators(problem))


def moead(problem: DesignProblem, evaluations: int) -> Algorithm:
    """MOEA/D with at most 100 Das-Dennis reference directions, Tchebycheff; needs two or more objectives."""
    _need_two_objectives("moead", problem)
    from moopim.algorithms.moead import MOEAD

    operators = _integer_operators(problem)
    del operators["eliminate_duplicates"]  # MOEA/D has none
    # Fewer evaluations than objectives are all spent on the initial designs, whatever the directions.
    return MOEAD(_directions(problem.n_obj, min(_POP_SIZE, evaluations))[:evaluations], **operators)


def smsemoa(problem: DesignProblem, evaluations: int) -> Algorithm:
    """SMS-EMOA, population 100."""
    from pymoo.algorithms.moo.sms import SMSEMOA

    from moopim.algorithms.truncation import BoundedContributionSurvival

    return SMSEMOA(
        pop_size=min(_POP_SIZE, evaluations), survival=BoundedContributionSurvival(), **_integer_operators(problem)
    )


def ibea(problem: DesignProblem, evaluations: int) -> Algorithm:
    """IBEA with the additive epsilon indicator, adaptive, kappa 0.05, population 100."""
    from moopim.algorithms.ibea import IBEA

    return IBEA(pop_size=min(_POP_SIZE, evaluations), **_integer_operators(problem))


def semo(problem: DesignProblem, evaluations: int) -> Algorithm:
    """SEMO with uniform crossover; archive of 100, greedy-hypervolume truncation."""
    from moopim.algorithms.semo import SEMO

    return SEMO()


def pls(problem: DesignProblem, evaluations: int) -> Algorithm:
    """Pareto local search over changes of one gene, restarted from random designs; unbounded archive."""
    from moopim.algorithms.pls import ParetoLocalSearch

    return ParetoLocalSearch()


def random(problem: DesignProblem, evaluations: int) -> Algorithm:
    """Random search; keeps every non-dominated design."""
    from moopim.algorithms.random_search import RandomSearch

    return RandomSearch(sampling=RandomSampling())


def topk(problem: DesignProblem, evaluations: int) -> Algorithm:
    """Top-K evolutionary search of CrossNAS, population 50, equal weights."""
    from moopim.algorithms.topk import TopK

    return TopK() if problem.mutation is None else TopK(prob=problem.mutation)


ALGORITHMS: dict[str, Factory] = {
    "amosa": amosa,
    "amosa-paper": amosa_paper,
    "nsga2": nsga2,
    "nsga2-hv": nsga2_hv,
    "nsga3": nsga3,
    "spea2": spea2,
    "agemoea": agemoea,
    "agemoea2": agemoea2,
    "rvea": rvea,
    "moead": moead,
    "smsemoa": smsemoa,
    "ibea": ibea,
    "semo": semo,
    "pls": pls,
    "random": random,
    "topk": topk,
}
