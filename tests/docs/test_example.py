"""The example problem of the documentation: hand-worked values, and the true front of its small space."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize
from test_pages import EXAMPLES

import moopim
from moopim.cli.entry import main


@pytest.fixture
def buffers(monkeypatch):
    """The module, imported as a user would who stands in its folder."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import buffers

    return buffers


def true_front(problem):
    """Objectives of the designs that none of all designs dominates."""
    genes = np.array(list(itertools.product(*(range(n) for n in problem.genome.n_values))))
    table = problem.tabulate(genes)
    values = np.unique(problem.objective_values(table)[problem.feasible(table)], axis=0)
    best = []
    while len(values):  # rows are sorted: none of the others can dominate the first
        best.append(values[0])
        values = values[~(values >= values[0]).all(axis=1)]
    return {tuple(row) for row in np.round(best, 9)}


def objectives_of(front):
    values = front[["energy_mJ", "latency_ms", "hit_rate"]].to_numpy() * [1, 1, -1]
    return {tuple(row) for row in np.round(values, 9)}


def test_a_design_worked_by_hand(buffers):
    problem = buffers.BufferSizing(traffic=2)
    # Six buffers of 16 kB at 400 MHz: each layer misses exp(-16 / 16).
    table = dict(zip([q.name for q in problem.quantities], problem.tabulate(np.array([[3] * 6 + [1]]))[0], strict=True))
    hit_rate = 1 - np.exp(-1)
    expected = {"energy": 0.02 * 96 + 0.4, "latency": 2.25 * (2 - hit_rate), "hit_rate": hit_rate, "area": 2.88}
    assert table == pytest.approx(expected)


def test_amosa_finds_the_whole_true_front(buffers):
    problem = buffers.BufferSizing(traffic=2)
    result = moopim.run(problem, "amosa", evaluations=5_000, seed=1)
    assert objectives_of(result.front) == true_front(problem)


def test_pymoo_alone_comes_near_the_true_front(buffers):
    problem = buffers.BufferSizing(traffic=2)
    found = minimize(problem, NSGA2(pop_size=100), ("n_gen", 50), seed=1)
    truth = true_front(problem)
    assert len({tuple(row) for row in np.round(found.F, 9)} & truth) > len(truth) / 2


def test_the_command_gives_what_python_gives(buffers, tmp_path):
    words = f"run {EXAMPLES / 'buffers.py'}:BufferSizing --algorithm nsga2 --evaluations 500 --traffic 2 --quiet"
    with pytest.raises(SystemExit) as stop:
        main([*words.split(), "--output", str(tmp_path)])
    assert stop.value.code == 0
    result = moopim.run(buffers.BufferSizing(traffic=2), "nsga2", evaluations=500, seed=1)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "front.csv"), result.front)
    assert list(result.front.columns[:7]) == [*(f"buffer_kb_{i}" for i in range(6)), "clock_mhz"]
