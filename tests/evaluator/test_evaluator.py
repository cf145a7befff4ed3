"""The evaluator: cache, log, worker processes; the values are always those of the problem itself."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from toys import Buffers, Chunky, Failing

from moopim import ConfigError, EvaluationError, LogError
from moopim.evaluator import EvaluationLog, Evaluator


def open_log(path, problem):
    return EvaluationLog(path, problem, "the same throughout")


def test_answers_equal_the_problems_own(rng):
    problem = Buffers()
    X = problem.genome.sample(50, rng)
    F, G = Evaluator(problem).problem.evaluate(X)
    expected = problem.evaluate(X)
    assert np.array_equal(F, expected[0])
    assert np.array_equal(G, expected[1])


def test_a_design_is_evaluated_once(rng, tmp_path):
    counter = tmp_path / "calls"
    problem = Failing(str(counter), limit=2)  # a third call would fail
    evaluator = Evaluator(problem)
    X = problem.genome.sample(20, rng)
    first = evaluator.problem.evaluate(np.concatenate([X, X[:5]]))[0]
    again = evaluator.problem.evaluate(X[::-1])[0]
    assert counter.read_text() == "x"
    assert np.array_equal(first[:20], again[::-1])
    assert np.array_equal(first[20:], first[:5])
    assert (evaluator.n_evaluations, evaluator.n_cached) == (45, 45 - len(np.unique(X, axis=0)))


def test_generations_are_kept_with_what_was_cached(rng):
    problem = Buffers()
    evaluator = Evaluator(problem)
    X = np.unique(problem.genome.sample(10, rng), axis=0)
    evaluator.problem.evaluate(X[:3])
    evaluator.problem.evaluate(X[3:])
    evaluator.commit(1)
    evaluator.commit(2)  # nothing happened
    evaluator.problem.evaluate(X[2:4])
    evaluator.commit(3)
    assert [batch.generation for batch in evaluator.batches] == [1, 3]
    assert np.array_equal(evaluator.batches[0].genes, X)
    assert evaluator.batches[1].cached.tolist() == [True, True]
    assert np.array_equal(evaluator.batches[0].table, problem.tabulate(X))


def test_a_logged_run_is_answered_without_the_models(rng, tmp_path):
    counter = tmp_path / "calls"
    problem = Failing(str(counter), limit=100)
    X = problem.genome.sample(30, rng)
    with open_log(tmp_path / "log", problem) as log:
        evaluator = Evaluator(problem, log)
        first = evaluator.problem.evaluate(X)[0]
        evaluator.commit(1)
    calls = counter.read_text()
    with open_log(tmp_path / "log", problem) as log:
        evaluator = Evaluator(problem, log)
        replayed = np.concatenate([evaluator.problem.evaluate(X[:11])[0], evaluator.problem.evaluate(X[11:])[0]])
        evaluator.commit(1)
        assert counter.read_text() == calls
        assert np.array_equal(replayed, first)
        evaluator.problem.evaluate(problem.genome.sample(5, rng))
        evaluator.commit(2)
        assert counter.read_text() == calls + "x"
    with open_log(tmp_path / "log", problem) as log:
        assert [len(batch.genes) for batch in log.read().batches] == [30, 5]


def test_another_order_of_designs_than_logged_is_noticed(rng, tmp_path):
    problem = Buffers()
    X = problem.genome.sample(30, rng)
    with open_log(tmp_path / "log", problem) as log:
        evaluator = Evaluator(problem, log)
        evaluator.problem.evaluate(X)
        evaluator.commit(1)
    with open_log(tmp_path / "log", problem) as log:
        evaluator = Evaluator(problem, log)
        evaluator.problem.evaluate(X[:10])
        with pytest.raises(LogError, match="other designs than its log holds \\(evaluation 11"):
            evaluator.problem.evaluate(X[15:])


def test_a_failing_model_leaves_all_it_finished_in_the_log(rng, tmp_path):
    problem = Failing(str(tmp_path / "calls"), limit=3)
    problem.chunk_rows = 5
    X = np.unique(problem.genome.sample(40, rng), axis=0)[rng.permutation(30)]
    with open_log(tmp_path / "log", problem) as log:
        evaluator = Evaluator(problem, log)
        evaluator.problem.evaluate(X[:10])
        evaluator.commit(1)
        with pytest.raises(EvaluationError, match="the simulator gave up"):
            evaluator.problem.evaluate(X[10:])
        evaluator.flush()
    problem = Failing(str(tmp_path / "more calls"), limit=1)
    problem.chunk_rows = 5
    with open_log(tmp_path / "log", problem) as log:
        assert [len(batch.genes) for batch in log.read().batches] == [10]
        assert [len(batch.genes) for batch in log.read().chunks] == [5]
        evaluator = Evaluator(problem, log)
        evaluator.problem.evaluate(X[:10])
        evaluator.commit(1)
        with pytest.raises(EvaluationError, match="the simulator gave up"):
            evaluator.problem.evaluate(X[10:])
        evaluator.flush()
    with open_log(tmp_path / "log", problem) as log:
        assert [len(batch.genes) for batch in log.read().chunks] == [5, 5]  # one was known, one is new


class Mortal(Chunky):
    """Kills its process, as the system does for want of memory, until as many have died as a file shall hold bytes."""

    def __init__(self, counter: str, deaths: int):
        super().__init__()
        self.counter = counter
        self.deaths = deaths

    def evaluate_designs(self, designs):
        path = Path(self.counter)
        if path.stat().st_size < self.deaths and 2 in designs.buffer_kb[:, 0]:
            with path.open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate_designs(designs)


@pytest.mark.filterwarnings("ignore:a worker process died")
def test_a_worker_that_dies_is_replaced(rng, tmp_path):
    (tmp_path / "deaths").touch()
    X = Chunky().genome.sample(60, rng)
    evaluator = Evaluator(Mortal(str(tmp_path / "deaths"), 1), jobs=2)
    assert np.array_equal(evaluator.problem.evaluate(X)[0], Chunky().evaluate(X)[0])
    assert (tmp_path / "deaths").read_text()


def test_workers_that_die_again_and_again_end_the_run(rng, tmp_path):
    (tmp_path / "deaths").touch()
    evaluator = Evaluator(Mortal(str(tmp_path / "deaths"), 50), jobs=2)
    died = pytest.warns(RuntimeWarning, match="a worker process died, perhaps for want of memory")
    with died, pytest.raises(EvaluationError, match="a worker process died, and so did its successor"):
        evaluator.problem.evaluate(evaluator.problem.genome.sample(60, rng))


def test_workers_end_with_the_run_whatever_happened_to_one_of_them(tmp_path):
    """A worker that is killed while it waits holds the lock of the queue, at which the others would wait."""
    script = """
