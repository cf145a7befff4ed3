"""Engines: exact sums of a layer's execution plan, by plain convolutions and three bit-identical ways for columns.

``y = sum over row blocks r, input digits i, weight digits j of 2^(i d + j c) ADC(X_i[r] W_j[r])``, in codes of the ADC:
whole numbers, ``kappa`` of which are one unit of an ordinary product. Merged columns are an ordinary convolution. The
others are matrix products of torch, for every device, cell and ADC; `moopim.network.crossbar.planes` takes over on
processors once compiling pays off, and `moopim.network.crossbar.gpu` on GPUs, where they can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from moopim.network.crossbar.adc import AdcTransfer
from moopim.network.crossbar.mapping import Window, digits, slice_count, sliding_windows
from moopim.network.crossbar.plan import Columns, Plan
from moopim.network.quantiser import largest_code

Engine: TypeAlias = Literal["auto", "torch", "planes"]
"""Engine for columns: the fastest for the device and plan, plain torch, or bit planes on a processor."""

UNFOLDED_BYTES = 24
"""Bytes of one unfolded input: as float32, int32, its digits and their copies."""

_CACHE = 2**20  # inputs and outputs of a plain convolution at a time
_MEMORY = {"cpu": 2**26, "cuda": 2**30}  # bytes of unfolded inputs at a time
# Bytes of partial sums at a time: what the cache next to a core holds, and enough to fill a GPU.
_SUMS_BYTES = {"cpu": 2**18, "cuda": 2**28}
_EXACT_SINGLE = 2.0**24
_EXACT_TIES = 2.0**22  # half of it leaves room for a tie and a step aside
# Products of digits that torch computes in about the time of compiling.
_WORTH_COMPILING = 50_000_000_000


class Conversions(NamedTuple):
    """Counts of the conversions of a layer's ADCs.

    Attributes:
        total: Conversions.
        clipped: Conversions of sums beyond the range.
        altered: Conversions whose code is not the sum: clipped or rounded.
    """

    total: int = 0
    clipped: int = 0
    altered: int = 0

    def plus(self, other: Conversions) -> Conversions:
        """Sum of two counts."""
        return Conversions(*(a + b for a, b in zip(self, other, strict=True)))


def plan_sums(plan: Plan, window: Window, codes: Tensor, engine: Engine) -> Tensor:
    """Shifted and added sums of a plan (float64), shape ``(images, outputs, height, width)``.

    ``codes`` have an integer type and shape ``(images, channels, height, width)``.
    """
    size = window.output_size(*codes.shape[2:])
    if not codes.numel():
        return torch.zeros((len(codes), plan.outputs, *size), dtype=torch.float64, device=codes.device)
    if plan.merged is not None:
        sums = convolve(window, plan.merged, codes, largest_code(plan.input_bits))
        if not plan.columns:
            return sums
        sums = sums.contiguous()
    else:
        sums = torch.zeros((len(codes), plan.outputs, *size), dtype=torch.float64, device=codes.device)
    if not plan.columns:
        return sums
    if _takes_planes(engine, plan, codes, math.prod(size)):
        planes = import_module("moopim.network.crossbar.planes")  # needs numba
        program = _compiled(plan, "planes", planes.compile_plan)
        if program is not None:
            planes.add_columns(program, plan, window, codes, sums)
            return sums
    start = 0
    for found in _column_sums(plan, window, codes, engine):
        images = found.shape[1] // math.prod(size)
        sums[start : start + images] += found.reshape(plan.outputs, images, *size).transpose(0, 1)
        start += images
    return sums


def _column_sums(plan: Plan, window: Window, codes: Tensor, engine: Engine) -> Iterator[Tensor]:
    """Sums of the columns for parts of a batch, shape ``(outputs, positions)``."""
    if engine == "auto" and codes.device.type == "cuda":
        gpu = import_module("moopim.network.crossbar.gpu")
        kernels = gpu.gpu_kernels(codes.device)
        program = _compiled(plan, "gpu", gpu.compile_for_gpu) if kernels is not None else None
        if program is not None:
            for rows in _patches(window, codes, torch.int16):
                found = torch.zeros((plan.outputs, rows.shape[1]), dtype=torch.float64, device=codes.device)
                gpu.add_on_gpu(kernels, program, rows, found)
                yield found
            return
    for part in unfolded(window, codes):
        found = torch.zeros((plan.outputs, part.shape[2]), dtype=torch.float64, device=codes.device)
        convert_columns(plan, part, found)
        yield found


def _compiled(plan: Plan, engine: str, compile_: Callable[[Plan], Any]) -> Any:
    """Program of a plan for an engine, compiled at first use."""
    if engine not in plan.programs:
        plan.programs[engine] = compile_(plan)
    return plan.programs[engine]


class _Work:
    """Products of digits computed in this process so far."""

    products = 0


def _worth_compiling(plan: Plan, positions: int) -> bool:
    """Whether so much has been computed that compiling pays off; ``positions`` are computed now."""
    steps = slice_count(plan.input_bits, plan.dac_bits)
    _Work.products += positions * steps * sum(part.levels.numel() for part in plan.columns)
    return _Work.products >= _WORTH_COMPILING


def _takes_planes(engine: Engine, plan: Plan, codes: Tensor, positions: int) -> bool:
    """Whether the columns go to the bit planes, if these can run them."""
    if engine == "torch" or codes.device.type != "cpu":
        return False
    return (engine == "planes" or _worth_compiling(plan, len(codes) * positions)) and find_spec("numba") is not None


def unfolded(window: Window, codes: Tensor) -> Iterator[Tensor]:
    """Inputs of each output for parts of a batch (int32), shape ``(groups, rows, positions)``.

    ``codes`` have an integer type and shape ``(images, channels, height, width)``; positions of an image are side by
    side.
    """
    each = UNFOLDED_BYTES * math.prod(window.output_size(*codes.shape[2:])) * codes.shape[1] * math.prod(window.kernel)
    for part in torch.split(codes, max(1, _MEMORY.get(codes.device.type, 2**26) // each)):
        rows = functional.unfold(part.float(), window.kernel, window.dilation, window.padding, window.stride)
        yield rows.to(torch.int32).transpose(0, 1).reshape(window.groups, rows.shape[1] // window.groups, -1)


def convolve(window: Window, weights: Tensor, codes: Tensor, largest: int) -> Tensor:
    """Exact convolution of whole numbers (float64), shape ``(images, outputs, height, width)``.

    ``weights`` have shape ``(outputs, rows)``; ``codes`` an integer type, magnitudes up to ``largest`` and shape
    ``(images, channels, height, width)``.
    """
    kernels = weights.reshape(len(weights), -1, *window.kernel)
    size = (len(codes), len(weights), *window.output_size(*codes.shape[2:]))
    form = torch.channels_last if codes.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    sums = torch.empty(size, dtype=torch.float64, device=codes.device, memory_format=form)
    if codes.device.type == "cuda":
        _multiply_patches(window, weights, codes, largest, sums)
        return sums
    count, dtype = _exact_parts(kernels, largest, window.groups)
    parts = [w.to(dtype).contiguous(memory_format=torch.channels_last) for w in kernels.chunk(count, 1)]
    step = max(1, _CACHE // max(1, codes[:1].numel() + sums[:1].numel()))
    for images, total in zip(torch.split(codes, step), torch.split(sums, step), strict=True):
        for number, (channels, w) in enumerate(zip(images.chunk(count, 1), parts, strict=True)):
            x = channels.to(dtype).contiguous(memory_format=torch.channels_last)
            found = functional.conv2d(x, w, None, window.stride, window.padding, window.dilation, window.groups)
            total.copy_(found) if not number else total.add_(found)
    return sums


def _multiply_patches(window: Window, weights: Tensor, codes: Tensor, largest: int, sums: Tensor) -> None:
    """Add a convolution as a matrix product: algorithms of cuDNN may transform their inputs, and so round."""
    dtype = exact_dtype(largest * float(weights.abs().sum(1).max()))
    matrices = weights.to(dtype).reshape(window.groups, -1, weights.shape[1])
    start = 0
    for rows in _patches(window, codes, dtype):
        found = (matrices @ rows.transpose(1, 2)).flatten(0, 1)
        images = found.shape[1] // math.prod(sums.shape[2:])
        sums[start : start + images] = found.reshape(len(weights), images, *sums.shape[2:]).transpose(0, 1)
        start += images


def _patches(window: Window, codes: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """Parts of a batch as of `unfolded`, rows last: for GPUs, where `torch.nn.functional.unfold` is slow."""
    size, patch = window.output_size(*codes.shape[2:]), codes.shape[1] * math.prod(window.kernel)
    for part in torch.split(codes, max(1, _MEMORY["cuda"] // (dtype.itemsize * math.prod(size) * patch))):
        patches = sliding_windows(window, part.to(dtype))
        yield patches.reshape(len(part) * math.prod(size), window.groups, -1).contiguous().transpose(0, 1)


def _exact_parts(kernels: Tensor, largest: int, groups: int) -> tuple[int, torch.dtype]:
    """Parts of the channels, at most three, and the type with which a convolution is exact."""
    needs = largest * kernels.abs().sum((2, 3))
    for count in range(1, 4 if groups == 1 else 2):
        if exact_dtype(max(float(part.sum(1).max()) for part in needs.chunk(count, 1))) == torch.float32:
            return len(needs.chunk(count, 1)), torch.float32
    return 1, torch.float64


def convert_columns(plan: Plan, codes: Tensor, sums: Tensor) -> None:
    """Add the sums of a plan's columns to ``sums`` (float64), shape ``(outputs, positions)``, by matrix products.

    ``codes`` (int32) have shape ``(groups, rows, positions)``.
    """
    for part in plan.columns:
        _add(plan, part, codes[part.group, slice(*part.rows)], sums)


def count_conversions(plan: Plan, codes: Tensor) -> Conversions:
    """Counts of the conversions of a plan made without fusion; codes (int32) ``(groups, rows, positions)``."""
    counts = Conversions()
    for part in plan.columns:
        for chunk in torch.split(codes[part.group, slice(*part.rows)], _positions(part, torch.float64), 1):
            for x in digits(chunk, plan.input_bits, plan.dac_bits):
                counts = counts.plus(_count(plan.adc, part.levels @ x.double()))
    return counts


def exact_dtype(most: float) -> torch.dtype:
    """Type, float32 or float64, that adds whole numbers without error if their magnitudes sum to at most ``most``."""
    # Other settings let matrix products of float32 drop bits.
    exact = most < _EXACT_SINGLE and torch.get_float32_matmul_precision() == "highest"
    return torch.float32 if exact else torch.float64


def _add(plan: Plan, part: Columns, codes: Tensor, sums: Tensor) -> None:
    """Add the sums of the columns of one block; codes ``(rows, positions)``, sums ``(outputs, positions)``."""
    adc, most = plan.adc, float(part.bounds.max())
    exact = plan.whole and adc.shift is not None and most < _EXACT_TIES
    dtype = exact_dtype(most) if exact else torch.float64
    per_output = adc.limit * float(part.factors.abs().sum())
    weighted = dtype if per_output < _EXACT_SINGLE else torch.float64
    levels, factors = part.levels.to(dtype), part.factors.to(weighted)[:, None]
    step = _positions(part, dtype)
    for chunk, total in zip(torch.split(codes, step, 1), torch.split(sums, step, 1), strict=True):
        for i, x in enumerate(digits(chunk, plan.input_bits, plan.dac_bits)):
            if x.any():
                found = adc.convert_(levels @ x.to(dtype)).to(weighted).mul_(factors)
                local = torch.zeros((len(total), x.shape[1]), dtype=weighted, device=x.device)
                total.add_(local.index_add_(0, part.outputs, found), alpha=2 ** (i * plan.dac_bits))


def _positions(part: Columns, dtype: torch.dtype) -> int:
    """Positions whose partial sums are held at a time."""
    return max(16, _SUMS_BYTES.get(part.levels.device.type, 2**28) // (len(part.levels) * dtype.itemsize))


def _count(adc: AdcTransfer, sums: Tensor) -> Conversions:
    rounded = adc.round_(sums.clone())
    clipped = rounded.abs() > adc.limit
    altered = clipped | (rounded != sums * adc.kappa)
    return Conversions(sums.numel(), int(clipped.sum()), int(altered.sum()))
