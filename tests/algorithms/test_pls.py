"""Pareto local search, checked against brute force and its definition."""

import numpy as np
import pytest
from toys import Blocks, Buffers, Impossible, Tiny

import moopim
from moopim import Choice, ConfigError, Genome, Index, Permutation
from moopim.algorithms import ParetoLocalSearch
from moopim.algorithms.pls import neighbours
from moopim.pareto import non_dominated


def start(problem, seed=1, **options):
    algorithm = ParetoLocalSearch(**options)
    algorithm.setup(problem, termination=("n_gen", 10_000), seed=seed)
    algorithm.next()
    return algorithm


def test_neighbours_are_all_single_changes_and_swaps():
    found = neighbours(
        Genome(Index("a", 3), Choice("b", (5, 7), repeat=2), Permutation("p", 3)), np.array([1, 0, 1, 2, 0, 1])
    )
    assert found.tolist() == [
        [0, 0, 1, 2, 0, 1],
        [2, 0, 1, 2, 0, 1],
        [1, 1, 1, 2, 0, 1],
        [1, 0, 0, 2, 0, 1],
        [1, 0, 1, 0, 2, 1],
        [1, 0, 1, 1, 0, 2],
        [1, 0, 1, 2, 1, 0],
    ]


def test_a_search_ends_where_no_neighbour_of_its_archive_would_enter_it():
    algorithm, problem = start(Buffers()), Buffers()
    archive, seen = algorithm.pop, [algorithm.off.get("X")]
    algorithm.next()
    while len(algorithm.pop) > 1 or len(algorithm.off) > 1:  # a restart leaves a single design
        archive = algorithm.pop
        seen.append(algorithm.off.get("X"))
        algorithm.next()
    F = archive.get("F")
    assert len(F) > 10
    assert archive.get("FEAS").all()
    around = np.unique(np.concatenate([neighbours(problem.genome, x) for x in archive.get("X")]), axis=0)
    assert {*map(tuple, around.tolist())} <= {*map(tuple, np.concatenate(seen).tolist())}
    found = problem.evaluate(around, return_as_dictionary=True)
    feasible = found["F"][(found["G"] <= 0).all(axis=1)]
    assert (feasible[:, None] >= F).all(axis=2).any(axis=1).all()


def test_restarts_reach_the_whole_front():
    result = moopim.run(Tiny(), ParetoLocalSearch(batch_size=2), evaluations=50, seed=1)
    F = Tiny().evaluate(np.array([[a, b] for a in range(3) for b in range(3)]), return_values_of=["F"])
    assert "the space is exhausted" in result.message
    assert len(result.front) == non_dominated(F).sum()
    assert result.front["returned"].all()


def test_no_design_is_proposed_twice_and_batches_are_of_one_neighbourhood():
    algorithm = start(Blocks(), batch_size=7)
    rows = [algorithm.off.get("X")]
    for _ in range(60):
        algorithm.next()
        assert 1 <= len(algorithm.off) <= 7
        rows.append(algorithm.off.get("X"))
    X = np.concatenate(rows)
    assert len(np.unique(X, axis=0)) == len(X)


def test_without_feasible_designs_the_violation_is_descended():
    algorithm = start(Impossible())
    for _ in range(10):
        algorithm.next()
    assert algorithm.opt.get("CV").tolist() == [[1000 - 3 * 49]]  # the least that there is


def test_a_batch_that_is_not_positive_is_refused():
    with pytest.raises(ConfigError, match="batch_size"):
        ParetoLocalSearch(batch_size=0)
