import numpy as np
import pytest
from made_up import COST, FOUR, GAIN, TIME, frame, search

from moopim import ConfigError
from moopim.analysis import non_dominated
from moopim.analysis.frames import feasible, log_floor, long_tailed, objective_values, spans_decades


def test_front_respects_senses_feasibility_and_order():
    rows = [(3, 30), (1, 10), (2, 30), (2, 20), (0, 99), (1, 5), (np.nan, 50)]
    data = frame((COST, GAIN), rows, feasible=[True, True, True, True, False, True, True])
    front = non_dominated(data, (COST, GAIN))
    assert front["evaluation"].tolist() == [2, 3]  # cheapest first; (0, 99) is infeasible
    assert front.index.tolist() == [1, 2]
    assert non_dominated(data, (GAIN, COST))["evaluation"].tolist() == [3, 2]  # the largest gain first


def test_front_keeps_the_first_of_equal_designs():
    assert non_dominated(frame((COST, TIME), [(1, 2), (1, 2), (0, 3)]), (COST, TIME))["evaluation"].tolist() == [3, 1]


def test_front_agrees_with_pairwise_comparison():
    data = search(300, seed=3)
    good = data[data["feasible"]]
    F = good[[o.column for o in FOUR]].to_numpy() * [1, 1, 1, -1]
    dominated = ((F[None] <= F[:, None]).all(axis=2) & (F[None] < F[:, None]).any(axis=2)).any(axis=1)
    assert sorted(non_dominated(data, FOUR)["evaluation"]) == sorted(good["evaluation"][~dominated])


def test_designs_count_as_feasible_without_the_column():
    data = frame((COST,), [(1,), (np.inf,)]).drop(columns="feasible")
    assert feasible(data, (COST,)).tolist() == [True, False]


def test_missing_column_is_named():
    with pytest.raises(ConfigError, match=r"no column 'time_ns'; it has: cost_mJ, evaluation, feasible"):
        objective_values(frame((COST,), [(1,)]), (COST, TIME))


@pytest.mark.parametrize(
    ("values", "spans", "floor"),
    [
        ([1, 100], False, 1),
        ([1, 101], True, 1),
        ([0, 0.5, 80], True, 0.5),
        ([-1, 0.5, 80], False, 0.5),
        ([0, 1e-17, 5], True, 5e-6),  # rounding noise is as good as zero
        ([0, 0], False, np.nan),
        ([], False, np.nan),
    ],
)
def test_logarithmic_scale(values, spans, floor):
    values = np.array(values, dtype=float)
    assert spans_decades(values) is spans
    assert log_floor(values) == pytest.approx(floor, nan_ok=True)


def test_long_tailed_objectives_are_named():
    assert long_tailed(frame((COST, TIME), [(1, 1), (2, 1000)]), (COST, TIME)) == ["time"]
    assert long_tailed(frame((COST, TIME), [(1, 1), (2, 1000)], feasible=[True, False]), (COST, TIME)) == []
