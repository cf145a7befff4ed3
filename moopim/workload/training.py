"""Training workloads of HuNT (TCAD 2024, Table III): the convolutions and fully connected layers of its networks."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from moopim.checks import whole_number
from moopim.errors import ConfigError, unknown_name
from moopim.typing import IntArray
from moopim.workload.layers import Layer
from moopim.workload.networks import NETWORKS
from moopim.workload.transfers import WEIGHTED, Transfer, find_transfers

__all__ = ["DATASETS", "WORKLOADS", "Workload", "load_workload", "make_workload"]


# Input height and width, number of classes.
DATASETS = {"cifar10": (32, 10), "cifar100": (32, 100), "tinyimagenet": (64, 200)}

# Training batch of Table III.
WORKLOADS = {"VGG11": 64, "VGG16": 64, "ResNet18": 128, "ResNet34": 128, "DenseNet40": 128}


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a workload equals itself only
class Workload:
    """A network on a data set, layer by layer; every column has shape ``(layers,)``.

    Only layers with weights count, and these have square kernels and square feature maps.

    Attributes:
        network: Name of the network.
        dataset: Name of the data set, which sets the input size and the number of classes.
        batch: Images of a training batch.
        names: Names of the layers.
        kinds: ``conv`` or ``fc``.
        c_in: Input channels.
        c_out: Output channels.
        kernel: Kernel size (1 for a fully connected layer).
        stride: Stride.
        h_in: Height and width of the input.
        h_out: Height and width of the output.
        transfers: What the layers send to each other.
    """

    network: str
    dataset: str
    batch: int
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    c_in: IntArray
    c_out: IntArray
    kernel: IntArray
    stride: IntArray
    h_in: IntArray
    h_out: IntArray
    transfers: tuple[Transfer, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rows(self) -> IntArray:
        """Inputs of one output value, the rows of the weight matrix, shape ``(layers,)``."""
        return self.c_in * self.kernel**2

    @property
    def positions(self) -> IntArray:
        """Positions at which the kernel is applied, shape ``(layers,)``."""
        return self.h_out**2

    @property
    def weights(self) -> IntArray:
        """Weights without biases, shape ``(layers,)``."""
        return self.rows * self.c_out

    @property
    def activations_in(self) -> IntArray:
        """Input values of one image, shape ``(layers,)``."""
        return self.c_in * self.h_in**2

    @property
    def activations_out(self) -> IntArray:
        """Output values of one image, shape ``(layers,)``."""
        return self.c_out * self.positions

    @property
    def macs(self) -> IntArray:
        """Multiply-accumulate operations of the forward pass of one image, shape ``(layers,)``."""
        return self.weights * self.positions


@cache
def load_workload(network: str, dataset: str = "cifar10") -> Workload:
    """Makes the workload of one of HuNT's networks.

    Args:
        network: A name of `WORKLOADS`, in any case.
        dataset: A name of `DATASETS`, in any case.

    Returns:
        The workload.

    Raises:
        ConfigError: If a name is unknown.
    """
    names = {name.lower(): name for name in WORKLOADS}
    if not isinstance(network, str) or network.lower() not in names:
        raise unknown_name("workload", network, names)
    if not isinstance(dataset, str) or dataset.lower() not in DATASETS:
        raise unknown_name("dataset", dataset, DATASETS)
    name = names[network.lower()]
    size, classes = DATASETS[dataset.lower()]
    return make_workload(name, dataset.lower(), WORKLOADS[name], NETWORKS[f"hunt-{name.lower()}"](size, classes))


def make_workload(network: str, dataset: str, batch: int, layers: Iterable[Layer]) -> Workload:
    """Puts the convolutions and fully connected layers of a network into columns.

    Args:
        network: Name of the network.
        dataset: Name of the data set.
        batch: Images of a training batch.
        layers: The layers in order; those without weights have no columns, but their part in the transfers.

    Returns:
        The workload.

    Raises:
        ConfigError: If there is no such layer, one has groups or is not square, they are no table of layers, or the
            batch is none; names the layer.
    """
    whole_number(f"batch of {network!r}", batch, 1)
    layers = list(layers)
    transfers = find_transfers(layers)
    kept = [layer for layer in layers if layer.kind in WEIGHTED]
    if not kept:
        raise ConfigError(f"network {network!r} has no layer of kind conv or fc; expected at least one")
    for layer in kept:
        pairs = (layer.kernel, layer.stride, layer.size_in, layer.size_out)
        if layer.groups != 1 or any(height != width for height, width in pairs):
            raise ConfigError(f"layer {layer.name!r} of {network!r} has groups or is not square: {layer}")

    def column(values: Iterable[int]) -> IntArray:
        array = np.array(list(values), dtype=np.int64)
        array.flags.writeable = False
        return array

    return Workload(
        network=network,
        dataset=dataset,
        batch=batch,
        names=tuple(layer.name for layer in kept),
        kinds=tuple(layer.kind for layer in kept),
        c_in=column(layer.c_in for layer in kept),
        c_out=column(layer.c_out for layer in kept),
        kernel=column(layer.kernel[0] for layer in kept),
        stride=column(layer.stride[0] for layer in kept),
        h_in=column(layer.size_in[0] for layer in kept),
        h_out=column(layer.size_out[0] for layer in kept),
        transfers=transfers,
    )
