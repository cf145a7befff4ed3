import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moopim import ConfigError, pareto

# Few distinct values, so that ties, duplicates and dominated rows abound.
grids = st.integers(1, 4).flatmap(
    lambda m: arrays(np.float64, st.tuples(st.integers(1, 12), st.just(m)), elements=st.sampled_from(range(5)))
)


def brute_force_mask(F):
    """The definition of dominance, row by row; of equal rows the first stays."""
    mask = np.ones(len(F), dtype=bool)
    for i, j in itertools.product(range(len(F)), repeat=2):
        dominated = (F[j] <= F[i]).all() and (F[j] < F[i]).any()
        if dominated or (j < i and (F[i] == F[j]).all()):
            mask[i] = False
    return mask


def cells_dominated(F, corner):
    """Hypervolume of integer points: the number of unit cells below the corner that some row dominates."""
    cells = np.array(list(itertools.product(range(corner), repeat=F.shape[1])))
    return (F[None] <= cells[:, None]).all(axis=2).any(axis=1).sum()


@given(grids)
def test_non_dominated_follows_the_definition(F):
    np.testing.assert_array_equal(pareto.non_dominated(F), brute_force_mask(F))


@given(grids)
def test_hypervolume_counts_unit_cells(F):
    assert pareto.hypervolume(F, 4.0) == pytest.approx(cells_dominated(F, 4))


def test_non_dominated_leaves_out_rows_that_are_not_finite():
    F = [[np.nan, 0.0], [-np.inf, 0.0], [0.0, np.inf], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0]]
    assert pareto.non_dominated(F).tolist() == [False, False, False, True, True, False]
    assert pareto.non_dominated(np.full((2, 3), np.nan)).tolist() == [False, False]
    assert pareto.non_dominated(np.empty((0, 2))).shape == (0,)


def test_non_dominated_of_many_rows(rng):
    F = rng.random((200_000, 4))
    F[777] = 0.0
    assert np.flatnonzero(pareto.non_dominated(F)).tolist() == [777]


def test_ideal_and_nadir_belong_to_the_front():
    F = [[1.0, 5.0], [2.0, 3.0], [4.0, 2.0], [9.0, 9.0], [np.nan, 0.0]]
    ideal, nadir = pareto.ideal_nadir(F)
    assert ideal.tolist() == [1.0, 2.0]
    assert nadir.tolist() == [4.0, 5.0]


def test_normalise_shifts_an_objective_without_a_range():
    scaled = pareto.normalise([[1.0, 7.0], [3.0, 9.0]], ideal=[1.0, 7.0], nadir=[5.0, 7.0])
    assert scaled.tolist() == [[0.0, 0.0], [0.5, 2.0]]


def test_hypervolume_of_two_steps():
    # (3 - 1) x (4 - 2) + (3 - 2) x (2 - 1)
    assert pareto.hypervolume([[1.0, 2.0], [2.0, 1.0], [2.5, 2.5]], [3.0, 4.0]) == pytest.approx(5.0)


def test_hypervolume_leaves_out_what_is_beyond_the_reference_or_not_finite():
    assert pareto.hypervolume([[0.5, 0.5], [-np.inf, 0.0], [0.0, 1.0], [np.nan, 0.0]], 1.0) == pytest.approx(0.25)
    assert pareto.hypervolume([[2.0, 2.0]], 1.0) == 0.0
    assert pareto.hypervolume(np.empty((0, 3)), 1.0) == 0.0


def test_hypervolume_of_five_objectives_agrees_with_sampling(rng):
    F = rng.random((30, 5))
    points = rng.random((20_000, 5)) * 1.1
    share = np.mean([(point >= F).all(axis=1).any() for point in points])
    assert pareto.normalised_hypervolume(F, np.zeros(5), np.ones(5)) == pytest.approx(share, abs=0.015)


def test_normalised_hypervolume_is_a_share_of_the_box():
    assert pareto.normalised_hypervolume([[10.0, 100.0]], [10.0, 100.0], [20.0, 300.0]) == pytest.approx(1.0)
    # The nadir point dominates .1 x .1 of 1.1 x 1.1.
    assert pareto.normalised_hypervolume([[20.0, 300.0]], [10.0, 100.0], [20.0, 300.0]) == pytest.approx(0.01 / 1.21)
    assert pareto.normalised_hypervolume([[15.0, 200.0]], [10.0, 100.0], [20.0, 300.0], reference=1.0) == 0.25


def test_igd_plus_counts_only_what_is_worse():
    # Distances of (0, 2), (1, 1), (2, 0) to the nearest row, worse objectives only: 1 (from (1, 1)), 0 and 0.
    front = [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    assert pareto.igd_plus([[1.0, 1.0], [3.0, -1.0], [2.0, 0.0]], front) == pytest.approx(1 / 3)
    assert pareto.igd_plus(front, front) == 0.0


def test_igd_plus_of_nothing_is_infinite():
    assert pareto.igd_plus(np.full((2, 2), np.inf), [[0.0, 1.0]]) == np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pareto.non_dominated([1.0, 2.0]), r"shape \(2,\); expected \(designs, objectives\)"),
        (lambda: pareto.ideal_nadir([[np.nan, 1.0]]), "none of the 1 objective vectors is finite"),
        (lambda: pareto.normalise([[1.0]], [2.0], [1.0]), r"nadir point \[1.0\] is not above the ideal point \[2.0\]"),
        (lambda: pareto.igd_plus([[1.0]], [[np.inf]]), "no finite point"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_import_brings_neither_pandas_nor_matplotlib():
    code = "import sys, moopim.pareto; print(sorted({'pandas', 'matplotlib', 'torch', 'pymoo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
