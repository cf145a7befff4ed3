"""HuNT's baselines on pools of arrays: reference rows, brute force, a hand-worked layer, bad input."""

import csv
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from moopim import ConfigError
from moopim.hardware.thermal import temperature_rise
from moopim.problems.hunt.baselines import ARCHITECTURES, baseline_model, best_map, evaluate_baseline, evaluate_maps
from moopim.workload import WORKLOADS, Layer, make_workload

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "reference" / "hunt" / "idealised_baselines.csv").open()))
COLUMNS = {
    "period_ns": "period",
    "energy_pJ": "energy",
    "power_W": "power",
    "tops_per_W": "tops_per_W",
    "tops_per_mm2": "tops_per_mm2",
}
TWO_POOLS = ("RRFS", "RFFS")


def as_map(pools):
    return np.array([[int(pool) for pool in pools]])


@pytest.mark.parametrize("factors", ["physical", "calibrated"])
@pytest.mark.parametrize("network", WORKLOADS)
def test_baselines_are_those_of_the_reference(network, factors):
    model = baseline_model(network, factors=factors)
    rows = [row for row in ROWS if (row["set"], row["workload"]) == (factors, network)]
    assert [row["architecture"] for row in rows] == list(ARCHITECTURES)
    for row in rows:
        name = row["architecture"]
        if name in TWO_POOLS:
            found = {k: v[0] for k, v in evaluate_maps(model, name, as_map(row["pools"])).items()}
        else:
            found = evaluate_baseline(model, name).metrics
        for column, metric in COLUMNS.items():
            assert found[metric] == pytest.approx(float(row[column]), rel=1e-6), (name, column)


@pytest.mark.parametrize("factors", ["physical", "calibrated"])
@pytest.mark.parametrize("network", WORKLOADS)
def test_searched_maps_are_at_least_as_good_as_those_of_the_reference(network, factors):
    model = baseline_model(network, factors=factors)
    for row in ROWS:
        if (row["set"], row["workload"]) == (factors, network) and row["architecture"] in TWO_POOLS:
            found = evaluate_baseline(model, row["architecture"])
            product_of = found.metrics["energy"] * found.metrics["period"]
            assert product_of <= float(row["energy_pJ"]) * float(row["period_ns"]) * (1 + 1e-12)
            again = evaluate_maps(model, row["architecture"], as_map(found.pools))
            assert again["energy"][0] == found.metrics["energy"]


@pytest.mark.parametrize("order", ["RRFS", "RFFS", "SFFR"])
def test_the_searched_map_is_the_best_of_all(order):
    model = baseline_model("vgg11")
    every = evaluate_maps(model, order, np.array(list(product((0, 1), repeat=11))))
    found = evaluate_maps(model, order, best_map(model, order)[None])
    least = (every["energy"] * every["period"]).min()
    assert found["energy"][0] * found["period"][0] == pytest.approx(least, rel=1e-12)


def one_layer(size_in, size_out, **changes):
    layer = Layer("fc", "fc", (-1,), size_in, size_out)
    return baseline_model(make_workload("one", "none", 10, [layer]), **changes)


def test_one_layer_worked_by_hand():
    # 128 inputs, 16 outputs of 16 bits: one array of ReRAM of 128 columns, 16 vectors of 100 ns, all columns used;
    # 16 outputs are written: one row of 100 ns. 3 x 16 x 384 arrays less 16 x 16 / (128 x 128 x 2) for activations.
    model = one_layer(128, 16)
    period = (16 * 100 + 100) / (3 * 16 * 384 - 2**-7)
    rewrite = 128 * 100 / 10
    # Weight gradient alone: 2048 MACs on 16 x 36 arrays of 65536 cells, 256 ns a vector, 16 x 16 bits, 1000 x as fast.
    gradient = 2048 / (1000 * 16 * 36 * 65536 / (256 * 256))
    found = evaluate_baseline(model, "RRRS").metrics
    assert found["period"] == pytest.approx(max(period, gradient) + rewrite, rel=1e-12)
    write = 2000 / 64
    dynamic = 16 * 200 + 2048 * 8 * write / 10 + 16 * 8 * write + 2048 * 0.65
    static = 16 * (3 * 12 + 30)
    assert found["energy"] == pytest.approx(dynamic + static * found["period"], rel=1e-12)
    assert found["tops_per_W"] == pytest.approx(2 * 2 * 2048 / found["energy"], rel=1e-12)


def test_heat_is_that_of_even_power(rng):
    model = baseline_model("vgg11")
    found = evaluate_maps(model, "RFFS", rng.integers(0, 2, (1, 11)))
    all_s = evaluate_baseline(model, "SSSS").metrics
    assert all_s["err"] == 0
    # SSSS: forward tiers share their power, the BP tier has the gradients: between even power and all on one tier.
    even = temperature_rise(np.full((1, 64), all_s["power"] / 64), model.influence).max()
    assert abs(all_s["peak"] - 300 - even) < 0.2 * even
    assert found["peak"][0] > 300


def test_a_map_does_not_depend_on_the_others(rng):
    model = baseline_model("resnet34", factors="calibrated")
    maps = rng.integers(0, 2, (40, 37))
    together = evaluate_maps(model, "RRFS", maps)
    for i in (0, 17, 39):
        alone = evaluate_maps(model, "RRFS", maps[i : i + 1])
        assert {name: values[i] for name, values in together.items()} == {k: v[0] for k, v in alone.items()}


def test_hyperx_with_a_whole_number_of_layers_is_that_map():
    model = baseline_model("vgg16")
    model = replace(model, factors=replace(model.factors, phi_HX=4 / 16))
    expected = evaluate_maps(model, "RSSS", as_map("0" * 12 + "1" * 4))
    found = evaluate_baseline(model, "HyperX RSSS").metrics
    assert found == pytest.approx({name: values[0] for name, values in expected.items()}, rel=1e-12)


def test_a_network_that_does_not_fit_is_refused_by_name():
    layers = [Layer(f"fc{i}", "fc", (i - 1,), 4096, 1024) for i in range(3)]
    model = baseline_model(make_workload("wide", "none", 1, layers))
    with pytest.raises(ConfigError, match=r"^wide for none does not fit on the tiers 'SSSS'$"):
        evaluate_baseline(model, "SSSS")
    maps = np.array([[1, 1, 1], [0, 0, 1]])
    found = evaluate_maps(model, "RSSS", maps)
    assert found["period"][0] == np.inf
    assert np.isfinite(found["period"][1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: evaluate_baseline(m, "RRFF"), "unknown architecture 'RRFF'"),
        (lambda m: best_map(m, "RRFR"), "no tier of 'RRFR' can serve back-propagation; expected one of S"),
        (lambda m: best_map(m, "RRXS"), "unknown device in the tier order 'RRXS' 'X'"),
        (lambda m: best_map(m, "RRS"), "tier order 'RRS' has 3 letters; expected 4"),
        (lambda m: best_map(m, "RFSS"), "has 3 forward devices; expected one or two"),
        (lambda m: evaluate_maps(m, "RRFS", np.zeros((2, 3), int)), r"maps have shape \(2, 3\); expected \(maps, 11\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ConfigError, match=message):
        call(baseline_model("vgg11"))
