"""Blocks of CrossNAS and networks built of them (arXiv 2505.22868, section 3.2 and Fig. 4a).

Every block holds two 3x3 convolutions. VGG halves the feature map behind them by 2x2 maximum pooling, MVGG does not,
and RES adds the block's input through a 1x1 convolution. A batch norm follows each convolution, which has no bias
therefore. ReLU follows each of the two; in RES the second one comes behind the sum, as in ResNet (He et al., CVPR
2016), since the paper does not say. The head averages the feature map and has one fully connected layer, without a
bias as in MNSIM 2.0.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from moopim.checks import whole_number
from moopim.network.subnets import Block, canonical, check_blocks, check_sizes, convolutions

_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d)


def run_layers(kind: str, x: Tensor, layer: Callable[[str, Tensor], Tensor]) -> Tensor:
    """Output of a block ``(images, channels, height, width)`` for its input ``x`` ``(images, c_in, height, width)``.

    ``layer(name, x)`` computes the named convolution and its batch norm into a new tensor.
    """
    y = layer("b", F.relu(layer("a", x), inplace=True))
    if kind == "RES":
        y = layer("shortcut", x) + y
    y = F.relu(y, inplace=True)
    return F.max_pool2d(y, 2) if kind == "VGG" else y


def convolve_same(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """Convolution with 'same' padding: the feature map is divided by the stride, rounding up.

    ``x`` has the shape ``(images, c_in, height, width)``, weights ``(c_out, c_in, kernel, kernel)`` with an odd kernel,
    the bias ``(c_out,)``. Pixels that the stride of a 1x1 convolution skips are left out before it. Apart from the time
    saved, this avoids a fault of oneDNN 3.12 on CPUs with AVX2: the gradient of such a layer for fewer than 8 adjacent
    channels, as those of an image, writes beyond its memory.
    """
    kernel = weight.shape[-1]
    if kernel == 1:
        x, stride = x[:, :, ::stride, ::stride], 1
    return F.conv2d(x, weight, bias, stride, kernel // 2)


class ConvBlock(nn.Module):
    """Block as a plain module: convolutions ``a``, ``b``, ``shortcut``, each with its batch norm ``norm_a``, ...

    The block is in canonical form; `statistics` is whether batch norms keep running statistics.
    """

    def __init__(self, block: Block, c_in: int, statistics: bool = True) -> None:
        super().__init__()
        self.kind = block.kind
        shapes = {"a": (c_in, 3, block.stride), "b": (block.channels, 3, 1), "shortcut": (c_in, 1, block.stride)}
        for name in convolutions(block.kind):
            self.add_module(name, _conv(block.channels, *shapes[name]))
            self.add_module(f"norm_{name}", nn.BatchNorm2d(block.channels, track_running_stats=statistics))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps ``(images, channels, height, width)`` for an input ``(images, c_in, height, width)``."""

        def layer(name: str, x: Tensor) -> Tensor:
            y: Tensor = self.get_submodule(f"norm_{name}")(self.get_submodule(name)(x))
            return y

        return run_layers(self.kind, x, layer)


def make_network(
    subnet: Sequence[Block], image_shape: tuple[int, int, int], classes: int, seed: int = 0
) -> nn.Sequential:
    """Network of blocks as a plain module with random weights, to be trained from scratch.

    Convolutions get normal weights of variance 2 / fan-in (He et al., ICCV 2015), the head 1 / fan-in.

    Args:
        subnet: Blocks.
        image_shape: Channels, height and width of an image.
        classes: Number of classes.
        seed: Seed of the weights, 0 or more.

    Returns:
        Modules ``block1``, ``block2``, ..., ``average``, ``flatten`` and ``head`` in sequence.

    Raises:
        ConfigError: If there is no block, or a block or a number is not allowed.
    """
    check_sizes(image_shape, classes)
    channels, height, width = image_shape
    check_blocks(subnet, (height, width))
    network = nn.Sequential()
    for number, block in enumerate(canonical(subnet, (height, width)), start=1):
        network.add_module(f"block{number}", ConvBlock(block, channels))
        channels = block.channels
    network.add_module("average", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("head", linear(channels, classes))
    initialise(network, seed)
    return network


def initialise(module: nn.Module, seed: int) -> None:
    """Draw the weights of all convolutions and linear layers (He et al., ICCV 2015: normal, variance 2 / fan-in).

    Linear layers get 1 / fan-in, since no ReLU follows the head. Batch norms keep torch's initial values. The global
    random state is neither read nor changed; the module must be on the CPU.
    """
    whole_number("seed", seed, 0)
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                gain = 1 if isinstance(part, nn.Linear) else 2
                part.weight.normal_(0, sqrt(gain / part.weight[0].numel()), generator=generator)


def linear(c_in: int, c_out: int) -> nn.Linear:
    """Linear layer without a bias; its weights are uninitialised, see `initialise`."""
    return _with_memory(nn.Linear(c_in, c_out, bias=False, device="meta"))


def _conv(c_out: int, c_in: int, kernel: int, stride: int) -> nn.Conv2d:
    kind = Shortcut if kernel == 1 else nn.Conv2d
    return _with_memory(kind(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=False, device="meta"))


def _with_memory(layer: _Layer) -> _Layer:
    """Allocate the weights of a layer on the meta device: elsewhere torch would draw them from the global generator.

    `to_empty` does the same, but loads parts of torch's compiler, which takes a second.
    """
    layer.weight = nn.Parameter(torch.empty(layer.weight.shape))
    return layer


class Shortcut(nn.Conv2d):
    """1x1 convolution, computed by `convolve_same`."""

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps ``(images, c_out, height, width)`` for an input ``(images, c_in, height, width)``."""
        if torch.compiler.is_exporting():  # one layer with a stride, as hardware models need it
            return super().forward(x)
        return convolve_same(x, self.weight, stride=self.stride[0])
