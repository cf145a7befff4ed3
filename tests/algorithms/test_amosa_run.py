"""Whole runs of AMOSA: modes, budget, seeds, invariants, pymoo's interface."""

import pickle
import warnings

import numpy as np
import pytest
from amosa_toys import Constrained, Identity, Table
from pymoo.core.callback import Callback
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moopim.algorithms.amosa import AMOSA, recommended_amosa

SMALL = {"hard_limit": 20, "soft_limit": 40, "hill_climb": 2}
VARIANTS = {
    "one chain": {},
    "16 chains": {"chains": 16},
    "hypervolume and jumps": {"chains": 16, "truncation": "hypervolume", "restart_prob": 0.5, "hill_climb": 0},
    "closest pair": {"chains": 5, "truncation": "closest-pair"},
    "automatic": {"chains": 4, "t_max": "auto", "amount": "geometric"},
    "mating": {"chains": 8, "mating": 0.8, "repeats": False, "growth": 2.0, "truncation": "hypervolume"},
    "explicit": {"iterations": 3, "chains": 4, "exponent": "multiply"},
}


def run(problem, n_evals=600, seed=1, **options):
    return minimize(problem, AMOSA(**{**SMALL, **options}), ("n_eval", n_evals), seed=seed)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("real", [False, True])
def test_steps_per_iteration_change_nothing(name, real):
    make = (lambda: get_problem("dtlz2")) if real else (lambda: Table(n_obj=3))
    one, many = (run(make(), steps_per_iteration=steps, **VARIANTS[name]) for steps in (1, 50))
    assert np.array_equal(one.X, many.X)
    assert one.X.dtype == many.X.dtype
    assert np.array_equal(one.F, many.F)
    assert one.algorithm.evaluator.n_eval == many.algorithm.evaluator.n_eval
    assert many.algorithm.n_iter < one.algorithm.n_iter


def test_steps_per_iteration_evaluate_the_same_batches():
    problems = Table(), Table()
    for problem, steps in zip(problems, (1, 7), strict=True):
        run(problem, chains=16, steps_per_iteration=steps)
    assert all(np.array_equal(a, b) for a, b in zip(problems[0].batches, problems[1].batches, strict=True))


@pytest.mark.parametrize("steps", [1, 50])
@pytest.mark.parametrize("n_evals", [1, 39, 40, 41, 100, 119, 120, 121, 555])
@pytest.mark.parametrize("chains", [1, 16])
def test_budget_is_met_exactly(n_evals, chains, steps):
    problem = Table()
    result = run(problem, n_evals, chains=chains, steps_per_iteration=steps)
    assert len(problem.evaluated) == result.algorithm.evaluator.n_eval == n_evals


def test_budget_given_to_the_algorithm():
    problem = Table()
    minimize(problem, AMOSA(**SMALL, n_max_evals=500), seed=1)
    assert len(problem.evaluated) == 500


def test_budget_in_generations_covers_all_levels():
    algorithm = AMOSA(**SMALL)
    algorithm.setup(Table(), termination=("n_gen", 300), seed=1)
    algorithm.run()
    assert algorithm.n_iter == 301
    assert algorithm._state.level == algorithm._state.cooling.n_levels - 1


def test_run_ends_when_it_has_cooled():
    # 1, .5, .25, .125: four levels of five steps of three chains after 40 initial designs.
    problem = Table()
    minimize(
        problem, AMOSA(**{**SMALL, "hill_climb": 0}, iterations=5, chains=3, t_max=1.0, t_min=0.1, alpha=0.5), seed=1
    )
    assert len(problem.evaluated) == 40 + 4 * 5 * 3


def test_published_schedule_without_a_budget():
    algorithm = AMOSA(hill_climb=0, t_max=1.0, t_min=0.4, alpha=0.5, steps_per_iteration=30)
    # 200 initial designs and the usual 500 steps at each of two temperatures.
    assert minimize(Identity(), algorithm, seed=1).algorithm.evaluator.n_eval == 1200


class Watch(Callback):
    def __init__(self, check):
        super().__init__()
        self.check = check

    def notify(self, algorithm):
        self.check(algorithm)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("n_obj", [2, 4])
