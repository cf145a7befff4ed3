"""Files of networks: weights, with the architecture that it takes to build the network again.

Networks of blocks, quantised or not, and supernets are built from their files; the weights of any other network are
loaded into it with or without quantisers.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from torch import nn

from moopim.errors import ConfigError
from moopim.network.blocks import make_network
from moopim.network.checkpoint import count_values, load_weights, read_about, save_weights, weight_names
from moopim.network.quantisation import input_width, is_quantised, layer_bits, quantise_module, set_bits
from moopim.network.subnets import Block, Subnet, network_layers
from moopim.network.supernet import Supernet
from moopim.records import Record, parse_record

_NETWORK, _SUPERNET = "network", "supernet"
# Quantisers are placed by running the network once.
_MOST_MACS = 2**35
_MOST_VALUES = 2**24  # of a feature map

_Channels = Annotated[int, Field(strict=True, ge=1, le=65_536)]
_Classes = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]
_Side = Annotated[int, Field(strict=True, ge=1, le=4096)]
_ImageShape = tuple[_Channels, _Side, _Side]
_Several = Annotated[list[_Channels], Field(min_length=1, max_length=1000)]
_Bits = Annotated[int, Field(strict=True)]


class _Widths(Record):
    """Bits of the image, and of weights and outputs of each layer."""

    image: _Bits
    layers: dict[str, tuple[_Bits, _Bits]]


class _NetworkRecord(Record):
    """Architecture of a network of blocks: type, channels and stride of each."""

    blocks: Annotated[list[tuple[str, _Channels, _Channels]], Field(min_length=1, max_length=1000)]
    image_shape: _ImageShape
    classes: _Classes
    widths: _Widths | None = None


class _SupernetRecord(Record):
    """Arguments of a supernet."""

    image_shape: _ImageShape
    classes: _Classes
    max_blocks: Annotated[int, Field(strict=True, ge=1, le=1000)]
    channels: _Several
    strides: _Several
    seed: Annotated[int, Field(strict=True, ge=0)]


class StoredNetwork(NamedTuple):
    """Network of a file, on the CPU: its blocks, image shape (channels, height, width), classes and stored facts."""

    net: nn.Module
    subnet: Subnet
    image_shape: tuple[int, int, int]
    classes: int
    about: dict[str, Any]


class Trained(NamedTuple):
    """Trained network without and with quantisers; `scaled` tells whether the weights came with activation scales."""

    plain: nn.Module
    quantised: nn.Module
    scaled: bool


def save_network(
    net: nn.Module,
    path: Path | str,
    subnet: Sequence[Block],
    image_shape: tuple[int, int, int],
    classes: int,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a network of blocks, quantised or not.

    Args:
        net: A network of `moopim.network.make_network`, or a quantised one made of it.
        path: The file, such as ``network.safetensors``.
        subnet: Its blocks.
        image_shape: Channels, height and width of an image.
        classes: Number of classes.
        about: Further facts to store, such as how it was trained, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a weight is NaN or infinite, or `about` has no JSON form.
    """
    record: dict[str, Any] = {
        "blocks": [list(block) for block in subnet],
        "image_shape": image_shape,
        "classes": classes,
    }
    if is_quantised(net):
        record["widths"] = {"image": input_width(net), "layers": layer_bits(net)}
    save_weights(net, path, {**(about or {}), _NETWORK: record})


def load_network(path: Path | str) -> StoredNetwork:
    """Build a network of blocks from its file.

    Args:
        path: A file of `save_network`.

    Returns:
        The network in evaluation mode, quantised if it was, with its widths; its blocks; image shape; number of
        classes; and the facts of `save_network`.

    Raises:
        ConfigError: If the file is missing or damaged, or holds other weights.
    """
    about = read_about(path)
    problem = f"file {str(path)!r} holds other weights than those of a network of blocks"
    record = parse_record(_NetworkRecord, about.pop(_NETWORK, None), problem, "save_network's")
    subnet = tuple(Block(*block) for block in record.blocks)
    _check_room(path, subnet, record)
    net: nn.Module = make_network(subnet, record.image_shape, record.classes)
    if record.widths is not None:
        net = quantise_module(net, record.image_shape, input_bits=record.widths.image)
        set_bits(net, *({path: pair[i] for path, pair in record.widths.layers.items()} for i in range(2)))
    load_weights(net, path)
    return StoredNetwork(net.eval(), subnet, record.image_shape, record.classes, about)


