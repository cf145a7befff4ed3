"""Public functions of networks refuse what they cannot use, in one line that names it."""

import math

import pytest
import torch
from refusals import check_refused

from moopim import ConfigError
from moopim.network.accuracy import count_correct
from moopim.network.blocks import initialise
from moopim.network.calibration import measure
from moopim.network.crossbar import CellModel, Circuit, Window, chip_networks, crossbar_layer, layer_sums
from moopim.network.crossbar.adc import effective_bits
from moopim.network.crossbar.cells import programmed
from moopim.network.crossbar.mapping import Cells, ideal_cells, row_blocks
from moopim.network.noise import mean_interval, noisy_accuracies
from moopim.network.quantisation import quantise_module
from moopim.workload.tracing import trace

CIRCUIT = Circuit(16, 4, 1, row_groups="bits", dacs=8)
CELLS = Cells(*torch.zeros((2, 1, 3, 4), dtype=torch.uint8))
LAYER = crossbar_layer(
    torch.ones((3, 2, 1, 1), dtype=torch.long), CIRCUIT, weight_bits=4, input_bits=4, window=Window((1, 1)), kappa=0.5
)
CODES, SUMS = torch.zeros((2, 2, 5, 5), dtype=torch.int32), torch.zeros((2, 3, 5, 5), dtype=torch.float64)

REFUSED = {
    "outputs": (lambda: count_correct(torch.ones(3), torch.zeros(3), "it"), r"shape \(3,\); expected \(3, classes\)"),
    "labels": (lambda: count_correct(torch.ones(3, 2), torch.zeros(4), "it"), r"shape \(3, 2\); expected \(4, classes"),
    "seed": (lambda: initialise(torch.nn.Linear(2, 2), -1), "seed is -1; expected 0, 1, ..."),
    "nothing measured": (lambda: measure(torch.ones(2, 0, 3), "it"), r"values of it have shape \(2, 0, 3\)"),
    "rows in use": (lambda: effective_bits(CIRCUIT, 0), "used_rows is 0; expected 1, 2, ..."),
    "chips": (lambda: list(chip_networks(torch.nn.ReLU(), CIRCUIT, chips=1.5)), "1.5 chips are not allowed"),
    "bits of a cell": (lambda: programmed(CELLS, CellModel(), 10**9), r"cell_bits is 1000000000; expected 1 \.\. 4"),
    "digits": (lambda: ideal_cells(CODES[0, 0], 4, 0), r"bits of a digit is 0; expected 1 \.\. 32"),
    "channels": (lambda: row_blocks(CIRCUIT, 0), "channels is 0; expected 1"),
    "draws": (lambda: noisy_accuracies(torch.nn.ReLU(), None, 0.1, draws=0.5), "0.5 draws are not allowed"),
    "sample": (lambda: mean_interval([0.5, math.nan]), r"sample\[1\] is nan"),
    "shape of an image": (lambda: quantise_module(torch.nn.ReLU(), (-1, 8, 8)), r"image shape \(-1, 8, 8\) is not"),
    "codes": (lambda: layer_sums(LAYER, CODES.numpy()), "inputs are a ndarray; expected a tensor"),
    "a class": (lambda: trace(torch.nn.ReLU, (3, 8, 8)), "expected a torch.nn.Module, made by calling the class"),
    "bits": (lambda: trace(torch.nn.ReLU(), (3, 8, 8), weight_bits="9"), "weight_bits is '9'; expected 1, 2, ..."),
    "image": (lambda: trace(torch.nn.ReLU(), "3x8x8"), "input shape 3x8x8 is not allowed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_public_functions_refuse_what_they_cannot_use(case):
    check_refused(*REFUSED[case])


@pytest.mark.parametrize(
    ("codes", "sums", "message"),
    [
        (CODES[:, :1], SUMS, "3 outputs and 2 rows; expected 3 outputs and at most 1 row"),
        (CODES[0], SUMS, r"inputs have shape \(2, 5, 5\)"),
        (CODES.double(), SUMS, "type torch.float64; expected whole numbers"),
        (CODES, SUMS[:, :2], r"sums have shape \(2, 2, 5, 5\)"),
        (CODES, SUMS[:, :, :4], r"sums have shape \(2, 3, 4, 5\)"),
        (CODES, SUMS.float(), "type torch.float32; expected float64"),
    ],
)
def test_compiled_loops_do_not_write_past_the_end(codes, sums, message):
    pytest.importorskip("numba")
    from moopim.network.crossbar import planes

    plan = LAYER.plan(signed=False, fuse=False)
    program = planes.compile_plan(plan)
    planes.add_columns(program, plan, LAYER.window, CODES, SUMS.clone())
    with pytest.raises(ConfigError, match=message):
        planes.add_columns(program, plan, LAYER.window, codes, sums)
