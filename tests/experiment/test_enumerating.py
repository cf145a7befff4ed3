"""Enumerations: the front of brute force, the same bits after interruptions and on several processes; refusals."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from toys import Blocks, Buffers, Chunky, Failing, Impossible, Labels, Limited, Slow, Tiny

import moopim
from moopim import ConfigError, EvaluationError, LogError
from moopim.experiment import enumerating
from moopim.experiment.enumeration_state import STATE
from moopim.problems.benchmarks import Assignment, Knapsack

TOYS = Path(__file__).parents[1] / "toys.py"
FILES = ("front.csv", "evaluations.csv")


def all_designs(genome):
    """Every design: all rows of genes that the repair of the genome leaves as they are."""
    rows = np.array(list(itertools.product(*map(range, genome.n_values))))
    return rows[(genome.repair(rows) == rows).all(axis=1)]


def dominates(first, second):
    return all(a <= b for a, b in zip(first, second, strict=True)) and first != second


@pytest.mark.parametrize(
    "problem",
    [Tiny(), Labels(), Blocks(), Limited(max="area=6"), Assignment(m=3, n=6), Knapsack(n=10), Knapsack(m=3, n=9)],
    ids=lambda problem: type(problem).__name__,
)
def test_the_front_is_that_of_brute_force(problem):
    X = all_designs(problem.genome)
    table = problem.tabulate(X)
    F, feasible = problem.objective_values(table).tolist(), problem.feasible(table)
    vectors = {tuple(row) for row in np.array(F)[feasible].tolist()}
    expected = {vector for vector in vectors if not any(dominates(other, vector) for other in vectors)}
    result = moopim.enumerate_designs(problem)
    assert f"all {len(X):,} designs evaluated, {feasible.sum():,} feasible; " in result.message
    found = np.column_stack([result.front[o.column] * o.sign for o in problem.objectives]).tolist()
    assert sorted(map(tuple, found)) == sorted(expected)
    # Of equal designs the first in the order of numbers; the number is that of the design.
    numbers = result.evaluations["evaluation"].to_numpy() - 1
    everything = problem.genome.unrank(np.arange(problem.genome.size))
    everything_F = problem.objective_values(problem.tabulate(everything))
    everything_F[~problem.feasible(problem.tabulate(everything))] = np.inf
    for number in numbers:
        assert (everything_F == everything_F[number]).all(axis=1).argmax() == number


class Noisy(Tiny):
    """Nine designs of three different costs and gains, up to rounding errors."""

    def evaluate_designs(self, designs):
        noise = 1 + 1e-15 * np.sin(np.arange(9.0)[3 * designs.indices("a") + designs.indices("b")])
        return {"cost": designs.a * noise, "gain": designs.a / noise}


def test_designs_that_differ_by_rounding_errors_are_one():
    assert moopim.enumerate_designs(Noisy()).evaluations["evaluation"].tolist() == [1, 4, 7]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    moopim.enumerate_designs(Chunky(), output=directory)
    return directory


def small_blocks(monkeypatch):
    """Blocks of ten chunks of seven designs, a commit after each of them, and no sample before."""
    monkeypatch.setattr(enumerating, "_rate", lambda problem: 1e6)
    monkeypatch.setattr(enumerating, "_BLOCK", 70)
    monkeypatch.setattr(enumerating, "_INTERVAL_S", 0.0)
    monkeypatch.setattr(enumerating, "_PAUSE", 0)


def test_interrupted_at_any_time_it_ends_with_the_same_bits(whole, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    directory, rng, evaluated = tmp_path / "run", np.random.default_rng(1), []
    tabulate = enumerating.tabulate_chunk

    def interrupted(problem, X, key):
        evaluated.append(len(X))
        if sum(evaluated) > limit:
            raise KeyboardInterrupt
        return tabulate(problem, X, key)

    monkeypatch.setattr(enumerating, "tabulate_chunk", interrupted)
    limit = rng.integers(1_000, 9_000)
    with pytest.raises(KeyboardInterrupt):
        moopim.enumerate_designs(Chunky(), output=directory)
    finished = False
    while not finished:
        assert not (directory / "front.csv").exists()
        part = moopim.load_run(directory)
        assert not part.finished
        done = int(re.search(r"([\d,]+) evaluations of 46,875 so far", part.message)[1].replace(",", ""))
        assert (directory / STATE).stat().st_size < 50_000  # the front only
        evaluated, limit = [], rng.integers(1_000, 9_000)
        try:
            finished = moopim.resume(directory).finished
        except KeyboardInterrupt:
            assert sum(evaluated) <= 9_007
    assert sum(evaluated) == 46_875 - done  # nothing that was committed is evaluated again
    for file in FILES:
        assert (directory / file).read_bytes() == (whole / file).read_bytes()
    assert not (directory / STATE).exists()


def test_killed_and_resumed_on_two_processes(tmp_path):
    directory = tmp_path / "run"
    command = [sys.executable, "-m", "moopim", "enumerate", f"{TOYS}:Slow", "--pause-ms", "1", "--hours", "1"]
    process = subprocess.Popen([*command, "--output", str(directory), "--quiet"])
    while not (directory / STATE).exists():
        time.sleep(0.05)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = moopim.load_run(directory).message
    words = [sys.executable, "-m", "moopim", "resume", str(directory), "--jobs", "2", "--quiet"]
    subprocess.run(words, check=True)
    result = moopim.load_run(directory)
    assert "not finished" in done
    assert result.front.equals(moopim.enumerate_designs(Slow(pause_ms=0)).front)


def test_two_processes_give_the_bits_of_one(whole, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    result = moopim.enumerate_designs(Chunky(), output=tmp_path / "run", jobs=2)
    for file in FILES:
        assert (tmp_path / "run" / file).read_bytes() == (whole / file).read_bytes()
    one, two = (json.loads((path / "manifest.json").read_text()) for path in (whole, tmp_path / "run"))
    assert one["front_fingerprint"] == two["front_fingerprint"]
    assert len(two["front_fingerprint"]) == 64
    assert (two["status"], two["n_evaluations"], two["n_front"]) == ("finished", 46_875, len(result.front))


def test_it_is_read_back_like_a_run(whole):
    result = moopim.load_run(whole)
    assert result.finished
    assert result.algorithm == "enumeration"
    assert result.evaluations["feasible"].all()
    assert f"{len(result.front)} non-dominated designs, fingerprint" in result.summary()
    assert moopim.resume(whole).front.equals(result.front)
    run = moopim.run(Chunky(), "random", evaluations=500)
    assert list(run.front.columns) == list(result.front.columns)
    assert moopim.run(Chunky(), "nsga2", evaluations=500).front.dtypes.equals(result.front.dtypes)


def test_without_a_feasible_design_it_says_so():
    result = moopim.enumerate_designs(Impossible())
    assert "all 125,000 designs evaluated, 0 feasible; 0 non-dominated designs" in result.summary()
    assert not result.feasible


def test_a_model_that_fails_can_be_mended(tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    counter, directory = tmp_path / "calls", tmp_path / "run"
    with pytest.raises(EvaluationError, match=r"gave up.*; 25,600 evaluated designs kept in .* goes on"):
        moopim.enumerate_designs(Failing(str(counter), limit=100), output=directory)
    counter.unlink()
    assert moopim.resume(directory).front.equals(moopim.enumerate_designs(Buffers()).front)


def test_a_damaged_state_is_refused_or_dropped(whole, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    directory = tmp_path / "run"
    counter = tmp_path / "calls"
    with pytest.raises(EvaluationError):
        moopim.enumerate_designs(Failing(str(counter), limit=50), output=directory)
    counter.unlink()
    state = directory / STATE
    content = state.read_bytes()
    for damaged in (content[:-1], content[: len(content) // 2], b"", b"{}\n", content[:-9] + b"X" + content[-8:]):
        state.write_bytes(damaged)
        for read in (moopim.load_run, moopim.resume):
            with pytest.raises(LogError, match=r"state .* of an enumeration is damaged: .*--drop-damaged"):
                read(directory)
    with pytest.raises(EvaluationError):  # from the start again
        moopim.resume(directory, drop_damaged=True)
    assert moopim.load_run(directory).message.startswith("not finished")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"problem": Knapsack()},
            r"Knapsack has about 1e75 designs, which take about \S+ years in 1 process; expected",
        ),
        ({"problem": Knapsack(n=9_000)}, "expected a space of at most 1,000,000,000,000 designs"),
        ({"hours": 1e-9}, "Buffers has 46,875 designs, which take about .* in 1 process; expected at most hours=1e-09"),
        ({"hours": 0}, "hours is 0; expected"),
        ({"jobs": 0}, "jobs=0 is not allowed"),
        ({"problem": "hunt"}, "problem is 'hunt'; expected an instance"),
        ({"output": TOYS.parent}, "is not empty"),
        ({"output": TOYS / "whole"}, "cannot be made: .*py.* is not a directory"),
    ],
)
def test_what_is_not_allowed_is_one_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as error:
        moopim.enumerate_designs(**{"problem": Buffers(), **arguments})
    assert "\n" not in str(error.value)
