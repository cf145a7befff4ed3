"""Runs: the same bits again, on any number of processes, killed and resumed; files; refusals."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymoo.algorithms.moo.moead import MOEAD
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.evaluator import Evaluator as PymooEvaluator
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from toys import Buffers, Chunky, Failing, Labels, Limited, Slow, Tiny

import moopim
from moopim import Choice, ConfigError, DesignProblem, EvaluationError, Genome, Index, Integer, LogError, Objective
from moopim.files import locked
from moopim.operators import HashedDuplicateElimination, RandomSampling, ResetMutation, UniformCrossover

TOYS = Path(__file__).parents[1] / "toys.py"


def test_a_run_directory_holds_what_the_result_holds(tmp_path):
    result = moopim.run(Buffers(traffic=2), "nsga2", evaluations=500, seed=4, output=tmp_path / "run")
    again = moopim.load_run(tmp_path / "run")
    assert again.front.equals(result.front)
    assert again.evaluations.equals(result.evaluations)
    assert again.objectives == result.objectives
    assert again.message == result.message
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["problem"]["parameters"] == {"traffic": 2}
    assert (manifest["algorithm"], manifest["seed"], manifest["n_evaluations"]) == ("nsga2", 4, 500)
    assert set(manifest["versions"]) >= {"python", "moopim", "pymoo", "numpy"}
    parquet = pd.read_parquet(tmp_path / "run" / "evaluations.parquet")
    assert parquet.equals(result.evaluations)


def test_the_number_of_processes_does_not_change_a_bit(tmp_path):
    for jobs in (1, 2):
        moopim.run(Chunky(), "nsga2", evaluations=400, output=tmp_path / str(jobs), jobs=jobs)
    assert (tmp_path / "1" / "front.csv").read_bytes() == (tmp_path / "2" / "front.csv").read_bytes()


@pytest.mark.parametrize("algorithm", ["amosa", "nsga2", "topk"])
def test_killed_and_resumed_equals_uninterrupted(algorithm, tmp_path):
    whole = moopim.run(Slow(pause_ms=0), algorithm, evaluations=900, seed=2)
    directory = tmp_path / "run"
    spec = f"{TOYS}:Slow"
    command = [sys.executable, "-m", "moopim", "run", spec, "--algorithm", algorithm, "--evaluations", "900"]
    process = subprocess.Popen([*command, "--seed", "2", "--output", str(directory), "--quiet"])
    _wait_for_evaluations(directory / "evaluations.sqlite", 300)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (directory / "front.csv").exists()
    logged = _n_logged(directory / "evaluations.sqlite")
    subprocess.run([sys.executable, "-m", "moopim", "resume", str(directory), "--quiet"], check=True)
    resumed = moopim.load_run(directory)
    assert 300 <= logged < 900
    assert resumed.front.equals(whole.front)
    assert resumed.evaluations.equals(whole.evaluations)


def _n_logged(path):
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(path) as connection:
            return connection.execute("SELECT COALESCE(SUM(designs), 0) FROM batches").fetchone()[0]
    except sqlite3.OperationalError:  # the table is not there yet
        return 0


def _wait_for_evaluations(path, n):
    deadline = time.monotonic() + 120
    while _n_logged(path) < n:
        assert time.monotonic() < deadline, "the run does not make progress"
        time.sleep(0.005)


def test_a_failing_model_can_be_mended_and_the_run_resumed(tmp_path):
    whole = moopim.run(Failing(str(tmp_path / "never"), limit=-1), "nsga2", evaluations=500)
    directory, counter = tmp_path / "run", tmp_path / "calls"
    with pytest.raises(EvaluationError, match="gave up"):
        moopim.run(Failing(str(counter), limit=2), "nsga2", evaluations=500, output=directory)
    counter.unlink()
    with pytest.raises(EvaluationError, match="gave up"):
        moopim.resume(directory)
    counter.unlink()
    resumed = moopim.resume(directory)  # two more generations a time: done
    assert resumed.front.equals(whole.front)


def test_resuming_a_finished_run_reads_it_back(tmp_path):
    result = moopim.run(Buffers(), "nsga2", evaluations=200, output=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert moopim.resume(tmp_path).front.equals(result.front)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def _unfinish(directory, **changes):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text()) | {"status": "running"} | changes
    path.write_text(json.dumps(manifest))


def test_a_manifest_with_a_former_field_still_loads(tmp_path):
    result = moopim.run(Buffers(), "random", evaluations=50, output=tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["cached_metrics"]
    path.write_text(json.dumps(manifest | {"tally": 7}))
    assert moopim.load_run(tmp_path).front.equals(result.front)
    _unfinish(tmp_path)
    assert moopim.resume(tmp_path).message == result.message


def test_a_run_of_another_problem_is_not_resumed(tmp_path):
    moopim.run(Buffers(), "nsga2", evaluations=200, output=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    _unfinish(tmp_path, problem=manifest["problem"] | {"parameters": {"traffic": 3.0}})
    with pytest.raises(LogError, match="belongs to another problem or version"):
        moopim.resume(tmp_path)


def test_other_settings_than_logged_are_noticed(tmp_path):
    moopim.run(Buffers(), "nsga2", evaluations=200, output=tmp_path)
    _unfinish(tmp_path, seed=2)
    with pytest.raises(LogError, match="other designs than its log holds"):
        moopim.resume(tmp_path)


def test_a_run_with_an_own_algorithm_is_resumed_with_that_algorithm(tmp_path):
    algorithm = NSGA2(pop_size=20, sampling=RandomSampling())
    result = moopim.run(Buffers(), algorithm, evaluations=90, output=tmp_path)
    assert len(result.evaluations) == 90
    assert result.algorithm == "custom"
    _unfinish(tmp_path)
    with pytest.raises(ConfigError, match="used an algorithm of its own script"):
        moopim.resume(tmp_path)
    assert moopim.resume(tmp_path, algorithm=algorithm).front.equals(result.front)
    assert moopim.run(Buffers(), algorithm, evaluations=90).front.equals(result.front)  # it was not used up


def test_an_own_algorithm_keeps_to_a_budget_below_its_population():
    result = moopim.run(Buffers(), NSGA2(pop_size=50, sampling=RandomSampling()), evaluations=20)
    assert len(result.evaluations) == 20


class Greedy(NSGA2):
    """Asks for its whole population again, however little of the budget is left, as differential evolution does."""

    def _infill(self):
        return Population.new("X", self.problem.genome.sample(self.pop_size, self.random_state))


def test_an_own_algorithm_that_asks_for_more_gets_the_rest_of_the_budget():
    result = moopim.run(Buffers(), Greedy(pop_size=50, sampling=RandomSampling(), mating=0), evaluations=120)
    assert result.evaluations["generation"].value_counts().to_list() == [50, 50, 20]


class Idle(NSGA2):
    """Evaluates nothing after its first generation."""

    def _infill(self):
        return Population.empty()

    def _advance(self, infills=None, **kwargs):
        pass


def test_an_own_algorithm_that_evaluates_nothing_more_is_ended():
    result = moopim.run(Buffers(), Idle(pop_size=50, sampling=RandomSampling()), evaluations=120)
    assert result.message.startswith("50 evaluations (0 cached); stopped before the budget of 120: the optimiser ended")


def test_a_problem_of_a_script_is_resumed_with_that_problem(tmp_path):
    class Local(Buffers):
        pass

    result = moopim.run(Local(), "nsga2", evaluations=100, output=tmp_path)
    _unfinish(tmp_path)
    with pytest.raises(ConfigError, match="only its own script can make the problem"):
        moopim.resume(tmp_path)
    assert moopim.resume(tmp_path, problem=Local()).front.equals(result.front)


def test_values_of_any_kind_come_back_from_the_directory(tmp_path):
    result = moopim.run(Labels(), "random", evaluations=60, output=tmp_path)
    again = moopim.load_run(tmp_path)
    assert again.evaluations.equals(result.evaluations)
    assert again.front.equals(result.front)
    assert set(again.evaluations["code"]) == {"001", "010", "NA"}
    assert set(again.evaluations["prune"]) == {"off", "2", "None"}


class Exotic(DesignProblem):
    """Values that files keep as text, and an infinite one, which stays a number."""

    genome = Genome(Choice("tile", ((1, 2), (3, 4))), Choice("limit", (2.0, np.inf)), Choice("word", ("inf", "1e3")))
    objectives = (Objective("f"),)

    def evaluate_designs(self, designs):
        return {"f": designs.indices("tile") + designs.indices("limit") + designs.indices("word")}


def test_values_of_any_kind_come_back_from_csv_and_log(tmp_path):
    result = moopim.run(Exotic(), "random", evaluations=20, output=tmp_path)
    assert set(result.evaluations["tile"]) == {"(1, 2)", "(3, 4)"}
    assert moopim.load_run(tmp_path).evaluations.equals(result.evaluations)
    (tmp_path / "evaluations.csv").unlink()
    assert moopim.load_run(tmp_path).evaluations.equals(result.evaluations.drop(columns="returned"))


def test_a_class_in_place_of_a_problem_is_refused():
    with pytest.raises(ConfigError, match="expected an instance"):
        moopim.run(Buffers)


def test_parameters_of_any_type_can_be_run(tmp_path):
    class Sized(Buffers):
        def __init__(self, sizes=(1, 2)):
            super().__init__()
            self.sizes = sizes

    moopim.run(Sized([3, 4]), "random", evaluations=20, output=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["problem"]["parameters"] == {"sizes": "[3, 4]"}
    assert manifest["problem"]["spec"] is None


def test_a_front_without_its_objectives_is_refused(tmp_path):
    moopim.run(Buffers(), "random", evaluations=20, output=tmp_path)
    (tmp_path / "front.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="has no column 'energy_mJ'"):
        moopim.load_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genome": [{"kind": "choice"}]}, "field 'problem.genome.0.name': Field required"),
        ({"genome": []}, "field 'problem.genome'"),
        ({"genome": [3]}, "field 'problem.genome.0'"),
        ({"genome": ["repeat", 10**9]}, r"field 'problem.genome.0.repeat'.*100000 \(got 1000000000\)"),
        ({"genome": ["values", []]}, "field 'problem.genome.0.values'"),
        ({"genome": ["values", [1, 2]]}, r"field 'problem.genome.0.values.0': .*string \(got 1\)"),
        ({"genome": ["many", 3]}, "150,000 genes in all; expected at most 100,000"),
        ({"objectives": []}, "field 'problem.objectives'"),
        ({"objectives": [{"name": "a b"}]}, "name 'a b' is not allowed"),
        ({"parameters": {"traffic": [[]]}}, "field 'problem.parameters.traffic"),
    ],
)
def test_a_manifest_with_an_absurd_problem_is_refused(tmp_path, change, message):
    moopim.run(Buffers(), "random", evaluations=20, output=tmp_path, progress=False)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    genome = manifest["problem"]["genome"]
    match change.get("genome"):
        case ["many", count]:
            change = {"genome": [genome[0] | {"name": f"x{i}", "repeat": 50_000} for i in range(count)]}
        case [str(field), value]:
            change = {"genome": [genome[0] | {field: value}, *genome[1:]]}
    manifest["problem"] |= change
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match=message):
        moopim.load_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (",".join(map(str, range(1000))) + "\n" + "1\n" * 1000, "has 1000 columns but rows that are shorter"),
        ("energy_mJ,latency_ms,hit_rate,area_mm2\n1,x,2,3\n", "has words in column 'latency_ms'; expected numbers"),
    ],
)
def test_frames_that_no_run_writes_are_refused(tmp_path, content, message):
    moopim.run(Buffers(), "random", evaluations=20, output=tmp_path, progress=False)
    (tmp_path / "evaluations.csv").write_text(content)
    with pytest.raises(ConfigError, match=message):
        moopim.load_run(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no manifest.json"),
        ("{", "is not valid"),
        ('{"format": 2}', "is not valid: field 'format'"),
        ("[]", "is not valid"),
    ],
)
def test_a_directory_that_is_no_run_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        moopim.resume(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluations": 0}, "evaluations=0 is not allowed; expected 1, 2, ..."),
        ({"seed": -1}, "seed=-1"),
        ({"jobs": 0}, "jobs=0"),
        ({"seed": None}, "seed=None is not allowed; expected 0, 1, ..."),
        ({"evaluations": "100"}, "evaluations='100' is not allowed"),
        ({"evaluations": 10.5}, "evaluations=10.5 is not allowed"),
        ({"algorithm": NSGA2}, "expected an instance such as NSGA2(...), or one of amosa,"),
        ({"algorithm": 3}, "algorithm is 3; expected an instance, or one of amosa,"),
        ({"algorithm": "nsga22"}, "unknown algorithm 'nsga22'"),
    ],
)
def test_bad_settings_leave_no_directory(tmp_path, options, message):
    with pytest.raises(ConfigError) as error:
        moopim.run(Buffers(), output=tmp_path / "run", **options)
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (MOEAD(np.eye(2)), "MOEAD failed on a problem of 1 objective and 1 constraint: .* not support any"),
        (NSGA3(np.eye(3)), "NSGA3 failed on a problem of 1 objective and 1 constraint: .* objectives: 3 != 1"),
    ],
)
def test_an_algorithm_that_does_not_take_the_problem_is_named(algorithm, message):
    with pytest.raises(ConfigError, match=f"^algorithm {message}"):
        moopim.run(Limited(), algorithm, evaluations=50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": NSGA2}, r"algorithm is <class .*NSGA2'>; expected an instance such as NSGA2\(\.\.\.\)$"),
        ({"algorithm": "nsga2"}, "algorithm is 'nsga2'; expected an instance$"),
        ({"problem": Buffers}, "expected an instance of a subclass of moopim.DesignProblem"),
        ({"problem": Buffers(traffic=2.0)}, "belongs to another problem or version: .* changed: parameters"),
    ],
)
def test_a_finished_run_is_not_read_back_for_something_else(tmp_path, options, message):
    moopim.run(Buffers(), "random", evaluations=50, output=tmp_path)
    with pytest.raises((ConfigError, LogError), match=message):
        moopim.resume(tmp_path, **options)


def test_the_way_on_can_be_typed(tmp_path):
    moopim.run(Buffers(), "random", evaluations=50, output=tmp_path / "my run")
    _unfinish(tmp_path / "my run")
    assert f"\"moopim resume '{tmp_path / 'my run'}'\" goes on" in moopim.load_run(tmp_path / "my run").message


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        moopim.run(Buffers(), output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ConfigError, match="is not a directory"):
        moopim.run(Buffers(), output=tmp_path / "notes.txt")


def test_an_unfinished_run_is_shown_as_far_as_it_came(tmp_path):
    whole = moopim.run(Labels(), "random", evaluations=60)
    out, counter = tmp_path / "run", tmp_path / "calls"
    with pytest.raises(EvaluationError, match=r"the simulator gave up.*; 200 evaluated designs kept in .*goes on"):
        moopim.run(Failing(str(counter), limit=2), "nsga2", evaluations=500, output=out)
    so_far = moopim.load_run(out)
    assert (so_far.finished, len(so_far.evaluations)) == (False, 200)
    assert so_far.message.startswith("not finished: 200 evaluations of 500 so far")
    counter.unlink()
    finished = Failing(str(counter), limit=-1)
    everything = moopim.run(finished, "nsga2", evaluations=500).evaluations
    assert so_far.evaluations.equals(everything[:200].drop(columns="returned"))
    # Values of any kind, from the log alone.
    moopim.run(Labels(), "random", evaluations=60, output=tmp_path / "labels")
    _unfinish(tmp_path / "labels")
    assert moopim.load_run(tmp_path / "labels").evaluations.equals(whole.evaluations.drop(columns="returned"))


def test_files_of_a_finished_run_are_made_again(tmp_path):
    result = moopim.run(Buffers(), "nsga2", evaluations=200, output=tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("front.csv", "evaluations.csv")}
    for lost in (["front.csv"], ["evaluations.csv"], ["front.csv", "evaluations.csv"]):
        for name in lost:
            (tmp_path / name).unlink()
        assert (
            moopim.load_run(tmp_path)
            .front.drop(columns="returned", errors="ignore")
            .equals(result.front.drop(columns="returned"))
        )
        assert moopim.resume(tmp_path).evaluations.equals(result.evaluations)
        assert {name: (tmp_path / name).read_bytes() for name in before} == before


SOURCE = """
import numpy as np
from moopim import DesignProblem, Genome, Integer, Objective

