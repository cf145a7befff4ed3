"""Layers as MNSIM 2.0 and CrossSim 3.2 computed them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moopim.network.crossbar import evaluate_layer_file, layer_sums, read_layer
from moopim.network.crossbar.adc import AdcTransfer
from moopim.network.crossbar.layers import conversions, exact_sums

FILES = sorted((Path(__file__).parents[2] / "reference" / "crossbar").glob("*.npz"))
CROSSSIM = [path for path in FILES if "crosssim_Y" in np.load(path).files]


def meta_of(path):
    return json.loads(str(np.load(path)["meta"]))


def test_all_layers_are_there():
    assert len(FILES) == 10
    assert len(CROSSSIM) == 5


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_outputs_are_those_of_mnsim(path, fuse):
    expected = np.load(path)
    result = evaluate_layer_file(read_layer(path), fuse=fuse)
    assert result.codes.dtype == np.int16
    assert np.array_equal(result.codes, expected["Ycode"])
    if meta_of(path)["power_of_two_scales"]:
        assert np.array_equal(result.sums, expected["Yint"])
        assert np.array_equal(result.values, expected["Y"])
    else:
        np.testing.assert_allclose(result.sums, expected["Yint"], rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(result.values, expected["Y"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_crossbars_and_converters_are_those_of_mnsim(path):
    meta, layer = meta_of(path), read_layer(path).layer
    assert [list(block) for block in layer.blocks] == meta["row_blocks"]
    assert layer.adc == AdcTransfer(meta["kappa"], 2 ** (meta["Q"] - 1) - 1, "even")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_clipped_and_altered_conversions_are_counted(path):
    meta, read = meta_of(path), read_layer(path)
    counts = conversions(read.layer, read.inputs)
    assert counts.total == meta["partial_sums"]
    assert counts.clipped == meta["clipped_partial_sums"]
    assert counts.altered == meta["altered_partial_sums"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_products_without_converters_are_those_of_the_cells(path):
    read = read_layer(path)
    assert np.array_equal(exact_sums(read.layer, read.inputs).numpy(), np.load(path)["exact"])


@pytest.mark.parametrize("path", CROSSSIM, ids=lambda path: path.stem)
def test_sums_are_those_of_crosssim(path):
    read, crosssim = read_layer(path), meta_of(path)["crosssim"]
    layer = replace(
        read.layer,
        blocks=tuple(map(tuple, crosssim["row_blocks"])),
        adc=AdcTransfer(1 / crosssim["lsb"], 2 ** (crosssim["adc_bits"] - 1) - 1, "odd"),
    )
    sums = layer_sums(layer, read.inputs).numpy() * crosssim["lsb"]
    assert np.array_equal(sums, np.load(path)["crosssim_Y"])
