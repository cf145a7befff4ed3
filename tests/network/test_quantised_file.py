"""Networks from files of weights, with the scales of their quantised version or without."""

import pytest
import torch
from toy_training import network, rows_data

from moopim.errors import ConfigError
from moopim.network.checkpoint import save_weights
from moopim.network.network_files import load_trained
from moopim.network.quantisation import calibrate, quantise_module, quantised_layers, set_bits

SHAPE = (1, 5, 5)
IMAGES = rows_data().test.images


def test_weights_without_scales_are_quantised(tmp_path):
    save_weights(network(seed=1), tmp_path / "file")
    plain, quantised, scaled = load_trained(network(seed=2), tmp_path / "file", SHAPE, weight_bits=3, activation_bits=4)
    assert not scaled
    assert torch.equal(plain.eval()(IMAGES), network(seed=1).eval()(IMAGES))
    assert {(widths.weights, widths.activations) for widths in quantised_layers(quantised).values()} == {(3, 4)}
    with pytest.raises(ConfigError, match="has not been measured"):
        quantised.eval()(IMAGES)
    calibrate(quantised, IMAGES)
    expected = quantise_module(network(seed=1), SHAPE, weight_bits=3, activation_bits=4)
    calibrate(expected, IMAGES)
    assert torch.equal(quantised.eval()(IMAGES), expected.eval()(IMAGES))


def test_a_quantised_state_brings_its_scales(tmp_path):
    expected = quantise_module(network(seed=1), SHAPE)
    calibrate(expected, IMAGES[:7])
    save_weights(expected, tmp_path / "file")
    plain, quantised, scaled = load_trained(network(seed=2), tmp_path / "file", SHAPE, weight_bits=3, activation_bits=4)
    set_bits(expected, 3, 4)
    assert scaled
    assert torch.equal(quantised.eval()(IMAGES), expected.eval()(IMAGES))
    assert torch.equal(plain.eval()(IMAGES), network(seed=1).eval()(IMAGES))


def test_scales_of_another_network_are_refused(tmp_path):
    save_weights(quantise_module(network(classes=5), SHAPE), tmp_path / "file")
    module = network(seed=2)
    with pytest.raises(ConfigError, match=r"does not fit the network: '6\.bias' is torch\.float32 of shape \(5,\)"):
        load_trained(module, tmp_path / "file", SHAPE)
    assert torch.equal(module.eval()(IMAGES), network(seed=2).eval()(IMAGES))