class Mine(DesignProblem):
    genome = Genome(Integer("x", 0, 50, repeat=3))
    objectives = (Objective("f"), Objective("g"))
    chunk_rows = 10

    def evaluate_designs(self, designs):
        f = designs.x.sum(axis=1)
        if (f == {wrong}).any():
            np.zeros(3).reshape(2, 2)
        return {{"f": f, "g": -1.0 * f}}
"""


def test_the_log_survives_a_mended_source_if_its_author_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "moopim"]
    file, out = tmp_path / "mine.py", tmp_path / "run"
    file.write_text(SOURCE.format(wrong=70))

    def call(*words):
        return subprocess.run([*command, *words], capture_output=True, text=True, check=False)

    failed = call("run", "mine.py:Mine", "--algorithm", "random", "--evaluations", "600", "--output", "run")
    assert failed.returncode == 2
    assert "evaluate_designs raised ValueError: cannot reshape" in failed.stderr
    named = re.search(r"\(mine.py, line 13\), for the design x_0=(\d+), x_1=(\d+), x_2=(\d+);", failed.stderr)
    assert sum(map(int, named.groups())) == 70
    assert len(failed.stderr.splitlines()) == 1
    kept = len(moopim.load_run(out).evaluations)
    assert 0 < kept < 600
    file.write_text(SOURCE.format(wrong=-1))
    refused = call("resume", "run")
    assert "changed: source; if its results still hold, 'moopim resume run --changed-source'" in refused.stderr
    assert call("resume", "run", "--changed-source", "--quiet").returncode == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert "log reused after a change of source" in manifest["notes"][0]
    assert (
        call("run", "mine.py:Mine", "--algorithm", "random", "--evaluations", "600", "--output", "whole").returncode
        == 0
    )
    assert (out / "front.csv").read_bytes() == (tmp_path / "whole" / "front.csv").read_bytes()
    # Another problem is refused all the same.
    file.write_text(SOURCE.format(wrong=-1).replace("0, 50", "0, 51"))
    _unfinish(out)
    still = call("resume", "run", "--changed-source")
    assert still.returncode == 2
    assert "changed: genome, source" in still.stderr


class Wide(DesignProblem):
    """Genes with as many values as a register has."""

    genome = Genome(Integer("x", -3, 2**20, repeat=2), Index("y", 2000))
    objectives = (Objective("f"),)

    def evaluate_designs(self, designs):
        return {"f": designs.x.sum(axis=1) + designs.y}


def test_genes_of_many_values_take_no_room_in_the_manifest(tmp_path):
    result = moopim.run(Wide(), "random", evaluations=50, output=tmp_path)
    assert (tmp_path / "manifest.json").stat().st_size < 10_000
    assert moopim.load_run(tmp_path).evaluations.equals(result.evaluations)
    _unfinish(tmp_path)
    assert moopim.load_run(tmp_path).evaluations.equals(result.evaluations.drop(columns="returned"))


def test_other_versions_are_named_and_used(tmp_path):
    result = moopim.run(Buffers(), "nsga2", evaluations=200, output=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    _unfinish(tmp_path, versions=manifest["versions"] | {"numpy": "1.0", "scipy": "9.9"})
    with pytest.warns(UserWarning, match=r"goes on with other versions: numpy 1.0 then, .* scipy 9.9 then"):
        assert moopim.resume(tmp_path).front.equals(result.front)


def test_damage_of_the_log_is_named_and_evaluated_again(tmp_path):
    whole = moopim.run(Buffers(), "nsga2", evaluations=500, output=tmp_path)
    with sqlite3.connect(tmp_path / "evaluations.sqlite") as connection:
        (table,) = connection.execute("SELECT metrics FROM batches WHERE generation = 2").fetchone()
        flipped = bytes([table[0] ^ 1, *table[1:]])
        connection.execute("UPDATE batches SET metrics = ? WHERE generation = 2", (flipped,))
    connection.close()
    _unfinish(tmp_path)
    for read in (moopim.resume, moopim.load_run):
        with pytest.raises(LogError, match=r"generation 2 does not match its checksum; .* --drop-damaged'"):
            read(tmp_path)
    again = moopim.resume(tmp_path, drop_damaged=True)
    assert again.evaluations.equals(whole.evaluations)
    assert again.front.equals(whole.front)


def test_an_evaluated_population_is_evaluated_again():
    problem = Tiny()
    X = np.array([[0, 1], [2, 2], [1, 0], [2, 0], [0, 0]])
    start = Population.new("X", X)
    PymooEvaluator().eval(problem, start)
    start[0].F = np.array([-1e6, -1e6])  # a value from elsewhere
    operators = {"crossover": UniformCrossover(), "mutation": ResetMutation()}
    algorithm = NSGA2(pop_size=5, sampling=start, eliminate_duplicates=HashedDuplicateElimination(), **operators)
    result = moopim.run(problem, algorithm, evaluations=5)
    assert result.evaluations[["a", "b"]].to_numpy().tolist() == [[1, 6], [4, 7], [2, 5], [4, 5], [1, 5]]
    assert result.evaluations["cost"].min() > 0
    assert start[0].F.tolist() == [-1e6, -1e6]  # the caller's own is left as it was


class Smuggler(NSGA2):
    """Returns a design that nobody has evaluated."""

    def _set_optimum(self):
        super()._set_optimum()
        foreign = Individual(X=np.array([0, 0, 0, 0, 0, 0, 2]))
        foreign.F, foreign.G = np.zeros(3), np.zeros(1)
        self.opt = Population.merge(self.opt, Population.create(foreign))


def test_a_known_design_with_other_values_is_evaluated_again():
    class Injecting(NSGA2):
        def _infill(self):
            offspring = super()._infill()
            brought = Individual(X=self.pop[0].X.copy(), F=np.full(3, -1e9), G=np.full(1, -1.0))
            brought.evaluated = {"F", "G", "H"}
            offspring[0] = brought
            return offspring

    result = moopim.run(Buffers(), Injecting(pop_size=20), evaluations=400)
    assert result.front["returned"].any()


def test_a_design_that_was_not_evaluated_ends_the_run():
    with pytest.raises(EvaluationError, match=r"Smuggler returns the design buffer_kb_0=2, .*, which this run has not"):
        moopim.run(Buffers(), Smuggler(pop_size=20, sampling=RandomSampling()), evaluations=60)


def test_left_overs_of_an_interrupted_start_are_no_content(tmp_path):
    (tmp_path / ".0123456789abcdef.partial").write_text("{")
    moopim.run(Buffers(), "random", evaluations=20, output=tmp_path)
    assert moopim.load_run(tmp_path).finished


def test_one_process_uses_a_run_at_a_time(tmp_path):
    moopim.run(Buffers(), "random", evaluations=20, output=tmp_path / "run")
    _unfinish(tmp_path / "run")
    with locked(tmp_path / "run"):
        with pytest.raises(ConfigError, match="in use by another process"):
            moopim.resume(tmp_path / "run")
        assert not moopim.load_run(tmp_path / "run").finished  # reading is no use
    moopim.resume(tmp_path / "run")


@pytest.mark.filterwarnings("ignore:.*was not written:UserWarning")
@pytest.mark.parametrize("name", ["café", b"caf\xe9"])
def test_a_folder_may_have_any_name(tmp_path, name):
    directory = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(name))))  # noqa: PTH118 (bytes)
    result = moopim.run(Buffers(), "random", evaluations=20, output=directory)
    assert moopim.load_run(directory).front.equals(result.front)
    _unfinish(directory)
    assert moopim.resume(directory).front.equals(result.front)
    assert (directory / "evaluations.parquet").is_file()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("built for another ABI")])
def test_a_failing_parquet_library_costs_only_its_file(tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.warns(UserWarning, match=r"evaluations.parquet' was not written .*; evaluations.csv holds the same"):
        result = moopim.run(Buffers(), "random", evaluations=20, output=tmp_path)
    assert moopim.load_run(tmp_path).front.equals(result.front)
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluations.csv",
        "evaluations.sqlite",
        "front.csv",
        "manifest.json",
    }


def test_messages_count_in_english():
    result = moopim.run(Tiny(), "random", evaluations=1)
    assert result.message == "1 evaluation (0 cached); 1 non-dominated design"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max": "power=0.1"}, "none has power <= 0.1 W, the least is 0.111111 W"),
        ({"max": "power=0.111111"}, "none has power <= 0.111111 W, the least is 0.1111111111111111 W"),
        ({"min": "area=9.5"}, "none has area >= 9.5 mm2, the greatest is 9 mm2"),
        ({"max": "power=0.1", "min": "area=10"}, "none has power <= 0.1 W, the least is 0.111111 W; none has area"),
        ({"max": "power=0.2,area=3"}, "each of power <= 0.2 W and area <= 3 mm2 is met by some design, but none"),
        ({"largest": -1}, "none has violation <= 0, the least is 0.2"),
        ({"max": "power=0.2", "largest": -1}, "none has violation <= 0, the least is 0.2"),  # no power is known
        ({"max": "power=0.2", "largest": 4}, "none has power <= 0.2 W, the least is 0.25 W"),
        ({"min": "area=5", "largest": 4}, "none within the limits has violation <= 0, the least is 0.1"),
    ],
)
def test_a_run_without_feasible_designs_says_what_binds(tmp_path, options, reason):
    result = moopim.run(Limited(**options), "random", evaluations=50, output=tmp_path / "run")
    assert f"all 9 designs were evaluated; no feasible design: {reason}" in result.message
    read_back = moopim.load_run(tmp_path / "run")
    assert (read_back.message, read_back.limits) == (result.message, result.limits)


def test_limits_are_those_of_the_front_and_of_the_summary():
    result = moopim.run(Limited(max="area=6"), "random", evaluations=50)
    assert result.front["size"].tolist() == [6]
    nine = result.evaluations[result.evaluations["size"] == 9].iloc[0]
    assert (nine.power_W, nine.violation) == (1 / 9, 0.5)  # results stay
    assert "area_mm2" in result.summary()


def test_summary_numbers_designs_as_the_frame_of_evaluations_does():
    result = moopim.run(Buffers(), "random", evaluations=100)
    header, *lines = result.summary(5).split("\n")[2:]
    assert header.split()[0] == "evaluation"
    shown = [int(line.split()[0]) for line in lines]
    first, last = (result.evaluations.set_index("evaluation").loc[shown[i], "energy_mJ"] for i in (0, -1))
    assert (first, last) == (result.front["energy_mJ"].min(), result.front["energy_mJ"].iloc[-1])
    unknown = replace(result, evaluations=result.evaluations.iloc[:0]).summary(5)
    assert [line.split()[0] for line in unknown.split("\n")[3:]] == ["-"] * len(shown)


def test_summary_and_html_name_problem_and_units():
    result = moopim.run(Buffers(), "random", evaluations=100)
    assert "Buffers(traffic=1.0), random, seed 1: 100 evaluations" in result.summary()
    assert "energy_mJ" in result.summary()
    assert "energy_mJ" in result._repr_html_()
    assert "<b>" not in replace(result, title="<b>bold</b>")._repr_html_()
