import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import FOUR, frame, run, search

from moopim import ConfigError, Objective
from moopim.analysis import a12, holm, rank_optimisers, ranking_text, significance_table

samples = st.lists(st.integers(0, 6), min_size=1, max_size=8)


def values(**samples):
    rows = [(name, seed, value) for name, sample in samples.items() for seed, value in enumerate(sample)]
    return pd.DataFrame(rows, columns=["algorithm", "seed", "value"])


def test_a12_by_counting_pairs():
    # 3 > 1, 3 > 2; 2 > 1, 2 = 2: 3.5 of 4 pairs.
    assert a12([3, 2], [1, 2]) == 3.5 / 4


@given(samples, samples)
def test_a12_counts_wins_and_half_the_ties(first, second):
    wins = sum((x > y) + 0.5 * (x == y) for x, y in itertools.product(first, second))
    assert a12(first, second) == pytest.approx(wins / (len(first) * len(second)))


def test_holm_worked_example():
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1 = .02, .03, .06, .04; the last one may not fall below .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.5]), [1.0, 1.0])
    assert holm([]).shape == (0,)


def test_comparison_by_hand():
    data = values(good=[7, 8, 9], poor=[1, 2, 3], fair=[4, 8.5, 5])
    table = significance_table(data)
    assert table.index.tolist() == ["good", "fair", "poor"]
    assert table.loc["fair", ["runs", "median", "q25", "q75"]].tolist() == [3, 5, 4.5, 6.75]
    # Exact two-sided test of 3 against 3: of the 20 arrangements, complete separation has probability 2/20; fair has
    # 2 wins of 9, and U <= 2 has 1 + 1 + 2 arrangements on each side: 8/20.
    np.testing.assert_allclose(table["p_value"], [np.nan, 0.4, 0.1])
    np.testing.assert_allclose(table["p_holm"], [np.nan, 0.4, 0.2])
    np.testing.assert_allclose(table["a12"], [np.nan, 2 / 9, 0])


def test_small_values_are_good_when_asked():
    table = significance_table(values(good=[1, 2], poor=[3, 4]), sense="min")
    assert table.index.tolist() == ["good", "poor"]
    assert table["a12"]["poor"] == 0.0
    assert significance_table(values(good=[1, 2], poor=[3, 4]), sense="min", reference="poor")["a12"]["good"] == 1.0


def test_equal_and_infinite_values():
    table = significance_table(values(a=[1, 1, 1], b=[1, 1, 1], c=[1, np.inf, np.inf]), sense="min")
    assert table["p_value"]["b"] == 1.0
    assert table["a12"]["b"] == 0.5
    assert table.loc["c", ["median", "q75"]].tolist() == [np.inf, np.inf]


def test_single_algorithm_has_nothing_to_test():
    table = significance_table(values(a=[1, 2]))
    assert table["median"]["a"] == 1.5
    assert table[["p_value", "p_holm", "a12"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (values(a=[1]), {"value": "hv"}, "has no column 'hv'"),
        (values(a=[1]), {"reference": "b"}, "unknown reference algorithm 'b'; allowed: a"),
        (values(a=[1, np.nan]), {}, "no NaN"),
        (values(), {}, "there is no run to compare"),
    ],
)
def test_bad_input(data, options, message):
    with pytest.raises(ConfigError, match=message):
        significance_table(data, **options)


def test_comparison_of_runs_has_every_indicator():
    runs = [run(name, seed, search(200, seed, luck)) for name, luck in (("far", 1.0), ("near", 0.1)) for seed in (1, 2)]
    table = rank_optimisers(runs, FOUR)
    expected = ["hypervolume", "hypervolume_log", "igd_plus", "hypervolume_joint"]
    assert table["indicator"].drop_duplicates().tolist() == expected
    assert table["algorithm"].tolist() == ["near", "far"] * 4  # small IGD+ and large hypervolume are good
    assert table["a12"].dropna().tolist() == [0.0] * 4
    assert rank_optimisers(runs, FOUR, reference="far")["a12"].dropna().tolist() == [1.0] * 4
    assert table["box"].tolist() == ["fronts of all runs"] * 6 + ["joint front"] * 2
    assert table["error"].tolist() == [0.0] * 8


def test_comparison_as_text_says_what_is_an_estimate_and_in_which_box(rng):
    objectives = tuple(Objective(f"f{i}") for i in range(10))
    rows = [np.column_stack([rng.random((60, 9)), np.ones(60)]) for _ in range(2)]
    runs = [run(name, 1, frame(objectives, rows[i])) for i, name in enumerate("ab")]
    table = rank_optimisers(runs, objectives, log=())
    assert (table["error"] > 0).tolist() == [True, True, False, False, True, True]
    text = ranking_text(table)
    assert "in the box of the fronts of all runs, without f9 (constant): hypervolume, igd_plus\n" in text
    assert "in the box of the joint front, without f9 (constant): hypervolume_joint\n" in text
    assert "hypervolume is an estimate with a standard error of at most 0.00" in text
