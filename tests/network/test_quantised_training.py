"""Subnets of a supernet, trained and kept with quantisers and noise by the same functions as any network."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from moopim.network.accuracy import accuracy
from moopim.network.calibration import calibration_images, recalibrate
from moopim.network.checkpoint import load_weights, save_weights
from moopim.network.datasets import load_data
from moopim.network.noise import noisy_accuracies, noisy_forward
from moopim.network.quantisation import (
    calibrate,
    input_grid,
    layer_bits,
    quantise_module,
    sample_bits,
    sampling_forward,
    set_bits,
    table_with_bits,
)
from moopim.network.recipes import load_recipe
from moopim.network.subnets import Block
from moopim.network.supernet import Supernet
from moopim.network.training import fit

SUBNET = (Block("RES", 4), Block("VGG", 8))
STEPS = sampling_forward((5, 9), (5, 9))


@pytest.fixture(scope="module")
def data():
    return load_data("digits")


@pytest.fixture(scope="module")
def supernet():
    return Supernet((1, 8, 8), 10, max_blocks=2, channels=(4, 8))


@pytest.fixture
def net(supernet, data):
    quantised = quantise_module(supernet.cut(SUBNET), (1, 8, 8))
    recalibrate_all(quantised, data)
    return quantised


def recalibrate_all(net, data):
    calibrate(net, calibration_images(data))
    recalibrate(net, calibration_images(data))
    calibrate(net, calibration_images(data))


def test_a_subnet_has_the_widths_of_its_layer_table(supernet, net):
    sample_bits(net, np.random.default_rng(1), range(2, 17), range(2, 17))
    table = table_with_bits(net, supernet.layers(SUBNET))
    held = table.weighted[0]
    paths = [name for name, weighted in zip(table.names, held, strict=True) if weighted]
    assert set(paths) == set(layer_bits(net))
    assert table.weight_bits[0, held].tolist() == [layer_bits(net)[path][0] for path in paths]
    assert table.output_bits[0, held].tolist() == [layer_bits(net)[path][1] for path in paths]
    assert table.input_bits[0, held].tolist() == [input_grid(net, path).bits for path in paths]


def test_recalibration_leaves_scales_and_calibration_leaves_statistics(net, data):
    before = copy.deepcopy(net.state_dict())
    calibrate(net, 3 * calibration_images(data))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert all(name.endswith("alpha") for name in changed)
    before = copy.deepcopy(net.state_dict())
    recalibrate(net, calibration_images(data))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("running" in name for name in changed)


def test_training_at_drawn_widths_goes_on_to_the_same_bits(net, data, tmp_path):
    recipe = replace(load_recipe("crossnas-qat").scaled(2), interval=1)
    whole, stopped, resumed = (copy.deepcopy(net) for _ in range(3))
    fit(whole, data, recipe, forward=STEPS, progress=False)
    calls = []

    def interrupted(model, images, rng):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return STEPS(model, images, rng)

    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data, recipe, forward=interrupted, checkpoint=tmp_path / "qat.safetensors", progress=False)
    fit(resumed, data, recipe, forward=STEPS, checkpoint=tmp_path / "qat.safetensors", progress=False)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert not torch.equal(whole.image_alpha, net.image_alpha)
    assert layer_bits(resumed) == layer_bits(whole)


def test_a_quantised_network_is_kept_with_its_widths(supernet, net, data, tmp_path):
    sample_bits(net, np.random.default_rng(4))
    save_weights(net, tmp_path / "net.safetensors", {"bits": layer_bits(net)})
    other = quantise_module(supernet.cut(SUBNET), (1, 8, 8))
    about = load_weights(other, tmp_path / "net.safetensors")
    weights, activations = ({path: pair[i] for path, pair in about["bits"].items()} for i in (0, 1))
    set_bits(other, weights, activations)
    assert layer_bits(other) == layer_bits(net)
    images = data.test.images[:50]
    assert torch.equal(other.eval()(images), net.eval()(images))
    assert accuracy(other, data.test) == accuracy(net, data.test)


@pytest.mark.slow
def test_training_with_noise_withstands_noise(data):
    supernet = Supernet((1, 8, 8), 10, max_blocks=2, channels=(16,))
    plain, hardened = (supernet.cut((Block("VGG", 16), Block("MVGG", 16))) for _ in range(2))
    recipe = load_recipe("digits-supernet").scaled(20)
    fit(plain, data, recipe, progress=False)
    fit(hardened, data, recipe, forward=noisy_forward(0.1), progress=False)
    with_noise = [noisy_accuracies(net, data.test, 0.1, draws=10).mean() for net in (plain, hardened)]
    assert with_noise[1] > with_noise[0] + 0.05
    assert accuracy(hardened, data.test) > 0.75