def test_archive_is_bounded_and_mutually_nondominated_after_every_step(name, n_obj):
    best = [np.full(n_obj, np.inf)]
    sizes = []

    def check(algorithm):
        F = algorithm.opt.get("F")
        sizes.append(len(F))
        assert len(F) <= 12
        assert len(np.unique(F, axis=0)) == len(F)
        assert len(NonDominatedSorting().do(F, only_non_dominated_front=True)) == len(F)
        # The best value of each objective is never lost.
        assert np.all(F.min(axis=0) <= best[-1])
        best.append(F.min(axis=0))

    problem = Table(n_var=12, n_obj=n_obj)
    algorithm = AMOSA(**{**SMALL, **VARIANTS[name], "hard_limit": 6, "soft_limit": 12})
    result = minimize(problem, algorithm, ("n_eval", 1500), seed=1, callback=Watch(check))
    everything = problem.table[np.arange(12), problem.evaluated].sum(axis=1)
    assert np.array_equal(result.F.min(axis=0), everything.min(axis=0))
    assert len(result.F) <= 6
    assert max(sizes) > 6


def test_every_returned_design_has_its_own_objectives():
    problem = Table(n_obj=3)
    result = run(problem, chains=16, steps_per_iteration=10)
    assert np.array_equal(problem.table[np.arange(6), result.X].sum(axis=1), result.F)
    assert all({"F", "G", "H"} <= individual.evaluated for individual in result.opt)


def test_chains_are_carried_over_levels():
    seen = []

    class Trace(Mutation):
        """Notes the current designs before it changes them."""

        def _do(self, problem, X, *args, random_state=None, **kwargs):
            seen.append(X.copy())
            return X + random_state.normal(size=X.shape)

    # Ten levels of one step each.
    options = {"hill_climb": 0, "n_initial": 5, "iterations": 1, "t_max": 1.0, "t_min": 1e-3, "alpha": 0.5}
    algorithm = AMOSA(mutation=Trace(), **options)
    algorithm.setup(Identity(), seed=3)
    algorithm.next()
    while algorithm.has_next():
        before = algorithm._state.X.copy()
        algorithm.next()
        assert np.array_equal(seen[-1], before)
    assert len(seen) == 10
    assert len(np.unique(np.concatenate(seen), axis=0)) > 1


def test_jumping_chains_propose_from_members():
    seen = []

    class Trace(Mutation):
        """Notes the current designs and the members."""

        def _do(self, problem, X, *args, random_state=None, **kwargs):
            seen.append((X.tolist(), algorithm._state.archive.designs.tolist()))
            return X + random_state.laplace(size=X.shape)

    algorithm = AMOSA(**{**SMALL, "hill_climb": 0}, chains=5, mutation=Trace(), restart_prob=1.0)
    algorithm.setup(Identity(), termination=("n_eval", 300), seed=1)
    algorithm.run()
    assert len(seen) == (300 - 40) // 5
    assert all(row in archive for rows, archive in seen for row in rows)


class Still(Mutation):
    """Changes nothing."""

    def _do(self, problem, X, *args, **kwargs):
        return X


def test_mates_are_the_nearest_of_five_random_members():
    # The objectives are the variables: 40 designs on a line, of which most members are far from any one of them.
    line = np.column_stack([np.arange(40.0), -np.arange(40.0)])
    settings = {"hard_limit": 40, "hill_climb": 0, "chains": 2000, "mating": 1.0}
    algorithm = AMOSA(**settings, sampling=line, mutation=Still())
    algorithm.setup(Identity(), seed=1)
    algorithm.next()
    state = algorithm._state
    state.X[:], state.planes[:-1] = line[0], line[0][:, None]
    mates = algorithm._mates(state.planes)[:, 0]
    assert 0 not in mates
    # The least of five of 1 .. 39 (0, the design itself, does not count): each is above k with the share left to them.
    for k in (4, 9, 19):
        assert (mates > k).mean() == pytest.approx((1 - k / 40) ** 5 - (1 / 40) ** 5, abs=0.04)
    children = algorithm._bred(np.arange(2000))
    assert ((children[:, 0] == 0) | (children[:, 1] == 0) | (children[:, 0] == -children[:, 1])).all()


def test_no_design_is_proposed_twice_while_there_are_others():
    problem = Table(n_var=12, n_values=4)
    run(problem, 120, chains=5, hill_climb=0, restart_prob=0.8, mating=0.8, repeats=False)
    proposals = np.concatenate(problem.batches[1:])
    assert len(np.unique(proposals, axis=0)) == len(proposals) == 80


