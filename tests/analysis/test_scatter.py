import numpy as np
import pytest
from made_up import COST, FOUR, GAIN, TIME, frame, search
from matplotlib.figure import Figure

from moopim import ConfigError
from moopim.analysis import non_dominated, plot_scatter, plot_scatter_3d, plot_scatter_matrix
from moopim.analysis.scatter import scatter_groups

ROWS = [(1, 10), (2, 30), (3, 20), (4, 40), (0, 99)]
DATA = frame((COST, GAIN), ROWS, feasible=[True, True, True, True, False])


def series(ax):
    """The drawn points of each label."""
    return {group.get_label(): np.asarray(group.get_offsets()) for group in ax.collections}


def test_groups_hold_each_design_once():
    groups = scatter_groups(DATA, (COST, GAIN))
    assert groups.front.tolist() == [[1, 10], [2, 30], [4, 40]]
    assert groups.dominated.tolist() == [[3, 20]]
    assert groups.infeasible.tolist() == [[0, 99]]


def test_groups_are_thinned_the_same_way_every_time():
    data = search(3000, seed=1)
    first, second = (scatter_groups(data, FOUR, limit=50) for _ in range(2))
    assert len(first.dominated) == len(first.infeasible) == 50
    np.testing.assert_array_equal(first.dominated, second.dominated)
    assert len(first.front) == len(non_dominated(data, FOUR))  # the front stays whole


def test_scatter_draws_front_dominated_and_infeasible_designs():
    (ax,) = plot_scatter(DATA, (COST, GAIN)).axes
    assert {label: len(points) for label, points in series(ax).items()} == {
        "infeasible": 1,
        "dominated": 1,
        "non-dominated": 3,
    }
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("cost (mJ)", "gain (%) ↑")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["infeasible", "dominated", "non-dominated"]


def test_step_line_bounds_what_the_front_dominates():
    (line,) = plot_scatter(DATA, (COST, GAIN)).axes[0].lines
    # Each level holds until the next dearer design: "post" from the cheapest on.
    assert line.get_drawstyle() == "steps-post"
    assert line.get_xydata().tolist() == [[1, 10], [2, 30], [4, 40]]
    (line,) = plot_scatter(DATA, (GAIN, COST)).axes[0].lines
    assert line.get_xydata().tolist() == [[40, 4], [30, 2], [10, 1]]


def test_a_marked_design_is_circled_wherever_it_lies():
    marked = frame((COST, GAIN), [(50, 5)], feasible=False)
    (ax,) = plot_scatter(DATA, (COST, GAIN), marked=marked).axes
    assert series(ax)["this design"].tolist() == [[50, 5]]
    assert ax.get_xlim()[1] > 50


def test_several_runs_are_shown_by_their_fronts():
    (ax,) = plot_scatter({"one": DATA, "two": DATA.head(2)}, (COST, GAIN)).axes
    assert {label: len(points) for label, points in series(ax).items()} == {"one": 3, "two": 2}
    assert len(ax.lines) == 2
    assert len({tuple(line.get_color()) for line in ax.lines}) == 2


def test_given_axes_are_used():
    ax = Figure().add_subplot()
    assert plot_scatter(DATA, (COST, GAIN), ax) is ax.figure
    assert len(ax.figure.axes) == 1
    assert ax.collections


def test_scales_follow_the_data():
    (wide,) = plot_scatter(frame((COST, TIME), [(1, 5000), (2, 7), (3, 0.01)]), (COST, TIME)).axes
    assert (wide.get_xscale(), wide.get_yscale()) == ("linear", "log")
    (zeros,) = plot_scatter(frame((COST, TIME), [(1, 5000), (2, 7), (3, 0)]), (COST, TIME)).axes
    assert zeros.get_yscale() == "symlog"
    assert zeros.get_ylim()[0] < 0
    assert zeros.get_ylim()[1] > 5000
    (signed,) = plot_scatter(frame((COST, TIME), [(1, 500), (2, -7)]), (COST, TIME)).axes
    assert signed.get_yscale() == "linear"


def test_far_designs_do_not_press_the_front_into_a_corner():
    rows = [(1, 2), (2, 1), *[(2 + i / 1000, 2) for i in range(1000)], (1e9, 1e9)]
    (ax,) = plot_scatter(frame((COST, TIME), rows), (COST, TIME)).axes
    assert ax.get_xlim()[1] < 4
    assert ax.get_xlim()[0] < 1


def test_figure_without_a_feasible_design_shows_the_infeasible_ones():
    (ax,) = plot_scatter(DATA.assign(feasible=False), (COST, GAIN)).axes
    assert list(series(ax)) == ["infeasible"]
    assert ax.get_ylim()[1] > 99


def test_matrix_has_every_pair_once():
    figure = plot_scatter_matrix(search(400, seed=1), FOUR)
    drawn = [ax for ax in figure.axes if ax.axison]
    assert len(drawn) == 6
    labels = {(ax.get_xlabel(), ax.get_ylabel()) for ax in drawn if ax.get_subplotspec().is_last_row()}
    assert labels == {("time (ns)", "gain (%) ↑"), ("area (mm²)", ""), ("cost (mJ)", "")}
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "infeasible",
        "dominated",
        "non-dominated",
    ]


def test_large_fronts_of_several_runs_are_thinned_but_keep_their_ends():
    data = frame((COST, TIME, GAIN), [(i, 2000 - i, i % 7) for i in range(2000)])
    points = series(plot_scatter_matrix({"a": data, "b": data}, (COST, TIME, GAIN)).axes[0])["a"]
    assert 300 <= len(points) <= 304
    assert points[:, 0].min() == 0
    assert points[:, 0].max() == 1999


def test_space_shows_the_front_with_units_and_colour():
    data = search(400, seed=1)
    ax = plot_scatter_3d(data, FOUR).axes[0]
    assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()] == ["time (ns)", "area (mm²)", "cost (mJ)"]
    assert ax.figure.axes[1].get_ylabel() == "gain (%) ↑"
    (points,) = ax.collections
    front = non_dominated(data, FOUR)
    np.testing.assert_allclose(points._offsets3d[0], np.log10(front["time_ns"]))  # over two decades
    assert ax.xaxis.get_major_formatter()(4.0) == "$10^{4}$"
    np.testing.assert_allclose(points._offsets3d[2], front["cost_mJ"])


def test_space_overlays_runs():
    (ax,) = plot_scatter_3d({"one": search(100, 1), "two": search(100, 2)}, FOUR[:3]).axes
    assert [group.get_label() for group in ax.collections] == ["one", "two"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_scatter(DATA, (COST,)), "plot_scatter got 1 objectives; expected 2"),
        (lambda: plot_scatter_matrix(DATA, (COST, GAIN)), "plot_scatter_matrix got 2 objectives; expected 3 or more"),
        (lambda: plot_scatter_3d(DATA, (COST, GAIN)), "plot_scatter_3d got 2 objectives; expected 3 to 4"),
        (lambda: plot_scatter(DATA, (COST, TIME)), "no column 'time_ns'"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
