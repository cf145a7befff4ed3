"""Magnitudes cut into digits, and layers cut into crossbars."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moopim.checks import whole_number
from moopim.errors import ConfigError
from moopim.network.crossbar.circuit import Circuit
from moopim.network.quantiser import check_bits, largest_code

__all__ = ["Cells", "RowBlock", "check_codes", "digits", "program", "row_blocks", "slice_count", "used_rows"]

_MOST_BITS = 32
_MOST_CHANNELS = 2**24

RowBlock = tuple[int, int]
"""First row of a layer on a crossbar and the one behind the last."""


class Cells(NamedTuple):
    """What the cells of a layer hold: its conductances, in levels.

    Attributes:
        positive: Of the columns for positive weights, not negative, shape ``(slices, outputs, rows)``, the least
            significant slice first: whole numbers (uint8), or any (float64) where devices are not ideal.
        negative: Of the columns for negative weights, same shape and type.
    """

    positive: Tensor
    negative: Tensor


def slice_count(bits: int, base_bits: int) -> int:
    """Digits that a magnitude needs.

    Args:
        bits: Width of the code, sign included.
        base_bits: Bits of a digit.

    Returns:
        Their number, ``ceil((bits - 1) / base_bits)``.

    Raises:
        ConfigError: If one of both is no number of bits.
    """
    whole_number("bits of a digit", base_bits, 1, _MOST_BITS)
    return -(-(check_bits("a code", bits) - 1) // base_bits)


def digits(codes: Tensor, bits: int, base_bits: int) -> Tensor:
    """Digits of sign-magnitude codes, each with the sign of its code.

    Args:
        codes: Whole numbers of an integer type, any shape.
        bits: Width of a code, sign included.
        base_bits: Bits of a digit.

    Returns:
        Digits, shape ``(slices, *codes.shape)``, the least significant first, same type.

    Raises:
        ConfigError: If one of both is no number of bits.
    """
    count = slice_count(bits, base_bits)
    magnitude, sign, mask = codes.abs(), codes.sign(), 2**base_bits - 1
    return torch.stack([(magnitude >> i * base_bits & mask) * sign for i in range(count)])


def check_codes(what: str, codes: Tensor, bits: int) -> RowBlock:
    """Checks that codes are whole numbers of a width.

    Args:
        what: What they are, for the message.
        codes: The codes, any shape.
        bits: Width, sign included.

    Returns:
        The smallest and the largest code.

    Raises:
        ConfigError: If they have no integer type or one does not fit in.
    """
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


def program(codes: Tensor, weight_bits: int, cell_bits: int) -> Cells:
    """Puts weights into ideal cells: the digits of their magnitudes, positive and negative weights apart.

    Args:
        codes: Weights as whole numbers, shape ``(outputs, rows)``.
        weight_bits: Width of a weight, sign included.
        cell_bits: Bits of a cell.

    Returns:
        The cells.

    Raises:
        ConfigError: If a code does not fit the width.
    """
    check_codes("weights", codes, weight_bits)
    count = slice_count(weight_bits, cell_bits)
    # In bytes one by one: the digits of all weights at once would take eight times as much.
    magnitude, mask = codes.to(torch.int32).abs(), 2**cell_bits - 1
    levels = [(magnitude >> i * cell_bits & mask).to(torch.uint8) for i in range(count)]
    return Cells(*(torch.stack([level * side for level in levels]) for side in (codes > 0, codes < 0)))


def row_blocks(circuit: Circuit, channels: int, kernel: int | None = None) -> tuple[RowBlock, ...]:
    """Cuts the rows of a layer (of one group of a convolution) into parts that are converted at a time.

    Args:
        circuit: The circuit.
        channels: Input channels of the layer or group, or input features.
        kernel: Positions of the kernel, such as 9; None for a linear layer.

    Returns:
        The parts, in order; together all rows.

    Raises:
        ConfigError: If there are no channels, or one does not fit on a crossbar.
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

    Args:
        circuit: The circuit.
        channels: Input channels of the layer or group, or input features.
        kernel: Positions of the kernel; None for a linear layer.

    Returns:
        Their number: as many as fit of whole channels, however few a convolution has; at most those of a linear layer.
    """
    if circuit.split == "channels" and kernel is not None:
        return circuit.rows // kernel * kernel
    return min(circuit.rows, channels * (kernel or 1))
