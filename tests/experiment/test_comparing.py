"""Comparisons: all runs, going on where it was, refusals before anything starts."""

import os

import pytest
from toys import Buffers

import moopim
from moopim import ConfigError, EvaluationError, LogError
from moopim.files import locked


def test_every_algorithm_runs_with_every_seed(tmp_path):
    results = moopim.compare(Buffers(), ["nsga2", "random"], seeds=2, evaluations=150, output=tmp_path)
    assert [(result.algorithm, result.seed) for result in results] == [
        ("nsga2", 1),
        ("nsga2", 2),
        ("random", 1),
        ("random", 2),
    ]
    alone = moopim.run(Buffers(), "nsga2", evaluations=150, seed=2)
    assert results[1].front.equals(alone.front)


def test_a_comparison_goes_on_where_it_was_and_can_grow(tmp_path):
    moopim.compare(Buffers(), ["random"], seeds=1, evaluations=150, output=tmp_path)
    before = (tmp_path / "random-s1" / "manifest.json").read_bytes()
    results = moopim.compare(Buffers(), ["random", "nsga2"], seeds=2, evaluations=150, output=tmp_path)
    assert len(results) == 4
    assert (tmp_path / "random-s1" / "manifest.json").read_bytes() == before


def test_runs_in_processes_give_the_same(tmp_path):
    one = moopim.compare(Buffers(), ["nsga2"], seeds=2, evaluations=150, output=tmp_path / "1")
    two = moopim.compare(Buffers(), ["nsga2"], seeds=2, evaluations=150, output=tmp_path / "2", jobs=2)
    for first, second in zip(one, two, strict=True):
        assert first.front.equals(second.front)


@pytest.mark.parametrize(
    ("algorithms", "options", "message"),
    [
        (["nsga2", "nsga9"], {}, "unknown algorithm 'nsga9'"),
        (["nsga2", "nsga2"], {}, "named twice"),
        ([], {}, "algorithms is empty"),
        (["nsga2"], {"seeds": 0}, "seeds=0"),
        (["nsga2"], {"evaluations": -5}, "evaluations=-5"),
        (["nsga2"], {"jobs": 0}, "jobs=0"),
        ("nsga2", {}, "algorithms is 'nsga2'; expected a list of names, such as ['nsga2']"),
        ([3], {}, "algorithms has 3; expected names: amosa"),
    ],
)
def test_bad_settings_leave_no_directory(tmp_path, algorithms, options, message):
    with pytest.raises(ConfigError) as error:
        moopim.compare(Buffers(), algorithms, output=tmp_path / "cmp", **options)
    assert message in str(error.value)
    assert not (tmp_path / "cmp").exists()


def test_runs_of_another_problem_or_budget_are_not_mixed_in(tmp_path):
    moopim.compare(Buffers(), ["random"], seeds=1, evaluations=100, output=tmp_path)
    with pytest.raises(LogError, match="belongs to another problem"):
        moopim.compare(Buffers(traffic=2), ["random"], seeds=1, evaluations=100, output=tmp_path)
    with pytest.raises(ConfigError, match="has evaluations=100, not 200"):
        moopim.compare(Buffers(), ["random"], seeds=1, evaluations=200, output=tmp_path)


def test_a_directory_with_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        moopim.compare(Buffers(), ["random"], output=tmp_path)


def test_a_class_without_a_name_cannot_be_compared(tmp_path):
    class Local(Buffers):
        pass

    with pytest.raises(ConfigError, match="cannot be imported by name"):
        moopim.compare(Local(), ["random"], output=tmp_path)


def test_a_comparison_goes_on_after_a_kill_at_its_very_first(tmp_path):
    (tmp_path / "random-s1").mkdir()
    (tmp_path / "random-s1" / ".0123456789abcdef.partial").write_text("{")
    assert len(moopim.compare(Buffers(), ["random"], seeds=1, evaluations=50, output=tmp_path)) == 1


def test_names_may_come_from_a_generator(tmp_path):
    names = (name for name in ["random", "nsga2"])
    assert len(moopim.compare(Buffers(), names, seeds=1, evaluations=50, output=tmp_path)) == 2


class Dying(Buffers):
    """A model that the system ends."""

    def evaluate_designs(self, designs):
        os._exit(1)


@pytest.mark.filterwarnings("ignore:a worker process died")
def test_dying_workers_say_what_is_kept(tmp_path):
    with pytest.raises(EvaluationError, match=r"so did its successor .* kept in .* the same comparison goes on"):
        moopim.compare(Dying(), ["random", "nsga2"], seeds=1, evaluations=50, output=tmp_path, jobs=2)


def test_one_comparison_uses_a_folder_at_a_time(tmp_path):
    tmp_path.joinpath("cmp").mkdir()
    with locked(tmp_path / "cmp"), pytest.raises(ConfigError, match="in use by another process"):
        moopim.compare(Buffers(), ["random"], seeds=1, evaluations=50, output=tmp_path / "cmp")