def save_supernet(supernet: Supernet, path: Path | str, about: Mapping[str, Any] | None = None) -> None:
    """Write a supernet.

    Args:
        supernet: The supernet.
        path: The file, such as ``supernet.safetensors``.
        about: Further facts to store, such as how it was trained, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a weight is NaN or infinite, or `about` has no JSON form.
    """
    arguments = {name: getattr(supernet, name) for name in _SupernetRecord.model_fields}
    save_weights(supernet, path, {**(about or {}), _SUPERNET: arguments})


def load_supernet(path: Path | str) -> Supernet:
    """Build a supernet from its file.

    Args:
        path: A file of `save_supernet`.

    Returns:
        The supernet, on the CPU.

    Raises:
        ConfigError: If the file is missing or damaged, or holds other weights.
    """
    problem = f"file {str(path)!r} holds other weights than those of a supernet"
    record = parse_record(_SupernetRecord, read_about(path).get(_SUPERNET), problem, "save_supernet's")
    # The supernet has more weights than any of these, so one that the file has no room for is not even built.
    widest = max(record.channels)
    least = widest * max(record.max_blocks * widest, record.image_shape[0], record.classes)
    if least > count_values(path):
        raise ConfigError(f"file {str(path)!r} holds too few weights for a supernet of {least:,} or more")
    supernet = Supernet(**record.model_dump())
    load_weights(supernet, path)
    return supernet


def load_trained(
    model: nn.Module,
    path: Path | str,
    image_shape: Sequence[int],
    *,
    input_bits: int = 9,
    weight_bits: int = 9,
    activation_bits: int = 9,
) -> Trained:
    """Load the weights of a network, or of its quantised version with its scales, and give both versions.

    The network gets the weights; bits include the sign. Raises ConfigError if the file is missing, damaged or does not
    fit, or the network cannot be quantised.
    """
    bits = {"input_bits": input_bits, "weight_bits": weight_bits, "activation_bits": activation_bits}
    names = weight_names(path)
    quantised = quantise_module(model, image_shape, **bits)
    plain = model.state_dict().keys()
    if not (quantised.state_dict().keys() - plain).intersection(names):
        load_weights(model, path, foreign=True)
        return Trained(model, quantise_module(model, image_shape, **bits), scaled=False)
    load_weights(quantised, path, foreign=True)
    model.load_state_dict({name: value for name, value in quantised.state_dict().items() if name in plain})
    return Trained(model, quantised, scaled=True)


def _check_room(path: Path | str, subnet: Subnet, record: _NetworkRecord) -> None:
    """Raise ConfigError, before a network is built, if it is larger than its file or too slow to run once."""
    widths = [record.image_shape[0], *(block.channels for block in subnet), record.classes]
    least = sum(block.channels**2 for block in subnet) + sum(a * b for a, b in pairwise(widths))
    if least > count_values(path):
        raise ConfigError(f"file {str(path)!r} holds too few weights for a network of {least:,} or more")
    if record.widths is None:
        return
    table = network_layers(subnet, record.image_shape, record.classes)
    values, macs = int((table.c_out * table.h_out * table.w_out).max()), int(table.macs.sum())
    if max(values, math.prod(record.image_shape)) > _MOST_VALUES or macs > _MOST_MACS:
        raise ConfigError(
            f"file {str(path)!r} holds a network of {macs:,} products and {values:,} values in a feature map; "
            f"expected at most {_MOST_MACS:,} and {_MOST_VALUES:,}"
        )
