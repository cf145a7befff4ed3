"""GPUs give the bits of processors; what prepares their work is tried on processors, too."""

import pytest
import torch

from moopim.network.crossbar import Circuit, Window, crossbar_layer, engines, gpu, layer_sums

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def random_layer(rng, device, *, outputs=20, channels=12, bits=7, window=None, **circuit):
    window = window or Window((3, 3), padding=(1, 1))
    theta = 2 ** (bits - 1) - 1
    weights = torch.from_numpy(rng.integers(-theta, theta + 1, (outputs, channels // window.groups, *window.kernel)))
    circuit = {"rows": 64, "adc_bits": 5, **circuit}
    return crossbar_layer(weights.to(device), Circuit(**circuit), weight_bits=bits, input_bits=bits, window=window)


def random_inputs(rng, bits=7, shape=(9, 12, 10, 11), signed=True):
    theta = 2 ** (bits - 1) - 1
    return torch.from_numpy(rng.integers(-theta * signed, theta + 1, shape))


WINDOWS = [
    Window((3, 3), padding=(1, 1)),
    Window((3, 2), (2, 1), (0, 2), (1, 3), groups=4),
    Window((1, 1), stride=(2, 3)),
    Window((1, 1)),
]


@pytest.mark.parametrize("window", WINDOWS)
def test_patches_are_what_torch_unfolds(window, rng, monkeypatch):
    codes = random_inputs(rng)
    monkeypatch.setattr(engines, "_MEMORY", {"cpu": 1, "cuda": 1})  # image by image
    for found, expected in zip(
        engines._patches(window, codes, torch.int16), engines.unfolded(window, codes), strict=True
    ):
        assert torch.equal(found.transpose(1, 2).int(), expected)
        assert found.stride(2) == 1


@pytest.mark.parametrize("window", WINDOWS)
def test_products_of_patches_are_convolutions(window, rng):
    codes = random_inputs(rng)
    kernels = random_inputs(rng, shape=(8, 12 // window.groups, *window.kernel)).double()
    sums = torch.empty((9, 8, *window.output_size(10, 11)), dtype=torch.float64)
    engines._multiply_patches(window, kernels.flatten(1), codes, 63, sums)
    assert torch.equal(sums, engines.convolve(window, kernels.flatten(1), codes, 63))


@pytest.mark.parametrize("subtraction", ["analog", "digital"])
def test_programs_hold_the_levels_of_all_columns(rng, subtraction):
    plan = random_layer(rng, "cpu", adc_range="unit", subtraction=subtraction).plan(signed=True, fuse=False)
    program = gpu.compile_for_gpu(plan)
    for part, columns in zip(program.parts, plan.columns, strict=True):
        weights = torch.einsum("s,sck->ck", part.factors.double(), part.levels.double())
        expected = torch.zeros_like(weights).index_add_(0, columns.outputs, columns.factors[:, None] * columns.levels)
        assert torch.equal(weights, expected)
        assert part.outputs.tolist() == list(range(20))


@pytest.mark.parametrize(
    ("bits", "circuit"),
    [
        (7, {"step": "any", "rows": 80}),  # kappa is no power of two
        (9, {"dac_bits": 8}),  # digits beyond 8 bits with a sign
        (16, {"adc_bits": 16, "rows": 1024, "adc_range": "unit"}),  # sums beyond 32 bits
    ],
)
def test_what_a_kernel_cannot_do_exactly_has_no_program(rng, bits, circuit):
    assert gpu.compile_for_gpu(random_layer(rng, "cpu", bits=bits, **circuit).plan(signed=True, fuse=False)) is None


def test_processors_have_no_kernels():
    assert gpu.gpu_kernels(torch.device("cpu")) is None


@cuda
def test_the_kernels_of_a_gpu_work():
    assert gpu.gpu_kernels(torch.device("cuda", 0)) is not None


@cuda
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "circuit",
    [
        {},
        {"ties": "odd", "dac_bits": 2},
        {"ties": "floor", "cell_bits": 2, "adc_bits": 3},
        {"adc_range": "unit", "dac_bits": 3, "subtraction": "digital"},
        {"row_groups": "sequential", "dacs": 16},
        {"step": "any", "adc_bits": 4, "rows": 80},
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_gpus_give_the_bits_of_processors(window, circuit, signed, rng):
    layer = random_layer(rng, "cpu", window=window, **circuit)
    codes = random_inputs(rng, signed=signed)
    expected = layer_sums(layer, codes, engine="torch")
    there = layer.to("cuda")
    for engine in ("auto", "torch"):
        for fuse in (True, False):
            assert torch.equal(layer_sums(there, codes.cuda(), engine=engine, fuse=fuse).cpu(), expected)


@cuda
def test_linear_layers_on_gpus_give_the_bits_of_processors(rng):
    weights, codes = random_inputs(rng, shape=(10, 300)), random_inputs(rng, shape=(7, 5, 300))
    circuit = Circuit(rows=128, adc_bits=6)
    layer = crossbar_layer(weights, circuit, weight_bits=7, input_bits=7)
    assert torch.equal(layer_sums(layer.to("cuda"), codes.cuda()).cpu(), layer_sums(layer, codes, engine="torch"))
