"""CSV files as rows of words."""

import csv
import os
from pathlib import Path

import pytest

from moopim import ConfigError
from moopim.csv_files import read_rows, row_name, write_rows
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
