"""Goals: the violation against a plain loop, the choice of objectives and limits, and its messages."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim import ConfigError, Constraint, Metric, Objective
from moopim.goals import choose_goals

KNOWN = (
    Objective("accuracy", sense="max"),
    Objective("area", "mm2"),
    Objective("power", "W"),
    Objective("peak", "K"),
)
ORIGINS = {"peak": 300.0}

bounds = st.none() | st.floats(0.01, 100)
results = st.lists(st.tuples(*[st.floats(-10, 1000) | st.just(math.nan) | st.just(math.inf)] * 3), min_size=1)


def violation_of(design, upper, lower, own):
    """The rule for one design, number by number."""
    if own > 0:
        return own
    total, exceeded = 0.0, False
    for name, x in design.items():
        origin = ORIGINS.get(name, 0.0)
        if name in upper and x > upper[name]:
            exceeded, total = True, total + (x - origin) / (upper[name] - origin) - 1
        if name in lower and x < lower[name]:
            exceeded, total = True, total + 1 - (x - origin) / (lower[name] - origin)
    return max(total, 1e-3) if exceeded else own


def option(limits):
    return ",".join(f"{name}={value!r}" for name, value in limits.items())


@given(results, st.tuples(*[st.tuples(bounds, bounds)] * 3), st.data())
def test_the_violation_is_that_of_a_plain_loop(values, limits, data):
    names = ("area", "power", "peak")
    upper, lower = {}, {}
    for name, pair in zip(names, limits, strict=True):
        given_bounds = [ORIGINS.get(name, 0.0) + bound for bound in pair if bound is not None]
        if len(given_bounds) == 2:
            lower[name], upper[name] = sorted(given_bounds)
        elif given_bounds:
            data.draw(st.sampled_from((upper, lower)))[name] = given_bounds[0]
    own = np.array(data.draw(st.lists(st.sampled_from((0.0, 0.4, -1.0)), min_size=len(values), max_size=len(values))))
    goals = choose_goals(KNOWN, "accuracy,area", option(upper), option(lower), ORIGINS)
    columns = {name: np.array(column) for name, column in zip(names, zip(*values, strict=True), strict=True)}
    found = goals.violation(columns, own)
    expected = [
        violation_of(dict(zip(names, row, strict=True)), upper, lower, violation)
        for row, violation in zip(values, own, strict=True)
    ]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert ((found > 0) == (np.array(expected) > 0)).all()


def test_an_excess_of_one_bit_is_a_violation():
    goals = choose_goals(KNOWN, "accuracy", "peak=350.1", origins=ORIGINS)
    peaks = np.array([350.1, np.nextafter(350.1, 400)])
    assert goals.violation({"peak": peaks}, np.zeros(2)).tolist() == [0, 1e-3]


def test_objectives_limits_and_metrics_keep_their_order():
    goals = choose_goals(KNOWN, "power, accuracy", "peak=350,area=2", "area=1, accuracy=0.9")
    assert goals.objectives == (Objective("power", "W"), Objective("accuracy", sense="max"))
    assert goals.metrics == (Metric("area", "mm2"), Metric("peak", "K"))
    assert goals.limits == (
        Constraint("peak", "K", upper=350.0),
        Constraint("area", "mm2", upper=2.0, lower=1.0),
        Constraint("accuracy", lower=0.9),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("area,accuracy,area",), "objective 'area' is given twice"),
        (("accuracy,pover",), "unknown objective 'pover'.*power"),
        (("",), "unknown objective ''"),
        (("area", "area"), "max 'area' is not allowed; expected NAME=NUMBER, such as area=1"),
        (("area", "area=big"), "max 'area=big' is not allowed"),
        (("area", "area=inf"), "max 'area=inf' is not allowed"),
        (("area", "area=1,area=2"), "max of 'area' is given twice"),
        (("area", "", "speed=1"), "unknown min of 'speed'"),
        (("area", "area=0"), "max 'area=0' is not allowed; expected a number above 0"),
        (("area", "", "area=-1"), "min 'area=-1' is not allowed; expected a number above 0"),
        (("area", "peak=300"), "max 'peak=300' is not allowed; expected a number above 300"),
        (("area", "area=1", "area=2"), r"'area' has lower=2.0 above upper=1.0"),
    ],
)
def test_goals_that_are_not_allowed_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        choose_goals(KNOWN, *options, origins=ORIGINS)
