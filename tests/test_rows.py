"""CSV files as rows of words."""

import csv

import pytest

from moopim import ConfigError
from moopim.rows import check_output, read_rows, write_rows


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
        ("", "has no column 'id'; expected id, text"),
        ("id,id,text\n", "has more than one column 'id'"),
        ("id,text\n1,2\n3,4,5\n", "row 2 (id '3') of"),
        ('id,text\n1,"2\n', "is not CSV"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.csv") as error:
        read_rows(path, ["id", "text"])
    assert message in str(error.value)


def test_an_output_that_has_no_place_is_refused_early(tmp_path):
    for path, problem in ((tmp_path, "is a folder"), (tmp_path / "no" / "a.csv", "does not exist")):
        with pytest.raises(ConfigError, match=problem):
            check_output(path)
    check_output(tmp_path / "a.csv")