import os, signal, sys, time
import numpy as np
from joblib.externals.loky import get_reusable_executor
from moopim.evaluator import Evaluator
from toys import Chunky

problem = Chunky()
evaluator = Evaluator(problem, jobs=2)
evaluator.problem.evaluate(problem.genome.sample(60, np.random.default_rng(1)))
workers = list(get_reusable_executor(reuse=True)._processes)
time.sleep(0.5)
os.kill(workers[0], signal.SIGKILL)
evaluator.close()
alive = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
print(len(workers), len(alive))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 0\n", "")


def test_warnings_of_workers_are_issued_here(rng):
    problem = Loud()
    with pytest.warns(UserWarning, match="the table is extrapolated"):
        Evaluator(problem, jobs=2).problem.evaluate(problem.genome.sample(60, rng))


class Loud(Chunky):
    """Warns."""

    def evaluate_designs(self, designs):
        warnings.warn("the table is extrapolated", stacklevel=1)
        return super().evaluate_designs(designs)


def test_no_process_at_all_is_refused():
    with pytest.raises(ConfigError, match="jobs=0"):
        Evaluator(Buffers(), jobs=0)


def test_workers_see_a_problem_that_has_changed(rng):
    problem = Chunky()
    X = problem.genome.sample(60, rng)
    first = Evaluator(problem, jobs=2).problem.evaluate(X)[0]
    problem.traffic = 5.0
    second = Evaluator(problem, jobs=2).problem.evaluate(X)[0]
    assert not np.array_equal(first, second)
    assert np.array_equal(second, problem.evaluate(X)[0])
