"""Chips one after the other, and what the ADCs of their layers lose."""

import pytest
import torch
from small_nets import Chain

from moopim.errors import ConfigError
from moopim.network.accuracy import accuracy
from moopim.network.crossbar import (
    CellModel,
    Circuit,
    chip_accuracies,
    chip_networks,
    count_layer_conversions,
    on_crossbars,
)
from moopim.network.crossbar.accuracy import layer_losses
from moopim.network.datasets import Split
from moopim.network.network_files import Trained
from moopim.network.quantisation import calibrate, quantise_module

CIRCUIT = Circuit(rows=16, adc_bits=4, adc_range="unit")


IMAGES = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def net():
    """A network that finds each class as often as the others, or nearly so."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = Chain().eval()
    with torch.no_grad():
        net.head.bias -= net(IMAGES).mean(0)
    return net


@pytest.fixture
def split(net):
    """Images with the classes that the network finds."""
    return Split(IMAGES, net(IMAGES).argmax(1))


@pytest.fixture
def trained(net):
    quantised = quantise_module(net, (1, 8, 8), weight_bits=5, activation_bits=4)
    calibrate(quantised, IMAGES)
    return Trained(net, quantised, scaled=False)


def test_a_chip_is_the_same_among_any_number(trained, split):
    devices = CellModel(variation=0.5)
    one, *_ = (accuracy(net, split) for net in chip_networks(trained.quantised, CIRCUIT, devices, seed=4))
    found = chip_accuracies(trained, split, CIRCUIT, devices, chips=3, seed=4)
    assert found.chips[0] == one
    assert len(set(found.chips)) > 1
    assert found.plain == 1
    assert found.quantised == accuracy(trained.quantised, split)
    assert not found.layers


def test_losses_are_those_of_all_images_at_once(trained, split):
    seen = []
    net = on_crossbars(trained.quantised, CIRCUIT)
    losses = layer_losses(net, split, progress=seen.append)
    counts = count_layer_conversions(net, split.images)
    assert {path: loss.conversions for path, loss in losses.items()} == counts
    assert [(loss.shape, loss.rows, loss.row_blocks) for loss in losses.values()] == [
        ((4, 1, 3, 3), 9, 1),
        ((6, 4, 3, 3), 9, 4),
        ((3, 96), 16, 6),
    ]
    assert [(loss.weight_bits, loss.input_bits, loss.output_bits) for loss in losses.values()] == [
        (5, 9, 4),
        (5, 4, 4),
        (5, 4, 4),
    ]
    assert seen == [256, 300]


@pytest.mark.parametrize(
    ("options", "bits"),
    [({}, 4), ({"subtraction": "digital"}, 4), ({"dacs": 4}, 6), ({"dacs": 4, "row_groups": "sequential"}, 4)],
)
def test_the_resolution_of_converters_has_the_bits_of_row_groups(trained, split, options, bits):
    net = on_crossbars(trained.quantised, Circuit(rows=16, adc_bits=4, adc_range="unit", **options))
    # 16 rows on 4 DACs at a time are two doublings; of the convolutions, 9 rows are used.
    assert layer_losses(net, split)["head"].adc_bits == bits


def test_no_chips_are_refused(trained):
    with pytest.raises(ConfigError, match="0 chips are not allowed; expected 1, 2"):
        next(chip_networks(trained.quantised, CIRCUIT, chips=0))
