"""Objectives, constraints and metrics: names, units, bounds."""

import pytest

from moopim import ConfigError, Constraint, Metric, Objective


@pytest.mark.parametrize(
    ("quantity", "column", "label"),
    [
        (Objective("energy", "mJ"), "energy_mJ", "energy (mJ)"),
        (Objective("hit_rate", "1", sense="max"), "hit_rate", "hit rate"),
        (Metric("tops_per_W", "1"), "tops_per_W", "tops per W"),
        (Metric("edp", "mJ*ms"), "edp_mJ_ms", "edp (mJ*ms)"),
    ],
)
def test_column_and_label_carry_the_unit(quantity, column, label):
    assert quantity.column == column
    assert quantity.label == label


def test_sign_makes_every_objective_one_to_minimise():
    assert Objective("f").sign == 1
    assert Objective("f", sense="max").sign == -1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Objective("no name"), "expected a Python identifier"),
        (lambda: Objective("class"), "expected a Python identifier"),
        (
            lambda: Objective("f", ""),
            "unit '' of 'f' is not allowed; expected text such as 'mJ', '1' for a pure number",
        ),
        (lambda: Objective("f", 5), "unit 5 of 'f' is not allowed"),
        (lambda: Objective(5), "Objective name 5 is not allowed"),
        (lambda: Objective("f", sense="maximise"), "expected 'min' or 'max'"),
        (lambda: Constraint("g", "1"), "needs a finite upper= or lower= bound"),
        (lambda: Constraint("g", "1", upper=float("nan")), "needs a finite"),
        (lambda: Constraint("g", "1", upper=1, lower=2), "lower=2 above upper=1"),
    ],
)
def test_bad_declarations_are_refused(make, message):
    with pytest.raises(ConfigError) as error:
        make()
    assert message in str(error.value)
