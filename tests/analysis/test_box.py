import numpy as np
import pytest
from made_up import AREA, COST, GAIN, TIME, frame

from moopim import ConfigError
from moopim.analysis import Box, common_box, joint_box


def test_box_holds_the_fronts_of_all_runs():
    first = frame((COST, GAIN), [(1, 10), (4, 40), (9, 5)])
    second = frame((COST, GAIN), [(7, 30), (0, 99)], feasible=[True, False])  # dominated by the first run
    box = common_box([first, second], (COST, GAIN))
    assert (box.ideal, box.nadir, box.log, box.label) == ((1, 40), (7, 10), (), "fronts of all runs")
    np.testing.assert_allclose(box.coordinates(second), [[1, 1 / 3]])
    joint = joint_box([first, second], (COST, GAIN))
    assert (joint.ideal, joint.nadir, joint.label) == ((1, 40), (4, 10), "joint front")


def test_box_of_one_run_holds_its_front_over_time():
    # The third design was never on the front; numbers of evaluations say what came first.
    data = frame((COST, GAIN), [(1, 40), (5, 20), (6, 10), (9, 30)]).assign(evaluation=[4, 2, 3, 1])
    box = common_box([data], (COST, GAIN))
    assert (box.ideal, box.nadir, box.label) == ((1, 40), (9, 20), "front over time")
    assert common_box([frame((COST,), [(3,), (2,), (7,)])], (COST,)).nadir == (3,)


def test_objectives_that_are_constant_on_the_fronts_are_left_out_and_named():
    # Designs off the fronts set no scale.
    first = frame((COST, AREA, GAIN), [(1, 5, 10), (4, 5, 40), (9, 7, 5)])
    second = frame((COST, AREA, GAIN), [(7, 5 * (1 + 1e-15), 30), (8, 1e6, 20)])
    for make, words in ((common_box, "fronts of all runs"), (joint_box, "joint front")):
        box = make([first, second], (COST, AREA, GAIN))
        assert box.constant == ("area",)
        assert box.label == f"{words}, without area (constant)"
    box = common_box([first, second], (COST, AREA, GAIN))
    np.testing.assert_allclose(box.coordinates(first), [[0, 1], [0.5, 0], [8 / 6, 35 / 30]])


def test_where_all_is_constant_nothing_is_left_out():
    data = frame((COST, GAIN), [(1, 10), (2, 5)])
    box = common_box([data, data], (COST, GAIN))
    assert box.constant == ()
    np.testing.assert_allclose(box.coordinates(data), [[0, 0], [1, 5]])


def test_objective_with_one_value_on_the_joint_front_reaches_to_its_worst_on_all_fronts():
    first, second = frame((COST, GAIN), [(1, 10), (9, 99)]), frame((COST, GAIN), [(2, 10), (3, 11)])
    assert joint_box([first.head(1), second.head(1)], (COST, GAIN)).nadir == (2, 10)
    assert joint_box([first, second], (COST, GAIN)).nadir == (9, 10)


def test_logarithmic_coordinates():
    data = frame((TIME, GAIN), [(10, 1), (1000, 100), (100, 10)])
    box = common_box([data], (TIME, GAIN), log=("time", "gain"))
    np.testing.assert_allclose(box.coordinates(data), [[0, 1], [1, 0], [0.5, 0.5]])


def test_zeros_lie_at_the_lower_end_of_a_logarithmic_scale():
    data = frame((TIME, COST), [(0, 3), (0.1, 2), (10, 1)])
    box = common_box([data], (TIME, COST), log=("time",))
    assert box.ideal == (0.1, 1)
    np.testing.assert_allclose(box.coordinates(data), [[0, 1], [0, 0.5], [1, 0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: common_box([], (COST,)), "no design is feasible"),
        (lambda: common_box([frame((COST,), [(1,)], feasible=False)], (COST,)), "no design is feasible"),
        (lambda: common_box([frame((COST,), [(1,)])], (COST,), log=("kost",)), "unknown objective 'kost'.*'cost'"),
        (lambda: common_box([frame((COST,), [(0,)])], (COST,), log=("cost",)), "expects positive ends"),
        (lambda: Box((COST,), (2.0,), (1.0,)), "ideal 2.0 of objective 'cost' is worse than its nadir 1.0"),
        (lambda: Box((GAIN,), (1.0,), (2.0,)), "'gain' is worse than its nadir 2.0"),
        (
            lambda: Box((COST,), (1.0,), (2.0,), ("cost",)).coordinates(frame((COST,), [(-3,)])),
            "'cost' has the value -3; log= expects at least 0",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
