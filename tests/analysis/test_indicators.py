import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import COST, FOUR, GAIN, TIME, frame, run, search

from moopim import ConfigError, Objective, pareto
from moopim.analysis import (
    Box,
    common_box,
    comparison_figures,
    hypervolume,
    hypervolume_bands,
    hypervolume_history,
    igd_plus,
    indicator_table,
    joint_box,
    non_dominated,
    rank_by_indicators,
    ranking_text,
    share_found,
)

PAIR = (COST, GAIN)
LEAST = (COST, TIME)
BOX = Box(PAIR, ideal=(0, 10), nadir=(10, 0))


def test_hypervolume_by_hand():
    # Coordinates (.2, .6) and (.6, .2) below (1.1, 1.1): .9 x .5 + .5 x .9 - .5 x .5.
    data = frame(PAIR, [(2, 4), (6, 8), (0, 10)], feasible=[True, True, False])
    assert hypervolume(data, BOX) == pytest.approx(0.65 / 1.21)
    assert hypervolume(data.assign(feasible=False), BOX) == 0.0


def test_igd_plus_by_hand():
    reference = frame(PAIR, [(0, 0), (10, 10), (10, 9)])  # the last one is dominated
    assert igd_plus(frame(PAIR, [(2, 0), (10, 7)]), reference, BOX) == pytest.approx((0.2 + 0.3) / 2)
    assert igd_plus(frame(PAIR, [(2, 0)], feasible=False), reference, BOX) == np.inf


def test_share_found_by_hand():
    true = frame(LEAST, [(0, 9), (3, 6), (6, 3), (9, 1), (9, 9), (3, 6)], feasible=[True] * 4 + [False, True])
    found = [(0, 9 * (1 + 1e-12)), (3 * (1 - 1e-12), 6), (6, 3.1), (9, 1)]
    assert share_found(frame(LEAST, found, feasible=[True, True, True, False]), true, LEAST) == 0.5
    assert share_found(frame(LEAST, [(9, 9)]), true, LEAST) == 0
    assert share_found(true, true, LEAST) == 1
    assert share_found(frame(LEAST, [(0, 9)], feasible=False), true, LEAST) == 0
    # A maximised objective.
    gains = frame(PAIR, [(1, 10), (2, 30)])
    assert share_found(frame(PAIR, [(1, 10), (2, 20)]), gains, PAIR) == 0.5
    with pytest.raises(ConfigError, match=r"\(cost 1, gain 11\) dominates one of the true front \(cost 1, gain 10\)"):
        share_found(frame(PAIR, [(1, 11)]), gains, PAIR)
    with pytest.raises(ConfigError, match="the true front has no feasible design"):
        share_found(gains, gains.assign(feasible=False), PAIR)


def test_indicator_table_with_a_true_front():
    true = frame(LEAST, [(0, 8), (2, 4), (8, 0)])
    runs = [run("a", 1, frame(LEAST, [(2, 4), (8, 8)])), run("b", 1, frame(LEAST, [(0, 8), (8, 0)]))]
    table = indicator_table(runs, LEAST, true_front=true)
    assert table["share_found"].tolist() == pytest.approx([1 / 3, 2 / 3])
    box = common_box([each.evaluations for each in runs], LEAST)
    expected = [igd_plus(each.evaluations, true, box) for each in runs]
    assert table["igd_plus_true"].tolist() == expected
    ranking = rank_by_indicators(table)
    best = {name: rows["algorithm"].iloc[0] for name, rows in ranking.groupby("indicator")}
    assert (best["share_found"], best["igd_plus_true"]) == ("b", "b")
    assert (ranking[ranking["indicator"] == "share_found"]["box"] == "").all()
    assert "share_found" not in ranking_text(ranking).split("measured in the box")[1]
    assert len(comparison_figures(runs, LEAST, table)["comparison"].axes) == 5


def test_history_agrees_with_measuring_every_prefix():
    data = search(500, seed=1)
    box = common_box([data], FOUR)
    history = hypervolume_history(data.sample(frac=1, random_state=0), box, points=7)
    assert history["evaluation"].tolist() == [71, 143, 214, 286, 357, 429, 500]
    expected = [hypervolume(data.head(n), box) for n in history["evaluation"]]
    np.testing.assert_allclose(history["hypervolume"], expected, rtol=1e-12)


