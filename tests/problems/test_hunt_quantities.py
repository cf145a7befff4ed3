"""The table of HuNT's quantities: an objective added to it is one of both problems and of ``moopim evaluate hunt``."""

import subprocess
import sys

import pytest

from moopim.problems.hunt import WeightedMapping

# In a process of its own, since the weights of `hunt-weighted` are read from the table when it is imported.
ADDED = """
import csv, sys
import numpy as np
from moopim import Objective
from moopim.problems.hunt.mapping import SYSTEM, MappingQuantity

before = [entry.quantity.name for entry in SYSTEM if isinstance(entry.quantity, Objective)]
coolness = Objective("margin", "K", sense="max")
SYSTEM.append(MappingQuantity(coolness, "margin to 400 K", lambda mappings: 400.0 - mappings.results["peak"]))

import moopim
from moopim.cli.entry import main
from moopim.problems.hunt import HuntMapping, WeightedMapping

def call(*words):
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 0, words

options = ("--workload", "vgg11", "--evaluations", "60", "--algorithm", "random", "--quiet")
call("run", "hunt", *options, "--output", "plain")
plain = moopim.load_run("plain")
assert [o.name for o in plain.objectives] == [*before, "margin"]
np.testing.assert_allclose(plain.front["margin_K"], 400 - plain.front["peak_K"])

only = (*(word for name in before for word in (f"--w-{name}", "0")), "--w-margin", "2")
call("run", "hunt-weighted", *options, *only, "--output", "weighted")
weighted = moopim.load_run("weighted").evaluations
feasible = weighted[weighted["feasible"]]
assert feasible["cost"].idxmin() == feasible["margin_K"].idxmax()

with open("mappings.csv", "w") as file:
    file.write("case,set,workload,tiers,genes\\na,physical,vgg11,RRFS,0 0 1 2 16 17 18 32 33 34 35\\n")
call("evaluate", "hunt", "mappings.csv", "-o", "metrics.csv")
row, = csv.DictReader(open("metrics.csv"))
assert float(row["margin_K"]) == 400 - float(row["peak_K"])
call("run", "hunt-weighted", "--help")
"""


def test_an_objective_added_to_the_table_works_everywhere(tmp_path):
    done = subprocess.run([sys.executable, "-c", ADDED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Weight of the margin to 400 K" in " ".join(done.stdout.replace("│", "").split())


def test_weights_are_parameters_and_unknown_ones_are_refused():
    problem = WeightedMapping("vgg11", w_err=3)
    assert {name: value for name, value in problem.parameters().items() if name.startswith("w_")} == {
        "w_period": 1.0,
        "w_area": 1.0,
        "w_power": 1.0,
        "w_err": 3,
    }
    with pytest.raises(TypeError, match="unexpected keyword argument 'w_heat'"):
        WeightedMapping("vgg11", w_heat=1)
