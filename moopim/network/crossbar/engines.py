"""Who computes what of a layer: plain convolutions what is lossless, one of three engines the rest; the bits agree.

`moopim.network.crossbar.product` is for every device, cell and converter. Where they can,
`moopim.network.crossbar.planes` takes over on processors once compiling it pays, and `moopim.network.crossbar.gpu` on
GPUs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, TypeAlias, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional

from moopim.network.crossbar.gpu import add_on_gpu, compile_for_gpu, gpu_kernels
from moopim.network.crossbar.plan import Plan
from moopim.network.crossbar.product import convert_columns, exact_dtype
from moopim.network.crossbar.slices import slice_count
from moopim.network.crossbar.window import Window, sliding_windows
from moopim.network.quantiser import largest_code

__all__ = ["UNFOLDED_BYTES", "Engine", "convolve", "plan_sums", "unfolded"]

Engine: TypeAlias = Literal["auto", "torch", "planes"]
"""What computes columns: the best for the device, plain torch, or planes of bits on a processor."""

T = TypeVar("T")

UNFOLDED_BYTES = 24
"""Bytes of one unfolded input: as float32, int32, its digits and their copies."""

_CACHE = 2**20  # inputs and outputs of a plain convolution at a time
_MEMORY = {"cpu": 2**26, "cuda": 2**30}  # bytes of unfolded inputs at a time
# Products of digits that torch computes in about the time of compiling.
_WORTH_COMPILING = 50_000_000_000


def plan_sums(plan: Plan, window: Window, codes: Tensor, engine: Engine) -> Tensor:
    """What the crossbars of a layer give for images, shifted and added.

    Args:
        plan: How the layer is computed.
        window: Of the convolution.
        codes: Inputs of an integer type, shape ``(images, channels, height, width)``.
        engine: What computes the columns.

    Returns:
        Sums (float64), shape ``(images, outputs, height, width)``.
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
    kernels = gpu_kernels(codes.device) if engine == "auto" else None
    program = _compiled(plan, "gpu", compile_for_gpu) if kernels is not None else None
    if kernels is not None and program is not None:
        for rows in _patches(window, codes, torch.int16):
            found = torch.zeros((plan.outputs, rows.shape[1]), dtype=torch.float64, device=codes.device)
            add_on_gpu(kernels, program, rows, found)
            yield found
        return
    for part in unfolded(window, codes):
        found = torch.zeros((plan.outputs, part.shape[2]), dtype=torch.float64, device=codes.device)
        convert_columns(plan, part, found)
        yield found


def _compiled(plan: Plan, name: str, make: Callable[[Plan], T]) -> T:
    """The program of a plan for an engine, made at first use."""
    if name not in plan.programs:
        plan.programs[name] = make(plan)
    return cast("T", plan.programs[name])


class _Work:
    """Products of digits computed in this process so far."""

    products = 0


def _worth_compiling(plan: Plan, positions: int) -> bool:
    """Whether so much has been computed that compiling pays off; ``positions`` are computed now."""
    digits = slice_count(plan.input_bits, plan.dac_bits)
    _Work.products += positions * digits * sum(part.levels.numel() for part in plan.columns)
    return _Work.products >= _WORTH_COMPILING


def _takes_planes(engine: Engine, plan: Plan, codes: Tensor, positions: int) -> bool:
    """Whether the columns go to the engine for processors, if it can take them."""
    if engine == "torch" or codes.device.type != "cpu":
        return False
    return (engine == "planes" or _worth_compiling(plan, len(codes) * positions)) and find_spec("numba") is not None


def unfolded(window: Window, codes: Tensor) -> Iterator[Tensor]:
    """Takes inputs apart into what each output needs.

    Args:
        window: Of the convolution.
        codes: Inputs of an integer type, shape ``(images, channels, height, width)``.

    Yields:
        Parts of the batch (int32), shape ``(groups, rows, positions)``; an image's positions side by side.
    """
    each = UNFOLDED_BYTES * math.prod(window.output_size(*codes.shape[2:])) * codes.shape[1] * math.prod(window.kernel)
    for part in torch.split(codes, max(1, _MEMORY.get(codes.device.type, 2**26) // each)):
        rows = functional.unfold(part.float(), window.kernel, window.dilation, window.padding, window.stride)
        yield rows.to(torch.int32).transpose(0, 1).reshape(window.groups, rows.shape[1] // window.groups, -1)


def convolve(window: Window, weights: Tensor, codes: Tensor, largest: int) -> Tensor:
    """An ordinary convolution of whole numbers, exact.

    Args:
        window: What it does beside multiplying.
        weights: Whole numbers, shape ``(outputs, rows)``.
        codes: Inputs of an integer type, shape ``(images, channels, height, width)``.
        largest: Bound on their magnitudes.

    Returns:
        Sums (float64), shape ``(images, outputs, height, width)``.
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
    """A convolution as a product of matrices, since those of cuDNN may be others than sums of products, and round."""
    dtype = exact_dtype(largest * float(weights.abs().sum(1).max()))
    matrices = weights.to(dtype).reshape(window.groups, -1, weights.shape[1])
    start = 0
    for rows in _patches(window, codes, dtype):
        found = (matrices @ rows.transpose(1, 2)).flatten(0, 1)
        images = found.shape[1] // math.prod(sums.shape[2:])
        sums[start : start + images] = found.reshape(len(weights), images, *sums.shape[2:]).transpose(0, 1)
        start += images


def _patches(window: Window, codes: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """Parts of a batch as `unfolded` gives them, rows last: for GPUs, where `torch.nn.functional.unfold` is slow."""
    size, patch = window.output_size(*codes.shape[2:]), codes.shape[1] * math.prod(window.kernel)
    for part in torch.split(codes, max(1, _MEMORY["cuda"] // (dtype.itemsize * math.prod(size) * patch))):
        patches = sliding_windows(window, part.to(dtype))
        yield patches.reshape(len(part) * math.prod(size), window.groups, -1).contiguous().transpose(0, 1)


def _exact_parts(kernels: Tensor, largest: int, groups: int) -> tuple[int, torch.dtype]:
    """How many parts of its channels a convolution takes to be exact, and of which type; two or three of float32."""
    needs = largest * kernels.abs().sum((2, 3))
    for count in range(1, 4 if groups == 1 else 2):
        if exact_dtype(max(float(part.sum(1).max()) for part in needs.chunk(count, 1))) == torch.float32:
            return len(needs.chunk(count, 1)), torch.float32
    return 1, torch.float64
