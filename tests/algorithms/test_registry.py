"""Every optimiser of the registry: exact budget, one seed one result, integer designs, infeasible starts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Blocks, Buffers, Impossible, Tiny

import moopim
from moopim import ConfigError, Constraint, DesignProblem, EvaluationError, Genome, Index, Integer, Objective
from moopim.algorithms import registry
from moopim.algorithms.registry import ALGORITHMS, algorithm_names, make_algorithm

NAMES = sorted(ALGORITHMS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("evaluations", [7, 430])
def test_budget_is_exact_and_one_seed_gives_one_result(name, evaluations):
    first, second = (moopim.run(Buffers(), name, evaluations=evaluations, seed=3) for _ in range(2))
    assert len(first.evaluations) == evaluations
    assert first.evaluations.equals(second.evaluations)
    assert first.front.equals(second.front)


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_resumes_to_the_same_bits(name, tmp_path, monkeypatch):
    calls, fails_at = 0, -1
    evaluate_designs = Buffers.evaluate_designs

    def failing(self, designs):
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise EvaluationError("the simulator gave up")
        return evaluate_designs(self, designs)

    monkeypatch.setattr(Buffers, "evaluate_designs", failing)
    whole = moopim.run(Buffers(), name, evaluations=430, seed=3)
    calls, fails_at = 0, 1 + calls // 2
    with pytest.raises(EvaluationError, match="gave up"):
        moopim.run(Buffers(), name, evaluations=430, seed=3, output=tmp_path / "run")
    resumed = moopim.resume(tmp_path / "run")
    assert resumed.evaluations.equals(whole.evaluations)
    assert resumed.front.equals(whole.front)


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
    assert "no feasible design: none has need >= 1000, the greatest is" in result.message
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


class Small(DesignProblem):
    """Objectives from a table of small numbers that tie often; a bound that all, some or no designs meet."""

    def __init__(self, n_obj: int = 2, n_genes: int = 2, n_values: int = 3, bound: str = "none", seed: int = 0):
        self.genome = Genome(Index("x", n_values, repeat=n_genes))
        self.objectives = [Objective(f"f{i}", sense=("min", "max")[i % 2]) for i in range(n_obj)]
        self.constraints = [] if bound == "none" else [Constraint("c", upper={"some": 0.5, "never": -1.0}[bound])]
        super().__init__()
        self.n_genes, self.n_values, self.bound, self.seed = n_genes, n_values, bound, seed
        self.table = np.random.default_rng(seed).integers(0, 4, size=(n_genes, n_values, n_obj))

    def evaluate_designs(self, designs):
        F = self.table[np.arange(self.n_genes), designs.x].sum(axis=1)
        values = {quantity.name: F[:, i] for i, quantity in enumerate(self.objectives)}
        return values | ({"c": designs.x.sum(axis=1) % 3} if self.constraints else {})


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(
    n_obj=st.integers(1, 6),
    space=st.sampled_from([(1, 1), (1, 2), (1, 5), (3, 2), (3, 4), (8, 9)]),
    bound=st.sampled_from(["none", "some", "never"]),
    evaluations=st.sampled_from([1, 2, 3, 5, 37, 130]),
    seed=st.integers(0, 99),
)
def test_small_problems_are_met_with_the_exact_budget_or_a_message(name, n_obj, space, bound, evaluations, seed):
    n_obj = max(n_obj, 2) if name in ("moead", "rvea") else n_obj
    result = moopim.run(Small(n_obj, *space, bound, seed), name, evaluations=evaluations, seed=seed)
    asked = len(result.evaluations)
    ended_early = "the space is exhausted" in result.message or "found no new designs" in result.message
    assert asked == evaluations or (asked < evaluations and ended_early)
    assert (len(result.front) == 0) == (not result.evaluations["feasible"].any())


class Line(DesignProblem):
    """11,000 designs; 8 of them, on a line between the extremes, make the front."""

    genome = Genome(Integer("x", 0, 10), Integer("y", 0, 9, repeat=3))
    objectives = (Objective("f0"), Objective("f1", sense="max"))
    constraints = (Constraint("least", lower=3),)

    def evaluate_designs(self, designs):
        loss = designs.y.sum(axis=1)
        return {"f0": designs.x + loss, "f1": designs.x - loss, "least": designs.x}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("amosa-paper", "random", "topk")])
def test_the_whole_front_of_a_small_problem_is_returned(name):
    result = moopim.run(Line(), name, evaluations=4000, seed=2)
    assert result.front[["f0", "f1"]].drop_duplicates().to_numpy().tolist() == [[x, x] for x in range(3, 11)]
    assert result.front["returned"].all()


class Many(DesignProblem):
    genome = Genome(Index("x", 41, repeat=15))
    objectives = tuple(Objective(f"f{i}") for i in range(15))

    def evaluate_designs(self, designs):
        x = designs.x / 40
        return {f"f{i}": (x[:, i] - 0.3) ** 2 + x[:, i - 1] * x[:, i - 2] for i in range(15)}


@pytest.mark.parametrize("name", ["amosa", "nsga2-hv", "semo", "smsemoa"])
def test_hypervolume_selects_among_fifteen_objectives(name):
    # Exact hypervolumes of 100 members would take days.
    first, second = (moopim.run(Many(), name, evaluations=320, seed=1) for _ in range(2))
    assert len(first.evaluations) == 320
    assert first.evaluations.equals(second.evaluations)


class Noisy(Small):
    """A model that draws random numbers of its own, as a stochastic simulation does."""

    chunk_rows = 8

    def evaluate_designs(self, designs):
        values = super().evaluate_designs(designs)
        noise = np.random.rand(len(designs)) + np.random.default_rng().random(len(designs))  # noqa: NPY002
        return {name: value + noise for name, value in values.items()}


def test_a_model_that_draws_random_numbers_follows_the_seed_too(tmp_path):
    results = [
        moopim.run(Noisy(2, 8, 9), "nsga3", evaluations=150, seed=seed, jobs=jobs)
        for seed, jobs in ((1, 1), (1, 1), (1, 2), (2, 1))
    ]
    assert [results[0].evaluations.equals(result.evaluations) for result in results] == [True, True, True, False]


def test_an_unknown_name_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match="unknown algorithm 'nsga22' \\(did you mean 'nsga2'"):
        make_algorithm("nsga22", Tiny(), 100)


def test_nsga3_works_with_fewer_evaluations_than_objectives():
    result = moopim.run(Buffers(), "nsga3", evaluations=2)
    assert len(result.evaluations) == 2


@pytest.mark.parametrize("name", ["agemoea", "agemoea2"])
def test_without_numba_the_optimisers_that_need_it_say_so(name, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=f"algorithm '{name}' needs numba, which is not installed"):
        make_algorithm(name, Tiny(), 100)


def test_short_runs_have_small_populations_of_hypervolume_survival():
    sizes = {evaluations: make_algorithm("nsga2-hv", Tiny(), evaluations).pop_size for evaluations in (7, 500, 5000)}
    assert sizes == {7: 7, 500: 20, 5000: 57}
    assert all(make_algorithm("nsga2-hv", Tiny(), evaluations).pop_size == 100 for evaluations in (15_000, 10**6))


@pytest.mark.parametrize("name", ["moead", "rvea"])
def test_directions_need_two_objectives(name):
    with pytest.raises(ConfigError, match=f"'{name}' does not take problems with 1 objective; expected 2 or more"):
        make_algorithm(name, Small(1), 100)


def test_every_name_has_a_description():
    assert all(len(text) > 10 for text in algorithm_names().values())


def test_random_search_keeps_the_whole_front():
    result = moopim.run(Buffers(), "random", evaluations=2500, seed=1)
    assert result.front["returned"].all()
