"""NSGA-II on arrays: the same designs from the same random numbers as pymoo's, on any problem."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2  # noqa: N811 (pymoo's name of its class)
from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.optimize import minimize
from toys import Blocks, Buffers, Impossible, Limited, Tiny

from moopim.algorithms.nsga2 import NSGA2, RankAndCrowding
from moopim.operators import DesignRepair, HashedDuplicateElimination, RandomSampling, ResetMutation, UniformCrossover
from moopim.problems.benchmarks import Knapsack


def operators():
    return {
        "sampling": RandomSampling(),
        "crossover": UniformCrossover(),
        "mutation": ResetMutation(prob=0.9),
        "repair": DesignRepair(),
        "eliminate_duplicates": HashedDuplicateElimination(),
    }


@pytest.mark.parametrize("problem", [Blocks(), Buffers(), Impossible(), Limited(), Tiny(), Knapsack()], ids=repr)
@pytest.mark.parametrize("pop_size", [11, 30])
def test_every_design_is_that_of_pymoo(problem, pop_size):
    found = []
    for algorithm in (NSGA2, PymooNSGA2):
        past = []

        def remember(state, past=past):
            designs = [] if state.off is None else [state.off]  # none where all have been evaluated
            past.extend(pop.get(name).tolist() for pop in [*designs, state.pop, state.opt] for name in ("X", "F", "CV"))
            past.extend(np.array(state.pop.get(name), dtype=float).tolist() for name in ("rank", "crowding"))

        minimize(problem, algorithm(pop_size=pop_size, **operators()), ("n_gen", 12), seed=2, callback=remember)
        found.append(past)
    assert repr(found[0]) == repr(found[1])


rows = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 3)] * m, st.integers(0, 2)), min_size=1, max_size=14)
)


@given(rows=rows, room=st.integers(1, 14), seed=st.integers(0, 5))
def test_survivors_among_ties_and_infeasible_designs_are_those_of_pymoo(rows, room, seed):
    table = np.array(rows, dtype=float)
    problem = Problem(n_var=1, n_obj=table.shape[1] - 1, n_ieq_constr=1)
    survivors = []
    for survival in (RankAndCrowding(), RankAndCrowdingSurvival()):
        pop = Population.new("X", np.arange(len(table))[:, None], "F", table[:, :-1], "G", table[:, -1:])
        kept = survival.do(problem, pop, n_survive=room, random_state=np.random.default_rng(seed))
        survivors.append([kept.get(name).tolist() for name in ("X", "rank", "crowding")])
    assert survivors[0] == survivors[1]
