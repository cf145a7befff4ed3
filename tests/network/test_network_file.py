"""Files of networks give the same networks back, and nothing else."""

import pytest
import torch

from moopim.errors import ConfigError
from moopim.network.blocks import make_network
from moopim.network.checkpoint import save_weights
from moopim.network.mixed_precision import bits, set_bits
from moopim.network.network_file import load_network, save_network
from moopim.network.quantisation import calibrate, is_quantised, quantise_module
from moopim.network.subnets import Block

SUBNET = (Block("RES", 4, 2), Block("VGG", 6), Block("MVGG", 4))
SHAPE = (1, 8, 8)


def test_a_network_comes_back(tmp_path):
    net = make_network(SUBNET, SHAPE, 5, seed=2).eval()
    save_network(net, tmp_path / "n.safetensors", SUBNET, SHAPE, 5, {"recipe": "none"})
    stored = load_network(tmp_path / "n.safetensors")
    images = torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(1))
    assert torch.equal(stored.net(images), net(images))
    assert not is_quantised(stored.net)
    assert (stored.subnet, stored.image_shape, stored.classes, stored.about) == (SUBNET, SHAPE, 5, {"recipe": "none"})


def test_a_quantised_network_comes_back_with_its_widths_and_scales(tmp_path):
    net = quantise_module(make_network(SUBNET, SHAPE, 5, seed=2).eval(), SHAPE, input_bits=8)
    set_bits(net, [3, 4, 5, 6, 7, 8, 9, 5], [9, 8, 7, 6, 5, 4, 3, 9])
    images = torch.randn((30, *SHAPE), generator=torch.Generator().manual_seed(1))
    calibrate(net, images)
    save_network(net, tmp_path / "n.safetensors", SUBNET, SHAPE, 5)
    stored = load_network(tmp_path / "n.safetensors")
    assert bits(stored.net) == bits(net)
    assert torch.equal(stored.net(images), net(images))


@pytest.mark.parametrize("about", [{}, {"network": 3}, {"network": {"blocks": [[1]], "image_shape": [1, 8, 8]}}])
def test_files_of_other_weights_are_refused(tmp_path, about):
    save_weights(torch.nn.Linear(2, 2), tmp_path / "w.safetensors", about)
    with pytest.raises(ConfigError, match=r"w\.safetensors' holds other weights"):
        load_network(tmp_path / "w.safetensors")
