"""Files of networks made of blocks, quantised or not: the weights, and what else it takes to make the network again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from moopim.errors import ConfigError
from moopim.network.blocks import make_network
from moopim.network.checkpoint import load_weights, read_about, save_weights
from moopim.network.mixed_precision import bits, set_bits
from moopim.network.quantisation import input_width, is_quantised, quantise_module
from moopim.network.subnets import Block, Subnet

__all__ = ["StoredNetwork", "load_network", "save_network"]

_KEY = "network"


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
        made["widths"] = {"image": input_width(net), "layers": bits(net)}
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
    made = about.pop(_KEY, None)
    try:
        subnet = tuple(Block(*block) for block in made["blocks"])
        image_shape, classes = tuple(made["image_shape"]), made["classes"]
        net: nn.Module = make_network(subnet, image_shape, classes)
        widths = made.get("widths")
        if widths is not None:
            net = quantise_module(net, image_shape, input_bits=widths["image"])
            set_bits(net, *({path: pair[i] for path, pair in widths["layers"].items()} for i in range(2)))
    except (TypeError, KeyError, IndexError, AttributeError):
        raise ConfigError(
            f"file {str(path)!r} holds other weights than those of a network of blocks; expected save_network's"
        ) from None
    load_weights(net, path)
    return StoredNetwork(net.eval(), subnet, image_shape, classes, about)
