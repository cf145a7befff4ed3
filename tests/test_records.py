"""Records of JSON files: unknown fields, wrong values and unreadable files in one line."""

import pytest
from pydantic import Field
from refusals import check_refused

from moopim.records import Record, differences, parse_record, read_record


class Seed(Record):
    seed: int = Field(ge=0)
    words: list[str] = Field(default_factory=list)


def test_a_record_is_read_from_a_file(tmp_path):
    (tmp_path / "a.json").write_text('{"seed": 3, "words": ["x"]}')
    assert read_record(tmp_path / "a.json", Seed, 100) == Seed(seed=3, words=["x"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json' is not valid: is not JSON"),
        ("[]", "a.json' is not valid: Input should be"),
        ("{}", "field 'seed': Field required$"),
        ('{"seed": -1}', "field 'seed': Input should be greater than or equal to 0 .got -1.$"),
        ('{"seed": 1, "words": ["x", 2]}', "field 'words.1': Input should be a valid string .got 2.$"),
        ('{"seed": 1, "sed": 2}', "field 'sed': Extra inputs are not permitted"),
        ('{"seed": 1, "words": ["' + "x" * 100 + '"]}', "is larger than"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    check_refused(lambda: read_record(tmp_path / "a.json", Seed, 100), message)


def test_the_caller_says_what_the_value_is_and_what_was_expected():
    check_refused(lambda: parse_record(Seed, None, "no seed", "one"), "^no seed: Input should be .*; expected one$")


def test_differences_are_named_by_field():
    assert differences({"a": 1, "b": 2}, {"b": 3, "a": 1}) == "b is 2 there and 3 here"
    assert differences({"a": 1}, {"a": 1}) == ""
