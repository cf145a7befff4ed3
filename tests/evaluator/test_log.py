"""The evaluation log: what is written comes back; what does not fit or is damaged is refused, and can be dropped."""

import sqlite3

import numpy as np
import pytest

from moopim import Choice, Constraint, DesignProblem, Genome, LogError, Objective
from moopim.evaluator import EvaluationLog, LoggedBatch
from moopim.evaluator.log import _checksum


class Recorded(DesignProblem):
    """A genome of three genes and two quantities."""

    genome = Genome(Choice("x", tuple(range(200)), repeat=3))
    objectives = (Objective("f"),)
    constraints = (Constraint("c", upper=0.0),)

    def evaluate_designs(self, designs):
        raise NotImplementedError


class Wider(Recorded):
    genome = Genome(Choice("x", tuple(range(200)), repeat=4))


class Deeper(Recorded):
    genome = Genome(Choice("x", tuple(range(300)), repeat=3))


def make_batch(generation, n, seed=0):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, 2))
    table[0], table[-1] = (np.nan, 0.1), (np.inf, np.inf)  # infeasible designs may be without an objective
    return LoggedBatch(generation, rng.integers(0, 200, (n, 3), dtype=np.uint8), table, rng.random(n) < 0.5, 0.25)


def open_log(path, fingerprint="abc", problem=Recorded, **options):
    return EvaluationLog(path, problem(), fingerprint, **options)


def fill(path, *sizes):
    with open_log(path) as log:
        for generation, (start, n) in enumerate(zip(np.cumsum([0, *sizes[:-1]]).tolist(), sizes, strict=True), start=1):
            log.append(start, make_batch(generation, n, seed=generation))


def execute(path, statement, *values):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_batches_come_back_to_the_bit(tmp_path):
    batches = [make_batch(1, 4), make_batch(2, 7, seed=1)]
    chunk = make_batch(3, 2, seed=2)
    with open_log(tmp_path / "log") as log:
        log.append(0, batches[0])
        log.append(4, batches[1])
        log.append_chunk(chunk)
    for read_only in (True, False):
        with open_log(tmp_path / "log", read_only=read_only) as log:
            found = log.read()
        assert len(found.batches) == 2
        for batch, expected in zip([*found.batches, *found.chunks], [*batches, chunk], strict=True):
            assert batch.generation == expected.generation
            assert np.array_equal(batch.genes, expected.genes)
            assert batch.table.tobytes() == expected.table.tobytes()
            assert np.array_equal(batch.cached, expected.cached)
            assert batch.seconds == 0.25


def test_a_committed_generation_takes_its_chunks_along(tmp_path):
    with open_log(tmp_path / "log") as log:
        log.append_chunk(make_batch(1, 2))
        log.append_chunk(make_batch(1, 2, seed=1))
        log.append(0, make_batch(1, 4))
    with open_log(tmp_path / "log") as log:
        assert (len(log.read().batches), log.read().chunks) == (1, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "xyz"}, 'problem is "abc", expected "xyz"'),
        ({"problem": Wider}, "shape is [3, 2], expected [4, 2]"),
        ({"problem": Deeper}, "dtype is"),
    ],
)
def test_the_log_of_another_problem_is_refused(tmp_path, change, message):
    open_log(tmp_path / "log").close()
    with pytest.raises(LogError) as error:
        open_log(tmp_path / "log", **change)
    assert message in str(error.value)


def test_a_log_is_made_that_of_a_changed_problem(tmp_path):
    fill(tmp_path / "log", 4)
    for _ in range(2):  # again after an interruption that left the manifest as it was
        with open_log(tmp_path / "log", "xyz", former="abc") as log:
            assert len(log.read().batches) == 1
    with open_log(tmp_path / "log", "xyz") as log:
        assert len(log.read().batches) == 1
    with pytest.raises(LogError, match='problem is "xyz", expected "abc"'):
        open_log(tmp_path / "log", former="def")