def test_archive_grows_with_the_budget():
    sizes = {}

    def check(algorithm):
        sizes[algorithm.evaluator.n_eval] = len(algorithm.opt)

    algorithm = AMOSA(**{**SMALL, "hill_climb": 0}, chains=10, growth=2.0, least_limit=2, truncation="hypervolume")
    problem = Table(n_var=12, n_obj=4)
    found = minimize(problem, algorithm, ("n_eval", 1000), seed=1, callback=Watch(check))
    assert all(size <= 2 * max(8, round(20 * (n / 1000) ** 2)) for n, size in sizes.items())
    assert max(size for n, size in sizes.items() if n <= 500) <= 16
    assert len(found.F) == 20


@pytest.mark.parametrize("name", VARIANTS)
def test_same_seed_same_result_and_another_seed_another(name):
    first, again, other = (run(get_problem("zdt1"), seed=seed, **VARIANTS[name]) for seed in (5, 5, 6))
    assert np.array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)


def test_global_random_state_is_left_alone():
    np.random.seed(3)  # noqa: NPY002 (the global state is what is tested)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    run(get_problem("zdt1"), chains=4, t_max="auto")
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_ask_and_tell_equals_minimize():
    algorithm = AMOSA(**SMALL, chains=4)
    problem = Table()
    algorithm.setup(problem, termination=("n_eval", 400), seed=1)
    while algorithm.has_next():
        infills = algorithm.ask()
        algorithm.evaluator.eval(problem, infills)
        algorithm.tell(infills=infills)
    expected = run(Table(), 400, chains=4)
    assert np.array_equal(algorithm.result().X, expected.X)


def test_telling_another_number_of_designs_is_refused():
    problem = Identity()
    algorithm = AMOSA(**{**SMALL, "hill_climb": 0}, chains=4)
    algorithm.setup(problem, seed=1)
    algorithm.tell(infills=Evaluator().eval(problem, algorithm.ask()))
    infills = Evaluator().eval(problem, algorithm.ask())
    with pytest.raises(ValueError, match="got 3 evaluated designs; expected the 4"):
        algorithm.tell(infills=infills[:3])


def test_replaced_evaluation_and_custom_evaluator_are_used():
    calls = []
    problem = Table()
    original = problem._evaluate
    problem._evaluate = lambda X, out, *args, **kwargs: (calls.append(len(X)), original(X, out))
    run(problem, 300, chains=8, steps_per_iteration=20)
    assert sum(calls) == 300

    class Counting(Evaluator):
        seen = 0

        def _eval(self, problem, pop, *args, **kwargs):
            self.seen += len(pop)
            super()._eval(problem, pop, *args, **kwargs)

    result = run(Table(), 300, chains=8, steps_per_iteration=20, evaluator=Counting())
    assert result.algorithm.evaluator.seen == 300
    assert np.array_equal(result.X, run(Table(), 300, chains=8).X)


def test_display_history_and_pickle(capsys):
    options = {**SMALL, "chains": 4}
    result = minimize(Table(), AMOSA(**options), ("n_eval", 200), seed=1, verbose=True, save_history=True)
    assert "n_nds" in capsys.readouterr().out
    assert all(len(entry.opt) > 0 for entry in result.history)
    algorithm = AMOSA(**options)
    algorithm.setup(Table(), termination=("n_eval", 400), seed=1)
    for _ in range(20):
        algorithm.next()
    resumed = pickle.loads(pickle.dumps(algorithm))  # noqa: S301 (its own)
    assert np.array_equal(resumed.run().X, algorithm.run().X)


def test_initial_designs_can_be_given():
    X = np.arange(24).reshape(4, 6) % 4
    problem = Table()
    run(problem, 50, sampling=X)
    assert np.array_equal(problem.batches[0], X)
    evaluated = Evaluator().eval(Table(), Population.new("X", X))
    assert (
        minimize(Table(), AMOSA(**SMALL, sampling=evaluated), ("n_eval", 50), seed=1).algorithm.evaluator.n_eval == 50
    )


def test_integer_variables_stay_integer_and_in_bounds():
    problem = Table(n_var=5, n_values=3)
    result = run(problem, chains=4)
    assert result.X.dtype == problem.evaluated.dtype == np.int64
    assert problem.evaluated.min() == 0
    assert problem.evaluated.max() == 2
    # After 40 initial designs every proposal differs from a design seen before in one gene at most.
    seen = np.concatenate(problem.batches[:1])
    for batch in problem.batches[1:]:
        assert ((batch[:, None] != seen).sum(axis=2).min(axis=1) <= 1).all()
        seen = np.concatenate([seen, batch])


