"""Training workloads of HuNT (TCAD 2024, Table III): networks on data sets, and what their layers send each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from moopim.checks import whole_number
from moopim.errors import ConfigError, unknown_name
from moopim.typing import IntArray
from moopim.workload.layers import IMAGE, Layer, LayerKind, LayerTable, make_table
from moopim.workload.networks import BUILT_IN_NETWORKS

INPUTS = {"cifar10": (32, 10), "cifar100": (32, 100), "tinyimagenet": (64, 200)}
"""Data set -> input height and width, number of classes."""

WORKLOADS = {"VGG11": 64, "VGG16": 64, "ResNet18": 128, "ResNet34": 128, "DenseNet40": 128}
"""Network -> training batch (Table III)."""

SMALL_WORKLOADS = {"LeNet5": 64}
"""Further network -> training batch: small enough for all of its mappings to a small stack to be evaluated."""


class Transfer(NamedTuple):
    """Feature map sent from the layer that makes it to the layers that read it; layers as in `Workload`.

    Attributes:
        producer: Index of the layer that makes it.
        volume: Values of an image.
        consumers: Indices of the layers that read it, in rising order.
    """

    producer: int
    volume: int
    consumers: tuple[int, ...]


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a workload equals itself only
class Workload:
    """A network on a data set, as a view of its layer table.

    The layers of a workload are the convolutions and fully connected layers, with square kernels and feature maps. A
    layer of another kind shows in the transfers only.

    Attributes:
        network: Name of the network.
        dataset: Name of the data set, which sets the input size and the number of classes.
        batch: Images of a training batch.
        table: All layers of the network.
    """

    network: str
    dataset: str
    batch: int
    table: LayerTable

    def __len__(self) -> int:
        """Number of layers with weights."""
        return len(self.indices)

    @cached_property
    def indices(self) -> IntArray:
        """Indices of the layers with weights in the table, shape ``(layers,)``."""
        return np.flatnonzero((self.table.kind[0] == LayerKind.CONV) | (self.table.kind[0] == LayerKind.FC))

    def column(self, name: str) -> IntArray:
        """Column of the table at the layers with weights.

        Args:
            name: Name of a column or property of `LayerTable`.

        Returns:
            Its values, shape ``(layers,)``, read-only.
        """
        column: IntArray = getattr(self.table, name)[0, self.indices]
        column.flags.writeable = False
        return column

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(self.table.names[index] for index in self.indices)

    @cached_property
    def c_out(self) -> IntArray:
        """Output channels, the columns of the weight matrix, shape ``(layers,)``."""
        return self.column("c_out")

    @cached_property
    def rows(self) -> IntArray:
        """Inputs of one output value, the rows of the weight matrix, shape ``(layers,)``."""
        return self.column("rows")

    @cached_property
    def positions(self) -> IntArray:
        """Output positions, shape ``(layers,)``."""
        return self.column("positions")

    @cached_property
    def weights(self) -> IntArray:
        """Weights without biases, shape ``(layers,)``."""
        return self.column("parameters")

    @cached_property
    def activations_out(self) -> IntArray:
        """Output values of one image, shape ``(layers,)``."""
        return self.column("activations")

    @cached_property
    def macs(self) -> IntArray:
        """Multiply-accumulate operations of the forward pass of one image, shape ``(layers,)``."""
        return self.column("macs")

    @cached_property
    def transfers(self) -> tuple[Transfer, ...]:
        """Feature maps sent between the layers, by the layer of the table that makes them.

        A layer without weights (a pool, a sum, a product) is computed at the layer that makes the last of its inputs:
        the other inputs of a sum are sent there, and the smaller output of a pool is sent on from there. A layer sends
        nothing to itself, and nothing is sent of what depends on the image alone.
        """
        table = self.table
        homes = self._homes()
        consumers: list[set[int]] = [set() for _ in homes]
        for home, producers in zip(homes, table.inputs[0].tolist(), strict=True):
            for producer in producers:
                if producer > IMAGE:
                    consumers[producer].add(home)
        volumes = table.activations[0].tolist()
        sent = (
            (home, volume, readers - {home}) for home, volume, readers in zip(homes, volumes, consumers, strict=True)
        )
        return tuple(
            Transfer(home, volume, tuple(sorted(readers)))
            for home, volume, readers in sent
            if home != IMAGE and readers
        )

    def _homes(self) -> list[int]:
        """Layer with weights at which each layer of the table is computed; `IMAGE` if only the image goes into it."""
        numbers = {int(index): number for number, index in enumerate(self.indices)}
        homes: list[int] = []
        for index, producers in enumerate(self.table.inputs[0].tolist()):
            last = max(producers)
            homes.append(numbers.get(index, IMAGE if last == IMAGE else homes[last]))
        return homes


@cache
def load_workload(network: str, dataset: str = "cifar10") -> Workload:
    """Build the workload of one of HuNT's networks, or of a small one.

    Args:
        network: A name of `WORKLOADS` or `SMALL_WORKLOADS`, in any case.
        dataset: A name of `INPUTS`, in any case.

    Returns:
        The workload.

    Raises:
        ConfigError: If a name is unknown.
    """
    batches = WORKLOADS | SMALL_WORKLOADS
    names = {name.lower(): name for name in batches}
    if not isinstance(network, str) or network.lower() not in names:
        raise unknown_name("workload", network, names)
    if not isinstance(dataset, str) or dataset.lower() not in INPUTS:
        raise unknown_name("dataset", dataset, INPUTS)
    name = names[network.lower()]
    size, classes = INPUTS[dataset.lower()]
    layers = BUILT_IN_NETWORKS[name.lower() if name in SMALL_WORKLOADS else f"hunt-{name.lower()}"]
    return make_workload(name, dataset.lower(), batches[name], layers(size, classes))


def make_workload(network: str, dataset: str, batch: int, layers: Iterable[Layer]) -> Workload:
    """Build the workload of a network.

    Args:
        network: Name of the network.
        dataset: Name of the data set.
        batch: Images of a training batch.
        layers: All layers of the network, in topological order.

    Returns:
        The workload.

    Raises:
        ConfigError: If the batch is no positive number, a layer is not usable, none is a convolution or fully connected
            layer, or one of these has groups or is not square; names the layer.
    """
    whole_number(f"batch of {network!r}", batch, 1)
    layers = list(layers)
    table = make_table(layers) if layers else None
    weighted = [layer for layer in layers if layer.kind in ("conv", "fc")]
    if table is None or not weighted:
        raise ConfigError(f"network {network!r} has no layer of kind conv or fc; expected at least one")
    for layer in weighted:
        pairs = (layer.kernel, layer.stride, layer.size_in, layer.size_out)
        if layer.groups != 1 or any(height != width for height, width in pairs):
            raise ConfigError(f"layer {layer.name!r} of {network!r} has groups or is not square: {layer}")
    return Workload(network, dataset, batch, table)
