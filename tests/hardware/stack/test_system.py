"""HuNT's system model: a literal second implementation, a worked example, and what has to hold for any design."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_system import evaluate

from moopim import ConfigError
from moopim.hardware.stack import (
    BP_TIERS,
    WEAR,
    Precision,
    engine_rates,
    evaluate_system,
    load_parameters,
    load_precision,
    system_model,
)
from moopim.hardware.stack.engine import precisions
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.system import heat_load, run_pipeline
from moopim.hardware.thermal import temperature_rise
from moopim.workload import WORKLOADS, Layer, load_workload, make_workload

CONSTANTS = Path(__file__).parents[2] / "reference" / "hunt" / "system_constants.json"
NETWORKS = ("vgg11", "resnet18", "densenet40")
DEVICES = ("S,R,F", "S:lstp,R:isaac,F:parallel", "S:hp,R:lstp", "S,R,F,P,M,G", "S")
SHAPES = ("", "tiers=3,mesh=3", "tiers=2,mesh=6", "tiers=5,mesh=2")
# Values of parameters, some far from the built-in ones.
VALUES = {
    "bits": st.integers(1, 32),
    "kappa": st.sampled_from((0.5, 4)),
    "n_act": st.sampled_from((0, 2, 7)),
    "g_w": st.sampled_from((0, 0.5, 8)),
    "tiles_per_pe": st.integers(1, 9),
    "link_bits_per_ns": st.sampled_from((1, 16, 1000)),
    "hop_energy_pJ": st.sampled_from((0, 5)),
    "link_limit": st.floats(0.01, 1),
    "parts": st.integers(1, 7),
    "gated_share": st.floats(0, 1),
    "noise_onset_K": st.sampled_from((0, 1, 3)),
    "write_power_W": st.floats(0.01, 1000),
    "pace_first_ns": st.floats(1, 1e5),
    "pace_steps_per_octave": st.floats(0.5, 8),
    "pace_levels": st.integers(2, 90),
    "engine_share": st.floats(0.05, 0.99),
    "engine_clock_GHz": st.floats(0.001, 2),
    "buffer_reuse": st.floats(1, 64),
    "S.static_mW": st.sampled_from((0, 300, 3000)),
    "S.static_slope_per_K": st.sampled_from((0, 0.09)),
    "S.nonvolatile": st.just("true"),
    "S.read": st.sampled_from(("columns", "parallel")),
    "S.rows": st.integers(8, 512),
    "S.arrays_per_pe": st.integers(20, 400),
}


@st.composite
def workloads(draw):
    """Networks of a few layers that read any of those before them; some are sums of others, which hold no weights."""
    layers = []
    for i in range(draw(st.integers(1, 12))):
        inputs = draw(st.lists(st.integers(-1, i - 1), min_size=1, max_size=4, unique=True))
        c_in, c_out, size = draw(
            st.tuples(st.integers(1, 300), st.integers(1, 300), st.sampled_from((1, 2, 5, 16, 32)))
        )
        kind = draw(st.sampled_from(("conv", "conv", "fc", "sum"))) if i and len(inputs) > 1 else "conv"
        sizes = {} if kind == "fc" else {"size_in": (size, size), "size_out": (size, size)}
        kernel = (draw(st.sampled_from((1, 3))),) * 2 if kind == "conv" else (1, 1)
        layers.append(
            Layer(f"l{i}", kind, tuple(inputs), c_in, c_in if kind == "sum" else c_out, kernel=kernel, **sizes)
        )
    return make_workload("any", "cifar10", draw(st.sampled_from((1, 3, 128))), layers)


@st.composite
def cases(draw, count):
    """Model of any network, devices, stack and parameters, its parameters, and designs."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=6, unique=True))
    shape, devices = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DEVICES))
    override = ",".join(filter(None, (shape, *(f"{name}={draw(VALUES[name])}" for name in names))))
    options = {"devices": devices, "override": override}
    model = system_model(
        draw(workloads()),
        precision=draw(st.sampled_from(precisions())),
        wear=draw(st.sampled_from(WEAR)),
        bp_tier=draw(st.sampled_from(BP_TIERS)),
        **options,
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return model, load_parameters(**options), random_designs(model, count, rng)


def random_designs(model, n, rng):
    """Random mappings, some on one tier, some at one place."""
    stack = model.stack
    tiers = rng.integers(0, len(model.devices), (n, stack.tiers))
    tiers[: n // 2, -1] = int(np.flatnonzero(model.can_serve_bp)[0])
    genes = rng.integers(0, model.slots, (n, len(model.workload)))
    genes[: n // 8] %= stack.pes_per_tier
    genes[n // 8 : n // 4] = genes[n // 8 : n // 4, :1]
    return tiers, genes, rng.integers(0, model.levels, n)


def state(model, tiers, genes, pace):
    """Pipeline and heat of mappings that fit."""
    pipeline = run_pipeline(model, tiers, genes, occupy(model, tiers, genes), pace)
    return pipeline, heat_load(model, tiers, pipeline)


@settings(max_examples=80)
@given(cases(8))
def test_agrees_with_the_equations_written_out(case):
    model, parameters, designs = case
    words = (parameters, load_precision(model.precision), model.workload, model.influence, model.wear)
    found = evaluate_system(model, *designs)
    for i, design in enumerate(zip(*(column.tolist() for column in designs), strict=True)):
        expected = evaluate(*words, 50_000, model.farthest_bp, *design)
        for name, values in found.items():
            if name in ("copies", "levels", "tiles"):
                assert values[i].tolist() == expected.get(name, pytest.approx([np.nan] * values.shape[1], nan_ok=True))
            else:
                wanted, least = expected.get(name, np.nan), 1e-12 if name == "err" else 0.0
                assert values[i] == pytest.approx(wanted, rel=1e-9, abs=least, nan_ok=True), (name, i)


def test_heat_runs_away_where_leakage_feeds_itself():
    model = system_model(load_workload("vgg11"), override="S.static_mW=2500,gated_share=1")
    found = evaluate_system(model, np.zeros((1, 4), dtype=int), np.zeros((1, 11), dtype=int), np.array([30]))
    slope = np.full(64, 2500e-3 * model.devices[0].static_slope_per_K)
    assert found["violation"][0] == pytest.approx((model.influence * slope).sum(axis=1).max(), rel=1e-12)
    assert found["violation"][0] >= 1
    assert all(np.isnan(values).all() for name, values in found.items() if name != "violation")


def test_the_worked_example():
    # Every number of the specification's example: VGG11 on R, R, R, S, all genes 0, pace 36, fp32.
    workload = load_workload("vgg11")
    model = system_model(workload, precision="fp32")
    design = np.array([[1, 1, 1, 0]]), np.zeros((1, 11), dtype=int), np.array([36])
    found = {name: values[0] for name, values in evaluate_system(model, *design).items()}
    pipeline, _ = state(model, *design)
    R = 1
    assert model.operation.wanted_ns[36] == 131_072
    assert (model.costs.arrays[R, 0], model.costs.activation_arrays[R, 0]) == (2, 13)
    assert (model.costs.position_ns[R, 0], model.costs.write_ns[R, 0]) == (1250, 12_400)
    assert pipeline.stage_ns[0, 0] == 103 * 1250
    assert found["copies"][:4].tolist() == [10, 3, 1, 1]
    expected = {
        "gradient_ns": 118_523.2323,
        "link_ns": 10_068.16534,
        "update_ns": 251_645.3064,
        "period": 140_095.9542,
        "area": 29.6,
        "energy": 336.9230077e6,
        "read_pJ": 45.284e6,
        "write_pJ": 20.83023438e6,
        "gradient_pJ": 195.250432e6,
        "noc_pJ": 0.51346675e6,
        "static_pJ": 75.04487459e6,
        "power": 2.404944595,
        "peak": 303.1240242,
        "err": 0,
        "trainings": 10,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    cold = system_model(workload, precision="fp32", override="noise_onset_K=0")
    assert evaluate_system(cold, *design)["err"][0] == pytest.approx(0.08714187807, rel=1e-9)


@pytest.mark.parametrize(
    ("precision", "units", "tmacs", "picojoule", "resnet34_us"),
    [
        ("fp32", 528, 0.396, 4.160, 572.36),
        ("fp16", 1072, 0.804, 1.867, 281.91),
        ("int8", 15_088, 11.316, 0.4356, 20.03),
    ],
)
def test_the_gradient_engine_by_hand(precision, units, tmacs, picojoule, resnet34_us):
    model = system_model(load_workload("resnet34"), precision=precision)
    rates = engine_rates(load_parameters().engine, load_precision(precision), 1.6, 16)
    assert 16 * rates.units == units
    assert model.gradient_rate[0] / 1e3 == pytest.approx(tmacs, rel=1e-3)
    assert rates.mac_pJ == pytest.approx(picojoule, rel=1e-3)
    assert model.gradient_ns[0] / 1e3 == pytest.approx(resnet34_us, rel=1e-3)


def test_units_that_just_fit_are_not_lost_to_rounding():
    # A hundredth of 0.7 mm2 holds 7 units of 1,000 um2, 0.01 x 0.7 x 1e6 / 1000 in floats is 6.999999999999999.
    engine = replace(load_parameters().engine, engine_share=0.01, mac_overhead=1, feature_nm=45)
    assert engine_rates(engine, Precision(8, 900, 0.2, 100, 0.1), 0.7, 16).units == 7


def test_the_constants_are_those_of_the_reference():
    constants, parameters = json.loads(CONSTANTS.read_text()), load_parameters()
    parts = (parameters.thermal, *parameters[1:-1])  # tiers are those of the stack, not those of the heat path
    known = {name: value for part in parts for name, value in vars(part).items()}
    elsewhere = ("devices", "mac", "training_images", "batch")
    expected = {name: value for name, value in constants.items() if name not in elsewhere}
    assert {name: known[name] for name in expected} == expected
    for device in parameters.devices:
        found = vars(device) | {"bp": device.serves_back_propagation}
        expected = constants["devices"][device.letter]
        assert {name: found[name] for name in expected} == expected
    for name, mac in constants["mac"].items():
        part = load_precision(name)
        assert part.word_bits == mac["word_bits"]
        assert part.multiplier_um2 + part.accumulator_um2 == mac["area_um2"]
        assert part.multiplier_pJ + part.accumulator_pJ == pytest.approx(mac["energy_pJ"], rel=1e-15)
    assert {name: load_workload(name).batch for name in WORKLOADS} == constants["batch"]
    for dataset, images in constants["training_images"].items():
        assert system_model(load_workload("vgg11", dataset)).training_images == constants["epochs"] * images


@settings(max_examples=60)
@given(cases(24), st.integers(0, 2**32))
def test_what_holds_for_any_design(case, seed):
    model, _, designs = case
    found = evaluate_system(model, *designs)
    fit = found["violation"] == 0
    result = {name: values[fit] for name, values in found.items()}
    parts = sum(result[name] for name in ("read_pJ", "write_pJ", "gradient_pJ", "noc_pJ", "static_pJ"))
    assert parts == pytest.approx(result["energy"], rel=1e-9)
    assert result["energy"] == pytest.approx(1e3 * result["power"] * result["period"], rel=1e-14)
    assert (result["copies"] >= 1).all()
    assert (result["copies"] <= model.workload.positions).all()
    assert (result["link_util"] <= model.operation.link_limit * (1 + 1e-12)).all()
    for stage in ("slowest", "layer_ns", "gradient_ns", "link_ns"):
        assert (result["period"] >= result[stage] * (1 - 1e-12)).all()
    assert (result["levels"] >= designs[2][fit][:, None]).all()
    # A slower pace adds no copy and no tile.
    slower = (designs[0], designs[1], np.minimum(designs[2] + 1, model.levels - 1))
    later = evaluate_system(model, *slower)
    both = fit & (later["violation"] == 0)
    for name in ("copies", "tiles"):
        assert (later[name][both] <= found[name][both]).all()
    # Not even the last bit of a design depends on the others.
    for some in (slice(3, 4), slice(5, 11), np.random.default_rng(seed).permutation(24)[:9]):
        for name, values in evaluate_system(model, *(column[some] for column in designs)).items():
            assert values.tobytes() == found[name][some].tobytes(), name


@pytest.mark.parametrize("network", NETWORKS)
def test_without_slope_the_heat_is_that_of_the_power_and_without_gating_all_is_on(network, rng):
    model = system_model(load_workload(network), override=",".join(f"{x}.static_slope_per_K=0" for x in "SRF"))
    tiers, genes = np.tile([1, 2, 1, 0], (20, 1)), rng.integers(0, 48, (20, len(model.workload)))
    _, heat = state(model, tiers, genes, np.full(20, 30))
    assert heat.rise_K == pytest.approx(temperature_rise(heat.power_W, model.influence), rel=1e-9)
    on = system_model(load_workload(network), override="gated_share=1")
    _, heat = state(on, tiers, genes, np.full(20, 30))
    assert (heat.leak_mW == np.repeat(on.static_mW[tiers], 16, axis=1)).all()


@pytest.mark.parametrize("wear", ["cell", "tier"])
def test_lifetime_goes_with_endurance(wear, rng):
    workload = load_workload("resnet18")
    once, twice = (
        system_model(
            workload, wear=wear, override=f"S.endurance={2e16 * k},R.endurance={1e8 * k},F.endurance={1e5 * k}"
        )
        for k in (1, 2)
    )
    designs = random_designs(once, 40, rng)
    assert 2 * evaluate_system(once, *designs)["lifetime"] == pytest.approx(
        evaluate_system(twice, *designs)["lifetime"], rel=1e-14, nan_ok=True
    )


def test_layers_at_one_place_stand_in_the_order_of_their_numbers():
    model = system_model(load_workload("resnet18"))
    genes = np.full((1, len(model.workload)), 7)
    pipeline, _ = state(model, np.array([[1, 1, 1, 0]]), genes, np.array([63]))
    assert pipeline.line.layer[0].tolist() == list(range(len(model.workload)))


def test_no_designs_and_no_feasible_designs():
    model = system_model(load_workload("vgg11"))
    nothing = evaluate_system(model, np.zeros((0, 4), dtype=int), np.zeros((0, 11), dtype=int), np.zeros(0, dtype=int))
    assert {len(values) for values in nothing.values()} == {0}
    infeasible = evaluate_system(
        model, np.array([[1, 2, 1, 2]] * 2), np.zeros((2, 11), dtype=int), np.zeros(2, dtype=int)
    )
    assert infeasible["violation"].tolist() == [1.0, 1.0]
    assert all(np.isnan(values).all() for name, values in infeasible.items() if name != "violation")
    assert set(infeasible) == set(nothing)


def test_a_network_of_ones_own_has_a_lifetime_in_images_only():
    layers = [Layer("a", "fc", (-1,), 64, 32), Layer("b", "fc", (0,), 32, 10)]
    model = system_model(make_workload("own", "own", 16, layers))
    found = evaluate_system(model, np.array([[1, 1, 1, 0]]), np.array([[0, 1]]), np.array([0]))
    assert found["lifetime"][0] == 1e8
    assert np.isnan(found["trainings"][0])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("n_act=0.5", "n_act is 0.5; expected a whole number in the system model"),
        ("R.arrays_per_pe=38.5", "R.arrays_per_pe is 38.5; expected a whole number"),
        ("mac_overhead=1000,pe_area_mm2=0.05", "a unit of the gradient engine takes"),
    ],
)
def test_models_that_cannot_be_are_refused(override, message):
    with pytest.raises(ConfigError) as error:
        system_model(load_workload("vgg11"), override=override)
    assert message in str(error.value)
