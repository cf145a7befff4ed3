"""Networks as chains of blocks: the search space of CrossNAS as data (arXiv 2505.22868, Table 1), without torch.

A feature map one value high or wide cannot be halved: VGG is not allowed there. On one of 1x1 every stride means 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from moopim.checks import is_whole
from moopim.errors import ConfigError, unknown_name
from moopim.workload import IMAGE, Layer, LayerTable, make_table

__all__ = [
    "KINDS",
    "Block",
    "Subnet",
    "canonical",
    "check_blocks",
    "check_sizes",
    "convolutions",
    "network_layers",
    "subnet_name",
]

KINDS = ("VGG", "MVGG", "RES")
"""The kinds of blocks."""

_BITS = 9  # of weights, activations and the image where nothing else is set, as in MNSIM 2.0


class Block(NamedTuple):
    """A block of a network.

    Attributes:
        kind: One of `KINDS`.
        channels: Output channels, of all of its convolutions.
        stride: Stride of the first 3x3 and of the 1x1 convolution of RES; 1 for other kinds.
    """

    kind: str
    channels: int
    stride: int = 1


Subnet: TypeAlias = tuple[Block, ...]
"""The blocks of a network, the first of which reads the image."""

_Size: TypeAlias = tuple[int, int]


def convolutions(kind: str) -> tuple[str, ...]:
    """Names the convolutions of a kind of block.

    Args:
        kind: One of `KINDS`.

    Returns:
        The two 3x3 convolutions ``a`` and ``b``, and the 1x1 convolution ``shortcut`` of RES.
    """
    return ("a", "b", "shortcut") if kind == "RES" else ("a", "b")


def subnet_name(subnet: Sequence[Block]) -> str:
    """Names a network by its blocks.

    Args:
        subnet: The blocks.

    Returns:
        Such as ``VGG32-RES64s2``: the kinds, the channels, and the strides other than 1.
    """
    return "-".join(f"{kind}{channels}" + (f"s{stride}" if stride > 1 else "") for kind, channels, stride in subnet)


def canonical(subnet: Sequence[Block], size: _Size) -> Subnet:
    """Replaces what a feature map is too small for, as the repair of CrossNAS's genes does.

    Args:
        subnet: The blocks.
        size: Height and width of what the first block reads.

    Returns:
        The blocks; VGG is MVGG where the feature map cannot be halved, and the stride is 1 where it is 1x1, so that
        equal networks are equal subnets.
    """
    return tuple(block for block, *_ in _walk(subnet, size))


def _walk(subnet: Sequence[Block], size: _Size) -> Iterator[tuple[Block, _Size, _Size]]:
    """Yields each block in canonical form, with the sizes of the feature map in front of it and behind it."""
    height, width = size
    for block in subnet:
        kind = "MVGG" if block.kind == "VGG" and min(height, width) == 1 else block.kind
        stride = 1 if height == width == 1 else block.stride
        # A padded convolution with a stride rounds up, pooling rounds down.
        behind = (height // 2, width // 2) if kind == "VGG" else ((height - 1) // stride + 1, (width - 1) // stride + 1)
        yield Block(kind, block.channels, stride), (height, width), behind
        height, width = behind


def network_layers(subnet: Sequence[Block], image_shape: tuple[int, int, int], classes: int) -> LayerTable:
    """Lists the layers of a network for the hardware models.

    Args:
        subnet: Its blocks.
        image_shape: Channels, height and width of an image.
        classes: Classes that it tells apart.

    Returns:
        A table of one network with 9-bit weights, activations and image values; layers have the paths of the modules
        of `moopim.network.blocks.make_network` as names. It is the one that `moopim.workload.tracing.trace` finds, but
        for the average of a feature map of 1x1, which does nothing and is a layer here.

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
    """The layers of a block that reads layer ``source`` and whose own start at place ``first``."""
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
    """Checks the shape of the image and the number of classes.

    Args:
        image_shape: Channels, height and width of an image.
        classes: Classes that a network tells apart.

    Raises:
        ConfigError: If one of them is not allowed.
    """
    if len(image_shape) != 3 or not all(is_whole(size, 1) for size in image_shape):  # noqa: PLR2004 (the message says what they are)
        raise ConfigError(f"image_shape {image_shape!r} is not allowed; expected channels, height and width >= 1")
    if not is_whole(classes, 2):
        raise ConfigError(f"classes {classes!r} is not allowed; expected a whole number >= 2")


def check_blocks(subnet: Sequence[Block], size: _Size) -> None:
    """Checks that there are blocks, that each can be built and that none shrinks a feature map below 1x1.

    Args:
        subnet: The blocks.
        size: Height and width of what the first block reads.

    Raises:
        ConfigError: If there is none, or a kind, a number or a pooling is not allowed.
    """
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
