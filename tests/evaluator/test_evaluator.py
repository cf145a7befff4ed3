"""The evaluator: cache, log, worker processes; the values are always those of the problem itself."""

import numpy as np
import pytest
from toys import Buffers, Chunky, Failing

from moopim import ConfigError, EvaluationError, LogError
from moopim.evaluator import EvaluationLog, Evaluator


def open_log(path, problem):
    return EvaluationLog(
        path, problem.fingerprint(), problem.n_var, len(problem.quantities), problem.genome.storage_dtype
    )


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
        assert [len(batch.genes) for batch in log.read()] == [30, 5]


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


def test_a_failing_model_leaves_committed_generations_in_the_log(rng, tmp_path):
    problem = Failing(str(tmp_path / "calls"), limit=1)
    with open_log(tmp_path / "log", problem) as log:
        evaluator = Evaluator(problem, log)
        evaluator.problem.evaluate(problem.genome.sample(8, rng))
        evaluator.commit(1)
        with pytest.raises(EvaluationError, match="the simulator gave up"):
            evaluator.problem.evaluate(problem.genome.sample(8, rng))
    with open_log(tmp_path / "log", problem) as log:
        assert [len(batch.genes) for batch in log.read()] == [8]


@pytest.mark.parametrize("jobs", [2, 3])
def test_worker_processes_give_the_same_values(jobs, rng):
    problem = Chunky()
    X = problem.genome.sample(60, rng)
    F = Evaluator(problem, jobs=jobs).problem.evaluate(X)[0]
    assert np.array_equal(F, problem.evaluate(X)[0])


def test_an_error_in_a_worker_reaches_the_caller(rng, tmp_path):
    problem = Failing(str(tmp_path / "calls"), limit=0)
    problem.chunk_rows = 5
    with pytest.raises(EvaluationError, match="the simulator gave up"):
        Evaluator(problem, jobs=2).problem.evaluate(problem.genome.sample(60, rng))


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
