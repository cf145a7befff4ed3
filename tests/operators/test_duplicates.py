"""Duplicate elimination by hashing, against pairwise comparison."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pymoo.core.duplicate import DefaultDuplicateElimination
from pymoo.core.population import Population

from moopim.operators import HashedDuplicateElimination
from moopim.operators.duplicates import row_keys

rows = arrays(np.int64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 2))


@given(rows, rows)
def test_agrees_with_pairwise_comparison(X, other):
    kept = []
    for elimination in (HashedDuplicateElimination(), DefaultDuplicateElimination()):
        pop = elimination.do(Population.new("X", X), Population.new("X", other))
        kept.append(pop.get("X").tolist() if len(pop) else [])
    assert kept[0] == kept[1]


@given(rows)
def test_equal_rows_and_only_these_have_equal_keys(X):
    keys = row_keys(X)
    for i in range(len(X)):
        for j in range(len(X)):
            assert (keys[i] == keys[j]) == np.array_equal(X[i], X[j])
    assert row_keys(np.asfortranarray(X)) == keys
