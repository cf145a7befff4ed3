import numpy as np
import pytest
from made_up import COST, GAIN, TIME, frame

from moopim import ConfigError
from moopim.analysis import Box, common_box


def test_box_is_that_of_the_union_of_fronts():
    first = frame((COST, GAIN), [(1, 10), (4, 40), (9, 5)])
    second = frame((COST, GAIN), [(2, 30), (0, 99)], feasible=[True, False])
    box = common_box([first, second], (COST, GAIN))
    assert (box.ideal, box.nadir, box.log) == ((1, 40), (4, 10), ())
    np.testing.assert_allclose(box.coordinates(second), [[1 / 3, 1 / 3]])


def test_objective_with_one_value_on_the_front_reaches_to_the_worst_design():
    box = common_box([frame((COST,), [(3,), (2,), (7,)])], (COST,))
    assert (box.ideal, box.nadir) == ((2,), (7,))


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
