"""The kernel of the system model gives the bits of the array code, for all networks, devices, stacks and designs."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim.hardware.stack import BP_TIERS, WEAR, compiled, evaluate_system, system_model
from moopim.workload import IMAGE, Layer, load_workload, make_workload

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")

STACKS = ("", "tiers=3,mesh=3", "tiers=2,mesh=8", "tiers=3,mesh=5", "tiers=10,mesh=2", "tiers=2,mesh=1")
DEVICES = ("S,R,F", "S:lstp,R:isaac,F:parallel", "S,R,F,P,M,G", "S,R:hp", "S")
OPTIONS = (
    *("", "n_act=0", "g_w=0", "n_act=3,g_w=8", "bits=8", "parts=1", "parts=7", "gated_share=1", "noise_onset_K=0"),
    *("pace_levels=2", "pace_steps_per_octave=1.5,pace_levels=20", "S.static_mW=90", "S.static_mW=2500,gated_share=1"),
)
FEW = [
    Layer("a", "conv", (IMAGE,), 3, 70, kernel=(3, 3), size_in=(8, 8), size_out=(8, 8)),
    Layer("b", "conv", (0,), 70, 9, kernel=(1, 1), size_in=(8, 8), size_out=(8, 8)),
    Layer("c", "fc", (1,), 576, 11),
]
WORKLOADS = {
    "one": lambda: make_workload("one", "none", 1, FEW[:1]),
    "few": lambda: make_workload("few", "cifar10", 3, FEW),
    **{name: lambda name=name: load_workload(name) for name in ("vgg11", "resnet34", "densenet40")},
}
ARGUMENTS = st.tuples(
    *(st.sampled_from(values) for values in (tuple(WORKLOADS), DEVICES, STACKS, OPTIONS)),
    *(st.sampled_from(values) for values in (("int8", "fp32"), WEAR, BP_TIERS)),
)


@cache
def model_of(network, devices="S,R,F", stack="", options="", precision="int8", wear="cell", bp_tier="free"):
    override = ",".join(filter(None, (stack, options)))
    return system_model(
        WORKLOADS[network](), precision=precision, wear=wear, devices=devices, override=override, bp_tier=bp_tier
    )


def designs(model, count, seed):
    """Random designs, many with a tier that can serve back-propagation, some with all layers in one place."""
    rng = np.random.default_rng(seed)
    tiers = rng.integers(0, len(model.devices), (count, model.stack.tiers))
    serves = rng.random(count) < 0.7
    tiers[serves, -1] = np.flatnonzero(model.can_serve_bp)[0]
    genes = rng.integers(0, model.slots, (count, len(model.workload)))
    genes[: count // 6] = genes[: count // 6, :1]
    return tiers, genes, rng.integers(0, model.levels, count)


def by_arrays(model, *mappings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_kernel", lambda: None)
        return evaluate_system(model, *mappings)


def by_kernel(model, *mappings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_WORTH_COMPILING", 0)
        return evaluate_system(model, *mappings)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].shape == values.shape, name
        assert np.array_equal(found[name], values, equal_nan=True), name


@settings(max_examples=120)
@given(ARGUMENTS, st.sampled_from((0, 1, 2, 7, 40)), st.integers(0, 2**32))
def test_the_kernel_gives_the_bits_of_the_array_code(arguments, count, seed):
    model = model_of(*arguments)
    mappings = designs(model, count, seed)
    assert_same(by_kernel(model, *mappings), by_arrays(model, *mappings))


def test_a_design_has_the_same_bits_in_any_batch_of_the_kernel(rng):
    model = model_of("densenet40")
    mappings = designs(model, 300, 1)
    whole = by_kernel(model, *mappings)
    assert np.isfinite(whole["period"]).sum() > 100
    for size in (1, 5, 64):
        some = rng.permutation(300)[:size]
        found = by_kernel(model, *(columns[some] for columns in mappings))
        assert_same(found, {name: values[some] for name, values in whole.items()})


def test_types_and_memory_order_of_the_genes_do_not_matter():
    model = model_of("vgg11")
    tiers, genes, pace = designs(model, 30, 2)
    expected = by_kernel(model, tiers, genes, pace)
    others = np.asfortranarray(tiers.astype(np.uint8)), np.asfortranarray(genes.astype(np.int16)), pace[::-1][::-1]
    assert_same(by_kernel(model, *others), expected)


def test_designs_whose_heat_is_not_iterated_are_left_to_the_array_code():
    model = model_of("vgg11", options="S.static_mW=300,gated_share=1")
    mappings = designs(model, 60, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_WORTH_COMPILING", 0)
        found = compiled.evaluate_compiled(model, *mappings)
    fit = by_arrays(model, *mappings)["violation"] != 1
    assert found.left.any()
    assert np.isnan(found.scalars[1][found.left]).all()
    assert not found.left[~fit].any()
    assert_same(by_kernel(model, *mappings), by_arrays(model, *mappings))


def test_compiles_once_enough_has_been_evaluated_and_never_without_numba(monkeypatch):
    model = model_of("few")
    mappings = designs(model, 10, 4)
    calls = []
    monkeypatch.setattr(compiled, "_kernel", lambda: calls.append(1))  # as without numba: None
    monkeypatch.setattr(compiled._Work, "designs", 0)
    monkeypatch.setattr(compiled, "_WORTH_COMPILING", 3 * (10 + compiled._CALL))
    for before in (0, 0, 0, 1):
        assert len(calls) == before
        evaluate_system(model, *mappings)
    monkeypatch.undo()
    compiled._kernel.cache_clear()
    monkeypatch.setattr(compiled, "find_spec", lambda _: None)
    assert compiled._kernel() is None
    assert_same(by_kernel(model, *mappings), by_arrays(model, *mappings))
    compiled._kernel.cache_clear()
