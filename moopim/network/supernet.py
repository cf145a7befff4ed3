"""Single-path one-shot supernet of CrossNAS (arXiv 2505.22868, sections 3.1 and 3.2, Fig. 4).

Each stage of the supernet holds the three kinds of blocks in parallel. A subnet uses the first stages, one kind at
each, and the leading channels of the weights: of a convolution from 32 to 64 channels in a supernet that is up to 128
wide, ``weight[:64, :32]``, and of its batch norm the first 64 channels.

Batch norm statistics do not carry over from one subnet to another, so a supernet keeps none: it normalises by the
current batch. `moopim.network.accuracy.subnet_accuracies` measures the statistics of each subnet.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from moopim.checks import is_whole
from moopim.errors import ConfigError
from moopim.network.blocks import ConvBlock, convolve_same, initialise, linear, make_network, run_layers
from moopim.network.subnets import (
    KINDS,
    Block,
    Subnet,
    canonical,
    check_blocks,
    check_sizes,
    convolutions,
    network_layers,
)
from moopim.network.tools import channels_last
from moopim.workload import LayerTable


class Statistics(NamedTuple):
    """Batch norm statistics.

    Attributes:
        mean: Mean of each channel, shape ``(channels,)``.
        variance: Variance of each channel (divided by the number of values, not by one less), same shape.
    """

    mean: Tensor
    variance: Tensor


class ConvNorm(NamedTuple):
    """Convolution and the batch norm behind it, as a subnet uses them.

    Attributes:
        weight: Weights, shape ``(c_out, c_in, kernel, kernel)``.
        scale: Scale (gamma) of the batch norm, shape ``(c_out,)``.
        shift: Shift (beta) of the batch norm, shape ``(c_out,)``.
        stride: Stride.
        epsilon: Term added to the variance.
    """

    weight: Tensor
    scale: Tensor
    shift: Tensor
    stride: int
    epsilon: float

    def convolve(self, x: Tensor) -> Tensor:
        """Convolution alone."""
        return convolve_same(x, self.weight, stride=self.stride)

    def by_batch(self, x: Tensor) -> Tensor:
        """Convolution, normalised by the batch."""
        y = self.convolve(x)
        return F.batch_norm(y, None, None, self.scale, self.shift, training=True, eps=self.epsilon)

    def normalise(self, y: Tensor, statistics: Statistics) -> Tensor:
        """Output of the convolution, normalised by measured statistics."""
        return F.batch_norm(y, *statistics, self.scale, self.shift, training=False, eps=self.epsilon)

    def folded(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Both as one convolution with a bias."""
        scale = self.scale * torch.rsqrt(statistics.variance + self.epsilon)
        weight, bias = self.weight * scale[:, None, None, None], self.shift - statistics.mean * scale
        return convolve_same(x, weight, bias, self.stride)