def test_an_interrupted_repair_leaves_the_log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    fill(path, 4, 5, 6)
    execute(path, "UPDATE batches SET seconds = 9 WHERE generation = 2")
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(EvaluationLog, "append_chunk", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_log(path, repair=True)
    assert path.read_bytes() == before
    with open_log(path, repair=True) as log:
        assert [b.generation for b in log.read().chunks] == [3]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.damaged"]


def test_chunks_of_a_committed_generation_do_not_count(tmp_path):
    with open_log(tmp_path / "log") as log:
        log.append(0, make_batch(1, 4))
        log.append_chunk(make_batch(1, 4))  # where Ctrl-C comes right behind the commit
    with open_log(tmp_path / "log") as log:
        assert log.read().chunks == []


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
    with pytest.raises(LogError, match="is damaged: file is not a database"):
        open_log(tmp_path / "log")


def test_a_log_without_checksums_is_refused(tmp_path):
    fill(tmp_path / "log", 4)
    execute(tmp_path / "log", "UPDATE facts SET value = '1' WHERE name = 'format'")
    with pytest.raises(LogError, match="of format 1, of an earlier moopim"):
        open_log(tmp_path / "log")


def flipped(path, column, generation):
    """A column of a generation with its lowest bit flipped."""
    connection = sqlite3.connect(path)
    query = f"SELECT {column} FROM batches WHERE generation = ?"  # noqa: S608
    (value,) = connection.execute(query, (generation,)).fetchone()
    connection.close()
    return bytes([value[0] ^ 1, *value[1:]]) if isinstance(value, bytes) else value + 1


@pytest.mark.parametrize("column", ["genes", "metrics", "cached", "seconds", "checksum", "designs"])
def test_a_flipped_bit_is_noticed_named_and_dropped(tmp_path, column):
    path = tmp_path / "log"
    fill(path, 4, 5, 6)
    statement = f"UPDATE batches SET {column} = ? WHERE generation = 2"  # noqa: S608
    execute(path, statement, flipped(path, column, 2))
    with pytest.raises(LogError, match=f"generation 2 does not match its checksum; 'moopim resume {tmp_path} --drop-"):
        open_log(path)
    with open_log(path, repair=True) as log:
        assert [b.generation for b in log.read().batches] == [1]
        assert [b.generation for b in log.read().chunks] == [3]  # known, but without a place
    with open_log(path) as log:
        assert [b.generation for b in log.read().chunks] == [3]
    assert (tmp_path / "log.damaged").is_file()


def test_a_missing_generation_is_noticed(tmp_path):
    fill(tmp_path / "log", 4, 5)
    execute(tmp_path / "log", "DELETE FROM batches WHERE start = 0")
    with pytest.raises(LogError, match="the evaluations from 1 on are missing"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[np.nan, 0.0]], "unusable values: it has nan for objective 'f' of the design x_0=0, x_1=0, x_2=0"),
        ([[1.0, np.nan]], "it has nan for constraint 'c'"),
    ],
)
def test_a_checksum_does_not_excuse_unusable_values(tmp_path, table, message):
    with open_log(tmp_path / "log") as log:
        log.append(0, LoggedBatch(1, np.zeros((1, 3), np.uint8), np.array(table), np.zeros(1, np.bool_), 0.0))
    with pytest.raises(LogError) as error:
        open_log(tmp_path / "log")
    assert "generation 1 holds unusable values" in str(error.value)
    assert message in str(error.value)


def test_any_damage_of_the_file_is_noticed_or_harmless(tmp_path):
    """Bytes anywhere in the file: either the content is the same, or the log is refused and can be repaired."""
    fill(tmp_path / "log", 4, 5, 6)
    whole = (tmp_path / "log").read_bytes()
    with open_log(tmp_path / "log") as log:
        expected = [batch.table.tobytes() for batch in log.read().batches]
    rng = np.random.default_rng(1)
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    refused = 0
    for place in rng.choice(used, 120, replace=False).tolist():
        path = tmp_path / f"damaged{place}"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(rng.integers(8))]) + whole[place + 1 :])
        try:
            log = open_log(path)
        except LogError as error:
            assert "is damaged" in str(error)  # noqa: PT017 (harmless flips raise nothing)
            refused += 1
            log = open_log(path, repair=True)
        found = [batch.table.tobytes() for batch in log.read().batches]
        assert found == expected[: len(found)]
        log.close()
    assert refused > 60


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW endless AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
        "CREATE TRIGGER t AFTER INSERT ON batches BEGIN DELETE FROM batches; END",
        "CREATE TABLE computed (x INTEGER, y AS (x + 1))",
        "CREATE VIRTUAL TABLE words USING fts5(word)",
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_log_in_which_anything_is_computed_is_refused(tmp_path, statement, read_only):
    fill(tmp_path / "log.sqlite", 3)
    execute(tmp_path / "log.sqlite", statement)
    with pytest.raises(LogError, match="has views, triggers or computed columns"):
        open_log(tmp_path / "log.sqlite", read_only=read_only)


@pytest.mark.parametrize("designs", [0, -1])
def test_a_batch_without_designs_is_damage(tmp_path, designs):
    fill(tmp_path / "log.sqlite", 3)
    row = (
        1,
        designs,
        b"" if designs == 0 else bytes(3),
        bytes(0 if designs == 0 else 16),
        b"" if designs == 0 else b"\0\0",
        0.5,
    )
    execute(tmp_path / "log.sqlite", "DELETE FROM batches")
    execute(tmp_path / "log.sqlite", "INSERT INTO batches VALUES (0, ?, ?, ?, ?, ?, ?, ?)", *row, _checksum(*row))
    with pytest.raises(LogError, match=f"holds {designs} designs"):
        open_log(tmp_path / "log.sqlite")
