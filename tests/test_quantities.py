"""Objectives, constraints and metrics: names, units, bounds."""

import pytest

from moopim import Choice, ConfigError, Constraint, DesignProblem, Genome, Integer, Metric, Objective


@pytest.mark.parametrize(
    ("quantity", "column", "label"),
    [
        (Objective("energy", "mJ"), "energy_mJ", "energy (mJ)"),
        (Objective("hit_rate", "1", sense="max"), "hit_rate", "hit rate"),
        (Metric("tops_per_W", "1"), "tops_per_W", "tops per W"),
        (Metric("edp", "mJ*ms"), "edp_mJ_ms", "edp (mJ*ms)"),
        (Objective("layer_ns", "ns"), "layer_ns", "layer (ns)"),
        (Metric("mean_edp_mJ_ms", "mJ*ms"), "mean_edp_mJ_ms", "mean edp (mJ*ms)"),
        (Metric("share_pct", "%"), "share_pct", "share (%)"),
        (Metric("turns", "ns"), "turns_ns", "turns (ns)"),
        (Metric("ns", "ns"), "ns_ns", "ns (ns)"),
        (Metric("rate_1", "1"), "rate_1", "rate 1"),
    ],
)
def test_column_and_label_carry_the_unit(quantity, column, label):
    assert quantity.column == column
    assert quantity.label == label


@pytest.mark.parametrize(
    ("unit", "spelt"),
    [
        ("%", "pct"),
        ("degC", "degC"),
        ("°C", "degC"),
        ("℃", "degC"),  # one sign
        ("°", "deg"),
        ("µJ", "uJ"),  # micro sign
        ("\u03bcJ", "uJ"),  # Greek letter
        ("kΩ", "kohm"),
        ("mm²", "mm2"),
        ("mm2", "mm2"),
        ("1/s", "1_s"),
        ("mJ ms", "mJ_ms"),
        ("J / K", "J_K"),
        ("A·h", "A_h"),
        ("W/(m K)", "W_m_K"),
        ("‰", "permille"),
        ("€/h", "euro_sign_h"),
        ("-", "hyphen_minus"),
    ],
)
def test_units_in_columns_are_readable(unit, spelt):
    assert Objective("x", unit).column == f"x_{spelt}"
    assert f"x_{spelt}".isidentifier()
    assert Objective("x", unit).label == f"x ({unit})"


@pytest.mark.parametrize(
    ("objectives", "others", "column"),
    [
        ((Objective("energy", "mJ"),), {"metrics": (Metric("energy_mJ"),)}, "energy_mJ"),
        ((Objective("rate_1", "s"), Objective("rate", "1/s")), {}, "rate_1_s"),
        ((Objective("share", "%"),), {"constraints": (Constraint("share_pct", upper=1),)}, "share_pct"),
        ((Objective("t", "°C"),), {"metrics": (Metric("t_degC"),)}, "t_degC"),
        ((Objective("x", "mJ"),), {"genome": Genome(Choice("x_mJ", (1, 2)))}, "x_mJ"),
        ((Objective("w_1"),), {"genome": Genome(Integer("w", 0, 1, repeat=2))}, "w_1"),
        ((Objective("cached"),), {}, "cached"),
    ],
)
def test_each_quantity_has_a_column_of_its_own(objectives, others, column):
    class Problem(DesignProblem):
        def __init__(self):
            self.genome = others.get("genome", Genome(Integer("n", 0, 3)))
            self.objectives = objectives
            self.metrics = others.get("metrics", ())
            self.constraints = others.get("constraints", ())
            super().__init__()

        def evaluate_designs(self, designs):
            raise NotImplementedError

    with pytest.raises(ConfigError, match=f"column '{column}' of quantity .* is used twice"):
        Problem()


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
