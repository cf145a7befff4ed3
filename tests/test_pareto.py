import itertools
import subprocess
import sys

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moopim import ConfigError, pareto
from moopim.pareto import volumes

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


@given(grids)
def test_rows_that_were_once_on_the_front(F):
    first = [brute_force_mask(F[: i + 1])[i] for i in range(len(F))]
    np.testing.assert_array_equal(pareto.non_dominated_in_turn(F), first)
    # In steps of two: on the front of its own and all earlier steps.
    of_steps = [brute_force_mask(F[: i // 2 * 2 + 2])[i] for i in range(len(F))]
    np.testing.assert_array_equal(pareto.non_dominated_in_turn(F, np.arange(len(F)) // 2), of_steps)


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


def shaped_fronts(n, m, rng):
    """Fronts of usual shapes between 0 and 1, and one far from the ideal point."""
    linear = rng.dirichlet(np.ones(m), n)
    concave = np.abs(rng.normal(size=(n, m)))
    concave /= np.linalg.norm(concave, axis=1, keepdims=True)
    yield from (linear / linear.max(axis=0), concave, 1 - concave, rng.random((n, m)), 0.9 + 0.15 * rng.random((n, m)))


def test_estimates_agree_with_exact_hypervolumes_within_their_errors(monkeypatch, rng):
    monkeypatch.setattr(volumes, "EXACT_COST", 0.0)
    off = []
    for n, m in ((60, 3), (60, 5), (40, 7), (24, 10), (15, 15)):
        for F in shaped_fronts(n, m, rng):
            exact = moocore.hypervolume(F, ref=np.full(m, 1.1))
            [[value], [error]] = pareto.hypervolumes([[F]], 1.1)[0]
            assert 0 < error < 0.01 * exact
            off.append((value - exact) / error)
    assert np.abs(off).max() < 4
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 1.5


def test_the_estimate_of_two_boxes_in_many_dimensions(monkeypatch):
    monkeypatch.setattr(volumes, "EXACT_COST", 0.0)
    m = 30
    F = np.array([np.r_[np.zeros(m // 2), np.full(m // 2, 0.1)], np.r_[np.full(m // 2, 0.2), np.zeros(m // 2)]])
    union = 0.9**15 + 0.8**15 - (0.8 * 0.9) ** 15
    [[value], [error]] = pareto.hypervolumes([[F]], 1.0)[0]
    assert value == pytest.approx(union, rel=1e-3)
    assert abs(value - union) < 4 * error
    # One box is known exactly, also where the objectives differ in size by far; nothing is 0.
    single = pareto.hypervolumes([[np.full((1, 3), 0.5)], [np.full((2, 3), 2.0)]], (1.0, 1e9, 0.5 + 1e-9))
    np.testing.assert_allclose([measured.values[0] for measured in single], [0.5 * 1e9 * 1e-9, 0], rtol=1e-6)


@pytest.mark.parametrize("cost", [0.0, np.inf])
def test_growing_sets_are_measured_like_the_same_sets_at_once(monkeypatch, rng, cost):
    monkeypatch.setattr(volumes, "EXACT_COST", cost)
    first, second = rng.random((40, 4)), 0.3 + rng.random((30, 4))
    blocks = [first[:0], first[:7], first[7:8], first[8:], np.full((3, 4), np.nan), second]
    growing, at_once = pareto.hypervolumes([blocks, [second]], 1.1)
    sets = (first[:7], first[:8], first, first, np.concatenate([first, second]))
    exact = [moocore.hypervolume(F, ref=np.full(4, 1.1)) for F in sets]
    np.testing.assert_allclose(growing.values, [0, *exact], rtol=1e-9 if cost else 0.02)
    assert (np.diff(growing.values) >= 0).all()
    assert at_once.values[0] <= growing.values[-1]  # along the same rays a part is never more than the whole
    assert (growing.errors[1:] > 0).all() == (cost == 0)
    again = pareto.hypervolumes([blocks, [second]], 1.1)[0]
    np.testing.assert_array_equal(growing, again)


def test_exact_up_to_a_cost(rng):
    assert volumes.hypervolume_cost(50, 6) == 50**4
    assert [volumes.hypervolume_cost(10, m) for m in (1, 2, 3, 4)] == [5e4, 5e4, 2e5, 3000]
    assert volumes.hypervolume_cost(10**6, 400) == np.inf
    [[_], [few]] = pareto.hypervolumes([[rng.dirichlet(np.ones(10), 20)]], 1.1)[0]
    [[_], [many]] = pareto.hypervolumes([[rng.dirichlet(np.ones(10), 30)]], 1.1)[0]
    assert few == 0 < many


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
        (lambda: pareto.hypervolumes([[[[1.0]]], [[[1.0, 2.0]]]], 3.0), "differ in their number of objectives"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_import_brings_neither_pandas_nor_matplotlib():
    code = "import sys, moopim.pareto; print(sorted({'pandas', 'matplotlib', 'torch', 'pymoo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
