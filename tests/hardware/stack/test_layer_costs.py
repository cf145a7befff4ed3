"""Copies by water filling: hand-worked, and the smallest period that fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim.hardware.stack.layer_costs import copies_period


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
