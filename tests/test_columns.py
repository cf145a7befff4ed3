"""Strict reading of truth values and numbers from frames."""

import io
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from moopim import ConfigError, Constraint, Objective
from moopim.analysis import hypervolume_history, indicator_table, non_dominated
from moopim.analysis.box import Box
from moopim.columns import numeric_column, truth_column
from moopim.experiment.frames import front_frame, least_violating

PAIR = (Objective("f1"), Objective("f2"))


@pytest.mark.parametrize(
    "values",
    [
        [True, False, True],
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        ["True", "FALSE", " true "],
        ["yes", "No", "YES"],
        ["t", "F", "T"],
        ["1", "0", "1"],
        [np.True_, "f", 1],
        pd.array([True, False, True], dtype="boolean"),
        pd.Categorical(["yes", "no", "yes"]),
        pd.array([1, 0, 1], dtype="Int8"),
    ],
)
def test_truth_values_in_every_spelling(values):
    assert truth_column(pd.DataFrame({"feasible": values}), "feasible").tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "an empty cell"),
        (None, "an empty cell"),
        (np.nan, "an empty cell"),
        (pd.NA, "an empty cell"),
        (pd.NaT, "an empty cell"),
        ("maybe", "'maybe'"),
        ("ok", "'ok'"),
        (2, "2"),
        (np.float64(0.5), "0.5"),
        ([True], r"\[True\]"),
    ],
)
def test_what_is_no_truth_value_is_named(value, shown):
    frame = pd.DataFrame({"returned": pd.Series([True, value, False], dtype=object)})
    with pytest.raises(ConfigError, match=f"column 'returned' has {shown} in row 2 of 3; expected true or false"):
        truth_column(frame, "returned")


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([1, 2.5, np.nan], [1, 2.5, np.nan]),
        (["1", " 2.5", ""], [1, 2.5, np.nan]),
        ([Decimal(1), 2.5, None], [1, 2.5, np.nan]),
        (pd.array([1, 2, None], dtype="Int64"), [1, 2, np.nan]),
        (pd.Categorical(["1e3", "inf", "-2"]), [1000, np.inf, -2]),
        ([True, False, True], [1, 0, 1]),
    ],
)
def test_numbers_also_as_words(values, read):
    np.testing.assert_array_equal(numeric_column(pd.DataFrame({"f": values}), "f"), read)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["1", "n/a"], "'n/a'"),
        (["1", "1,5"], "'1,5'"),
        ([1, 1j], r"\(1\+0j\) in row 1"),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), "Timestamp"),
        ([1, [2]], r"\[2\]"),
    ],
)
def test_what_is_no_number_is_named(values, shown):
    with pytest.raises(ConfigError, match=rf"column 'f' has .*{shown}.*; expected a number"):
        numeric_column(pd.DataFrame({"f": values}), "f")


def test_columns_that_are_missing_or_there_twice():
    twice = pd.DataFrame([[1, 2]], columns=["f", "f"])
    with pytest.raises(ConfigError, match="the frame has 2 columns 'f'; expected one"):
        numeric_column(twice, "f")
    with pytest.raises(ConfigError, match="unknown column 'g'"):
        truth_column(twice, "g")
    with pytest.raises(ConfigError, match="column 'f' has an empty cell in row 1 of 1"):
        numeric_column(pd.DataFrame({"f": [np.nan]}), "f", missing=False)


def read(text, **options):
    return pd.read_csv(io.StringIO(f"f1,f2,feasible,cached\n{text}"), **options)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("1,2,True,no\n0,0,False,no\n2,1,True,no\n", {}),
        ("1,2,yes,f\n0,0,no,f\n2,1,YES,f\n", {}),
        ("1,2,True,0\n0,0,False,0\n2,1,True,0\n", {"dtype": str}),
    ],
)
def test_fronts_of_frames_from_files(text, options):
    frame = read(text, **options)
    for front in (non_dominated(frame, PAIR), front_frame(frame.assign(evaluation=1, generation=1), PAIR)):
        assert front[["f1", "f2"]].astype(float).to_numpy().tolist() == [[1, 2], [2, 1]]
    nearest = least_violating(frame, (Constraint("f1", lower=1.5),), n=1)
    assert nearest["f2"].astype(float).tolist() == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,True,0\n0,0,,0\n2,1,True,0\n", "column 'feasible' has an empty cell in row 2 of 3"),
        ("1,2,True,0\n0,zero,False,0\n", "column 'f2' has 'zero' in row 2 of 2; expected a number"),
    ],
)
def test_frames_from_files_that_are_damaged(text, message):
    for call in (non_dominated, front_frame):
        with pytest.raises(ConfigError, match=message):
            call(read(text), PAIR)


def test_evaluation_numbers_as_words_keep_their_order():
    # As words, 10 would come before 9.
    frame = pd.DataFrame({"f1": [3.0, 1.0], "f2": [3.0, 1.0], "evaluation": ["9", "10"]})
    history = hypervolume_history(frame, Box(PAIR, (0, 0), (4, 4)))
    assert (history["hypervolume"].diff().dropna() > 0).all()
    with pytest.raises(ConfigError, match="column 'evaluation' has 'last' in row 1 of 2; expected a number"):
        hypervolume_history(frame.assign(evaluation=["last", "9"]), Box(PAIR, (0, 0), (4, 4)))


def test_returned_designs_as_words():
    class Run:
        algorithm, seed = "a", 1
        evaluations = pd.DataFrame({"f1": [1.0, 2.0], "f2": [2.0, 1.0], "returned": ["no", "no"]})

    assert indicator_table([Run], PAIR)["hypervolume_returned"].tolist() == [0.0]
