"""Files of networks and supernets give the same ones back, and nothing else."""

import pytest
import torch

from moopim.errors import ConfigError
from moopim.network.blocks import make_network
from moopim.network.checkpoint import read_about, save_weights
from moopim.network.network_files import load_network, load_supernet, save_network, save_supernet
from moopim.network.quantisation import calibrate, is_quantised, layer_bits, quantise_module, set_bits
from moopim.network.subnets import Block
from moopim.network.supernet import Supernet

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
    assert layer_bits(stored.net) == layer_bits(net)
    assert torch.equal(stored.net(images), net(images))


@pytest.mark.parametrize("about", [{}, {"network": 3}, {"network": {"blocks": [[1]], "image_shape": [1, 8, 8]}}])
def test_files_of_other_weights_are_refused(tmp_path, about):
    save_weights(torch.nn.Linear(2, 2), tmp_path / "w.safetensors", about)
    with pytest.raises(ConfigError, match=r"w\.safetensors' holds other weights"):
        load_network(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": [["MVGG", 60_000, 1]]}, "holds too few weights for a network of"),
        ({"blocks": [["MVGG", 4, 1]] * 1001}, "holds other weights than those of a network of blocks: field 'blocks'"),
        ({"classes": 10**9}, "field 'classes': Input should be less than or equal to 1000000 (got 1000000000)"),
        ({"image_shape": [1, 4096, 4096]}, "values in a feature map; expected at most"),
        ({"widths": {"image": 8, "layers": {"x": [8, 8]}}}, "unknown quantised layer 'x'"),
        ({"widths": {"image": True, "layers": {}}}, "field 'widths.image'"),
    ],
)
def test_a_network_that_the_file_cannot_hold_is_not_made(change, message, tmp_path):
    path = tmp_path / "n.safetensors"
    net = quantise_module(make_network(SUBNET, SHAPE, 5, seed=2).eval(), SHAPE)
    save_network(net, path, SUBNET, SHAPE, 5)
    about = read_about(path)
    save_weights(net, path, {"network": about["network"] | change})
    with pytest.raises(ConfigError) as error:
        load_network(path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_blocks": 10**9}, "field 'max_blocks'"),
        ({"max_blocks": 1000}, "holds too few weights for a supernet of"),
        ({"channels": [60_000]}, "holds too few weights for a supernet of"),
        ({"channels": "abc"}, "field 'channels'"),
        ({"seed": -1}, "field 'seed'"),
        ({"image_shape": [1, 8]}, "field 'image_shape.2': Field required"),
    ],
)
def test_a_supernet_that_the_file_cannot_hold_is_not_made(change, message, tmp_path):
    path = tmp_path / "s.safetensors"
    supernet = Supernet((1, 8, 8), 10, max_blocks=2, channels=(4, 8))
    save_supernet(supernet, path)
    assert load_supernet(path).channels == (4, 8)
    save_weights(supernet, path, {"supernet": read_about(path)["supernet"] | change})
    with pytest.raises(ConfigError) as error:
        load_supernet(path)
    assert message in str(error.value)
