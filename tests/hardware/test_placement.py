"""Placement: roles of tiers, the snake, copies by water filling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim.hardware.parameters import load_stack
from moopim.hardware.placement import copies_period, snake, tier_roles


def test_the_snake_visits_neighbours_only():
    path = snake(load_stack())
    assert path.x.tolist() == [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]
    assert path.pe.tolist() == [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11, 15, 14, 13, 12]
    assert (np.abs(np.diff(path.x)) + np.abs(np.diff(path.y)) == 1).all()


def test_the_farthest_able_tier_serves_back_propagation():
    able = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
    roles = tier_roles(able)
    assert roles.bp.tolist() == [0, 2, 3, 3]
    assert roles.has_bp.tolist() == [True, True, True, False]
    assert roles.forward.tolist() == [[1, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]


def test_copies_by_hand():
    # Layers of 1 and 2 arrays, 8 and 1 ns, 6 arrays: both copied at T = (8 + 2) / 6 = 1.67 ns, above the 1 ns of the
    # second, which so stays single: T = 8 / (6 - 2) = 2 ns, 4 copies of the first.
    arrays, time = np.array([[1.0, 2.0]]), np.array([[8.0, 1.0]])
    period, copies = copies_period(arrays, time, np.zeros((1, 2), dtype=int), np.array([[6.0, 5.0]]))
    assert period.tolist() == [[2.0, 0.0]]
    assert copies.tolist() == [[4.0, 1.0]]


@given(st.integers(0, 2**32))
def test_the_period_is_the_smallest_that_fits(seed):
    rng = np.random.default_rng(seed)
    arrays, time = rng.integers(1, 20, (5, 8)).astype(float), rng.uniform(1, 1000, (5, 8))
    tier = rng.integers(0, 3, (5, 8))
    used = np.array([[arrays[i][tier[i] == z].sum() for z in range(3)] for i in range(5)])
    free = used * rng.uniform(1.0, 6.0, used.shape) + 1e-9
    period, copies = copies_period(arrays, time, tier, free)
    for i in range(5):
        for z in range(3):
            mine = tier[i] == z
            if not mine.any():
                assert period[i, z] == 0
                continue

            def needed(T, i=i, mine=mine):
                return (arrays[i][mine] * np.maximum(1, time[i][mine] / T)).sum()

            assert needed(period[i, z]) <= free[i, z] * (1 + 1e-12)
            assert needed(period[i, z] * (1 - 1e-9)) > free[i, z] * (1 - 1e-12)
            assert copies[i][mine] == pytest.approx(np.maximum(1, time[i][mine] / period[i, z]), rel=1e-14)
