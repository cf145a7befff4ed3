"""Runs: the same bits again, on any number of processes, killed and resumed; files; refusals."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from toys import Buffers, Chunky, Failing, Labels, Slow

import moopim
from moopim import ConfigError, EvaluationError, LogError
from moopim.operators import RandomSampling

TOYS = Path(__file__).parents[1] / "toys.py"
pytestmark = pytest.mark.filterwarnings("ignore:.*evaluations leave each of:UserWarning")


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
    ("text", "message"),
    [
        (None, "has no manifest.json"),
        ("{", "is not valid"),
        ('{"format": 2}', "is not valid: format"),
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
        ({"algorithm": "nsga22"}, "unknown algorithm 'nsga22'"),
    ],
)
def test_bad_settings_leave_no_directory(tmp_path, options, message):
    with pytest.raises(ConfigError) as error:
        moopim.run(Buffers(), output=tmp_path / "run", **options)
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        moopim.run(Buffers(), output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ConfigError, match="is not a directory"):
        moopim.run(Buffers(), output=tmp_path / "notes.txt")


def test_an_unfinished_run_is_not_loaded(tmp_path):
    moopim.run(Buffers(), "nsga2", evaluations=100, output=tmp_path)
    _unfinish(tmp_path)
    with pytest.raises(ConfigError, match="is not finished; 'moopim resume"):
        moopim.load_run(tmp_path)


def test_summary_and_html_name_problem_and_units():
    result = moopim.run(Buffers(), "random", evaluations=100)
    assert "Buffers(traffic=1.0), random, seed 1: 100 evaluations" in result.summary()
    assert "energy_mJ" in result.summary()
    assert "energy_mJ" in result._repr_html_()
