"""What AMOSA finds, and the parameters it refuses."""

import itertools
from functools import partial

import moocore
import numpy as np
import pytest
from amosa_toys import Table
from pymoo.optimize import minimize
from pymoo.problems import get_problem

from moopim.algorithms.amosa import AMOSA, recommended_amosa


@pytest.mark.parametrize("seed", range(3))
def test_zdt1_hypervolume_of_the_published_algorithm(seed):
    algorithm = AMOSA(steps_per_iteration=100)
    result = minimize(get_problem("zdt1"), algorithm, ("n_eval", 10_000), seed=seed)
    # The true front has .8717 (1.21 less the integral of 1 - sqrt(f1), 1/3, and rounding).
    assert moocore.hypervolume(result.F, ref=[1.1, 1.1]) >= 0.85
    assert len(result.F) <= 100


def test_dividing_by_the_temperature_beats_multiplying_on_zdt1():
    def volume(exponent, seed):
        algorithm = AMOSA(exponent=exponent, steps_per_iteration=100)
        return moocore.hypervolume(
            minimize(get_problem("zdt1"), algorithm, ("n_eval", 10_000), seed=seed).F, ref=[1.1, 1.1]
        )

    assert min(volume("divide", seed) for seed in range(3)) > max(volume("multiply", seed) for seed in range(3))


def front_of_all_designs(problem):
    n_values = int(problem.xu[0]) + 1
    X = np.array(list(itertools.product(range(n_values), repeat=problem.n_var)))
    F = np.unique(problem.table[np.arange(problem.n_var), X].sum(axis=1), axis=0).astype(float)
    return F[moocore.is_nondominated(F)]


@pytest.mark.parametrize("n_obj", [2, 3])
@pytest.mark.parametrize("make", [AMOSA, partial(recommended_amosa, 20_000)])
def test_whole_front_of_an_enumerable_problem_is_found(make, n_obj):
    # 4^6 = 4096 designs; the archive can hold the whole front.
    problem = Table(n_var=6, n_values=4, n_obj=n_obj, seed=6)
    front = front_of_all_designs(problem)
    algorithm = make(hard_limit=400, soft_limit=500, n_initial=100, steps_per_iteration=50, chains=4)
    result = minimize(problem, algorithm, ("n_eval", 20_000), seed=1)
    assert 10 < len(front) <= 400
    assert np.array_equal(np.unique(result.F, axis=0), front)


def test_recommended_settings_beat_the_published_algorithm_on_many_discrete_objectives():
    def volume(algorithm, seed):
        F = minimize(Table(n_var=30, n_values=8, n_obj=4), algorithm, ("n_eval", 8000), seed=seed).F
        # The objectives sum up 30 numbers of 0 .. 49.
        return moocore.hypervolume(F / 1500, ref=np.ones(4))

    published = [volume(AMOSA(steps_per_iteration=50), seed) for seed in range(3)]
    assert min(volume(recommended_amosa(8000), seed) for seed in range(3)) > max(published)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hard_limit", 0),
        ("soft_limit", 99),
        ("t_max", 0.0),
        ("t_max", 1e-8),
        ("t_min", 0.0),
        ("alpha", 1.0),
        ("iterations", 0),
        ("chains", 0),
        ("n_initial", 0),
        ("hill_climb", -1),
        ("exponent", "add"),
        ("amount", "sum"),
        ("truncation", "crowding"),
        ("growth", -1.0),
        ("least_limit", 0),
        ("mating", -0.1),
        ("restart_prob", 1.5),
        ("steps_per_iteration", 0),
        ("n_max_evals", 0),
    ],
)
def test_parameters_out_of_range_are_refused(name, value):
    shown = "t_min" if (name, value) == ("t_max", 1e-8) else name
    with pytest.raises(ValueError, match=f"^{shown}=.* is not allowed; expected"):
        AMOSA(**{name: value})


@pytest.mark.parametrize("truncation", ["linkage", "hypervolume", "closest-pair"])
def test_an_archive_of_fewer_members_than_objectives_works(truncation):
    algorithm = AMOSA(hard_limit=2, soft_limit=3, truncation=truncation, steps_per_iteration=50)
    found = minimize(Table(n_obj=4), algorithm, ("n_eval", 2500), seed=1)
    assert len(found.F) == 2
