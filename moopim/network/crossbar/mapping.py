"""Mapping of a layer onto crossbars: digits of codes, cells, blocks of rows, and the window of a convolution."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from moopim.checks import whole_number
from moopim.errors import ConfigError
from moopim.network.crossbar.circuit import Circuit
from moopim.network.quantiser import check_bits, largest_code

_MOST_BITS = 32
_MOST_CHANNELS = 2**24

RowBlock = tuple[int, int]
"""First row of a block and the row after its last."""


class Cells(NamedTuple):
    """Conductances of a layer's cells, in levels.

    Attributes:
        positive: Columns of positive weights, >= 0, shape ``(slices, outputs, rows)``, least significant slice first:
            whole numbers (uint8), or any (float64) if cells are not ideal.
        negative: Columns of negative weights, same shape and type.
    """

    positive: Tensor
    negative: Tensor


class Window(NamedTuple):
    """Window of a two-dimensional convolution. Pairs are (height, width).

    Attributes:
        kernel: Positions of the kernel.
        stride: Positions from one output to the next.
        padding: Zeros on each side.
        dilation: Positions from one weight to the next.
        groups: Groups of channels.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output for those of the input."""
        sizes = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, pad, dilation in zip(
                (height, width), self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return next(sizes), next(sizes)


POINT = Window((1, 1))
"""Window of a linear layer."""


def slice_count(bits: int, base_bits: int) -> int:
    """Digits of a magnitude, ``ceil((bits - 1) / base_bits)``; the sign is one of the bits."""
    whole_number("bits of a digit", base_bits, 1, _MOST_BITS)
    return -(-(check_bits("a code", bits) - 1) // base_bits)


def digits(codes: Tensor, bits: int, base_bits: int) -> Tensor:
    """Digits of codes, each with the sign of its code, shape ``(slices, *codes.shape)``, least significant first."""
    count = slice_count(bits, base_bits)
    magnitude, sign, mask = codes.abs(), codes.sign(), 2**base_bits - 1
    return torch.stack([(magnitude >> i * base_bits & mask) * sign for i in range(count)])


def check_codes(what: str, codes: Tensor, bits: int) -> tuple[int, int]:
    """Smallest and largest code; raise ConfigError unless codes are integers that fit the bits (sign included)."""
    if codes.dtype.is_floating_point or codes.dtype.is_complex or codes.dtype == torch.bool:
        raise ConfigError(f"{what} have type {codes.dtype}; expected whole numbers of an integer type")
    limit = largest_code(bits)
    if codes.ndim == 4 and codes.is_contiguous(memory_format=torch.channels_last):  # noqa: PLR2004 (images)
        codes = codes.movedim(1, -1)  # as it lies in memory, or it would be copied
    least, most = (int(code) for code in codes.aminmax()) if codes.numel() else (0, 0)
    if least < -limit or most > limit:
        worst = least if least < -limit else most
        raise ConfigError(f"{what} hold {worst}; expected -{limit}..{limit} for {bits} bits")
    return least, most


def ideal_cells(codes: Tensor, weight_bits: int, cell_bits: int) -> Cells:
    """Cells that hold the digits of weight codes, shape ``(outputs, rows)``, positive and negative ones apart."""
    check_codes("weights", codes, weight_bits)
    count = slice_count(weight_bits, cell_bits)
    # In bytes one by one: the digits of all weights at once would take eight times as much.
    magnitude, mask = codes.to(torch.int32).abs(), 2**cell_bits - 1
    levels = [(magnitude >> i * cell_bits & mask).to(torch.uint8) for i in range(count)]
    return Cells(*(torch.stack([level * side for level in levels]) for side in (codes > 0, codes < 0)))


def row_blocks(circuit: Circuit, channels: int, kernel: int | None = None) -> tuple[RowBlock, ...]:
    """Blocks of rows that are converted at a time, in order, of a layer or of a group of a convolution.

    ``kernel`` is the number of positions of the kernel, such as 9; None for a linear layer. Raise ConfigError if there
    are no channels or one does not fit on a crossbar.
    """
    whole_number("channels", channels, 1, _MOST_CHANNELS)
    positions = kernel or 1
    rows, size = channels * positions, circuit.rows
    if circuit.split == "channels":
        if positions > circuit.rows:
            raise ConfigError(
                f"rows={circuit.rows} of a crossbar are too few for a kernel of {positions} positions; expected at "
                f"least {positions}, or split='rows'"
            )
        size -= size % positions
    blocks = [(start, min(start + size, rows)) for start in range(0, rows, size)]
    if circuit.row_groups == "sequential":
        step = circuit.dacs
        blocks = [(at, min(at + step, end)) for first, end in blocks for at in range(first, end, step)]
    return tuple(blocks)


def used_rows(circuit: Circuit, channels: int, kernel: int | None = None) -> int:
    """Rows of a crossbar that MNSIM takes as conducting.

    As many as fit of whole channels, however few a convolution has; at most those of a linear layer.
    """
    if circuit.split == "channels" and kernel is not None:
        return circuit.rows // kernel * kernel
    return min(circuit.rows, channels * (kernel or 1))


def check_window(window: Window, weights: Tensor) -> None:
    """Raise ConfigError unless a window is allowed and fits weights ``(outputs, channels, height, width)``."""
    for name in ("kernel", "stride", "dilation"):
        if min(getattr(window, name)) < 1:
            raise ConfigError(f"{name}={getattr(window, name)} of a convolution is not allowed; expected 1, 2, ...")
    if min(window.padding) < 0:
        raise ConfigError(f"padding={window.padding} of a convolution is not allowed; expected 0, 1, ...")
    if window.kernel != tuple(weights.shape[2:]):
        raise ConfigError(f"kernel={window.kernel} of a convolution; its weights have {tuple(weights.shape[2:])}")
    if window.groups < 1 or weights.shape[0] % window.groups:
        raise ConfigError(f"groups={window.groups} of a convolution do not divide its {weights.shape[0]} outputs")


def sliding_windows(window: Window, codes: Tensor) -> Tensor:
    """View of padded codes as the inputs of each output, shape ``(images, height, width, channels, *kernel)``."""
    height, width = window.output_size(*codes.shape[2:])
    (step_y, step_x), (far_y, far_x), (pad_y, pad_x) = window.stride, window.dilation, window.padding
    padded = functional.pad(codes, (pad_x, pad_x, pad_y, pad_y)).contiguous()
    image, channel, y, x = padded.stride()
    return padded.as_strided(
        (len(codes), height, width, codes.shape[1], *window.kernel),
        (image, y * step_y, x * step_x, channel, y * far_y, x * far_x),
    )
