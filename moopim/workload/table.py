"""Layer tables: the layers of a network as columns."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layer", "Workload", "make_workload"]

IntArray = NDArray[np.int64]


class Layer(NamedTuple):
    """A convolution or fully connected layer with a square kernel and square feature maps.

    Attributes:
        name: Name, unique in its network.
        kind: ``conv`` or ``fc``.
        c_in: Input channels.
        c_out: Output channels.
        kernel: Kernel size (1 for a fully connected layer).
        stride: Stride.
        h_in: Height and width of the input.
        h_out: Height and width of the output.
    """

    name: str
    kind: str
    c_in: int
    c_out: int
    kernel: int
    stride: int
    h_in: int
    h_out: int


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a workload equals itself only
class Workload:
    """A network on a data set, layer by layer; every column has shape ``(layers,)``.

    Attributes:
        network: Name of the network.
        dataset: Name of the data set, which sets the input size and the number of classes.
        batch: Images of a training batch.
        names: Names of the layers.
        kinds: ``conv`` or ``fc``.
        c_in: Input channels.
        c_out: Output channels.
        kernel: Kernel size.
        stride: Stride.
        h_in: Height and width of the input.
        h_out: Height and width of the output.
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


def make_workload(network: str, dataset: str, batch: int, layers: Iterable[Layer]) -> Workload:
    """Puts layers into columns.

    Args:
        network: Name of the network.
        dataset: Name of the data set.
        batch: Images of a training batch.
        layers: The layers in order.

    Returns:
        The workload.
    """
    columns = list(zip(*layers, strict=True))
    arrays = [np.array(column, dtype=np.int64) for column in columns[2:]]
    for array in arrays:
        array.flags.writeable = False
    numeric = [field.name for field in fields(Workload)][5:]
    return Workload(network, dataset, batch, columns[0], columns[1], **dict(zip(numeric, arrays, strict=True)))