def test_history_of_a_short_run_has_a_point_for_each_design():
    history = hypervolume_history(frame(PAIR, [(2, 4), (3, 3), (6, 8)]), BOX)
    assert history["evaluation"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(history["hypervolume"], np.array([0.45, 0.45, 0.65]) / 1.21)


def test_history_is_zero_until_something_is_feasible():
    history = hypervolume_history(frame(PAIR, [(0, 10), (2, 4)], feasible=[False, True]), BOX)
    np.testing.assert_allclose(history["hypervolume"], [0, 0.45 / 1.21])


def test_bands_are_quartiles_over_seeds():
    data = {seed: search(200 - 50 * (seed == 2), seed) for seed in range(5)}
    box = common_box(data.values(), FOUR)
    runs = [run("a", seed, data[seed]) for seed in data] + [run("b", 0, data[0])]
    bands = hypervolume_bands(runs, box, points=4)
    assert bands["algorithm"].tolist() == ["a"] * 4 + ["b"] * 4
    assert bands["evaluation"].tolist() == [50, 100, 150, 200] * 2
    # The run with seed 2 ended after 150 evaluations and keeps its value.
    values = [[hypervolume(part.head(n), box) for n in (50, 100, 150, 200)] for part in data.values()]
    np.testing.assert_allclose(
        bands.loc[:3, ["q25", "median", "q75"]], np.quantile(values, (0.25, 0.5, 0.75), axis=0).T
    )
    np.testing.assert_allclose(bands.loc[4:, "q25"], values[0])


def test_indicator_table_measures_in_the_common_box():
    a, b = frame(PAIR, [(0, 0), (8, 8)]), frame(PAIR, [(10, 10), (4, 4)])
    runs = [run("x", 1, a.assign(returned=True)), run("y", 1, b.assign(returned=[True, False]))]
    table = indicator_table(runs, PAIR)
    # Box 0..10 in both; the union front is (0, 0), (4, 4), (8, 8), (10, 10).
    indicators = ["hypervolume", "igd_plus", "hypervolume_joint", "hypervolume_returned"]
    assert table.columns.tolist() == ["algorithm", "seed", *indicators, "box"]
    assert table["box"].tolist() == ["fronts of all runs"] * 2
    assert table["hypervolume_joint"].tolist() == pytest.approx(table["hypervolume"].tolist())
    # Coordinates of x: (0, 1), (.8, .2); of y: (1, 0), (.4, .6).
    assert table["hypervolume"].tolist() == pytest.approx([(0.11 + 0.3 * 0.8) / 1.21, (0.11 + 0.7 * 0.5 - 0.05) / 1.21])
    assert table["igd_plus"].tolist() == pytest.approx([(0 + 0.4 + 0 + 0.2) / 4, (0.4 + 0 + 0.2 + 0) / 4])
    assert table["hypervolume_returned"].tolist() == pytest.approx([table["hypervolume"][0], 0.11 / 1.21])


def test_indicator_table_adds_a_logarithmic_hypervolume_for_long_tails():
    runs = [run("x", seed, search(300, seed)) for seed in range(2)]
    table = indicator_table(runs, FOUR)
    box = common_box([r.evaluations for r in runs], FOUR, log=("time",))
    F = np.concatenate([box.coordinates(non_dominated(r.evaluations, FOUR)) for r in runs[:1]])
    assert table["hypervolume_log"][0] == pytest.approx(pareto.hypervolume(F, 1.1) / 1.1**4)
    assert "hypervolume_log" not in indicator_table(runs, FOUR, log=())


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 4))
def test_no_run_counts_as_nothing_because_another_is_better(seed, m, n_runs):
    rng = np.random.default_rng(seed)
    objectives = tuple(Objective(f"f{i}") for i in range(m))
    runs = [
        run(str(i), 1, frame(objectives, rng.integers(0, 9, (rng.integers(1, 9), m)) + 8 * i)) for i in range(n_runs)
    ]
    table = indicator_table(runs, objectives)
    # No design of a front is beyond the nadir point, a tenth from the reference point.
    assert (table["hypervolume"] >= (0.1 / 1.1) ** m * (1 - 1e-9)).all()
    assert (table["igd_plus"] <= np.sqrt(m) + 1e-9).all()
    # What is better in every objective is better by both.
    assert table["hypervolume"].is_monotonic_decreasing
    assert table["igd_plus"].is_monotonic_increasing


