"""CSV tables: reading, schemas, writing."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from moopim import ConfigError
from moopim.constants import Bounds
from moopim.csv_files import (
    Column,
    Table,
    id_column,
    number_column,
    read_rows,
    row_name,
    whole_number_column,
    write_rows,
    write_table,
)
from moopim.files import check_writable


def test_what_is_written_reads_back(tmp_path):
    path = tmp_path / "a.csv"
    write_rows(path, ["id", "text"], [["1", 'a "b", c'], ["2", "two\nlines"]])
    assert read_rows(path, ["id"]) == (
        ["id", "text"],
        [{"id": "1", "text": 'a "b", c'}, {"id": "2", "text": "two\nlines"}],
    )


def test_a_long_word_is_read_and_the_limit_of_other_readers_is_left_alone(tmp_path):
    limit = csv.field_size_limit()
    path = tmp_path / "a.csv"
    write_rows(path, ["id"], [["x" * (limit + 1)]])
    assert len(read_rows(path)[1][0]["id"]) == limit + 1
    assert csv.field_size_limit() == limit


def test_a_short_row_ends_in_empty_words(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1\n")
    assert read_rows(path)[1] == [{"id": "1", "text": ""}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a header and rows"),
        (" \n\n", "is empty"),
        ("text\n", "has no column 'id'; expected id, text"),
        ("id,id,text\n", "has more than one column 'id'"),
        ("id,text\n1,2\n3,4,5\n", "row 2 (id '3') of"),
        ('id,text\n1,"2\n', "is not CSV"),
        (",".join(map(str, range(10_000))) + "\n" + "1\n" * 1000, "has more than 500 rows of 10000 columns"),
        ("id,text\n" + "\n" * 4_000_000, "has more than 4,000,000 lines"),
        ("id,text\n" + "," * 4_200_000, "one of more than 4,194,304 characters"),
        (f"id,text\n{'x' * 1_100_000},1\n", "field larger than field limit"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.csv") as error:
        read_rows(path, ["id", "text"])
    assert message in str(error.value)


def test_a_row_is_named_by_its_number_and_by_what_the_user_calls_it():
    path = Path("a.csv")
    assert row_name(path, 3, {"depth": "4", "id": "x"}, "id") == "row 3 (id 'x') of 'a.csv'"
    assert row_name(path, 3, {"depth": "4"}, "id") == "row 3 of 'a.csv'"


def test_an_output_that_has_no_place_is_refused_early_and_at_last(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    problems = {".": "is a folder", "no/a.csv": "does not exist", "file/a.csv": "Not a directory", "circle": "symbolic"}
    for name, problem in problems.items():
        with pytest.raises(ConfigError, match=problem):
            check_writable(tmp_path / name)
        with pytest.raises(ConfigError, match="cannot be written"):
            write_rows(tmp_path / name, ["id"], [])
    os.mkfifo(tmp_path / "pipe")
    for name in ("a.csv", "file", "pipe"):
        check_writable(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "circle", "pipe"}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_place_without_permission_is_refused_early(tmp_path):
    (tmp_path / "old.csv").touch(0o400)
    (tmp_path / "folder").mkdir(0o500)
    for name in ("old.csv", "folder/a.csv"):
        with pytest.raises(ConfigError, match="is not writable"):
            check_writable(tmp_path / name)


def test_rows_are_written_one_by_one(tmp_path):
    def rows():
        yield ["1"] * 1000
        size.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
        yield from ([str(number)] * 1000 for number in range(1000))
        size.append(sum(path.stat().st_size for path in tmp_path.iterdir()))

    size = []
    write_rows(tmp_path / "a.csv", ["id"] * 1000, rows())
    assert size[1] > size[0] + 1_000_000


def test_of_rows_that_fail_nothing_is_left(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_rows(tmp_path / "a.csv", ["id"], ([str(1 // number)] for number in (1, 0)))
    assert list(tmp_path.iterdir()) == []


BOUNDS = Bounds("W", 0.0, 10.0)
POWER = Table(
    "powers",
    "one for each case",
    (id_column("case"), number_column("power_W", BOUNDS), whole_number_column("pe", 3, "a PE"), Column("note")),
    key="case",
)


def rows_of(table, tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    return table.read(tmp_path / "a.csv")


def test_cells_are_parsed_by_their_columns(tmp_path):
    found = rows_of(POWER, tmp_path, "pe,note,power_W,case,more\n3,x,2.5,a,y\n0,,10,b,\n")
    assert found == [
        {"case": "a", "power_W": 2.5, "pe": 3, "note": "x"},
        {"case": "b", "power_W": 10.0, "pe": 0, "note": ""},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,pe,note\na,1,x\n", "has no column 'power_W'; expected case, power_W, pe, note"),
        ("case,power_W,pe,note\n", "powers '.*' has no rows; expected one for each case"),
        (
            "case,power_W,pe,note\na,1,1,x\nb,-1,1,x\n",
            r"row 2 \(case 'b'\) of '.*': power_W is -1.0 W; expected a n",
        ),
        ("case,power_W,pe,note\na,much,1,x\n", "power_W is 'much'; expected a number from 0 to 10 W"),
        ("case,power_W,pe,note\na,1,4,x\n", "pe '4' is not allowed; expected a PE, 0 .. 3"),
        (
            "case,power_W,pe,note\na,1,1,x\na,1,1,x\n",
            r"row 2 \(case 'a'\) of '.*': case is that of row 1; expected",
        ),
        ("case,power_W,pe,note\n ,1,1,x\n", "case is missing; expected a name of its own"),
    ],
)
def test_a_row_or_a_cell_that_is_not_allowed_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        rows_of(POWER, tmp_path, text)


def test_rows_of_another_kind_are_skipped_and_counted(tmp_path):
    table = Table("maps", "one", (Column("case", unique=True),), key="case", only=("kind", "power"), convert=tuple)
    assert rows_of(table, tmp_path, "kind,case\npower,a\nheat,a\n") == [("case",)]
    with pytest.raises(ConfigError, match="have no row of kind 'power'; got 'heat'"):
        rows_of(table, tmp_path, "kind,case\nheat,a\n")


def test_blocks_are_written_with_all_digits_and_empty_cells_for_nan(tmp_path):
    blocks = ([["a"], np.array([0.1 + 0.2]), np.array([True])], [["b"], np.array([np.nan]), [7]])
    write_table(tmp_path / "a.csv", ("id", "x", "y"), blocks)
    assert (tmp_path / "a.csv").read_text() == "id,x,y\na,0.30000000000000004,True\nb,,7\n"
