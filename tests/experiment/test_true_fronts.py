"""Bundled true fronts: each design evaluated again, and set against a part of its space; fronts that are given."""

from importlib.resources import as_file, files

import numpy as np
import pandas as pd
import pytest
from toys import Chunky, Tiny

import moopim
from moopim import ConfigError
from moopim.experiment import enumerating
from moopim.experiment.enumeration_state import front_fingerprint
from moopim.experiment.frames import read_designs
from moopim.experiment.plugins import build_problem
from moopim.experiment.true_fronts import read_true_front, true_front_instances
from moopim.pareto import non_dominated


@pytest.mark.parametrize("name", ["buffers", "crossnas-hardware", "hunt-lenet5"])
def test_a_part_of_the_space_has_nothing_better_than_a_bundled_front(name):
    """`benchmarks/true_fronts.py` does the same with the whole of each space."""
    instance = true_front_instances()[name]
    problem = build_problem(instance.problem, instance.parameters)
    size = problem.genome.size
    assert size == instance.designs >= 10**6
    with as_file(files("moopim.experiment") / "data" / f"{name}.csv") as path:
        stored = pd.read_csv(path)
    X = read_designs(problem.genome, stored).genes
    assert front_fingerprint(X) == instance.fingerprint
    table = problem.tabulate(X)
    assert problem.feasible(table).all()
    front = problem.objective_values(table)
    known = read_true_front(name, problem.objectives)
    np.testing.assert_allclose(
        front, known.to_numpy() * [objective.sign for objective in problem.objectives], rtol=1e-9
    )
    assert non_dominated(front).all()
    numbers = np.concatenate([np.arange(1_000), np.random.default_rng(1).integers(0, size, 3_000)])
    part = problem.tabulate(problem.genome.unrank(numbers))
    others = problem.objective_values(part)[problem.feasible(part)]
    mask = non_dominated(np.concatenate([front, others * (1 + np.sign(others) * 1e-9)]))
    assert mask[: len(front)].all()
    assert not mask[len(front) :].any()


def test_a_front_is_read_from_a_directory_and_from_a_file(tmp_path):
    result = moopim.enumerate_designs(Tiny(), output=tmp_path / "whole")
    columns = ["cost", "gain"]
    for source in (tmp_path / "whole", str(tmp_path / "whole" / "front.csv")):
        front = read_true_front(source, result.objectives, problem=Tiny())
        assert front.to_numpy().tolist() == result.front[columns].to_numpy().tolist()


def test_a_front_that_cannot_be_used_is_refused(tmp_path, monkeypatch):
    moopim.run(Tiny(), "random", evaluations=4, output=tmp_path / "run")
    moopim.enumerate_designs(Chunky(), output=tmp_path / "other")
    monkeypatch.setattr(enumerating, "tabulate_chunk", lambda *arguments: 1 / 0)
    monkeypatch.setattr(enumerating, "_rate", lambda problem: 1e6)
    with pytest.raises(ZeroDivisionError):
        moopim.enumerate_designs(Chunky(), output=tmp_path / "begun")
    cells = {"empty": "", "header": "cost,gain\n", "column": "cost,win\n1,2\n", "words": "cost,gain\n1,many\n"}
    cells["infinite"] = "cost,gain\n1,2\n1,inf\n"
    for name, text in cells.items():
        (tmp_path / name).write_text(text)
    messages = {
        "nothing": "does not exist; expected a file, the directory of an enumeration, or one of buffers, ",
        "begun": "has not ended",
        "empty": "is empty",
        "header": "has no rows",
        "column": "has no column 'gain'",
        "words": "'many'",
        "infinite": "infinite value",
        "run": "is a run of random; expected an enumeration",
        "other": r"is that of Chunky\(.*; expected that of Tiny\(",
        ".": "has no manifest.json",
    }
    for name, message in messages.items():
        with pytest.raises(ConfigError, match=message) as error:
            read_true_front(tmp_path / name, Tiny.objectives, problem=Tiny())
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match=r"'buffers' is that of Buffer.*; expected that of Tiny\("):
        read_true_front("buffers", Tiny.objectives, problem=Tiny())
