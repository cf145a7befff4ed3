"""Survival by hypervolume: any room, infeasible designs last, the last front cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.algorithms.moo.sms import LeastHypervolumeContributionSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from toys import Tiny

from moopim.algorithms import BoundedContributionSurvival, GreedyHypervolumeSurvival
from moopim.pareto import volumes

rows = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 3)] * m, st.integers(0, 2)), min_size=1, max_size=14)
)


@pytest.mark.parametrize("survival", [GreedyHypervolumeSurvival, BoundedContributionSurvival])
@pytest.mark.parametrize("exact_cost", [0.0, np.inf])
@given(rows=rows, room=st.integers(1, 14))
def test_any_room_is_filled_with_the_best(survival, exact_cost, rows, room):
    table = np.array(rows, dtype=float)
    n, n_obj = len(table), table.shape[1] - 1
    problem = Problem(n_var=1, n_obj=n_obj, n_ieq_constr=1)
    pop = Population.new("X", np.arange(n)[:, None], "F", table[:, :-1], "G", table[:, -1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volumes, "EXACT_COST", exact_cost)
        kept = survival().do(problem, pop, n_survive=room).get("X")[:, 0]
    assert len(kept) == len(set(kept.tolist())) == min(room, n)
    left = np.setdiff1d(np.arange(n), kept)
    violation = table[:, -1]
    if len(left):
        assert violation[kept].max() <= violation[left].min() or violation[kept].max() == 0
    # Who is left out dominates nobody who is kept.
    for i in left[violation[left] == 0]:
        better = (table[i, :-1] <= table[kept, :-1]).all(axis=1) & (table[i, :-1] < table[kept, :-1]).any(axis=1)
        assert not (better & (violation[kept] == 0)).any()


def test_few_objectives_are_cut_as_pymoo_cuts_them(rng):
    pop = Population.new("X", np.arange(60)[:, None], "F", rng.random((60, 3)))
    problem = Problem(n_var=1, n_obj=3)
    own, theirs = (
        survival().do(problem, pop, n_survive=20).get("X")[:, 0].tolist()
        for survival in (BoundedContributionSurvival, LeastHypervolumeContributionSurvival)
    )
    assert own == theirs


def test_hypervolume_survival_cuts_the_last_front_only(rng):
    front, behind = (np.column_stack([x, 1 - x]) for x in rng.random((2, 12)))
    F = np.concatenate([behind + 1, front])
    pop = Population.new("F", F, "X", np.arange(24)[:, None])
    pop.set("CV", np.zeros((24, 1)))
    whole = set(GreedyHypervolumeSurvival().do(Tiny(), pop, n_survive=17).get("X")[:, 0])
    assert whole >= set(range(12, 24))
    assert len(whole) == 17
    cut = set(GreedyHypervolumeSurvival().do(Tiny(), pop, n_survive=5).get("X")[:, 0])
    assert len(cut) == 5
    assert cut >= {12 + front[:, 0].argmin(), 12 + front[:, 0].argmax()}  # the extremes
