"""Engine for GPUs: matrix products of digits on tensor cores, converted in registers.

It takes cells of whole levels and ADCs whose step is a power of two; results are those of
`moopim.network.crossbar.engines` to the bit. It needs triton, which torch brings along for CUDA, and a first run that
shows that it works.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple, cast

import torch
from torch import Tensor

from moopim.network.crossbar.adc import AdcTransfer
from moopim.network.crossbar.engines import convert_columns
from moopim.network.crossbar.mapping import RowBlock, slice_count
from moopim.network.crossbar.plan import Columns, Plan

_TIES = {"even": 0, "odd": 1, "floor": 2}
_MOST = 2**30  # of what is added in 32 bits
_MOST_LEVEL = 127
_MOST_SHIFT = 30
_NO_TIES = 3  # of steps that are not above one unit
_POSITIONS, _COLUMNS = 128, 64  # of a tile
_LAUNCH = {"num_warps": 8, "num_stages": 2}
_ROWS = (32, 256)  # of it, the least and the most


class _Part(NamedTuple):
    """Columns of one block of rows, those of a slice side by side.

    Attributes:
        group: Group of the convolution.
        rows: Block of rows.
        levels: Levels, shape ``(slices, columns, rows)`` (int8).
        factors: Weight of the codes of a slice in the output, shape ``(slices,)`` (int32).
        outputs: Output of each column, shape ``(columns,)`` (int32).
    """

    group: int
    rows: RowBlock
    levels: Tensor
    factors: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class GpuProgram:
    """Plan of a layer for the kernel.

    Attributes:
        parts: Blocks of rows.
        adc: Transfer function of the ADCs.
        digits: Digits of an input.
        dac_bits: Bits of a digit.
    """

    parts: tuple[_Part, ...]
    adc: AdcTransfer
    digits: int
    dac_bits: int


@cache
def gpu_kernels(device: torch.device) -> ModuleType | None:
    """Module of the kernels; None without triton, or where they do not give the bits of torch."""
    if device.type != "cuda" or not find_spec("triton"):
        return None
    try:
        kernels = import_module("moopim.network.crossbar._gpu")
        return kernels if _works(kernels, device) else None
    except Exception:  # noqa: BLE001 (whatever a compiler or a driver raises, torch can do it)
        return None


def compile_for_gpu(plan: Plan) -> GpuProgram | None:
    """Compile a plan; None if the kernel cannot run it exactly."""
    adc, digits = plan.adc, slice_count(plan.input_bits, plan.dac_bits)
    if not plan.whole or adc.shift is None or 2**plan.dac_bits - 1 > _MOST_LEVEL:
        return None
    weights = sum(2 ** (i * plan.dac_bits) for i in range(digits))
    for part in plan.columns:
        most = max(1.0, adc.kappa) * float(part.bounds.max())
        per_output = torch.zeros(plan.outputs, dtype=torch.float64, device=part.factors.device)
        per_output.index_add_(0, part.outputs, part.factors.abs().double())
        if max(most, adc.limit * weights * float(per_output.max())) >= _MOST or abs(adc.shift) > _MOST_SHIFT:
            return None
    return GpuProgram(tuple(map(_part, plan.columns)), adc, digits, plan.dac_bits)


def add_on_gpu(kernels: ModuleType, program: GpuProgram, codes: Tensor, sums: Tensor) -> None:
    """Add the sums of a plan's columns to ``sums`` (float64), contiguous, shape ``(outputs, positions)``.

    ``codes`` (int16) have shape ``(groups, positions, rows)``, rows side by side.
    """
    positions, shift = sums.shape[1], cast("int", program.adc.shift)
    for part in program.parts:
        slices, columns, rows = part.levels.shape
        first, last = part.rows
        x = codes[part.group, :, first:last]
        grid = (-(-positions // _POSITIONS), -(-columns // _COLUMNS))
        block = min(max(_ROWS[0], 2 ** (rows - 1).bit_length()), _ROWS[1])
        kernels.convert_tiles[grid](
            *(x, part.levels, part.factors, part.outputs, sums, positions, columns, rows, x.stride(0)),
            *(program.digits, slices, program.dac_bits, shift, program.adc.limit),
            TIES=_TIES[program.adc.ties] if shift > 0 else _NO_TIES,
            WHOLE=block >= rows,
            BLOCK_P=_POSITIONS,
            BLOCK_O=_COLUMNS,
            BLOCK_K=block,
            **_LAUNCH,
        )


def _part(part: Columns) -> _Part:
    factors, slices = _numbered(part.factors)
    outputs, columns = _numbered(part.outputs)
    shape = len(factors), len(outputs), part.levels.shape[1]
    levels = torch.zeros(shape, dtype=torch.int8, device=part.levels.device)
    levels[slices, columns] = part.levels.to(torch.int8)
    return _Part(part.group, part.rows, levels, factors.to(torch.int32), outputs.to(torch.int32))


def _numbered(values: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct values, sorted, and the index of each value among them."""
    distinct: Tensor = torch.unique(values)
    return distinct, torch.searchsorted(distinct, values)


def _works(kernels: ModuleType, device: torch.device) -> bool:
    """Whether the kernel gives the bits of torch for coarse and fine steps, few rows and many."""
    return all(
        _agrees(kernels, device, rows, adc)
        for rows in (70, 300)
        for adc in (AdcTransfer(0.25, 31), AdcTransfer(2.0, 31))
    )


def _agrees(kernels: ModuleType, device: torch.device, rows: int, adc: AdcTransfer) -> bool:
    """Whether both agree on random numbers: 20 outputs with two slices each, 150 positions."""
    draw = torch.Generator().manual_seed(1)
    levels = torch.randint(-3, 4, (40, rows), generator=draw).double().to(device)
    outputs, factors = torch.arange(20).repeat(2).to(device), torch.tensor([1, -4]).repeat_interleave(20).to(device)
    columns = Columns(0, (0, rows), outputs, factors, levels, 3 * levels.abs().sum(1))
    plan = Plan(adc, 6, 2, 1, 20, True, True, None, (columns,))
    codes = torch.randint(-31, 32, (1, 150, rows), generator=draw).to(device)
    expected, found = torch.zeros((2, 20, 150), dtype=torch.float64, device=device)
    convert_columns(plan, codes.transpose(1, 2).to(torch.int32), expected)
    program = compile_for_gpu(plan)
    if program is None:
        return False
    add_on_gpu(kernels, program, codes.to(torch.int16), found)
    return torch.equal(found, expected)
