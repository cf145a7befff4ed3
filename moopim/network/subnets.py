"""Subnets as chains of blocks: the architecture search space of CrossNAS (arXiv 2505.22868, Table 1), without torch.

A feature map one value high or wide cannot be halved: VGG is not allowed there. On one of 1x1 every stride means 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from moopim.checks import is_whole
from moopim.errors import ConfigError, unknown_name
from moopim.workload import IMAGE, Layer, LayerTable, make_table

KINDS = ("VGG", "MVGG", "RES")
"""Kinds of blocks."""

_BITS = 9  # default width of weights, activations and the image, as in MNSIM 2.0


class Block(NamedTuple):
    """Block of a network.

    Attributes:
        kind: One of ``VGG``, ``MVGG`` and ``RES``.
        channels: Output channels of all its convolutions.
        stride: Stride of the first 3x3 and of the 1x1 convolution of RES; 1 for other kinds.
    """

    kind: str
    channels: int
    stride: int = 1


Subnet: TypeAlias = tuple[Block, ...]
"""Blocks of a network, the first of which reads the image."""

_Size: TypeAlias = tuple[int, int]


def convolutions(kind: str) -> tuple[str, ...]:
    """Names of the convolutions of a kind of block: 3x3 ``a`` and ``b``, and the 1x1 ``shortcut`` of RES."""
    return ("a", "b", "shortcut") if kind == "RES" else ("a", "b")


def subnet_name(subnet: Sequence[Block]) -> str:
    """Name of a network of blocks.

    Args:
        subnet: Blocks.

    Returns:
        Kinds, channels, and strides other than 1, such as ``VGG32-RES64s2``.
    """
    return "-".join(f"{kind}{channels}" + (f"s{stride}" if stride > 1 else "") for kind, channels, stride in subnet)


def canonical(subnet: Sequence[Block], size: _Size) -> Subnet:
    """Canonical form of a subnet whose first block reads `size` (height, width), as the repair of CrossNAS's genes.

    VGG becomes MVGG where the feature map cannot be halved, and the stride 1 where it is 1x1, so that equal networks
    are equal subnets.
    """
    return tuple(block for block, *_ in _walk(subnet, size))


def _walk(subnet: Sequence[Block], size: _Size) -> Iterator[tuple[Block, _Size, _Size]]:
    """Blocks in canonical form, each with the size of the feature map in front of it and behind it."""
    height, width = size
    for block in subnet:
        kind = "MVGG" if block.kind == "VGG" and min(height, width) == 1 else block.kind
        stride = 1 if height == width == 1 else block.stride
        # A padded convolution with a stride rounds up, pooling rounds down.
        behind = (height // 2, width // 2) if kind == "VGG" else ((height - 1) // stride + 1, (width - 1) // stride + 1)
        yield Block(kind, block.channels, stride), (height, width), behind
        height, width = behind


def network_layers(subnet: Sequence[Block], image_shape: tuple[int, int, int], classes: int) -> LayerTable:
    """Layer table of a network of blocks for the hardware models.

    It equals the table of `moopim.workload.trace`, except for an added layer that averages a feature map of 1x1.

    Args:
        subnet: Blocks.
        image_shape: Channels, height and width of an image.
        classes: Number of classes.

    Returns:
        Table of one network with 9-bit weights, activations and image values; layers are named by the paths of the
        modules of `make_network`.

    Raises:
        ConfigError: If there is no block, or a block or a number is not allowed.
    """
    check_sizes(image_shape, classes)
    channels, height, width = image_shape
    check_blocks(subnet, (height, width))
    layers: list[Layer] = []
    source, size = IMAGE, (height, width)
    for number, (block, size_in, size_out) in enumerate(_walk(subnet, size), start=1):
        layers += _block_layers(f"block{number}", block, source, len(layers), channels, size_in, size_out)
        source, channels, size = len(layers) - 1, block.channels, size_out
    layers.append(Layer("average", "pool", (source,), channels, channels, kernel=size, size_in=size))
    layers.append(Layer("head", "fc", (source + 1,), channels, classes))
    table = make_table(layers)
    bits = np.full(table.kind.shape, _BITS)
    return table.with_bits(bits, bits, _BITS)


def _block_layers(
    name: str, block: Block, source: int, first: int, c_in: int, size_in: _Size, size_out: _Size
) -> list[Layer]:
    """Layers of a block that reads layer ``source``; ``first`` is the index of its first layer."""
    c_out, stride = block.channels, (block.stride, block.stride)
    size = size_in if block.kind == "VGG" else size_out  # behind the convolutions
    layers = [
        Layer(f"{name}.a", "conv", (source,), c_in, c_out, (3, 3), stride, (1, 1), size_in, size),
        Layer(f"{name}.b", "conv", (first,), c_out, c_out, (3, 3), (1, 1), (1, 1), size, size),
    ]
    if block.kind == "RES":
        layers += [
            Layer(f"{name}.shortcut", "conv", (source,), c_in, c_out, (1, 1), stride, (0, 0), size_in, size),
            Layer(f"{name}.sum", "sum", (first + 2, first + 1), c_out, c_out, size_in=size, size_out=size),
        ]
    if block.kind == "VGG":
        layers.append(Layer(f"{name}.pool", "pool", (first + 1,), c_out, c_out, (2, 2), (2, 2), (0, 0), size, size_out))
    return layers


def check_sizes(image_shape: tuple[int, int, int], classes: int) -> None:
    """Raise ConfigError unless the image shape (channels, height, width) and the number of classes are allowed."""
    if len(image_shape) != 3 or not all(is_whole(size, 1) for size in image_shape):  # noqa: PLR2004 (the message says what they are)
        raise ConfigError(f"image_shape {image_shape!r} is not allowed; expected channels, height and width >= 1")
    if not is_whole(classes, 2):
        raise ConfigError(f"classes {classes!r} is not allowed; expected a whole number >= 2")


def check_blocks(subnet: Sequence[Block], size: _Size) -> None:
    """Raise ConfigError unless all blocks can be built and none shrinks `size` (height, width) below 1x1."""
    if not subnet:
        raise ConfigError("a subnet without blocks is not allowed; expected at least one block")
    for number, block in enumerate(subnet, start=1):
        if block.kind not in KINDS:
            raise unknown_name(f"kind of block {number}", block.kind, KINDS)
        for name in ("channels", "stride"):
            value = getattr(block, name)
            if not is_whole(value, 1):
                raise ConfigError(f"{name} {value!r} of block {number} is not allowed; expected a whole number >= 1")
        if block.kind != "RES" and block.stride != 1:
            raise ConfigError(f"stride {block.stride} of block {number} ({block.kind}) is not allowed; expected 1")
    for number, (block, (height, width), _) in enumerate(_walk(subnet, size), start=1):
        if block.kind != subnet[number - 1].kind:
            raise ConfigError(
                f"block {number} (VGG) cannot halve a feature map of {height}x{width}; expected MVGG or RES, "
                f"see moopim.network.subnets.canonical"
            )
