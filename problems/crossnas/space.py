"""The search space of CrossNAS (arXiv 2505.22868, Table 1): a CNN, its bit widths and the circuit of its chip.

A network is a chain of blocks, global average pooling and a fully connected head. A block holds two 3x3 convolutions;
after them VGG has a 2x2 pooling, MVGG nothing, and RES adds the block's input through a 1x1 convolution.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from moopim.checks import is_whole
from moopim.errors import ConfigError
from moopim.genes import Choice, Integer
from moopim.genome import Designs, Genome
from moopim.network.subnets import KINDS, Block, Subnet
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload import IMAGE, LayerKind, LayerTable
from moopim.workload.layers import NO_INPUT

CIRCUIT = ("crossbar", "adc_bits", "dac_bits")
"""Parameters of the circuit: rows and columns of a crossbar, ADC and DAC resolution (bit)."""

_VGG, _MVGG, _RES = range(len(KINDS))

_IMAGE_BITS = 9

# Columns of a block in a layer table: the 3x3 convolutions a and b, the 1x1 convolution of the shortcut, and where a
# block ends with more than b, the sum or the pooling.
_CONVOLUTIONS = ("a", "b", "shortcut")
_PLACES = (*_CONVOLUTIONS, "join")
_A, _B, _SHORTCUT, _JOIN = range(len(_PLACES))


class _Shapes(NamedTuple):
    """Feature maps along the blocks; shape ``(designs, max_blocks)`` unless given.

    Attributes:
        active: Whether there is such a block.
        pooled: Whether it ends with a pooling.
        summed: Whether it ends with a sum.
        stride: Stride of its first convolution and of its shortcut.
        size: Height and width before each block and after the last, shape ``(designs, max_blocks + 1)``.
    """

    active: BoolArray
    pooled: BoolArray
    summed: BoolArray
    stride: IntArray
    size: IntArray


class CrossNasSpace:
    """Search space of CrossNAS (arXiv 2505.22868, Table 1): genome, and the layer tables of its designs.

    A feature map of 1x1 cannot shrink: there VGG equals MVGG, and every stride equals 1.

    Args:
        classes: Number of classes.
        max_blocks: Largest number of blocks.
        channels: Output channels of a block.
        strides: Strides of a RES block; by default 1 and 2 for 100 classes, as in section 4.4, and else 1.
        weight_bits: Bits of the weights of a layer, sign included.
        activation_bits: Bits of the outputs of a layer.
        crossbar: Rows and columns of a crossbar.
        adc_bits: ADC resolution (bit).
        dac_bits: DAC resolution (bit).
        size: Height and width of the image.
        image_channels: Channels of the image.

    Attributes:
        strides: Strides of a RES block.
        genome: Gene groups; those of the blocks have one gene per block, of which the first ``depth`` are active. A
            parameter with a single value is not a gene.

    Raises:
        ConfigError: If a value is not a whole number or too small, or a choice is empty or has a value twice.

    Example:
        >>> import numpy as np
        >>> from moopim.problems.crossnas import CrossNasSpace
        >>> space = CrossNasSpace(classes=100)
        >>> designs = space.genome.decode(space.genome.sample(1000, np.random.default_rng(1)))
        >>> space.layer_table(designs).kind.shape
        (1000, 34)
        >>> sorted(space.chip_parameters(designs))
        ['adc_bits', 'crossbar', 'dac_bits']
    """

    def __init__(
        self,
        classes: int = 10,
        max_blocks: int = 8,
        channels: Sequence[int] = (32, 64, 128),
        strides: Sequence[int] | None = None,
        weight_bits: Sequence[int] = (5, 7, 9),
        activation_bits: Sequence[int] = (5, 7, 9),
        crossbar: Sequence[int] = (32, 64, 128, 256),
        adc_bits: Sequence[int] = (4, 6, 8, 10),
        dac_bits: Sequence[int] = (1, 2),
        size: int = 32,
        image_channels: int = 3,
    ) -> None:
        if strides is None:
            strides = (1, 2) if classes == 100 else (1,)  # noqa: PLR2004 (the name of CIFAR-100)
        _check("classes", [classes], least=2)
        _check("max_blocks", [max_blocks])
        _check("size", [size])
        _check("image_channels", [image_channels])
        self.classes = classes
        self.max_blocks = max_blocks
        self.strides = tuple(strides)
        self.size = size
        self.image_channels = image_channels
        values = {
            "stride": strides,
            **{f"weight_bits_{name}": weight_bits for name in (*_CONVOLUTIONS, "head")},
            **{f"activation_bits_{name}": activation_bits for name in (*_CONVOLUTIONS, "head")},
            "crossbar": crossbar,
            "adc_bits": adc_bits,
            "dac_bits": dac_bits,
        }
        allowed = {name: _check(name, given) for name, given in values.items()}
        self._fixed = {name: given[0] for name, given in allowed.items() if len(given) == 1}

        def choice(name: str, given: tuple[Any, ...]) -> Choice:
            per_block = name.endswith(("block", "channels", "stride", *_CONVOLUTIONS))
            return Choice(name, given, max_blocks if per_block else None, "depth" if per_block else None)

        self.genome = Genome(
            Integer("depth", 1, max_blocks),
            choice("block", KINDS),
            choice("channels", _check("channels", channels)),
            *(choice(name, given) for name, given in allowed.items() if name not in self._fixed),
        )

    def canonical(self, X: IntArray) -> IntArray:
        """Canonical form of designs: genes without effect have one value, so that equal designs are equal rows.

        Without effect are genes of blocks beyond the depth, strides and shortcuts of blocks other than RES, and the
        choices that a feature map of 1x1 does not leave.

        Args:
            X: Genes within bounds, shape ``(pop, n_genes)``; not changed.

        Returns:
            Genes, shape ``(pop, n_genes)``.
        """
        X = self.genome.canonical(X).copy()
        shapes = self._shapes(self.genome.decode(X))
        part = self.genome.slices
        X[:, part["block"]][(X[:, part["block"]] == _VGG) & shapes.active & ~shapes.pooled] = _MVGG
        without = {"stride": ~shapes.summed | (shapes.size[:, :-1] == 1)}
        without |= dict.fromkeys(("weight_bits_shortcut", "activation_bits_shortcut"), ~shapes.summed)
        for name, places in without.items():
            if name in part:
                X[:, part[name]][places] = 0
        return X

    def chip_parameters(self, designs: Designs) -> dict[str, IntArray]:
        """Circuit of each design.

        Args:
            designs: The designs.

        Returns:
            Crossbar size, ADC and DAC resolution (bit) by the names of `CIRCUIT`; shape ``(designs,)`` each.
        """
        return {name: np.broadcast_to(self._values(designs, name), len(designs)) for name in CIRCUIT}

    def layer_table(self, designs: Designs) -> LayerTable:
        """Layer table of designs.

        Args:
            designs: The designs.

        Returns:
            The table, shape ``(designs, layers)``. A column holds the same layer of the same block in all designs, or
            no layer in designs without it.
        """
        shapes = self._shapes(designs)
        kind = self._kinds(shapes)
        last = (np.arange(len(designs)), designs.depth - 1)
        summed, pooled, size = shapes.summed, shapes.pooled, shapes.size[:, :-1]
        size_out = shapes.size[:, 1:]
        size_mid = np.where(pooled, size, size_out)  # after the convolutions
        channels = designs.channels
        c_in = _shift(channels, self.image_channels)
        bits = {name: self._values(designs, f"activation_bits_{name}") for name in (*_CONVOLUTIONS, "head")}
        bits_out = np.where(summed, bits["shortcut"], bits["b"])
        bits_in = _shift(bits_out, _IMAGE_BITS)
        *weights, head = (self._values(designs, f"weight_bits_{name}") for name in (*_CONVOLUTIONS, "head"))

        def column(*parts: ArrayLike) -> IntArray:
            return self._spread(parts, len(designs))

        kernel = column(3, 3, 1, np.where(pooled, 2, 1), shapes.size[:, -1], 1)
        stride = column(shapes.stride, 1, shapes.stride, np.where(pooled, 2, 1), 1, 1)
        h_in = column(size, size_mid, size, size_mid, shapes.size[:, -1], 1)
        h_out = column(size_mid, size_mid, size_mid, size_out, 1, 1)
        padding = self._spread((1, 1, 0, 0, 0, 0), 1)
        return LayerTable(
            kind=kind,
            inputs=self._inputs(shapes, kind, last),
            c_in=column(c_in, channels, c_in, channels, channels[last], channels[last]),
            c_out=column(channels, channels, channels, channels, channels[last], self.classes),
            kernel_h=kernel,
            kernel_w=kernel,
            stride_h=stride,
            stride_w=stride,
            padding_h=padding,
            padding_w=padding,
            h_in=h_in,
            w_in=h_in,
            h_out=h_out,
            w_out=h_out,
            groups=np.ones_like(padding),
            input_bits=column(bits_in, bits["a"], bits_in, bits_out, bits_out[last], bits_out[last]),
            weight_bits=column(*weights, 0, 0, head),
            output_bits=column(bits["a"], bits["b"], bits["shortcut"], bits_out, bits_out[last], bits["head"]),
            waits=kind == LayerKind.FC,
            names=(
                *(f"block{block}.{place}" for block in range(1, self.max_blocks + 1) for place in _PLACES),
                "average",
                "head",
            ),
        )

    def _values(self, designs: Designs, name: str) -> ArrayLike:
        """Chosen values of designs, or the single value where there is no choice."""
        return self._fixed[name] if name in self._fixed else designs[name]

    def _shapes(self, designs: Designs) -> _Shapes:
        block, active = designs.indices("block"), designs.active("block")
        vgg, summed = active & (block == _VGG), active & (block == _RES)
        stride = np.where(summed, self._values(designs, "stride"), 1)
        size = np.full((len(designs), self.max_blocks + 1), self.size, dtype=np.int64)
        for i in range(self.max_blocks):
            stride[size[:, i] == 1, i] = 1
            # A padded convolution with a stride rounds up, pooling rounds down.
            size[:, i + 1] = np.where(vgg[:, i], np.maximum(size[:, i] // 2, 1), (size[:, i] - 1) // stride[:, i] + 1)
        return _Shapes(active, vgg & (size[:, :-1] > 1), summed, stride, size)

    def _kinds(self, shapes: _Shapes) -> IntArray:
        convolution, shortcut = (
            np.where(there, LayerKind.CONV, LayerKind.NONE) for there in (shapes.active, shapes.summed)
        )
        join = np.where(shapes.summed, LayerKind.SUM, np.where(shapes.pooled, LayerKind.POOL, LayerKind.NONE))
        parts = (convolution, convolution, shortcut, join, LayerKind.POOL, LayerKind.FC)
        return self._spread(parts, len(shapes.size))

    def _inputs(self, shapes: _Shapes, kind: IntArray, last: tuple[IntArray, IntArray]) -> IntArray:
        first = np.broadcast_to(len(_PLACES) * np.arange(self.max_blocks), shapes.active.shape)
        b, join = first + _B, first + _JOIN
        out = np.where(shapes.summed | shapes.pooled, join, b)
        before = _shift(out, IMAGE)
        average = len(_PLACES) * self.max_blocks
        joined = np.where(shapes.summed, first + _SHORTCUT, b)
        reads = self._spread((before, first + _A, before, joined, out[last], average), len(kind))
        inputs = np.full((2, *kind.shape), NO_INPUT, dtype=np.int64)
        np.copyto(inputs[0], reads, where=kind != LayerKind.NONE)
        np.copyto(inputs[1, :, _JOIN : average : len(_PLACES)], b, where=shapes.summed)
        return np.moveaxis(inputs, 0, -1)

    def _spread(self, parts: tuple[ArrayLike, ...], n: int) -> IntArray:
        """Array of a layer table, shape ``(n, layers)``.

        Values of the four layers of a block broadcast to ``(n, max_blocks)``, those of the average pooling and the head
        to ``(n,)``.
        """
        end = len(_PLACES) * self.max_blocks
        column = np.empty((n, end + 2), dtype=np.int64)
        for place, part in enumerate(parts[: len(_PLACES)]):
            column[:, place : end : len(_PLACES)] = part
        column[:, end], column[:, end + 1] = parts[len(_PLACES) :]
        return column


def layer_features(table: LayerTable) -> FloatArray:
    """Features of networks for a surrogate.

    Args:
        table: Layer table, shape ``(networks, layers)``.

    Returns:
        For each layer the bits of its weights, its operations and the bits of its outputs; then the number of layers
        with weights, and the sums of weights, of bits of weights and of operations; shape ``(networks, features)``.
    """
    outputs = np.where(table.weighted, table.output_bits, 0)
    stored = table.parameters * table.weight_bits
    weighted, weights, stored, macs, outputs = np.broadcast_arrays(
        table.weighted, table.parameters, stored, table.macs, outputs
    )
    sums = [column.sum(axis=1, keepdims=True) for column in (weighted, weights, stored, macs)]
    return np.concatenate([stored, macs, outputs, *sums], axis=1, dtype=np.float64)


def subnets(designs: Designs) -> list[Subnet]:
    """Blocks of each design of a `CrossNasSpace`."""
    kinds, channels = designs["block"], designs["channels"]
    strides = designs["stride"] if "stride" in designs.genome.slices else np.ones_like(channels)
    return [
        tuple(
            Block(str(kind), int(width), int(stride) if kind == "RES" else 1)
            for kind, width, stride in zip(kinds[i, :depth], channels[i, :depth], strides[i, :depth], strict=True)
        )
        for i, depth in enumerate(designs["depth"].tolist())
    ]


def square_size(data: str, image_shape: tuple[int, int, int]) -> int:
    """Height and width of images, shape ``(channels, height, width)``; raise ConfigError unless they are square."""
    _, height, width = image_shape
    if height != width:
        raise ConfigError(f"images of data {data!r} are {height}x{width}; expected square ones")
    return height


def _shift(column: IntArray, first: int) -> IntArray:
    """Values of the block before each block, ``first`` for the first; shapes ``(designs, max_blocks)``."""
    shifted = np.roll(column, 1, axis=1)
    shifted[:, 0] = first
    return shifted


def _check(name: str, values: Sequence[int], least: int = 1) -> tuple[int, ...]:
    for value in values:
        if not is_whole(value, least):
            raise ConfigError(
                f"{name} {value!r} of the CrossNAS space is not allowed; expected whole numbers >= {least}"
            )
    return tuple(values)
