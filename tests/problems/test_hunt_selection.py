"""How one design is taken out of a front, and the search with a single weighted objective."""

import numpy as np
import pandas as pd
import pytest

import moopim
from moopim import ConfigError
from moopim.problems.hunt import HuntMapping, TierOrderMapping, WeightedMapping, search_front, select
from moopim.problems.hunt.search import selected_text

FRONT = pd.DataFrame(
    {
        "tiers": ["SSSS", "RRFS", "RRSF", "FFFS"],
        "tops_per_W": [2.0, 8.0, 9.0, 12.0],
        "tops_per_mm2": [1.0, 7.0, 4.0, 7.0],
        "loss": [0.0, 0.01, 0.004, 0.03],
    },
    index=[7, 3, 5, 1],
)


def test_the_best_of_the_feasible_designs_is_selected():
    assert select(FRONT)["tiers"] == "RRSF"
    assert select(FRONT, "tops_per_mm2")["tiers"] == "RRFS"  # a loss of just the limit is allowed
    assert select(FRONT, "tops_per_mm2", limit=1.0)["tiers"] == "RRFS"  # the first of equally good ones
    assert select(FRONT, limit=0)["tiers"] == "SSSS"


def test_a_selection_in_words():
    assert selected_text(FRONT, "tops_per_W") == "RRSF 9"
    assert selected_text(FRONT[FRONT["loss"] > 0.01], "tops_per_W") == "none"


def test_designs_without_numbers_are_left_out():
    frame = FRONT.assign(loss=[np.nan, 0.01, np.inf, np.nan])
    assert select(frame)["tiers"] == "RRFS"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (
            FRONT[FRONT["loss"] > 0],
            {"limit": 0.001},
            "at most 0.1 % of accuracy; the lowest loss of the 3 designs is 0.4 %",
        ),
        (FRONT, {"efficiency": "tops"}, "unknown efficiency 'tops'"),
        (FRONT, {"loss": "err"}, "has no column 'err'"),
        (FRONT, {"limit": -1}, "limit=-1 is not allowed"),
        (FRONT, {"limit": float("nan")}, "limit=nan is not allowed"),
        (FRONT[:0], {}, "none of the 0 designs has finite tops_per_W and loss"),
    ],
)
def test_nothing_to_select_is_an_error_that_says_why(frame, options, message):
    with pytest.raises(ConfigError, match=message):
        select(frame, **options)


def test_the_weighted_cost_is_the_mean_of_scaled_goals(rng):
    problem, plain = WeightedMapping("vgg11", w_area=0.0, w_err=2.0), HuntMapping("vgg11")
    X = plain.repair_designs(plain.genome.sample(50, rng))
    table, values = problem.tabulate(X), plain.tabulate(X)
    names = [q.name for q in problem.quantities]
    goals = {q.name: values[:, i] for i, q in enumerate(plain.quantities)}
    for name, column in goals.items():
        assert np.array_equal(table[:, names.index(name)], column), name
    # Worked the long way: the scales are those of the non-dominated designs of the sample.
    sample = plain.repair_designs(plain.genome.sample(1000, np.random.default_rng(1)))
    F = plain.evaluate(sample, return_values_of=["F"])
    beaten = [any((other <= row).all() and (other < row).any() for other in F) for row in F]
    front = F[~np.array(beaten)]
    low, high = front.min(axis=0), front.max(axis=0)
    scaled = {g.name: (goals[g.name] - low[i]) / (high[i] - low[i]) for i, g in enumerate(plain.objectives)}
    expected = (scaled["period"] + scaled["power"] + 2 * scaled["err"]) / 4
    assert table[:, names.index("cost")] == pytest.approx(expected, rel=1e-9)


def test_weights_change_what_is_found():
    fast, cool = (
        moopim.run(WeightedMapping("vgg11", **weights), "topk", evaluations=1500, seed=1).front.iloc[0]
        for weights in ({"w_power": 0.0, "w_err": 0.0}, {"w_period": 0.0, "w_area": 0.0})
    )
    assert fast["period_ns"] < cool["period_ns"]
    assert fast["power_W"] > cool["power_W"]


@pytest.mark.parametrize(
    "weights", [{"w_err": -1.0}, {"w_area": np.nan}, dict.fromkeys(("w_period", "w_area", "w_power", "w_err"), 0.0)]
)
def test_weights_that_weigh_nothing_are_refused(weights):
    with pytest.raises(ConfigError, match=r"weights w_period=.* are not allowed; expected numbers from 0"):
        WeightedMapping("vgg11", **weights)


def test_a_search_on_given_tiers_keeps_them_and_adds_the_loss():
    front = search_front(TierOrderMapping("SFFR", "vgg11"), 4_000, 1)
    assert set(front["tiers"]) == {"SFFR"}
    assert front["loss"].between(0, 1).all()
    with pytest.raises(ConfigError, match="no tier of 'RRRR' can serve back-propagation"):
        TierOrderMapping("RRRR", "vgg11")
