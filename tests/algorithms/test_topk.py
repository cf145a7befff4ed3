"""Top-K search, checked against Algorithm 1 of CrossNAS step by step."""

import numpy as np
import pytest
from pymoo.optimize import minimize
from toys import Blocks, Buffers, Impossible, Tiny

from moopim import ConfigError
from moopim.algorithms.topk import TopK


def start(problem, seed=1, **options):
    algorithm = TopK(**options)
    algorithm.setup(problem, termination=("n_gen", 5), seed=seed)
    algorithm.next()
    return algorithm


def test_the_best_k_of_all_cycles_are_kept_in_order():
    algorithm = start(Buffers(), pop_size=20, k=4)
    everything = [algorithm.off]
    for _ in range(3):
        algorithm.next()
        everything.append(algorithm.off)
    F = np.concatenate([pop.get("F") for pop in everything])
    CV = np.concatenate([pop.get("CV") for pop in everything])[:, 0]
    fitness = np.sort(algorithm.fitness(F[CV == 0]))
    assert algorithm.fitness(algorithm.pop.get("F")).tolist() == fitness[:4].tolist()
    assert len(algorithm.opt) == 4


def test_fitness_is_the_weighted_sum_over_the_given_range():
    # By hand: (2 - 0) / 4 * .25 + (30 - 10) / 20 * .75 = .875.
    algorithm = start(Tiny(), weights=(1, 3), ideal=(0, 10), nadir=(4, 30))
    assert algorithm.fitness(np.array([[2.0, 30.0], [0.0, 10.0]])).tolist() == [0.875, 0.0]


def test_half_of_a_cycle_is_bred_by_crossover_and_half_by_mutation(monkeypatch):
    algorithm = start(Buffers(), pop_size=21)
    asked = {"cross": 0, "mutate": 0}
    breed = algorithm._breed

    def counting(n, propose):
        asked["cross" if propose == algorithm._cross else "mutate"] += n
        return breed(n, propose)

    monkeypatch.setattr(algorithm, "_breed", counting)
    algorithm.next()
    assert asked == {"cross": 10, "mutate": 11}
    assert len(algorithm.off) == 21


def test_children_come_from_the_best_only():
    algorithm = start(Buffers(), pop_size=20, k=2, prob=0.0, n_crossover=20)
    best = algorithm.pop.get("X")
    for child in algorithm._cross(50):
        assert ((child == best[0]) | (child == best[1])).all()
    assert all((child == best).all(axis=1).any() for child in algorithm._mutate(50))


def test_mutation_follows_the_probability_of_each_group():
    algorithm = start(Buffers(), pop_size=20, k=1, prob={"buffer_kb": 0.0, "clock_mhz": 1.0})
    best = algorithm.pop.get("X")[0]
    mutants = algorithm._mutate(50)
    assert (mutants[:, :6] == best[:6]).all()
    assert (mutants[:, 6] != best[6]).all()


def test_no_design_is_proposed_twice():
    algorithm = start(Blocks(), pop_size=30)
    rows = [algorithm.off.get("X")]
    for _ in range(4):
        algorithm.next()
        rows.append(algorithm.off.get("X"))
    X = np.concatenate(rows)
    assert len(np.unique(X, axis=0)) == len(X)


def test_a_small_space_is_searched_to_its_end():
    result = minimize(Tiny(), TopK(pop_size=6, k=3), ("n_gen", 100), seed=1)
    assert result.algorithm.evaluator.n_eval == 9
    # The least of (cost + range of gain) over all nine designs, by brute force over the scaled sum.
    X = np.array([[a, b] for a in range(3) for b in range(3)])
    fitness = result.algorithm.fitness(Tiny().evaluate(X, return_values_of=["F"]))
    assert sorted(result.algorithm.fitness(result.algorithm.pop.get("F"))) == sorted(fitness)[:3]


def test_without_feasible_designs_the_least_violation_leads():
    algorithm = start(Impossible(), pop_size=20, k=5)
    for _ in range(3):
        algorithm.next()
    violation = algorithm.pop.get("CV")[:, 0]
    assert violation.tolist() == sorted(violation)
    assert violation[0] < 1000 - 120  # better than one would draw


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pop_size": 0}, "pop_size is 0; expected 1"),
        ({"k": 0}, "k is 0; expected 1"),
        ({"weights": (1,)}, "weights"),
        ({"weights": (1, -1)}, "weights"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        start(Tiny(), **options)
