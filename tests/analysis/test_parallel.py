import numpy as np
import pytest
from made_up import COST, FOUR, GAIN, TIME, frame, search

from moopim import ConfigError
from moopim.analysis import plot_parallel
from moopim.analysis.parallel import parallel_lines

DATA = frame((COST, TIME, GAIN), [(1, 1000, 50), (2, 10, 40), (3, 1, 30), (4, 2000, 20)])


def test_heights_are_one_at_the_best_and_zero_at_the_worst_of_the_front():
    lines = parallel_lines({"": DATA}, (COST, TIME, GAIN))
    np.testing.assert_allclose(lines.heights[""], [[1, 0, 1], [0.5, 2 / 3, 0.5], [0, 1, 0]])
    assert (lines.best.tolist(), lines.worst.tolist()) == ([1, 1, 50], [3, 1000, 30])
    assert lines.log == (False, True, False)


def test_zero_lies_at_the_good_end_of_a_logarithmic_axis():
    lines = parallel_lines({"": frame((COST, TIME), [(1, 1000), (2, 10), (3, 1), (4, 0)])}, (COST, TIME))
    np.testing.assert_allclose(lines.heights[""][:, 1], [0, 2 / 3, 1, 1])
    assert lines.best[1] == 0


def test_runs_share_the_axes():
    lines = parallel_lines({"a": DATA.iloc[[0]], "b": DATA.iloc[[1, 2]]}, (COST, TIME, GAIN))
    np.testing.assert_allclose(lines.heights["a"], [[1, 0, 1]])
    np.testing.assert_allclose(lines.heights["b"], [[0.5, 2 / 3, 0.5], [0, 1, 0]])


def test_objective_with_one_value_lies_at_the_best_end():
    lines = parallel_lines({"": frame((COST, TIME), [(1, 5)])}, (COST, TIME))
    np.testing.assert_allclose(lines.heights[""], [[1, 1]])


def test_many_lines_are_thinned_but_keep_the_ends_of_each_axis():
    lines = parallel_lines({"": search(4000, seed=2, luck=0.01)}, FOUR, limit=20)
    heights = lines.heights[""]
    assert 20 <= len(heights) <= 28
    np.testing.assert_array_equal(heights.max(axis=0), 1)
    np.testing.assert_array_equal(heights.min(axis=0), 0)


def test_figure_has_units_end_values_and_a_line_per_design():
    (ax,) = plot_parallel(DATA, (COST, TIME, GAIN)).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "cost (mJ)\nsmaller is better",
        "time (ns)\nsmaller is better, log",
        "gain (%)\nlarger is better",
    ]
    assert [text.get_text() for text in ax.texts] == ["1", "3", "1", "1000", "50", "30"]
    assert len(ax.collections[0].get_segments()) == 3
    assert ax.get_legend() is None


def test_figure_of_several_runs_names_them():
    (ax,) = plot_parallel({"a": DATA, "b": DATA.head(1)}, (COST, TIME, GAIN)).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_a_marked_design_has_a_line_of_its_own_and_may_be_off_the_front():
    lines = parallel_lines({"": DATA}, (COST, TIME), marked=DATA.assign(feasible=False).iloc[[3]])
    np.testing.assert_allclose(lines.marked, [[0, 0]])  # (4, 2000), the worst of both
    (ax,) = plot_parallel(DATA, (COST, TIME), marked=DATA.iloc[[3]]).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["this design"]


def test_nothing_feasible_is_refused():
    with pytest.raises(ConfigError, match="no design is feasible"):
        plot_parallel(DATA.assign(feasible=False), (COST, TIME))
