"""Who sends what to whom in a network: its producers and consumers, reduced to the layers with weights."""

from collections.abc import Sequence
from typing import NamedTuple

from moopim.workload.layers import IMAGE, Layer, make_table

__all__ = ["WEIGHTED", "Transfer", "find_transfers"]

WEIGHTED = ("conv", "fc")
"""Kinds of layers with weights, which have a place of their own."""


class Transfer(NamedTuple):
    """A feature map on its way from the layer where it is made to the layers where it is read.

    Attributes:
        producer: Number of the layer, among those with weights.
        volume: Values of an image.
        consumers: Numbers of the others, in rising order.
    """

    producer: int
    volume: int
    consumers: tuple[int, ...]


def find_transfers(layers: Sequence[Layer]) -> tuple[Transfer, ...]:
    """Finds the transfers between layers with weights.

    A layer without weights (a pool, a sum, a product) is computed where the last of its inputs is made: of the inputs
    of a sum, the others are sent there, and what a pool has made smaller is sent on from there. Nothing is sent for
    what reads the image, nor to a layer's own place.

    Args:
        layers: Every layer of a network in an order in which each comes after those that it reads.

    Returns:
        The transfers, by the layer whose output is sent.

    Raises:
        ConfigError: If they are no table of layers; names the layer.
    """
    if layers:
        make_table(layers)
    homes = _homes(layers)
    readers: list[set[int]] = [set() for _ in layers]
    for place, layer in enumerate(layers):
        for producer in layer.inputs:
            if producer != IMAGE:
                readers[producer].add(homes[place])
    transfers = []
    for layer, home, readers_ in zip(layers, homes, readers, strict=True):
        consumers = tuple(sorted(readers_ - {home}))
        if home != IMAGE and consumers:
            height, width = layer.size_out
            transfers.append(Transfer(home, layer.c_out * height * width, consumers))
    return tuple(transfers)


def _homes(layers: Sequence[Layer]) -> list[int]:
    """Number of the layer with weights where each layer is computed; `IMAGE` for what only the image goes into."""
    homes: list[int] = []
    weighted = 0
    for layer in layers:
        if layer.kind in WEIGHTED:
            homes.append(weighted)
            weighted += 1
        else:
            last = max(layer.inputs)
            homes.append(IMAGE if last == IMAGE else homes[last])
    return homes
