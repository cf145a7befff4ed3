"""Steps are made once, go on after an interruption, and are never overwritten by mistake."""

import json
import sys

import pytest

from moopim.errors import ConfigError
from moopim.experiment.steps import STEP, find_steps, read_step, run_step, steps_frame, steps_text

FACTS = {"seed": 1, "weights": "abc", "sizes": (1, 2)}


def maker(calls, text="made"):
    def make(directory):
        calls.append(text)
        (directory / "product.txt").write_text(text)
        return {"accuracy": 0.5}

    return make


def make_step(directory, calls, facts=FACTS, text="made", **options):
    return run_step(directory, "training", facts, maker(calls, text), products=("product.txt",), **options)


def test_a_step_is_made_once(tmp_path):
    calls = []
    first = make_step(tmp_path / "a", calls)
    assert first == make_step(tmp_path / "a", calls) == read_step(tmp_path / "a")
    assert calls == ["made"]
    assert (first.state, first.result) == ("finished", {"accuracy": 0.5})


def test_an_interrupted_step_goes_on_from_what_it_left(tmp_path):
    def fail(directory):
        (directory / "partial").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_step(tmp_path / "a", "training", FACTS, fail, products=("product.txt",))
    assert read_step(tmp_path / "a").state == "running"
    calls = []
    assert make_step(tmp_path / "a", calls).state == "finished"
    assert (tmp_path / "a" / "partial").read_text() == "half"


def test_other_facts_are_refused_and_made_anew_only_by_force(tmp_path):
    calls = []
    make_step(tmp_path / "a", calls)
    other = FACTS | {"seed": 2, "more": 3}
    with pytest.raises(ConfigError, match=r"other settings: more is None there and 3 here; seed is 1 there and 2 here"):
        make_step(tmp_path / "a", calls, other)
    assert (tmp_path / "a" / "product.txt").read_text() == "made"
    assert make_step(tmp_path / "a", calls, other, "again", force=True).facts["seed"] == 2
    assert (tmp_path / "a" / "product.txt").read_text() == "again"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("other")])
def test_products_that_have_changed_are_not_used(tmp_path, damage):
    make_step(tmp_path / "a", [])
    damage(tmp_path / "a" / "product.txt")
    with pytest.raises(ConfigError, match=r"product\.txt' of step 'training' is missing or has changed"):
        make_step(tmp_path / "a", [])


def test_folders_of_something_else_are_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match=rf"has no {STEP}"):
        make_step(tmp_path, [])
    make_step(tmp_path / "a", [])
    with pytest.raises(ConfigError, match="holds step 'training'; expected 'search'"):
        run_step(tmp_path / "a", "search", FACTS, maker([]), products=())
    (tmp_path / "a" / STEP).write_text(json.dumps({"name": "training"}))
    with pytest.raises(ConfigError, match=r"step\.json' is not valid: field 'facts': Field required"):
        read_step(tmp_path / "a")


def test_steps_of_a_pipeline_are_listed_with_what_made_them(tmp_path):
    make_step(tmp_path / "a", [])
    make_step(tmp_path / "b" / "c", [], FACTS | {"seed": 7})
    assert list(find_steps(tmp_path)) == ["a", "b/c"]
    frame = steps_frame(tmp_path)
    assert frame.seed.tolist() == [1, 7]
    assert frame.products.tolist() == ["product.txt"] * 2
    assert steps_frame(tmp_path / "b" / "c" / "none").empty


def test_a_step_that_could_not_begin_leaves_nothing(tmp_path):
    def refuse(directory):
        raise ConfigError("not allowed")

    with pytest.raises(ConfigError, match="not allowed"):
        run_step(tmp_path / "a", "training", FACTS, refuse, products=())
    assert not (tmp_path / "a").exists()


def test_steps_deep_below_are_not_those_of_a_pipeline(tmp_path):
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / STEP).write_text("{}")
    assert find_steps(tmp_path) == {}


def test_steps_are_shown_with_the_commands_that_made_them(tmp_path, monkeypatch):
    assert steps_text(tmp_path) == ""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/moopim", "crossnas", "--output", "my nas"])
    make_step(tmp_path / "a", [])
    monkeypatch.setattr(sys, "argv", ["/lib/moopim/__main__.py", "crossnas", "--seed", "7"])
    make_step(tmp_path / "b" / "c", [], FACTS | {"seed": 7})
    lines = steps_text(tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == ["folder", "a", "b/c", "command", "command"]
    assert [line.split()[-2] for line in lines[1:3]] == ["1", "2"]
    assert lines[3].endswith(": moopim crossnas --output 'my nas'")
    assert lines[4].endswith(": python -m moopim crossnas --seed 7")


def test_force_removes_a_step_and_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match=rf"has no {STEP}"):
        make_step(tmp_path / "a", [], force=True)
    assert (tmp_path / "a" / "mine.txt").read_text() == "precious"
    make_step(tmp_path / "b", [])
    (tmp_path / "b" / "folder").mkdir()
    (tmp_path / "b" / STEP).write_text("damaged")
    calls = []
    assert make_step(tmp_path / "b", calls, force=True).state == "finished"
    assert calls == ["made"]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["product.txt", STEP]


def test_a_folder_with_nothing_but_a_half_written_file_is_empty(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".0123.partial").touch()
    assert make_step(tmp_path / "a", []).state == "finished"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": []}, "field 'command'"),
        ({"products": {"/dev/zero": ""}}, "product '/dev/zero' is not a file within the folder of the step"),
        ({"products": {"x" * 300: ""}}, r"x\.\.\. is not a file within the folder of the step"),
        ({"products": {"../x": ""}}, "product '../x' is not a file within the folder of the step"),
        ({"seconds": float("nan")}, r"field 'seconds': .*finite number \(got nan\)"),
        ({"seconds": -1}, "field 'seconds'"),
    ],
)
def test_a_record_that_no_step_writes_is_refused(tmp_path, change, message):
    make_step(tmp_path / "a", [])
    record = json.loads((tmp_path / "a" / STEP).read_text())
    (tmp_path / "a" / STEP).write_text(json.dumps(record | change))
    with pytest.raises(ConfigError, match=message):
        read_step(tmp_path / "a")