def test_real_mutation_on_integers_needs_rounding():
    with pytest.raises(ValueError, match="PM turned variables of type int64 into float64"):
        run(Table(), mutation=PM())
    for options in (
        {"mutation": PM(repair=RoundingRepair())},
        {"mutation": PM(vtype=float), "repair": RoundingRepair()},
    ):
        assert run(Table(), **options).X.dtype == np.int64


def test_real_variables_stay_in_bounds():
    problem = get_problem("zdt4")
    X = []
    original = problem._evaluate
    problem._evaluate = lambda x, out, *args, **kwargs: (X.append(x), original(x, out))
    run(problem)
    X = np.concatenate(X)
    assert (problem.xl <= X).all()
    assert (problem.xu >= X).all()
    assert len(X) == 600


def test_single_objective():
    result = minimize(get_problem("sphere"), AMOSA(hill_climb=0), ("n_eval", 3000), seed=1)
    assert result.F[0] < 0.01


@pytest.mark.parametrize("missing", [np.nan, np.inf])
@pytest.mark.parametrize("chains", [1, 8])
@pytest.mark.parametrize("steps", [1, 25])
def test_constraint_domination(missing, chains, steps):
    # Random designs sum up to 36 on average: sums of 66 and more have to be found.
    problem = Constrained(bound=66, missing=missing)
    worst = []

    def check(algorithm):
        violation = algorithm.opt.get("CV")[:, 0]
        assert (violation == 0).all() or len(violation) == 1
        worst.append(violation.max())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = minimize(
            problem,
            AMOSA(**SMALL, chains=chains, steps_per_iteration=steps),
            ("n_eval", 3000),
            seed=1,
            callback=Watch(check),
        )
    # The least violation never grows; it falls to 0 and stays there.
    assert worst[0] > 0
    assert np.all(np.diff(worst) <= 0)
    assert worst[-1] == 0
    assert (result.X.sum(axis=1) >= 66).all()
    assert np.isfinite(result.F).all()


def test_nothing_feasible_returns_the_least_violating():
    problem = Constrained(bound=100)
    assert run(problem).F is None
    result = run(problem, 3000, return_least_infeasible=True)
    assert len(result.opt) == 1
    # All genes at 9 miss the bound by 28.
    assert result.CV[0, 0] == 28


def test_feasible_chains_stay_feasible():
    algorithm = AMOSA(**SMALL, chains=8, t_max=1e6, t_min=1e5)
    algorithm.setup(Constrained(bound=40), termination=("n_eval", 2000), seed=1)
    feasible = np.zeros(8, dtype=bool)
    while algorithm.has_next():
        algorithm.next()
        if algorithm._state.planes.size:
            now = algorithm._state.planes[-1] == 0
            assert (now | ~feasible).all()
            feasible = now
    assert feasible.all()


def test_objectives_that_are_not_finite_count_as_infeasible():
    class Holes(Table):
        def _evaluate(self, X, out, *args, **kwargs):
            super()._evaluate(X, out)
            out["F"] = np.where(X[:, :1] == 0, [[np.nan, -np.inf]], out["F"])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(Holes(), 1000, chains=4)
    assert np.isfinite(result.F).all()
    assert (result.X[:, 0] != 0).all()


def test_automatic_first_temperature():
    algorithm = AMOSA(**SMALL, t_max="auto")
    algorithm.setup(get_problem("zdt1"), termination=("n_eval", 1000), seed=1)
    algorithm.run()
    # Amounts of two objectives are of the order of 1e-2.
    assert 1e-4 < algorithm._state.cooling.t_max < 1
    assert algorithm._state.level == algorithm._state.cooling.n_levels - 1


@pytest.mark.parametrize("evaluations", [1, 4, 7, 1000])
def test_recommended_settings(evaluations):
    algorithm = recommended_amosa(evaluations)
    assert algorithm.n_initial == max(1, evaluations // 5)
    problem = Table(n_obj=4)
    assert len(minimize(problem, algorithm, ("n_eval", evaluations), seed=1).opt) <= 100
    assert len(problem.evaluated) == evaluations
