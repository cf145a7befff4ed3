"""AMOSA's arrays and default moves: violations, non-dominated designs, one-variable steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.core.individual import calc_cv
from pymoo.core.problem import Problem

from moopim.algorithms.annealing import LaplaceMove, ResetMove
from moopim.algorithms.archive import Archive, Evaluated, constraint_violation, dominates, nondominated
from moopim.algorithms.truncation import single_linkage


def test_violation_by_hand_and_as_pymoo_sums_it():
    G = np.array([[-1.0, 0.5], [2.0, 3.0], [-1.0, 0.0], [0.0, 0.0]])
    H = np.array([[0.0], [-0.5], [5e-5], [2e-4]])
    F = np.zeros((4, 2))
    assert constraint_violation(F, G, H) == pytest.approx([0.5, 5.4999, 0.0, 1e-4])
    assert constraint_violation(F, G, H) == pytest.approx([calc_cv(g, h) for g, h in zip(G, H, strict=True)])


def test_violation_of_designs_that_cannot_be_ranked():
    F = np.array([[1.0, np.nan], [np.inf, 1.0], [np.nan, np.nan], [1.0, 1.0]])
    G = np.array([[0.0], [0.0], [2.0], [np.nan]])
    assert constraint_violation(F, G, np.empty((4, 0))).tolist() == [np.inf, np.inf, 2.0, np.inf]


def batch(F, violation):
    return Evaluated.from_output(
        np.arange(len(F))[:, None], {"F": np.array(F, float), "G": np.array(violation, float)[:, None]}
    )


def test_infeasible_designs_are_dominated_by_all_feasible_ones():
    planes = batch([[9, 9], [1, 1], [0, 0], [np.nan, 3]], [0, 1, 2, 0.5]).planes
    order = [0, 3, 1, 2]
    for i, better in enumerate(order):
        for worse in order[i + 1 :]:
            assert dominates(planes[:, [better]], planes[:, [worse]]).all()
            assert not dominates(planes[:, [worse]], planes[:, [better]]).any()


def test_nondominated_designs():
    F = [[0, 4], [2, 2], [3, 2], [2, 2], [4, 0], [-9, -9]]
    assert nondominated(batch(F, [0, 0, 0, 0, 0, 1]).planes).tolist() == [0, 1, 4]
    assert nondominated(batch(F, [3, 2, 1, 2, 1, 5]).planes).tolist() == [2]


vectors = st.lists(st.tuples(*[st.integers(0, 5)] * 3, st.integers(-3, 1)), min_size=1, max_size=25)


@given(vectors, vectors)
def test_archive_holds_what_a_plain_filter_holds(first, second):
    def as_batch(rows):
        table = np.array(rows)
        return batch(table[:, :3], table[:, 3])

    archive = Archive(hard_limit=90, soft_limit=100, truncate=single_linkage)
    archive.restart(as_batch(first))
    later = as_batch(second)
    not_worse, not_better = archive.compare(later.planes)
    joins = ~not_worse.any(axis=1)
    archive.add(later, np.flatnonzero(joins), (not_better & ~not_worse)[joins].any(axis=0))
    planes = np.hstack([as_batch(first).planes, later.planes])
    expected = planes[:, nondominated(planes)]
    assert sorted(archive.planes.T.tolist()) == sorted(expected.T.tolist())
    low, high = archive.ranges()
    assert np.array_equal(low, expected.min(axis=1))
    assert np.array_equal(high, expected.max(axis=1))


class Bounded(Problem):
    def __init__(self, xl, xu, vtype):
        super().__init__(n_var=len(xl), n_obj=2, xl=np.array(xl), xu=np.array(xu), vtype=vtype)


def test_laplace_move(rng):
    problem = Bounded([-1, 0, 5], [1, 100, 5], float)
    X = np.tile([0.0, 50.0, 5.0], (20_000, 1))
    step = LaplaceMove(scale=0.1)._do(problem, X, random_state=rng) - X
    assert ((step != 0).sum(axis=1) <= 1).all()
    assert (step[:, 2] == 0).all()
    for k, width in ((0, 2.0), (1, 100.0)):
        moved = step[step[:, k] != 0, k]
        assert len(moved) == pytest.approx(20_000 / 3, rel=0.05)
        # Mean absolute step 0.1 of the range, but for the e^-5 share that is clipped half a range away.
        assert np.abs(moved).mean() == pytest.approx(0.1 * width * (1 - np.exp(-5)), rel=0.05)
        assert np.abs(moved).max() == width / 2


def test_reset_move_draws_every_other_value_of_one_variable(rng):
    problem = Bounded([0, -2, 7], [3, 0, 7], int)
    X = np.tile([1, 0, 7], (12_000, 1))
    moved = ResetMove()._do(problem, X, random_state=rng)
    assert moved.dtype == X.dtype
    assert ((moved != X).sum(axis=1) == 1).all()
    values, counts = np.unique(moved, axis=0, return_counts=True)
    assert values.tolist() == [[0, 0, 7], [1, -2, 7], [1, -1, 7], [2, 0, 7], [3, 0, 7]]
    assert counts == pytest.approx([2000, 3000, 3000, 2000, 2000], rel=0.1)


def test_reset_move_without_a_choice(rng):
    X = np.full((3, 2), 4)
    assert np.array_equal(ResetMove()._do(Bounded([4, 4], [4, 4], int), X, random_state=rng), X)
