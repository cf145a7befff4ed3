"""Files of networks made of blocks, quantised or not: the weights, and what else it takes to make the network again."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from moopim.errors import ConfigError, first_fault
from moopim.network.blocks import make_network
from moopim.network.checkpoint import count_values, load_weights, read_about, save_weights
from moopim.network.quantisation import input_width, is_quantised, layer_bits, quantise_module, set_bits
from moopim.network.subnets import Block, Subnet, network_layers

__all__ = ["Channels", "Classes", "ImageShape", "StoredNetwork", "load_network", "save_network"]

_KEY = "network"

Channels = Annotated[int, Field(strict=True, ge=1, le=65_536)]
"""Channels that a file may name."""
Classes = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]
"""Classes that a file may name."""
_Side = Annotated[int, Field(strict=True, ge=1, le=4096)]
ImageShape = tuple[Channels, _Side, _Side]
"""Channels, height and width of an image that a file may name."""
# Quantisers are placed by running the network once.
_MOST_MACS = 2**35
_MOST_VALUES = 2**24  # of a feature map

_Width = Annotated[int, Field(strict=True)]


class _Widths(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: _Width
    layers: dict[str, tuple[_Width, _Width]]


class _Made(BaseModel):
    """Architecture of a stored network, without its weights."""

    model_config = ConfigDict(extra="forbid")

    blocks: Annotated[list[tuple[str, Channels, Channels]], Field(min_length=1, max_length=1000)]
    image_shape: ImageShape
    classes: Classes
    widths: _Widths | None = None


class StoredNetwork(NamedTuple):
    """A network from a file.

    Attributes:
        net: The network, on the CPU.
        subnet: Its blocks.
        image_shape: Channels, height and width of an image.
        classes: Classes that it tells apart.
        about: What else `save_network` was told.
    """

    net: nn.Module
    subnet: Subnet
    image_shape: tuple[int, int, int]
    classes: int
    about: dict[str, Any]


def save_network(
    net: nn.Module,
    path: Path | str,
    subnet: Sequence[Block],
    image_shape: tuple[int, int, int],
    classes: int,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes a network.

    Args:
        net: A network of `moopim.network.blocks.make_network`, or a quantised one made of it.
        path: The file, such as ``network.safetensors``.
        subnet: Its blocks.
        image_shape: Channels, height and width of an image.
        classes: Classes that it tells apart.
        about: Whatever else should be known about it, such as how it was trained, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a weight is NaN or infinite, or `about` is not for JSON.
    """
    made: dict[str, Any] = {"blocks": [list(block) for block in subnet], "image_shape": image_shape, "classes": classes}
    if is_quantised(net):
        made["widths"] = {"image": input_width(net), "layers": layer_bits(net)}
    save_weights(net, path, {**(about or {}), _KEY: made})


def load_network(path: Path | str) -> StoredNetwork:
    """Makes a network from a file.

    Args:
        path: A file of `save_network`.

    Returns:
        The network, quantised if it was, with its widths; in evaluation mode.

    Raises:
        ConfigError: If the file is missing or damaged, or does not hold such a network.
    """
    about = read_about(path)
    try:
        made = _Made.model_validate(about.pop(_KEY, None))
    except ValidationError as error:
        raise ConfigError(
            f"file {str(path)!r} holds other weights than those of a network of blocks: {first_fault(error)}; expected "
            "save_network's"
        ) from None
    subnet = tuple(Block(*block) for block in made.blocks)
    _check_room(path, subnet, made)
    net: nn.Module = make_network(subnet, made.image_shape, made.classes)
    if made.widths is not None:
        net = quantise_module(net, made.image_shape, input_bits=made.widths.image)
        set_bits(net, *({path: pair[i] for path, pair in made.widths.layers.items()} for i in range(2)))
    load_weights(net, path)
    return StoredNetwork(net.eval(), subnet, made.image_shape, made.classes, about)


def _check_room(path: Path | str, subnet: Subnet, made: _Made) -> None:
    """Raise ConfigError, before a network is built, if it is larger than its file or too slow to run once."""
    widths = [made.image_shape[0], *(block.channels for block in subnet), made.classes]
    least = sum(block.channels**2 for block in subnet) + sum(a * b for a, b in pairwise(widths))
    if least > count_values(path):
        raise ConfigError(f"file {str(path)!r} holds too few weights for a network of {least:,} or more")
    if made.widths is None:
        return
    table = network_layers(subnet, made.image_shape, made.classes)
    values, macs = int((table.c_out * table.h_out * table.w_out).max()), int(table.macs.sum())
    if max(values, math.prod(made.image_shape)) > _MOST_VALUES or macs > _MOST_MACS:
        raise ConfigError(
            f"file {str(path)!r} holds a network of {macs:,} products and {values:,} values in a feature map; "
            f"expected at most {_MOST_MACS:,} and {_MOST_VALUES:,}"
        )