def test_a_small_joint_front_hides_the_others_in_its_own_box_only():
    best = frame(PAIR, [(1, 10), (2, 11)])
    fair, bad = frame(PAIR, [(5, 8), (9, 9)]), frame(PAIR, [(20, 1), (30, 3)])
    table = indicator_table([run(name, 1, data) for name, data in (("b", best), ("f", fair), ("x", bad))], PAIR)
    assert table["hypervolume_joint"].tolist()[1:] == [0, 0]
    # Box 1..30 and 11..1.
    assert table["hypervolume"].tolist() == pytest.approx(
        [
            (1.1 * 1 + 0.1 * (1.1 - 1 / 29)) / 1.21,
            (0.8 * (1.1 - 4 / 29) + 0.1 * (1.1 - 8 / 29)) / 1.21,
            (0.1 * (1.1 - 19 / 29) + 0.2 * 0.1) / 1.21,
        ]
    )
    assert table["igd_plus"].is_monotonic_increasing
    assert (table["igd_plus"] <= 1.5).all()


def test_a_run_rises_from_its_first_design_on():
    # The front ends up small: in its box all that came before would be nothing.
    rows = [(50 - i, 10 - (50 - i) / 10) for i in range(45)] + [(1, 10), (1.5, 10.5)]
    data = frame(PAIR, rows)
    history = hypervolume_history(data, common_box([data], PAIR))["hypervolume"]
    assert history[0] > 0
    assert (hypervolume_history(data, joint_box([data], PAIR))["hypervolume"][:40] == 0).all()


@pytest.mark.parametrize("m", [9, 15])
def test_many_objectives_are_estimated_with_an_error(rng, m):
    objectives = tuple(Objective(f"f{i}") for i in range(m))
    runs = [run("a", k, frame(objectives, rng.dirichlet(np.ones(m), 60), returned=True)) for k in (1, 2)]
    table = indicator_table(runs, objectives)
    errors = [f"hypervolume{which}_error" for which in ("", "_joint", "_returned")]
    assert set(errors) <= set(table.columns)
    assert (table[errors] > 0).all(axis=None)
    assert (table[errors] < 0.01).all(axis=None)
    # What was returned is everything: along the same rays there is no difference.
    assert table["hypervolume_returned"].equals(table["hypervolume"])
    pd.testing.assert_frame_equal(indicator_table(runs, objectives), table)
    box = common_box([r.evaluations for r in runs], objectives)
    bands = hypervolume_bands(runs, box, points=5)
    assert bands["hypervolume_error"].between(0, 0.01, inclusive="neither").all()
    history = hypervolume_history(runs[0].evaluations, box, points=5)
    last = table.loc[0, ["hypervolume", "hypervolume_error"]].astype(float)
    assert history["hypervolume"].iloc[-1] == pytest.approx(last.iloc[0], abs=5 * last.iloc[1])
    assert history["hypervolume"].is_monotonic_increasing


def test_indicator_table_with_a_run_that_found_nothing():
    good, bad = search(100, 0), search(100, 1).assign(feasible=False)
    table = indicator_table([run("x", 1, good), run("y", 1, bad)], FOUR)
    assert table["hypervolume"][1] == 0.0
    assert table["igd_plus"].tolist() == [0.0, np.inf]


def test_bad_input():
    with pytest.raises(ConfigError, match="points=0"):
        hypervolume_history(frame(PAIR, [(1, 1)]), BOX, points=0)
    with pytest.raises(ConfigError, match="there is no run"):
        hypervolume_bands([], BOX)
    with pytest.raises(ConfigError, match="no design is feasible"):
        indicator_table([run("x", 1, frame(PAIR, [(1, 1)], feasible=False))], PAIR)
    with pytest.raises(ConfigError, match="no column 'gain_pct'"):
        hypervolume(frame((COST, TIME), [(1, 1)]), BOX)
