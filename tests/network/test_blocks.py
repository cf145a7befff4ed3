"""Blocks as torch modules: what they compute, and weights that depend on the seed alone."""

import numpy as np
import pytest

from moopim import ConfigError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from moopim.network.blocks import ConvBlock, convolve_same, initialise, make_network  # noqa: E402
from moopim.network.subnets import Block, canonical  # noqa: E402
from moopim.network.tools import channels_last  # noqa: E402


def block(kind, stride=1):
    module = ConvBlock(Block(kind, 4, stride), 3)
    initialise(module, seed=1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):  # so that normalisation is seen
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module.eval()


def conv_norm(module, name, x, padding, stride=1):
    norm = module.get_submodule(f"norm_{name}")
    y = F.conv2d(x, module.get_parameter(f"{name}.weight"), stride=stride, padding=padding)
    spread = torch.sqrt(norm.running_var + norm.eps)
    return (y - norm.running_mean[:, None, None]) / spread[:, None, None]


@pytest.mark.parametrize(("kind", "stride"), [("VGG", 1), ("MVGG", 1), ("RES", 1), ("RES", 2)])
def test_a_block_computes_what_the_paper_describes(kind, stride):
    x = torch.randn(2, 3, 7, 6, generator=torch.Generator().manual_seed(3))
    module = block(kind, stride)
    y = conv_norm(module, "b", conv_norm(module, "a", x, 1, stride).relu(), 1)
    if kind == "RES":
        y = y + conv_norm(module, "shortcut", x, 0, stride)
    y = y.relu()
    if kind == "VGG":  # pooled by hand, the odd row is left out
        y = torch.stack([y[:, :, i:6:2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    assert torch.allclose(module(x), y, atol=1e-5)


def test_a_network_averages_the_feature_map_in_front_of_its_head():
    network = make_network((Block("MVGG", 4), Block("RES", 6, 2)), (3, 8, 8), classes=5).eval()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    features = network.block2(network.block1(x)).mean((2, 3))
    assert torch.allclose(network(x), features @ network.head.weight.T, atol=1e-5)
    assert not [name for name, _ in network.named_parameters() if name.endswith("bias") and "norm" not in name]


def test_a_block_that_cannot_halve_its_feature_map_is_refused():
    blocks = (Block("VGG", 4), Block("VGG", 4), Block("RES", 4, 2))
    with pytest.raises(ConfigError, match=r"block 2 \(VGG\) cannot halve a feature map of 1x1; expected MVGG or RES"):
        make_network(blocks, (1, 3, 3), classes=2)
    network = make_network(canonical(blocks, (3, 3)), (1, 3, 3), classes=2)
    assert network(torch.zeros(2, 1, 3, 3)).shape == (2, 2)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_convolution_skips_what_its_stride_says(kernel, stride):
    generator = torch.Generator().manual_seed(3)
    x, weight = torch.randn(2, 3, 7, 6, generator=generator), torch.randn(4, 3, kernel, kernel, generator=generator)
    whole = F.conv2d(x, weight, torch.ones(4), padding=kernel // 2)
    assert torch.allclose(convolve_same(x, weight, torch.ones(4), stride), whole[:, :, ::stride, ::stride], atol=1e-5)


def test_weights_depend_on_the_seed_alone_and_leave_the_global_generator_alone():
    subnet = (Block("RES", 8), Block("VGG", 8))
    state = torch.get_rng_state()
    first = make_network(subnet, (3, 8, 8), classes=4, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    again, other = (make_network(subnet, (3, 8, 8), classes=4, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.block1.a.weight, other["block1.a.weight"])


def test_weights_have_the_spread_of_he_and_others():
    convolution, linear = nn.Conv2d(64, 64, 3), nn.Linear(400, 100)
    initialise(nn.Sequential(convolution, linear), seed=1)
    assert np.isclose(convolution.weight.std().item(), (2 / 576) ** 0.5, rtol=0.02)
    assert np.isclose(linear.weight.std().item(), (1 / 400) ** 0.5, rtol=0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_are_equal_values_with_the_channels_innermost(channels):
    x = torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(3))
    y = channels_last(x)
    assert torch.equal(x, y)
    assert y.stride() == (20 * channels, 1, 5 * channels, channels)
