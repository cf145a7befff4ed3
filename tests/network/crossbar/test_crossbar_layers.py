"""Layers on crossbars against loops over their digits."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from crossbar_oracle import oracle_sums, unfold
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim.errors import ConfigError
from moopim.network.crossbar import Circuit, Window, crossbar_layer, crossbar_product, engines, layer_sums, layers
from moopim.network.crossbar.adc import AdcTransfer
from moopim.network.crossbar.layers import calibrated, conversions, exact_sums, requantise

ENGINES = ["torch", "planes"]


def random_codes(rng, bits, shape, signed=True):
    limit = 2 ** (bits - 1) - 1
    return torch.from_numpy(rng.integers(-limit if signed else 0, limit + 1, shape).astype(np.int32))


@st.composite
def circuits(draw):
    return Circuit(
        rows=draw(st.sampled_from([9, 16, 20, 64])),
        adc_bits=draw(st.integers(2, 10)),
        dac_bits=draw(st.integers(1, 4)),
        cell_bits=draw(st.integers(1, 4)),
        dacs=draw(st.sampled_from([4, 8, 128])),
        row_groups=draw(st.sampled_from(["bits", "sequential"])),
        split=draw(st.sampled_from(["channels", "rows"])),
        ties=draw(st.sampled_from(["even", "odd", "floor"])),
        subtraction=draw(st.sampled_from(["analog", "digital"])),
    )


def oracle(layer, weights, codes):
    """The layer by nested loops; for a convolution, group by group."""
    circuit, converter = layer.circuit, layer.adc
    constants = (circuit.dac_bits, circuit.cell_bits, layer.input_bits, layer.weight_bits, *converter[:3])
    digital = circuit.subtraction == "digital"
    if layer.window is None:
        return oracle_sums(codes, weights, layer.blocks, *constants, digital)
    window, groups = layer.window, layer.groups
    rows = unfold(codes.numpy(), window.kernel, window.stride, window.padding, window.dilation)
    images, _, high, wide = rows.shape
    parts = [
        oracle_sums(x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1]), w, layer.blocks, *constants, digital)
        for x, w in zip(
            np.split(rows, groups, axis=1), np.split(weights.flatten(1).numpy(), groups, axis=0), strict=True
        )
    ]
    return np.concatenate(parts, axis=1).reshape(images, high, wide, -1).transpose(0, 3, 1, 2)


@settings(max_examples=60)
@given(
    circuit=circuits(),
    widths=st.tuples(st.integers(2, 10), st.integers(2, 10)),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 6), st.integers(1, 20)),
    kappa=st.sampled_from([None, 0.5, 0.125, 1.0, 2.0, 8.0, 1 / 3, 2.7]),
    signed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_products_are_those_of_loops(circuit, widths, shape, kappa, signed, seed):
    rng = np.random.default_rng(seed)
    (weight_bits, input_bits), (rows, outputs, positions) = widths, shape
    weights = random_codes(rng, weight_bits, (outputs, rows))
    codes = random_codes(rng, input_bits, (positions, rows), signed)
    layer = crossbar_layer(weights, circuit, weight_bits=weight_bits, input_bits=input_bits, kappa=kappa)
    expected = oracle(layer, weights, codes)
    for fuse, engine in itertools.product([True, False], ENGINES):
        assert np.array_equal(layer_sums(layer, codes, fuse=fuse, engine=engine).numpy(), expected)
    product = crossbar_product(
        codes, weights, circuit, weight_bits=weight_bits, input_bits=input_bits, kappa=layer.adc.kappa
    )
    assert np.array_equal(product.numpy(), expected / layer.adc.kappa)


@settings(max_examples=40)
@given(
    circuit=circuits(),
    groups=st.sampled_from([1, 1, 2, 3]),
    channels=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    images=st.integers(1, 3),
    kappa=st.sampled_from([0.5, 0.25, 2.0]),
    signed=st.booleans(),
)
def test_convolutions_are_those_of_loops(
    circuit, groups, channels, kernel, stride, padding, dilation, size, images, kappa, signed
):
    rng = np.random.default_rng(1)
    weights = random_codes(rng, 5, (2 * groups, channels, *kernel))
    codes = random_codes(rng, 6, (images, channels * groups, *size), signed)
    window = Window(kernel, stride, padding, dilation, groups)
    layer = crossbar_layer(weights, circuit, weight_bits=5, input_bits=6, window=window, kappa=kappa)
    expected = oracle(layer, weights, codes)
    for fuse, engine in itertools.product([True, False], ENGINES):
        assert np.array_equal(layer_sums(layer, codes, fuse=fuse, engine=engine).numpy(), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("weight_bits", "input_bits"), [(2, 2), (16, 16), (2, 16), (16, 2)])
def test_extreme_widths_are_those_of_loops(weight_bits, input_bits, engine, rng):
    weights = random_codes(rng, weight_bits, (3, 40))
    codes = random_codes(rng, input_bits, (5, 40))
    circuit = Circuit(rows=16, adc_bits=4, adc_range="unit")
    layer = crossbar_layer(weights, circuit, weight_bits=weight_bits, input_bits=input_bits)
    assert np.array_equal(layer_sums(layer, codes, engine=engine).numpy(), oracle(layer, weights, codes))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("subtraction", ["analog", "digital"])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 4)])
def test_an_adc_of_enough_bits_gives_the_plain_convolution(subtraction, stride, groups, engine, rng):
    circuit = Circuit(rows=64, adc_bits=10, adc_range="unit", subtraction=subtraction)
    weights = random_codes(rng, 7, (8, 12 // groups, 3, 3))
    codes = random_codes(rng, 7, (2, 12, 8, 8), signed=False)
    window = Window((3, 3), (stride, stride), (1, 1), groups=groups)
    layer = crossbar_layer(weights, circuit, weight_bits=7, input_bits=7, window=window)
    plain = torch.nn.functional.conv2d(codes.double(), weights.double(), None, stride, 1, 1, groups)
    for fuse in (True, False):
        assert torch.equal(layer_sums(layer, codes, fuse=fuse, engine=engine), plain)
    assert torch.equal(exact_sums(layer, codes), plain)
    assert conversions(layer, codes).altered == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_and_chunks_do_not_change_a_bit(engine, rng, monkeypatch):
    circuit = Circuit(rows=64, adc_bits=4)
    weights, codes = random_codes(rng, 7, (8, 12, 3, 3)), random_codes(rng, 7, (6, 12, 9, 9), signed=False)
    layer = crossbar_layer(weights, circuit, weight_bits=7, input_bits=7, window=Window((3, 3), padding=(1, 1)))
    together = layer_sums(layer, codes, engine=engine)
    apart = torch.cat([layer_sums(layer, part, engine=engine) for part in codes.split([1, 3, 2])])
    assert torch.equal(together, apart)
    monkeypatch.setattr(layers, "_MEMORY", 1)
    monkeypatch.setattr(engines, "_MEMORY", {"cpu": 1, "cuda": 1})
    assert torch.equal(together, layer_sums(layer, codes, engine=engine))
    flat = crossbar_layer(weights.flatten(1), circuit, weight_bits=7, input_bits=7)
    inputs = random_codes(rng, 7, (5, 7, 108))
    assert layer_sums(flat, inputs).shape == (5, 7, 8)
    assert torch.equal(layer_sums(flat, inputs)[3], layer_sums(flat, inputs[3]))


@pytest.mark.parametrize("step", ["power_of_two", "any"])
def test_calibration_takes_the_range_with_the_least_error(step, rng):
    circuit = Circuit(rows=64, adc_bits=4, adc_range="calibrated", step=step)
    weights, codes = random_codes(rng, 7, (8, 60)), random_codes(rng, 7, (50, 60), signed=False)
    layer = calibrated(crossbar_layer(weights, circuit, weight_bits=7, input_bits=7), codes)
    exact = codes.double() @ weights.double().T

    def error(kappa):
        other = replace(layer, adc=layer.adc._replace(kappa=kappa))
        return float((layer_sums(other, codes) / kappa - exact).square().sum())

    factor = 2.0 if step == "power_of_two" else 2**0.25
    kappa = layer.adc.kappa
    assert (layer.adc.shift is not None) or step == "any"
    assert error(kappa) <= min(error(kappa * factor), error(kappa / factor))
    assert error(kappa) < error(0.03125)


def test_calibration_changes_nothing_where_nothing_is_lost(rng):
    circuit = Circuit(rows=16, adc_bits=10, adc_range="calibrated")
    layer = crossbar_layer(random_codes(rng, 5, (4, 16)), circuit, weight_bits=5, input_bits=5)
    assert calibrated(layer, random_codes(rng, 5, (10, 16))).adc == AdcTransfer(1.0, 511, "even")


def test_outputs_are_rounded_to_their_own_width():
    sums = torch.tensor([-9.0, 0.0, 1.0, 3.0, 5.0, 40.0], dtype=torch.float64)
    assert requantise(sums, 0.5, 3).tolist() == [-3, 0, 0, 2, 2, 3]
    assert requantise(sums, 0.5, 5).tolist() == [-4, 0, 0, 2, 2, 15]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight_bits": 1}, "weights has 1 bits"),
        ({"input_bits": 17}, "inputs has 17 bits"),
        ({"weights": torch.tensor([[16]])}, "weights hold 16; expected -15..15 for 5 bits"),
        ({"weights": torch.zeros(2, 3)}, "weights have type torch.float32"),
        ({"weights": torch.zeros(2, 3, 4, dtype=torch.int32)}, "weights have shape"),
        ({"window": Window((3, 3))}, "weights have shape"),
        ({"kappa": 0.0}, "kappa=0.0"),
        ({"circuit": Circuit(rows=8, adc_bits=4, adc_range="output")}, "needs the scale of the layer's output"),
    ],
)
def test_a_layer_that_is_not_allowed_is_refused(change, words):
    fine = {"weights": torch.ones(2, 3, dtype=torch.int32), "circuit": Circuit(rows=8, adc_bits=4)}
    arguments = {**fine, "weight_bits": 5, "input_bits": 5, **change}
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as error:
        crossbar_layer(arguments.pop("weights"), arguments.pop("circuit"), **arguments)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window((3, 2)), "kernel=(3, 2)"),
        (Window((3, 3), stride=(0, 1)), "stride=(0, 1)"),
        (Window((3, 3), padding=(-1, 1)), "padding=(-1, 1)"),
        (Window((3, 3), groups=3), "groups=3"),
        (Window((3, 3)), "rows=8 of a crossbar are too few for a kernel of 9 positions"),
    ],
)
def test_a_convolution_that_is_not_allowed_is_refused(window, words):
    weights = torch.zeros(4, 2, 3, 3, dtype=torch.int32)
    with pytest.raises(ConfigError) as error:
        crossbar_layer(weights, Circuit(rows=8, adc_bits=4), weight_bits=5, input_bits=5, window=window)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (torch.zeros(2, 4, dtype=torch.int32), "inputs have shape (2, 4); expected (..., 3)"),
        (torch.zeros(2, 3), "inputs have type torch.float32"),
        (torch.tensor([[0, -16, 0]]), "inputs hold -16; expected -15..15 for 5 bits"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(codes, words):
    layer = crossbar_layer(
        torch.ones(2, 3, dtype=torch.int32), Circuit(rows=8, adc_bits=4), weight_bits=5, input_bits=5
    )
    with pytest.raises(ConfigError) as error:
        layer_sums(layer, codes)
    assert words in str(error.value)
    with pytest.raises(ConfigError, match="unknown engine 'best'"):
        layer_sums(layer, torch.zeros(2, 3, dtype=torch.int32), engine="best")


def test_a_product_with_calibrated_converters_is_calibrated_on_its_inputs(rng):
    codes, weights = random_codes(rng, 7, (200, 60), signed=False), random_codes(rng, 7, (6, 60))
    exact = codes.double() @ weights.double().T
    errors = {}
    for name in ("calibrated", "unit"):
        circuit = Circuit(rows=30, adc_bits=2, adc_range=name)
        found = crossbar_product(codes, weights, circuit, weight_bits=7, input_bits=7)
        errors[name] = float((found - exact).square().mean())
    assert errors["calibrated"] < errors["unit"] / 2


def test_no_inputs_give_no_products(rng):
    weights = random_codes(rng, 7, (6, 60))
    for circuit in (Circuit(rows=30, adc_bits=2), Circuit(rows=30, adc_bits=16)):
        none = crossbar_product(random_codes(rng, 7, (0, 60)), weights, circuit, weight_bits=7, input_bits=7)
        assert none.shape == (0, 6)


def test_arrays_are_no_tensors(rng):
    weights = random_codes(rng, 7, (6, 60))
    with pytest.raises(ConfigError, match="inputs are a ndarray; expected a tensor"):
        crossbar_product(weights.numpy(), weights, Circuit(rows=30, adc_bits=2), weight_bits=7, input_bits=7)