class Supernet(nn.Module):
    """All subnets of a search space in one set of weights.

    Args:
        image_shape: Channels, height and width of an image.
        classes: Number of classes.
        max_blocks: Largest number of blocks of a subnet.
        channels: Choices for the output channels of a block, in rising order.
        strides: Choices for the stride of a RES block, in rising order.
        seed: Seed of the initial weights.

    Attributes:
        image_shape: As given, as are the other arguments.

    Raises:
        ConfigError: If a number is not allowed.

    Example:
        >>> import numpy as np
        >>> from moopim.network import Supernet
        >>> supernet = Supernet((1, 8, 8), classes=10, max_blocks=4, channels=(16, 32, 64))
        >>> subnet = supernet.random_subnet(np.random.default_rng(3))
        >>> supernet.layers(subnet).names[-1]
        'head'
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        max_blocks: int = 8,
        channels: Sequence[int] = (32, 64, 128),
        strides: Sequence[int] = (1,),
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(image_shape, classes)
        if not is_whole(max_blocks, 1):
            raise ConfigError(f"max_blocks {max_blocks!r} of the supernet is not allowed; expected a whole number >= 1")
        self.image_shape = image_shape
        self.classes = classes
        self.max_blocks = max_blocks
        self.channels = _rising("channels", channels)
        self.strides = _rising("strides", strides)
        self.seed = seed
        widest = self.channels[-1]
        self.places = nn.ModuleList(
            nn.ModuleDict({kind: ConvBlock(Block(kind, widest), c_in, statistics=False) for kind in KINDS})
            for c_in in (image_shape[0], *[widest] * (max_blocks - 1))
        )
        self.head = linear(widest, classes)
        initialise(self, seed)

    def forward(self, images: Tensor, subnet: Subnet) -> Tensor:
        """Run a subnet, normalising by the batch in training and evaluation mode alike.

        Args:
            images: Images, shape ``(images, channels, height, width)``.
            subnet: Blocks of the subnet.

        Returns:
            Logits, shape ``(images, classes)``.

        Raises:
            ConfigError: If the supernet does not hold this subnet.
        """
        self.check(subnet)
        x = channels_last(images)
        for stage, block in enumerate(subnet):
            x = self.run_block(stage, x, block)
        return self.run_head(x)

    def random_subnet(self, rng: np.random.Generator) -> Subnet:
        """Random subnet: depth, then kind, channels and, for RES, stride of each block, all uniform (section 3.2).

        Args:
            rng: Source of randomness.

        Returns:
            The subnet, in canonical form.
        """
        blocks = []
        for _ in range(rng.integers(1, self.max_blocks + 1)):
            kind = KINDS[rng.integers(len(KINDS))]
            channels = self.channels[rng.integers(len(self.channels))]
            stride = self.strides[rng.integers(len(self.strides))] if kind == "RES" else 1
            blocks.append(Block(kind, channels, stride))
        return self.canonical(tuple(blocks))

    def canonical(self, subnet: Subnet) -> Subnet:
        """Subnet with VGG as MVGG where a feature map cannot be halved, and a stride of 1 where it is 1x1."""
        _, height, width = self.image_shape
        return canonical(subnet, (height, width))

    def check(self, subnet: Subnet) -> None:
        """Raise ConfigError unless the supernet holds a subnet."""
        _, height, width = self.image_shape
        check_blocks(subnet, (height, width))
        if len(subnet) > self.max_blocks:
            raise ConfigError(f"a subnet of {len(subnet)} blocks is too deep; expected 1 .. {self.max_blocks}")
        for number, block in enumerate(subnet, start=1):
            for name, allowed in (("channels", self.channels), ("stride", (1, *self.strides))):
                value = getattr(block, name)
                if value not in allowed:
                    expected = ", ".join(map(str, sorted(set(allowed))))
                    raise ConfigError(f"{name} {value} of block {number} is not allowed; expected one of {expected}")

    def parts(self, stage: int, block: Block, c_in: int) -> dict[str, ConvNorm]:
        """Convolutions of a block with their batch norms by name, views of the weights of stage ``stage`` (from 0)."""
        path = cast("nn.ModuleDict", self.places[stage])[block.kind]
        parts = {}
        for name in convolutions(block.kind):
            norm = cast("nn.BatchNorm2d", path.get_submodule(f"norm_{name}"))
            wide, stride = (block.channels, 1) if name == "b" else (c_in, block.stride)
            parts[name] = ConvNorm(
                weight=path.get_parameter(f"{name}.weight")[: block.channels, :wide],
                scale=norm.weight[: block.channels],
                shift=norm.bias[: block.channels],
                stride=stride,
                epsilon=norm.eps,
            )
        return parts

    def run_block(self, stage: int, x: Tensor, block: Block) -> Tensor:
        """Run the block of a stage on ``(images, c_in, height, width)``, normalising by the batch."""
        parts = self.parts(stage, block, x.shape[1])
        return run_layers(block.kind, x, lambda name, x: parts[name].by_batch(x))

    def run_head(self, x: Tensor) -> Tensor:
        """Logits ``(images, classes)`` of feature maps ``(images, c_in, height, width)``."""
        return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), self.head.weight[:, : x.shape[1]])

    def cut(self, subnet: Subnet) -> nn.Sequential:
        """Subnet as a plain module with copies of the weights.

        Args:
            subnet: Blocks of the subnet.

        Returns:
            The network, on the CPU. Its batch norms have no statistics yet: train it, or measure them by `recalibrate`.

        Raises:
            ConfigError: If the supernet does not hold this subnet.
        """
        self.check(subnet)
        network = make_network(subnet, self.image_shape, self.classes)
        c_in = self.image_shape[0]
        for stage, block in enumerate(self.canonical(subnet)):
            plain = network.get_submodule(f"block{stage + 1}")
            for name, part in self.parts(stage, block, c_in).items():
                conv, norm = plain.get_submodule(name), plain.get_submodule(f"norm_{name}")
                _copy(conv, weight=part.weight)
                _copy(norm, weight=part.scale, bias=part.shift)
            c_in = block.channels
        _copy(network.get_submodule("head"), weight=self.head.weight[:, :c_in])
        return network

    def layers(self, subnet: Subnet) -> LayerTable:
        """Layer table of a subnet for the hardware models.

        Args:
            subnet: Blocks of the subnet.

        Returns:
            Table of one network, see `network_layers`.

        Raises:
            ConfigError: If the supernet does not hold this subnet.
        """
        self.check(subnet)
        return network_layers(subnet, self.image_shape, self.classes)


def single_path_forward(supernet: Supernet, images: Tensor, rng: np.random.Generator) -> Tensor:
    """Training step of the single-path one-shot supernet (section 3.1): a uniformly random subnet for each batch.

    Args:
        supernet: Supernet.
        images: Images, shape ``(images, channels, height, width)``.
        rng: Source of randomness.

    Returns:
        Logits of the subnet, shape ``(images, classes)``; `fit` takes this function as its ``forward``.
    """
    logits: Tensor = supernet(images, supernet.random_subnet(rng))
    return logits


def _copy(module: nn.Module, **values: Tensor) -> None:
    with torch.no_grad():
        for name, value in values.items():
            module.get_parameter(name).copy_(value)


def _rising(name: str, values: Sequence[int]) -> tuple[int, ...]:
    numbers = tuple(values)
    if not numbers or not all(is_whole(number, 1) for number in numbers) or list(numbers) != sorted(set(numbers)):
        raise ConfigError(
            f"{name} {numbers!r} of the supernet do not nest; expected whole numbers >= 1 in rising order, each once"
        )
    return numbers
