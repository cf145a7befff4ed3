"""How one design is taken out of a front, and the search with a single weighted objective."""

import numpy as np
import pandas as pd
import pytest

import moopim
from moopim import ConfigError
from moopim.problems.hunt import VARIANTS, HuntMapping, TierOrderMapping, WeightedMapping, search_front, select
from moopim.problems.hunt.search import selected_text
from moopim.problems.hunt.variants import load_variant

pytestmark = pytest.mark.filterwarnings("ignore:.*evaluations leave each")

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


def test_without_a_limit_the_loss_does_not_matter():
    assert select(FRONT, limit=None)["tiers"] == "FFFS"
    assert select(FRONT.assign(loss=np.nan), "tops_per_mm2", limit=None)["tiers"] == "RRFS"
    assert select(FRONT.drop(columns="loss"), limit=None)["tiers"] == "FFFS"


def test_a_selection_in_words():
    assert selected_text(FRONT, "tops_per_W", 0.01) == "RRSF 9"
    assert selected_text(FRONT[FRONT["loss"] > 0.01], "tops_per_W", 0.01) == "none"
    assert selected_text(FRONT.assign(loss=np.nan), "tops_per_W", None) == "FFFS 12"


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
        (FRONT.drop(columns="loss"), {}, "has no column 'loss'"),
        (FRONT[:0], {"limit": None}, "none of the 0 designs has finite tops_per_W; expected"),
        (FRONT[:0], {}, "none of the 0 designs has finite tops_per_W and loss"),
    ],
)
def test_nothing_to_select_is_an_error_that_says_why(frame, options, message):
    with pytest.raises(ConfigError, match=message):
        select(frame, **options)


@pytest.mark.parametrize("equations", ["system", "idealised"])
def test_the_weighted_cost_is_the_mean_of_scaled_goals(equations, rng):
    problem = WeightedMapping("vgg11", equations=equations, weights="area=0,err=2")
    plain = HuntMapping("vgg11", equations=equations)
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
    third = {"system": "energy", "idealised": "power"}[equations]
    expected = (scaled["period"] + scaled[third] + 2 * scaled["err"]) / 4
    assert table[:, names.index("cost")] == pytest.approx(expected, rel=1e-9)


def test_weights_change_what_is_found():
    fast, small = (
        moopim.run(
            WeightedMapping("vgg11", weights=weights), "topk", evaluations=1500, seed=1, progress=False
        ).front.iloc[0]
        for weights in ("area=0,energy=0,err=0", "period=0,energy=0,err=0")
    )
    assert fast["period_ns"] < small["period_ns"]
    assert fast["area_mm2"] > small["area_mm2"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("err=-1", "weights 'err=-1' is not allowed; expected NAME=NUMBER from 0, such as err=1"),
        ("area=nan", "weights 'area=nan' is not allowed"),
        ("period=0,area=0,energy=0,err=0", "are all 0; expected at least one above 0"),
        ("power=1", "unknown weight of 'power'; allowed: period, area, energy, err"),
        ("err=1,err=2", "weight of 'err' is given twice"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights, message):
    with pytest.raises(ConfigError, match=message):
        WeightedMapping("vgg11", weights=weights)


@pytest.mark.parametrize("equations", ["system", "idealised"])
def test_a_search_on_given_tiers_keeps_them_and_has_a_loss_only_in_the_idealised_model(equations):
    front = search_front(TierOrderMapping("SFFR", "vgg11", equations=equations), 1_000, 1)
    assert set(front["tiers"]) == {"SFFR"}
    if equations == "system":
        assert front["loss"].isna().all()
    else:
        assert front["loss"].between(0, 1).all()


def test_a_policy_keeps_layers_on_its_tiers(rng):
    hyperx = TierOrderMapping("RSSS", "resnet34", policy="hyperx")
    accured = TierOrderMapping("RRGG", "resnet34", policy="accured")
    tiers = []
    for problem in (hyperx, accured):
        X = problem.repair_designs(problem.genome.sample(200, rng))
        assert np.array_equal(problem.repair_designs(X), X)
        designs = problem.genome.decode(X)
        assert {"".join(order) for order in designs["tier"]} == {problem.tiers}
        tiers.append(designs.indices("pe") // 16)
    assert (tiers[0][:, :12] == 0).all()  # 37 layers, the last 2/3 of them on the two SRAM tiers
    assert set(tiers[0][:, 12:].ravel()) == {1, 2}
    assert set(tiers[1].ravel()) == {0, 1}
    # The GPU-like tier computes the gradients: 256 cores, 0.889 ns a multiply-add.
    values = accured.evaluate_designs(designs)
    assert values["gradient_tmacs"] == pytest.approx(0.288, rel=1e-12)


@pytest.mark.parametrize(
    ("tiers", "options", "message"),
    [
        ("RRRR", {}, "no tier of 'RRRR' can serve back-propagation"),
        ("RRS", {}, "tier order 'RRS' has 3 letters; expected 4"),
        ("RRXS", {}, "unknown device 'X'"),
        ("RRFS", {"policy": "best"}, "unknown policy 'best'; allowed: free, hyperx, accured"),
        ("SFFS", {"policy": "accured"}, "tiers 'SFFS' have none for some layers of policy 'accured'"),
    ],
)
def test_tiers_that_cannot_be_searched_are_refused(tiers, options, message):
    with pytest.raises(ConfigError, match=message):
        TierOrderMapping(tiers, "vgg11", **options)


def test_variants_are_options_of_the_problem():
    for name, variant in VARIANTS.items():
        problem = HuntMapping("vgg11", **variant._asdict())
        assert name.startswith(problem.equations)
        assert name.split()[1] in (problem.precision, problem.factors)
        assert variant.loss_limit == (0.01 if problem.equations == "idealised" else None)
    with pytest.raises(
        ConfigError, match=r"unknown model 'system'.*; allowed: system int8, system fp32, idealised physical"
    ):
        load_variant("system")
