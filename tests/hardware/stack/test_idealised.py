"""HuNT's idealised model: reference rows, a literal second implementation, hand-worked numbers, invariants."""

import csv
from pathlib import Path

import numpy as np
import pytest
from literal_idealised import evaluate, reference_factors
from scipy.optimize import brentq

from moopim import ConfigError
from moopim.hardware.noc import load_noc
from moopim.hardware.stack.devices import load_devices
from moopim.hardware.stack.idealised import evaluate_idealised, idealised_model, steady_state
from moopim.hardware.stack.layer_costs import copies_period, idealised_costs
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.parameters import load_parameters
from moopim.hardware.stack.traffic import graph_traffic
from moopim.workload import IMAGE, WORKLOADS, Layer, load_workload, make_workload

REFERENCE = Path(__file__).parents[2] / "reference" / "hunt" / "idealised_designs.csv"
COLUMNS = {
    "violation": "violation",
    "area_mm2": "area",
    "period_ns": "period",
    "energy_pJ": "energy",
    "power_W": "power",
    "peak_K": "peak",
    "err": "err",
    "tops_per_W": "tops_per_W",
    "tops_per_mm2": "tops_per_mm2",
}
LETTERS = "SRF"


def random_designs(model, n, rng):
    tiers = rng.integers(0, 3, (n, 4))
    genes = rng.integers(0, 48, (n, len(model.workload)))
    genes[: n // 4] %= 16  # all layers on one tier
    genes[n // 4 : n // 2, 0] = 47  # one layer alone, perhaps
    genes[n // 4 : n // 2, 1:] %= 32
    return tiers, genes


@pytest.mark.parametrize("factors", ["physical", "calibrated"])
@pytest.mark.parametrize("network", WORKLOADS)
def test_reference_designs_to_the_last_digits(network, factors):
    rows = [r for r in csv.DictReader(REFERENCE.open()) if (r["workload"], r["set"]) == (network, factors)]
    assert len(rows) == 12
    tiers = np.array([[LETTERS.index(letter) for letter in row["tiers"]] for row in rows])
    genes = np.array([row["genes"].split() for row in rows], dtype=int)
    metrics = evaluate_idealised(idealised_model(load_workload(network), factors, "chain"), tiers, genes)
    for column, name in COLUMNS.items():
        expected = [float(row[column] or "nan") for row in rows]
        assert metrics[name] == pytest.approx(expected, rel=1e-11, nan_ok=True), column


@pytest.mark.parametrize("factors", ["physical", "calibrated"])
@pytest.mark.parametrize("network", WORKLOADS)
def test_agrees_with_the_equations_written_out(network, factors, rng):
    model = idealised_model(load_workload(network), factors, "chain")
    tiers, genes = random_designs(model, 60, rng)
    metrics = evaluate_idealised(model, tiers, genes)
    parts = (model.workload, reference_factors(factors), np.load(REFERENCE.parent / "influence_64x64.npy"))
    feasible = 0
    for i in range(len(tiers)):
        expected = evaluate(*parts, "".join(LETTERS[t] for t in tiers[i]), genes[i].tolist())
        feasible += "period" in expected
        for name, values in metrics.items():
            assert values[i] == pytest.approx(expected.get(name, np.nan), rel=1e-9, abs=1e-15, nan_ok=True), name
    assert feasible > 30


def test_a_tier_that_overflows_is_violated_by_its_excess(rng):
    # 9 x 16 SRAM arrays hold one copy of a layer of 256 arrays x 16 column blocks only in part.
    layers = [Layer(f"l{i}", "fc", (i - 1,), 4096, 1024) for i in range(3)]
    model = idealised_model(make_workload("wide", "none", 1, layers))
    out = evaluate_idealised(model, np.array([[0, 0, 0, 0]]), np.array([[0, 1, 2]]))
    # By hand: 16 row blocks x 64 column blocks = 1024 arrays a layer, 3 layers; 576 arrays, less the activations:
    # 1024 x 16 / 65536 = .25 arrays a layer.
    assert out["violation"][0] == pytest.approx((3 * 1024 - (576 - 0.75)) / 576, rel=1e-14)
    assert np.isnan(out["period"][0])


def test_the_least_violation_marks_the_smallest_excess():
    layers = [Layer(f"l{i}", "fc", (i - 1,), 256 * 36, 16) for i in range(16)]
    model = idealised_model(make_workload("exact", "none", 1, layers))
    out = evaluate_idealised(model, np.zeros((1, 4), dtype=int), np.zeros((1, 16), dtype=int))
    # 16 x 36 arrays fill the tier; what the activations need is 16 x 16 x 16 / 65536 arrays: 1e-4 of the tier.
    assert out["violation"][0] == 1e-3


def test_layer_costs_by_hand():
    # 3x3 convolution, 20 -> 20 channels, 32 x 32, batch 128, on ReRAM: 180 rows in 2 blocks of 128, 8 cells a value,
    # 160 columns in 2 blocks: 4 arrays; U_c = 160 / 256 = .625; 1024 positions x 16 bits = 16384 vectors.
    layer = Layer("c", "conv", (IMAGE,), 20, 20, kernel=(3, 3), size_in=(32, 32), size_out=(32, 32))
    workload = make_workload("one", "none", 128, [layer])
    costs = idealised_costs(workload, load_devices(), load_parameters().factors)
    R = 1
    assert costs.arrays[R, 0] == 4
    # 16384 x 100 ns x .625 = 1,024,000 ns; activations 20480 x 16 / (128 x 2) = 1280 rows x 100 ns / 4 arrays.
    assert costs.time[R, 0] == pytest.approx(1_024_000 + 32_000, rel=1e-14)
    # 16384 x 4 x 200 pJ x .625; weights 3600 x 8 x 31.25 pJ / 128; activations 20480 x 8 x 31.25 pJ.
    assert costs.energy[R, 0] == pytest.approx(8_192_000 + 7031.25 + 5_120_000, rel=1e-14)
    assert costs.activation_arrays[R, 0] == 20480 * 16 / (128 * 128 * 2)
    assert costs.stored_bits[0] == (3600 + 20480) * 16
    # On SRAM: one row block (180 of 256 rows), 320 columns in 2 blocks; row-serial: 16384 x 256 x 1 ns x 180 / 256.
    S = 0
    assert costs.arrays[S, 0] == 2
    assert costs.time[S, 0] == pytest.approx(16384 * 180 + 20480 * 16 / 256 * 1 / 2, rel=1e-14)


def layers_along_the_tiers(model, tiers, genes):
    """Period of the slowest tier, occupancy and line of mappings that fit."""
    occupancy, costs = occupy(model, tiers, genes), model.costs
    arrays, time = (t.take(occupancy.entry) for t in (costs.arrays, costs.time))
    period = copies_period(arrays, time, occupancy.tier, occupancy.free)[0]
    return period.max(axis=1), occupancy, steady_state(model, tiers, genes, occupancy).line


def solve_period(flits, packets, busy, rest, noc):
    """The period T = busy + rest + C(T) of one design by bisection."""

    def communication(T):
        if noc == "paper":
            return flits.sum() / 288
        u = flits / T
        return (8.53 * packets + (4.08 * flits / 4 + flits * u / (2 * (1 - u))).sum()) / 288

    return brentq(lambda T: T - busy - rest - communication(T), busy * (1 + 1e-9), 100 * busy + 1e6, xtol=1e-9)


@pytest.mark.parametrize("noc", ["queue", "paper"])
@pytest.mark.parametrize("network", ["vgg11", "resnet34", "densenet40"])
def test_the_network_on_chip_is_a_stage_of_the_pipeline_and_packets_take_time(network, noc, rng):
    model = idealised_model(load_workload(network), noc=noc)
    tiers, genes = random_designs(model, 60, rng)
    metrics = evaluate_idealised(model, tiers, genes)
    fit = metrics["violation"] == 0
    tiers, genes = tiers[fit], genes[fit]
    slowest, occupancy, line = layers_along_the_tiers(model, tiers, genes)
    traffic = graph_traffic(model.workload, 16, model.stack, load_noc(), occupancy, line)
    for i, flits in enumerate(traffic.flits):
        busy = max(slowest[i], model.gradient_ns[0], flits.max())
        rewrite = max([0.0, *(model.rewrite_ns[occupancy.forward_device[i]] * (occupancy.layers[i] > 0))])
        T = solve_period(flits, traffic.packets[i], busy, rewrite / model.workload.batch, noc)
        assert metrics["period"][fit][i] == pytest.approx(T, rel=1e-9)
        assert metrics["link_util"][fit][i] == pytest.approx(flits.max() / T, rel=1e-9)
    assert (metrics["link_util"][fit] < 1).all()


def test_energy_of_links_goes_by_flits_and_hops(rng):
    # Nothing but the energy of a hop differs: 0.4 pJ more for each of the 128 bits of a flit on each link.
    workload = load_workload("resnet18")
    cheap, dear = (idealised_model(workload, override=f"hop_energy_pJ={pj}") for pj in (0.1, 0.5))
    tiers, genes = np.tile([1, 2, 1, 0], (20, 1)), rng.integers(0, 48, (20, len(workload)))
    _, occupancy, line = layers_along_the_tiers(cheap, tiers, genes)
    flits = graph_traffic(workload, 16, cheap.stack, load_noc(), occupancy, line).flits.sum(axis=1)
    more = evaluate_idealised(dear, tiers, genes)["energy"] - evaluate_idealised(cheap, tiers, genes)["energy"]
    assert more == pytest.approx(0.4 * 128 * flits, rel=1e-6)


@pytest.mark.parametrize("network", ["vgg11", "densenet40"])
def test_a_design_has_the_same_bits_in_any_batch(network, rng):
    model = idealised_model(load_workload(network))
    tiers, genes = random_designs(model, 400, rng)
    whole = evaluate_idealised(model, tiers, genes)
    for size in (1, 3, 16, 256):
        for start in range(0, 400, size) if size > 1 else range(0, 400, 7):
            part = slice(start, start + size)
            for name, values in evaluate_idealised(model, tiers[part], genes[part]).items():
                assert values.tobytes() == whole[name][part].tobytes(), (name, size)


@pytest.mark.parametrize("factors", ["physical", "calibrated"])
def test_neither_company_nor_memory_order_changes_a_bit(factors, rng):
    model = idealised_model(load_workload("resnet34"), factors)
    tiers, genes = random_designs(model, 300, rng)
    whole = evaluate_idealised(model, tiers, genes)
    both = np.asfortranarray(np.concatenate([tiers, genes], axis=1))
    columns = evaluate_idealised(model, both[:, :4], both[:, 4:])
    for name, values in whole.items():
        assert columns[name].tobytes() == values.tobytes(), name
    for size in rng.integers(1, 40, 30):
        some = rng.choice(300, size)
        for name, values in evaluate_idealised(model, tiers[some], genes[some]).items():
            assert values.tobytes() == whole[name][some].tobytes(), (name, size)


def test_no_designs_and_no_feasible_designs():
    model = idealised_model(load_workload("vgg11"))
    nothing = evaluate_idealised(model, np.zeros((0, 4), dtype=int), np.zeros((0, 11), dtype=int))
    assert {values.shape for values in nothing.values()} == {(0,)}
    infeasible = evaluate_idealised(model, np.array([[1, 2, 1, 2]] * 2), np.zeros((2, 11), dtype=int))
    assert infeasible["violation"].tolist() == [1.0, 1.0]
    assert np.isfinite(infeasible["area"]).all()
    assert np.isnan(infeasible["period"]).all()
    assert set(infeasible) == set(nothing)


def test_energy_is_power_times_period(rng):
    model = idealised_model(load_workload("vgg16"))
    out = evaluate_idealised(model, *random_designs(model, 50, rng))
    assert out["energy"] == pytest.approx(out["power"] * out["period"] * 1e3, rel=1e-14, nan_ok=True)


def test_a_resistive_tier_closer_to_the_sink_does_not_lose_more_accuracy(rng):
    # The same layers on the only R tier, on tier 1 or tier 2, everything else alike and SRAM.
    model = idealised_model(load_workload("resnet18"), "calibrated")
    genes = rng.integers(0, 16, (40, len(model.workload)))
    near = evaluate_idealised(model, np.tile([1, 0, 0, 0], (40, 1)), genes)
    far = evaluate_idealised(model, np.tile([0, 1, 0, 0], (40, 1)), genes + 16)
    assert (near["err"] <= far["err"]).all()
    assert np.isfinite(near["err"]).all()


def test_a_device_that_serves_back_propagation_needs_its_gradients():
    with pytest.raises(ConfigError, match="device 'R' serves back-propagation; expected gradient_speedup and gradient"):
        idealised_model(load_workload("vgg11"), override="R.serves_back_propagation=1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("physicall",), "unknown factor set"), (("physical", "mesh"), "unknown traffic 'mesh'; allowed: graph, chain")],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        idealised_model(load_workload("vgg11"), *arguments)
