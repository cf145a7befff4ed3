"""Numbers that are paid for once."""

import pickle
import sqlite3
from multiprocessing import get_context

import numpy as np
import pytest

from moopim.errors import LogError
from moopim.evaluator.metric_store import MetricStore


def lengths(designs, asked):
    def compute(places):
        asked.append([designs[place] for place in places])
        return np.array([len(designs[place]) / 7 for place in places])

    return compute


def test_each_design_is_computed_once_over_all_runs(tmp_path):
    path, asked = tmp_path / "store.sqlite", []
    first, second = ["a", "bb", "a", "ccc"], ["ccc", "dddd", "bb"]
    assert MetricStore(path, {"weights": 1}).answer(first, lengths(first, asked)).tolist() == [
        1 / 7,
        2 / 7,
        1 / 7,
        3 / 7,
    ]
    store = MetricStore(path, {"weights": 1})
    assert store.answer(second, lengths(second, asked)).tolist() == [3 / 7, 4 / 7, 2 / 7]
    assert asked == [["a", "bb", "ccc"], ["dddd"]]
    assert store.count() == 4


def test_numbers_of_other_facts_are_not_seen(tmp_path):
    path, asked = tmp_path / "store.sqlite", []
    for facts in ({"weights": 1, "images": 2}, {"images": 2, "weights": 3}, {"images": 2, "weights": 1}):
        MetricStore(path, facts).answer(["a"], lengths(["a"], asked))
    assert asked == [["a"], ["a"]]


def test_nothing_is_kept_of_what_could_not_be_computed(tmp_path):
    store = MetricStore(tmp_path / "store.sqlite", {})

    def fail(places):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.answer(["a"], fail)
    assert store.count() == 0
    assert store.answer([], fail).shape == (0,)


def answer(path, first):
    designs = [str(number) for number in range(first, first + 40)]
    return MetricStore(path, {}).answer(designs, lambda places: np.array([float(designs[place]) for place in places]))


def test_processes_share_a_file(tmp_path):
    path = tmp_path / "store.sqlite"
    with get_context("spawn").Pool(2) as pool:
        found = pool.starmap(answer, [(path, first) for first in range(0, 60, 10)])
    assert [part.tolist() for part in found] == [list(range(first, first + 40)) for first in range(0, 60, 10)]
    assert pickle.loads(pickle.dumps(MetricStore(path, {}))).count() == 90  # noqa: S301 (as worker processes get it)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_text("something else, and long enough to be no empty database " * 20)
    with pytest.raises(LogError, match=r"store\.sqlite.*cannot be used"):
        MetricStore(path, {}).answer(["a"], lambda places: np.zeros(1))
    with sqlite3.connect(tmp_path / "folder.sqlite") as connection:
        connection.execute("CREATE TABLE metrics (other TEXT)")
    with pytest.raises(LogError, match="cannot be used"):
        MetricStore(tmp_path / "folder.sqlite", {}).count()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "TABLE metrics AS SELECT '{}' AS facts, 'a' AS design, 'words' AS value",
            "has 'words' for 'a'; expected a number",
        ),
        (
            (
                "VIEW metrics AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
                "SELECT x AS facts, x AS design, x AS value FROM c"
            ),
            "has views, triggers or computed columns",
        ),
    ],
)
def test_a_store_of_words_or_without_end_is_refused(tmp_path, table, message):
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute(f"CREATE {table}")
    with pytest.raises(LogError, match=message):
        MetricStore(tmp_path / "store.sqlite", {}).answer(["a"], lambda places: np.zeros(1))
