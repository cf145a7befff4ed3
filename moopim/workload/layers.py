"""Layer tables: the layers of one network, or of a padded batch of networks, as columns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.checks import check_broadcast, is_whole, numbers
from moopim.errors import ConfigError, unknown_name
from moopim.typing import BoolArray, IntArray

IMAGE = -1
"""Input of a layer that reads the image."""
NO_INPUT = -2
"""Filler where a layer has fewer inputs than another."""


class LayerKind(IntEnum):
    """Kind of a layer, as the number that a table holds."""

    NONE = 0
    """Padding: no layer."""
    CONV = 1
    """Convolution; a linear layer that is applied to every token or pixel is one with a 1x1 kernel."""
    FC = 2
    """Fully connected layer, which needs its whole input at once."""
    POOL = 3
    """Maximum or average pooling; adaptive pooling has its effective kernel."""
    SUM = 4
    """Element-wise sum of at least two inputs."""
    PRODUCT = 5
    """Element-wise product of at least two inputs."""
    MATMUL = 6
    """Product of two activations; the first input is streamed, the second one is held like weights."""


class Layer(NamedTuple):
    """One layer of one network. Pairs are (height, width).

    Attributes:
        name: Name, unique in its network.
        kind: Name of a `LayerKind` in small letters, such as ``conv``.
        inputs: Indices of the layers that it reads, `IMAGE` for the image. A layer other than ``sum``, ``product`` and
            ``matmul`` reads the concatenation of their channels.
        c_in: Input channels; features of a fully connected layer.
        c_out: Output channels; features of a fully connected layer.
        kernel: Kernel size.
        stride: Stride.
        padding: Padding on each side.
        size_in: Size of the input feature map.
        size_out: Size of the output feature map.
        groups: Groups of a grouped convolution; heads of a ``matmul``.
        input_bits: Bits of an input value.
        weight_bits: Bits of a weight, sign included; 0 without weights.
        output_bits: Bits of an output value.
        waits: Whether it needs all of its inputs before its first output, as a fully connected layer does.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    c_in: int
    c_out: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    size_in: tuple[int, int] = (1, 1)
    size_out: tuple[int, int] = (1, 1)
    groups: int = 1
    input_bits: int = 9
    weight_bits: int = 9
    output_bits: int = 9
    waits: bool = False


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a table equals itself only
class LayerTable:
    """Layers of a batch of networks; every column has shape ``(networks, layers)``.

    Columns that all networks share may have shape ``(1, layers)`` beside others, such as bit widths, of shape
    ``(networks, layers)``. Padding has kind ``LayerKind.NONE`` and may stand anywhere.

    Attributes:
        kind: `LayerKind` of each layer.
        inputs: Indices of the layers that it reads, `IMAGE` for the image, padded with `NO_INPUT`; shape
            ``(networks, layers, inputs)``.
        c_in: Input channels.
        c_out: Output channels.
        kernel_h: Height of the kernel.
        kernel_w: Width of the kernel.
        stride_h: Stride down.
        stride_w: Stride across.
        padding_h: Padding above and below.
        padding_w: Padding on the left and on the right.
        h_in: Height of the input.
        w_in: Width of the input.
        h_out: Height of the output.
        w_out: Width of the output.
        groups: Groups of a grouped convolution; heads of a product of two activations.
        input_bits: Bits of an input value.
        weight_bits: Bits of a weight.
        output_bits: Bits of an output value.
        waits: Whether a layer needs all of its inputs before its first output.
        names: Names of the layers where all networks of the batch share them, else empty.
    """

    kind: IntArray
    inputs: IntArray
    c_in: IntArray
    c_out: IntArray
    kernel_h: IntArray
    kernel_w: IntArray
    stride_h: IntArray
    stride_w: IntArray
    padding_h: IntArray
    padding_w: IntArray
    h_in: IntArray
    w_in: IntArray
    h_out: IntArray
    w_out: IntArray
    groups: IntArray
    input_bits: IntArray
    weight_bits: IntArray
    output_bits: IntArray
    waits: BoolArray
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of networks."""
        return max(len(column) for _, column in self._columns())

    @cached_property
    def _checked(self) -> bool:
        """True; raises ConfigError once unless the columns agree, see `check_table`."""
        kind = numbers(
            "kind of a layer table", self.kind, ("networks", "layers"), whole=True, most=max(LayerKind), least=0
        )
        layers, networks = kind.shape[1], len(self)
        if not (networks and layers):
            raise ConfigError(f"layer table has {networks} networks of {layers} layers; expected at least one of both")
        for name, column in self._columns():
            if name == "waits":
                found = np.asarray(column)
                if found.dtype != np.bool_ or found.ndim != kind.ndim:
                    raise ConfigError(f"waits of a layer table holds {found.dtype}; expected True or False")
            else:
                shape = ("networks", layers, "inputs") if name == "inputs" else ("networks", layers)
                least, most = _BOUNDS.get(name, (0, _MOST))
                most = layers - 1 if name == "inputs" else most
                found = numbers(f"{name} of a layer table", column, shape, least=least, most=most, whole=True)
            if len(found) not in (1, networks):
                raise ConfigError(f"{name} of a layer table has {len(found)} rows; expected 1 or {networks}")
        return True

    @property
    def layers(self) -> int:
        """Number of layers, padding included."""
        return int(self.kind.shape[1])

    @cached_property
    def positions(self) -> IntArray:
        """Output positions of a layer, shape ``(networks, layers)``."""
        return self.h_out * self.w_out

    @cached_property
    def rows(self) -> IntArray:
        """Inputs of one output value, the rows of the weight matrix, shape ``(networks, layers)``."""
        return self.c_in // self.groups * self.kernel_h * self.kernel_w

    @cached_property
    def weighted(self) -> BoolArray:
        """Whether a layer is held in crossbars, shape ``(networks, layers)``."""
        kind = self.kind
        held: BoolArray = (kind == LayerKind.CONV) | (kind == LayerKind.FC) | (kind == LayerKind.MATMUL)
        return held

    @cached_property
    def element_wise(self) -> BoolArray:
        """Whether a layer is a sum or a product of feature maps, shape ``(networks, layers)``."""
        element_wise: BoolArray = (self.kind == LayerKind.SUM) | (self.kind == LayerKind.PRODUCT)
        return element_wise

    @cached_property
    def last(self) -> BoolArray:
        """Whether a layer is an output of the network, which no layer reads, shape ``(networks, layers)``."""
        networks = max(len(self.kind), len(self.inputs))
        # One more column at the end takes readers of the image or of nothing.
        read = np.zeros((networks, self.layers + 1), dtype=bool)
        producers = np.where(self.inputs > IMAGE, self.inputs, self.layers)
        read[np.arange(networks)[:, None, None], producers] = True
        last: BoolArray = ~read[:, :-1] & (self.kind != LayerKind.NONE)
        return last

    @cached_property
    def macs(self) -> IntArray:
        """Multiply-accumulate operations of one image, shape ``(networks, layers)``."""
        return np.where(self.weighted, self.rows * self.c_out * self.positions, 0)

    @cached_property
    def parameters(self) -> IntArray:
        """Weights without biases, shape ``(networks, layers)``."""
        return np.where(self.weighted & (self.kind != LayerKind.MATMUL), self.rows * self.c_out, 0)

    @cached_property
    def activations(self) -> IntArray:
        """Output values of one image, shape ``(networks, layers)``."""
        return np.where(self.kind == LayerKind.NONE, 0, self.c_out * self.positions)

    def take(self, networks: IntArray | slice) -> "LayerTable":
        """Select networks.

        Args:
            networks: Indices, shape ``(selected,)``, or a slice; columns that all networks share are kept.

        Returns:
            A table of these networks.
        """
        if len(self) == 1:
            return self
        picked: dict[str, Any] = {
            name: column if len(column) == 1 else column[networks] for name, column in self._columns()
        }
        return replace(self, **picked)

    def with_bits(self, weights: IntArray, activations: IntArray, image: int = 9) -> "LayerTable":
        """Set bit widths; a layer without weights passes on the width of its first input.

        The second input of a product of two activations is held like weights, in its input width.

        Args:
            weights: Bits of the weights of each layer, shape ``(networks, layers)``; read where there are weights.
            activations: Bits of the outputs of each layer, same shape; read where there are weights.
            image: Bits of a value of the image.

        Returns:
            The table with these widths; input widths are those of the first input's output.

        Raises:
            ConfigError: If a width is not a whole number, or not 1 .. 64 where it is read, or shapes do not broadcast.
        """
        weights, activations = (
            numbers(f"bits of {name}", given, None, values=False)
            for name, given in (("weights", weights), ("activations", activations))
        )
        check_broadcast(weights=weights, activations=activations, layers=self.kind)
        shape = np.broadcast_shapes(weights.shape, activations.shape, self.kind.shape)
        weighted = np.broadcast_to(self.weighted, shape)
        matmul = np.broadcast_to(self.kind == LayerKind.MATMUL, shape)
        for name, bits in (("weights", weights), ("activations", activations)):
            wrong = ~((bits >= 1) & (bits <= _MOST_BITS) & (bits == np.floor(bits))) & weighted
            if wrong.any():
                value = np.broadcast_to(bits, shape)[wrong][0]
                raise ConfigError(f"bits of {name} are {value}; expected whole numbers, 1 .. {_MOST_BITS}")
        _check_numbers("bits of the image", image, 1, _MOST_BITS)
        weight_bits = np.where(weighted, weights, 0).astype(np.int64)
        # One more column at the end for the image, which index -1 finds.
        output = np.full((shape[0], shape[1] + 1), image, dtype=np.int64)
        output[:, :-1] = np.broadcast_to(activations, shape)
        inputs = np.empty(shape, dtype=np.int64)
        every = np.arange(shape[0])
        producers = np.broadcast_to(np.maximum(self.inputs, IMAGE), (*shape, self.inputs.shape[2]))
        for layer in range(shape[1]):
            inputs[:, layer] = output[every, producers[:, layer, 0]]
            held = output[every, producers[:, layer, min(1, producers.shape[2] - 1)]]
            weight_bits[:, layer] = np.where(matmul[:, layer], held, weight_bits[:, layer])
            output[:, layer] = np.where(weighted[:, layer], output[:, layer], inputs[:, layer])
        return replace(self, input_bits=inputs, weight_bits=weight_bits, output_bits=output[:, :-1])

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self) if field.name != "names")


def make_table(layers: Sequence[Layer]) -> LayerTable:
    """Build the layer table of one network.

    Args:
        layers: Layers in topological order: each comes after those that it reads.

    Returns:
        A table of one network.

    Raises:
        ConfigError: If there is no layer, a number is out of range, a layer reads one that does not come before it, or
            two have the same name; names the layer.
    """
    if not layers:
        raise ConfigError("a network without layers is not allowed; expected at least one layer")
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ConfigError(f"layer {index} is {layer!r}; expected a Layer")
        _check(index, layer)
    name, times = Counter(layer.name for layer in layers).most_common(1)[0]
    if times > 1:
        raise ConfigError(f"{times} layers have the name {name!r}; expected unique names")
    most = max(len(layer.inputs) for layer in layers)
    inputs = [[*layer.inputs, *[NO_INPUT] * (most - len(layer.inputs))] for layer in layers]

    def column(values: Iterable[object]) -> IntArray:
        return np.array([list(values)], dtype=np.int64)

    columns = {name: column(getattr(layer, name) for layer in layers) for name in _SCALARS}
    for field, names in _PAIRS.items():
        for axis, name in enumerate(names):
            columns[name] = column(getattr(layer, field)[axis] for layer in layers)
    return LayerTable(
        kind=column(LayerKind[layer.kind.upper()] for layer in layers),
        inputs=np.array([inputs], dtype=np.int64),
        **columns,
        waits=np.array([[layer.waits or layer.kind == "fc" for layer in layers]]),
        names=tuple(layer.name for layer in layers),
    )


def check_table(table: LayerTable) -> None:
    """Raise ConfigError unless the columns of a table agree in shape and range; checks each table once."""
    if not isinstance(table, LayerTable):
        raise ConfigError(f"layer table is {table!r}; expected a LayerTable, such as network_table('vgg11')")
    _ = table._checked


def stack_tables(tables: Sequence[LayerTable]) -> LayerTable:
    """Concatenate layer tables along the networks, padded at the end to the longest network.

    Args:
        tables: Layer tables.

    Returns:
        A table of all their networks.

    Raises:
        ConfigError: If there is no table, or one is none.
    """
    if not tables:
        raise ConfigError("no layer tables to stack; expected at least one")
    for table in tables:
        check_table(table)
    counts = [len(table) for table in tables]
    layers = max(table.layers for table in tables)
    most = max(table.inputs.shape[2] for table in tables)
    columns = {}
    for field in fields(LayerTable):
        if field.name == "names":
            continue
        filler = {"inputs": NO_INPUT, "kind": LayerKind.NONE, "waits": False}.get(field.name, 1)
        parts = [getattr(table, field.name) for table in tables]
        shape = (sum(counts), layers, most) if field.name == "inputs" else (sum(counts), layers)
        column = np.full(shape, filler, dtype=parts[0].dtype)
        start = 0
        for part, count in zip(parts, counts, strict=True):
            column[start : start + count, *(slice(size) for size in part.shape[1:])] = part
            start += count
        columns[field.name] = column
    names = tables[0].names if all(table.names == tables[0].names for table in tables) else ()
    return LayerTable(**columns, names=names)


_KINDS = tuple(kind.name.lower() for kind in LayerKind if kind != LayerKind.NONE)
_LEAST_INPUTS = {"sum": 2, "product": 2, "matmul": 2}
# Fields of a layer that are columns of a table as they are, and pairs that are two of them.
_SCALARS = ("c_in", "c_out", "groups", "input_bits", "weight_bits", "output_bits")
_PAIRS = {
    "kernel": ("kernel_h", "kernel_w"),
    "stride": ("stride_h", "stride_w"),
    "padding": ("padding_h", "padding_w"),
    "size_in": ("h_in", "w_in"),
    "size_out": ("h_out", "w_out"),
}

# Larger numbers are typing errors.
_MOST = 1_000_000
_MOST_BITS = 64
_BITS = ("input_bits", "weight_bits", "output_bits")
_BOUNDS = {"kind": (0, max(LayerKind)), "inputs": (NO_INPUT, _MOST)} | dict.fromkeys(_BITS, (0, _MOST_BITS))


def _check(index: int, layer: Layer) -> None:
    """Raise ConfigError unless the numbers of a layer are in range and it reads earlier layers."""
    what = f"layer {index} ({layer.name})"
    if layer.kind not in _KINDS:
        raise unknown_name(f"kind of {what}", layer.kind, _KINDS)
    for field in ("c_in", "c_out", "groups", "kernel", "stride", "size_in", "size_out"):
        _check_numbers(f"{field} of {what}", getattr(layer, field), 1, _MOST)
    _check_numbers(f"padding of {what}", layer.padding, 0, _MOST)
    for field, least in (("input_bits", 1), ("weight_bits", 0), ("output_bits", 1)):
        _check_numbers(f"{field} of {what}", getattr(layer, field), least, _MOST_BITS)
    if layer.c_in % layer.groups or layer.c_out % layer.groups:
        raise ConfigError(
            f"{what}: {layer.groups} groups do not divide {layer.c_in} input and {layer.c_out} output channels"
        )
    least = _LEAST_INPUTS.get(layer.kind, 1)
    if len(layer.inputs) < least:
        raise ConfigError(f"{what} has {len(layer.inputs)} inputs; expected at least {least}")
    for producer in layer.inputs:
        if not IMAGE <= producer < index:
            raise ConfigError(
                f"{what} reads layer {producer}; expected {IMAGE} (the image) or a layer before it, 0 .. {index - 1}"
            )


def _check_numbers(what: str, given: int | tuple[int, int], least: int, most: int) -> None:
    """Raise ConfigError unless a number or each of a pair is whole and in range."""
    for number in given if isinstance(given, tuple) else (given,):
        if not is_whole(number, least, most):
            raise ConfigError(f"{what} is {given!r}; expected whole numbers, {least} .. {most}")
