"""Choice of engines, which agree to the bit whatever the types, threads and sizes."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from moopim.network.crossbar import Circuit, Window, crossbar_layer, engines, layer_sums
from moopim.network.crossbar.mapping import Cells

planes = pytest.importorskip("moopim.network.crossbar.planes", reason="needs numba", exc_type=ImportError)


def make_layer(rng, bits=6, channels=10, outputs=5, kappa=0.5, **changes):
    theta = 2 ** (bits - 1) - 1
    weights = torch.from_numpy(rng.integers(-theta, theta + 1, (outputs, channels, 3, 3)))
    options = {"weight_bits": bits, "input_bits": bits, "window": Window((3, 3), padding=(1, 1)), "kappa": kappa}
    return weights, crossbar_layer(weights, Circuit(rows=36, adc_bits=5), **{**options, **changes})


def make_codes(rng, bits=6, shape=(3, 10, 7, 7), least=0):
    theta = 2 ** (bits - 1) - 1
    return torch.from_numpy(rng.integers(least * theta, theta + 1, shape))


@pytest.fixture
def used(monkeypatch):
    """Calls of the bit planes, one item each."""
    calls = []

    def spy(*arguments):
        calls.append(1)
        return add_columns(*arguments)

    add_columns = planes.add_columns
    monkeypatch.setattr(planes, "add_columns", spy)
    return calls


@pytest.mark.parametrize("engine", ["torch", "planes"])
@pytest.mark.parametrize("options", [{}, {"subtraction": "digital"}, {"ties": "odd"}, {"ties": "floor"}])
def test_the_largest_current_has_a_code_in_the_full_range(engine, options):
    """A value at the end of an ADC's range: 32 cells in parallel are 32 units of current wherever a unit has a code."""
    for rows, adc_bits, exact in ((32, 7, True), (32, 12, True), (31, 6, True), (1, 2, True), (32, 6, False)):
        ones = torch.ones((1, rows), dtype=torch.long)
        circuit = Circuit(rows=rows, adc_bits=adc_bits, dacs=rows, **options)
        layer = crossbar_layer(ones, circuit, weight_bits=2, input_bits=2)
        assert (layer.adc.kappa >= 1) == (exact or "subtraction" in options)
        for fuse in (True, False):
            sums = layer_sums(layer, ones, fuse=fuse, engine=engine) / layer.adc.kappa
            assert sums.item() == rows  # with 6 bits, a code stands for two units, and 32 is 16 of them


def test_compiled_loops_are_used_where_they_pay(rng, used, monkeypatch):
    _, layer = make_layer(rng)
    codes = make_codes(rng)
    layer_sums(layer, codes, engine="torch")
    monkeypatch.setattr(engines._Work, "products", 0)
    layer_sums(layer, codes)
    assert not used
    layer_sums(layer, codes, engine="planes")
    assert len(used) == 1
    monkeypatch.setattr(engines, "_WORTH_COMPILING", 1)
    layer_sums(layer, codes)
    assert len(used) == 2


def test_steps_and_cells_that_loops_cannot_take_go_to_torch(rng, used):
    for kappa in (0.3, 2.0**-70):
        _, layer = make_layer(rng, kappa=kappa)
        codes = make_codes(rng)
        assert torch.equal(layer_sums(layer, codes, engine="planes"), layer_sums(layer, codes, engine="torch"))
    _, layer = make_layer(rng)
    cells = Cells(layer.cells.positive * 0.9, layer.cells.negative.double())
    _, layer = make_layer(np.random.default_rng(1), cells=cells)
    layer_sums(layer, make_codes(rng), engine="planes")
    assert not used


@pytest.mark.parametrize("least", [-1, 0])
def test_threads_change_nothing(least, rng, monkeypatch):
    _, layer = make_layer(rng)
    codes = make_codes(rng, shape=(40, 10, 9, 9), least=least)
    one = layer_sums(layer, codes, engine="planes")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(layer_sums(layer, codes, engine="planes"), one)
    assert torch.equal(layer_sums(layer, codes, engine="torch"), one)


def test_cells_may_hold_more_than_their_bits(rng):
    # Given cells are taken as they are: levels up to 9 on cells of 1 bit.
    cells = Cells(*(torch.from_numpy(rng.integers(0, 10, (5, 5, 90))) for _ in range(2)))
    _, layer = make_layer(rng, cells=cells)
    codes = make_codes(rng)
    assert torch.equal(layer_sums(layer, codes, engine="planes"), layer_sums(layer, codes, engine="torch"))


@pytest.mark.parametrize(("bits", "channels"), [(9, 64), (9, 200), (16, 10)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_merged_products_are_exact_beyond_single_precision(bits, channels, memory_format, rng):
    weights, _ = make_layer(rng, bits=bits, channels=channels)
    theta = 2 ** (bits - 1) - 1
    circuit = Circuit(rows=2**12, adc_bits=16, adc_range="unit")
    layer = crossbar_layer(
        weights.sign() * theta,
        circuit,
        weight_bits=bits,
        input_bits=bits,
        window=Window((3, 3), padding=(1, 1)),
    )
    codes = make_codes(rng, bits, (2, channels, 6, 6)).contiguous(memory_format=memory_format)
    assert not layer.plan(signed=False).columns
    plain = functional.conv2d(codes.double(), weights.sign().double() * theta, padding=1)
    assert float(plain.abs().max()) < 2**53
    assert torch.equal(layer_sums(layer, codes), plain)


def test_settings_that_drop_bits_of_products_change_nothing(rng):
    _, layer = make_layer(rng, bits=12)
    codes = make_codes(rng, bits=12)
    expected = layer_sums(layer, codes, engine="torch")
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(layer_sums(layer, codes, engine="torch"), expected)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_without_numba_torch_computes_everything(rng, used, monkeypatch):
    _, layer = make_layer(rng)
    codes = make_codes(rng)
    expected = layer_sums(layer, codes, engine="planes")
    assert len(used) == 1
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert torch.equal(layer_sums(layer, codes, engine="planes"), expected)
    assert len(used) == 1
