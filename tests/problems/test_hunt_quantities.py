"""HuNT's quantities: what is added to their table works everywhere, and goals are weighted into one cost."""

import subprocess
import sys

import numpy as np
import pytest
from refusals import check_refused

from moopim.pareto import non_dominated
from moopim.problems.hunt import HuntMapping, WeightedMapping

# In a process of its own, since it changes the table.
ADDED = """
import csv, sys
import numpy as np
from moopim import Objective
from moopim.problems.hunt.mapping import SYSTEM, MappingQuantity

coolness = Objective("margin", "K", sense="max")
SYSTEM.append(MappingQuantity(coolness, "margin to 400 K", lambda mappings: 400.0 - mappings.results["peak"]))

import moopim
from moopim.cli.entry import main

def call(*words):
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 0, words

options = ("--workload", "vgg11", "--evaluations", "60", "--algorithm", "random", "--quiet")
call("run", "hunt", *options, "--output", "metric")
frame = moopim.load_run("metric").evaluations
np.testing.assert_allclose(frame["margin_K"], 400 - frame["peak_K"])

call("run", "hunt", *options, "--goals", "period,margin", "--min", "margin=95", "--output", "goal")
goal = moopim.load_run("goal")
assert [(o.name, o.sense) for o in goal.objectives] == [("period", "min"), ("margin", "max")]
assert len(goal.front) and (goal.front["margin_K"] >= 95).all()
assert not goal.evaluations.loc[goal.evaluations["margin_K"] < 95, "feasible"].any()

call("run", "hunt-weighted", *options, "--goals", "margin,area", "--weights", "area=0", "--output", "weighted")
weighted = moopim.load_run("weighted").evaluations
feasible = weighted[weighted["feasible"]]
assert feasible["cost"].idxmin() == feasible["margin_K"].idxmax()

with open("mappings.csv", "w") as file:
    file.write("case,workload,tiers,genes,pace\\na,vgg11,RRFS,0 0 1 2 16 17 18 32 33 34 35,20\\n")
call("evaluate", "hunt", "mappings.csv", "-o", "metrics.csv")
row, = csv.DictReader(open("metrics.csv"))
assert float(row["margin_K"]) == 400 - float(row["peak_K"])
"""


def test_a_quantity_added_to_the_table_works_everywhere(tmp_path):
    done = subprocess.run([sys.executable, "-c", ADDED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "goals"),
    [
        ({}, "period,area,energy,err"),
        ({"goals": "period,tops_per_W,power", "max": "power=20", "precision": "fp32"}, "period,tops_per_W,power"),
        ({"equations": "idealised", "factors": "calibrated"}, "period,area,power,err"),
        ({"equations": "paper"}, "latency,pes,power,err"),
    ],
)
def test_the_cost_is_the_weighted_mean_of_the_scaled_goals(options, goals, rng):
    plain, names = HuntMapping("vgg11", **options), goals.split(",")
    designs = plain.genome.decode(plain.repair_designs(plain.genome.sample(1000, rng)))
    values = plain.evaluate_designs(designs)

    def cost(**weights):
        text = ",".join(f"{name}={weight}" for name, weight in weights.items())
        found = WeightedMapping("vgg11", weights=text, **options).evaluate_designs(designs)
        assert all(np.array_equal(found[name], values[name]) for name in values)
        return found["cost"]

    alone = {name: cost(**{other: int(other == name) for other in names}) for name in names}
    for goal in plain.objectives:
        # A straight line through the values that rises as they get worse, from about 0 to about 1 on the front.
        slope, level = np.polyfit(values[goal.name], alone[goal.name], 1)
        assert alone[goal.name] == pytest.approx(slope * values[goal.name] + level, abs=1e-9)
        assert slope * goal.sign > 0
    F = np.stack([alone[name] for name in names], axis=1)
    front = F[non_dominated(F)]
    assert (abs(front.min(axis=0)) < 0.3).all()
    assert ((front.max(axis=0) > 0.5) & (front.max(axis=0) < 2)).all()
    assert cost() == pytest.approx(sum(alone.values()) / len(names), rel=1e-12)
    mixed = (3 * alone[names[0]] + 0.5 * alone[names[-1]] + sum(alone[name] for name in names[1:-1])) / (
        3.5 + len(names) - 2
    )
    assert cost(**{names[0]: 3, names[-1]: 0.5}) == pytest.approx(mixed, rel=1e-12)


def test_the_weighted_problem_has_one_objective_and_the_goals_among_its_metrics():
    problem = WeightedMapping("vgg11", weights="err=3")
    assert [objective.name for objective in problem.objectives] == ["cost"]
    assert [metric.column for metric in problem.metrics[:4]] == ["period_ns", "area_mm2", "energy_pJ", "err"]
    assert {metric.name for metric in problem.metrics} | {"violation"} == {
        q.name for q in HuntMapping("vgg11").quantities
    }
    assert problem.parameters()["weights"] == "err=3"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "heat=1"}, "unknown weight of 'heat'; allowed: period, area, energy, err"),
        ({"weights": "err=1", "goals": "period,area"}, "unknown weight of 'err'"),
        ({"weights": "err=-1"}, "weights 'err=-1' is not allowed; expected NAME=NUMBER from 0, such as err=1"),
        ({"weights": "err=nan"}, "weights 'err=nan' is not allowed"),
        ({"weights": "err"}, "weights 'err' is not allowed"),
        ({"weights": "err=1,err=2"}, "weight of 'err' is given twice; expected it once"),
        ({"weights": "period=0,area=0", "goals": "period,area"}, "weights 'period=0,area=0' are all 0; expected at"),
        ({"factors": "calibrated"}, "factors 'calibrated' were fitted to equations 'idealised'"),
        ({"max": "peak=299"}, "max 'peak=299' is not allowed; expected a number above 300"),
    ],
)
def test_weights_that_mean_nothing_are_refused(options, message):
    check_refused(lambda: WeightedMapping("vgg11", **options), message)
