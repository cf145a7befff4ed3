"""Every optimiser of the registry: exact budget, one seed one result, integer designs, infeasible starts."""

import numpy as np
import pytest
from pymoo.core.population import Population
from toys import Blocks, Buffers, Impossible, Tiny

import moopim
from moopim import ConfigError
from moopim.algorithms.hypervolume_survival import GreedyHypervolumeSurvival
from moopim.algorithms.registry import ALGORITHMS, algorithm_names, make_algorithm

pytestmark = pytest.mark.filterwarnings("ignore:.*evaluations leave each of:UserWarning")
NAMES = sorted(ALGORITHMS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("evaluations", [7, 430])
def test_budget_is_exact_and_one_seed_gives_one_result(name, evaluations):
    first, second = (moopim.run(Buffers(), name, evaluations=evaluations, seed=3) for _ in range(2))
    assert len(first.evaluations) == evaluations
    assert first.evaluations.equals(second.evaluations)
    assert first.front.equals(second.front)


@pytest.mark.parametrize("name", NAMES)
def test_two_seeds_differ(name):
    first, second = (moopim.run(Buffers(), name, evaluations=60, seed=seed) for seed in (1, 2))
    assert not first.evaluations.equals(second.evaluations)


@pytest.mark.parametrize("name", NAMES)
def test_global_random_numbers_are_left_alone(name):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the legacy state is what must not change)
    moopim.run(Blocks(), name, evaluations=150, seed=1)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_is_feasible_the_least_violating_designs_are_shown(name):
    result = moopim.run(Impossible(), name, evaluations=300, seed=1)
    assert "nothing feasible was found" in result.message
    assert len(result.front) == 0
    need = result.least_violating["need"].to_numpy()
    assert need[0] == result.evaluations["need"].max()
    assert (np.diff(need) <= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_space_smaller_than_the_budget_ends_the_run(name):
    result = moopim.run(Tiny(), name, evaluations=5000, seed=1)
    assert len(result.evaluations) < 5000
    # Some optimisers stop breeding before they have seen all nine designs; the message says which it was.
    distinct = len(result.evaluations[["a", "b"]].drop_duplicates())
    assert ("the space is exhausted: all 9 designs" in result.message) == (distinct == 9)
    assert ("found no new designs" in result.message) == (distinct < 9)


def test_results_of_all_optimisers_are_designs_of_the_genome():
    for name in NAMES:
        result = moopim.run(Blocks(), name, evaluations=130, seed=1)
        assert set(result.evaluations["width_0"]) <= {32, 64, 128}
        inactive = result.evaluations["depth"] < 4
        assert (result.evaluations.loc[inactive, "width_3"] == 32).all()


def test_an_unknown_name_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match="unknown algorithm 'nsga22' \\(did you mean 'nsga2'"):
        make_algorithm("nsga22", Tiny(), 100)


def test_nsga3_needs_one_evaluation_per_objective():
    with pytest.raises(ConfigError, match="at least 2"):
        make_algorithm("nsga3", Tiny(), 1)


def test_every_name_has_a_description():
    assert all(len(text) > 10 for text in algorithm_names().values())


def test_random_search_keeps_the_whole_front():
    result = moopim.run(Buffers(), "random", evaluations=2500, seed=1)
    assert result.front["returned"].all()


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
