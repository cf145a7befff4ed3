"""The evaluation log: what is written comes back, what does not fit is refused."""

import sqlite3

import numpy as np
import pytest

from moopim import LogError
from moopim.evaluator import Batch, EvaluationLog

UINT8 = np.dtype(np.uint8)


def make_batch(generation, n, seed=0):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, 2))
    table[0, 0], table[-1, 1] = np.nan, np.inf
    return Batch(generation, rng.integers(0, 200, (n, 3), dtype=np.uint8), table, rng.random(n) < 0.5, 0.25)


def open_log(path, fingerprint="abc", n_genes=3, n_quantities=2, dtype=UINT8):
    return EvaluationLog(path, fingerprint, n_genes, n_quantities, dtype)


def test_batches_come_back_to_the_bit(tmp_path):
    batches = [make_batch(1, 4), make_batch(2, 7, seed=1)]
    with open_log(tmp_path / "log") as log:
        log.append(0, batches[0])
        log.append(4, batches[1])
    with open_log(tmp_path / "log") as log:
        found = log.read()
    for batch, expected in zip(found, batches, strict=True):
        assert batch.generation == expected.generation
        assert np.array_equal(batch.genes, expected.genes)
        assert batch.table.tobytes() == expected.table.tobytes()
        assert np.array_equal(batch.cached, expected.cached)
        assert batch.seconds == 0.25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "xyz"}, 'problem is "abc", expected "xyz"'),
        ({"n_genes": 4}, "shape is [3, 2], expected [4, 2]"),
        ({"dtype": np.dtype(np.uint16)}, "dtype is"),
    ],
)
def test_the_log_of_another_problem_is_refused(tmp_path, change, message):
    open_log(tmp_path / "log").close()
    with pytest.raises(LogError) as error:
        open_log(tmp_path / "log", **change)
    assert message in str(error.value)


def test_a_second_writer_is_refused(tmp_path):
    with open_log(tmp_path / "log") as first, open_log(tmp_path / "log") as second:
        first.append(0, make_batch(1, 4))
        with pytest.raises(LogError, match="being written by another process"):
            second.append(0, make_batch(1, 4))


def test_a_directory_in_its_place_is_refused(tmp_path):
    with pytest.raises(LogError, match="cannot be opened"):
        open_log(tmp_path)


def test_a_file_that_is_no_log_is_refused(tmp_path):
    (tmp_path / "log").write_text("not a database, but long enough to be mistaken for one" * 20)
    with pytest.raises(LogError, match="cannot be used"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DELETE FROM batches WHERE start = 0", "evaluation 0 is missing"),
        ("UPDATE batches SET metrics = x'00' WHERE start = 4", "damaged in generation 2"),
    ],
)
def test_damage_is_noticed(tmp_path, damage, message):
    with open_log(tmp_path / "log") as log:
        log.append(0, make_batch(1, 4))
        log.append(4, make_batch(2, 4))
    connection = sqlite3.connect(tmp_path / "log")
    with connection:
        connection.execute(damage)
    connection.close()
    with open_log(tmp_path / "log") as log, pytest.raises(LogError) as error:
        log.read()
    assert message in str(error.value)
