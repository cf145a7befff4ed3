"""Reading of users' TOML files: within bounds, and nothing of Python's around it."""

import pytest

from moopim import ConfigError
from moopim.constants import read_user_table
from moopim.errors import MoopimError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[\n" * 20_000, "it is nested too deep; expected at most 16 levels"),
        (".".join("a" * 20) + " = 1", "'a' is nested too deep; expected at most 16 levels"),
        (".".join("a" * 600) + " = 1", "a line has 1203 characters; expected at most 1000"),
        ("a = 0x" + "f" * 400, "a is a number beyond 64 bits"),
        ("a = [1, -9223372036854775809]", "a is a number beyond 64 bits"),
        ("a = 1\n" * 30_000, "is larger than 0.125 MiB; expected at most that"),
        ("a = 1\na = 2", "expected a TOML file"),
    ],
)
def test_a_file_beyond_bounds_is_refused(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"own\.toml") as error:
        read_user_table(tmp_path / "own.toml")
    assert message in str(error.value)


def test_a_file_within_bounds_is_read(tmp_path):
    (tmp_path / "own.toml").write_text("[a.b.c]\nd = [[9223372036854775807, 1.5]]\n", encoding="utf-8-sig")
    assert read_user_table(tmp_path / "own.toml", ["a"]) == {"a": {"b": {"c": {"d": [[2**63 - 1, 1.5]]}}}}


def test_a_message_is_one_line_of_bounded_length_with_both_its_ends():
    assert str(MoopimError("a\nb")) == "a b"
    line = str(MoopimError("start" + "x" * 10_000 + "end"))
    assert (len(line), line[:5], line[-3:]) == (4005, "start", "end")
