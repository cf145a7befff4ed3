"""The engine for processors: inputs as planes of bits, weights as lists of rows that are counted.

It takes cells of whole numbers and converters whose step is a power of two, and gives the bits of
`moopim.network.crossbar.product`. It needs numba, the extra ``compiled``.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from moopim.errors import ConfigError
from moopim.network.crossbar.plan import Columns, Plan
from moopim.network.crossbar.slices import slice_count
from moopim.network.crossbar.window import Window
from moopim.typing import IntArray, WordArray

__all__ = ["Program", "add_planes", "compile_plan", "compiled_planes", "worth_compiling"]


_VECTOR = 4  # words; as in `_lanes`, which cannot be imported without numba
_MOST_VECTORS = 8  # of a tile
_TILE_BYTES = 2**18  # sums of a tile: half of the cache next to a core
_MOST_PLANES = 60  # of a number
_TIES = {"even": 0, "odd": 1, "floor": 2}
_BYTE = _EIGHT = 8
_WORD = 64
# Products of digits for which torch takes about as long as compiling.
_WORTH_COMPILING = 50_000_000_000
_LINE = 8  # words of a line of the cache


class Program(NamedTuple):
    """A plan for `_planes.run_tiles`, where the arrays are explained.

    Attributes:
        words: Words of a tile of positions.
        rows: Group, row in it and sign (0: positive inputs, 1: negative ones) of each row, shape ``(rows, 3)``.
        units: Blocks of rows, shape ``(units, 4)``.
        entries: Outputs of the blocks, shape ``(entries, 3)``.
        columns: Their columns, shape ``(columns, 4)``.
        lists: Where their lists are, shape ``(columns, 2 cell bits + 1)``.
        at: Rows of the lists.
        setup: Numbers for all.
        corrections: What each output has too much, shape ``(outputs,)``.
    """

    words: int
    rows: IntArray
    units: IntArray
    entries: IntArray
    columns: IntArray
    lists: IntArray
    at: IntArray
    setup: tuple[int, ...]
    corrections: IntArray


class _Work:
    """What has been computed in this process so far."""

    products = 0


def worth_compiling(plan: Plan, positions: int) -> bool:
    """Tells whether so much has been computed that compiling pays off.

    Args:
        plan: What is to be computed now.
        positions: Outputs of a channel.

    Returns:
        Whether to use this engine, if it can be used.
    """
    digits = slice_count(plan.input_bits, plan.dac_bits)
    _Work.products += positions * digits * sum(part.levels.numel() for part in plan.columns)
    return _Work.products >= _WORTH_COMPILING


@cache
def compiled_planes() -> ModuleType | None:
    """The compiled loops.

    Returns:
        The module `moopim.network.crossbar._planes`; ``None`` without numba.
    """
    return import_module("moopim.network.crossbar._planes") if find_spec("numba") else None


def compile_plan(plan: Plan) -> Program | None:
    """Makes the program of a plan.

    Args:
        plan: The plan.

    Returns:
        The program; None if this engine cannot run it.
    """
    shift = plan.converter.shift
    if not plan.whole or shift is None or not plan.columns or abs(shift) > _MOST_PLANES:
        return None
    parts = [_by_output(part) for part in plan.columns]
    levels = [part.levels.to(torch.int64).cpu().numpy() for part in parts]
    if plan.signed:
        levels = [np.concatenate([level, -level], axis=1) for level in levels]
    cell_bits = max(1, int(max(np.abs(level).max(initial=0) for level in levels)).bit_length())
    columns, widths = _columns(plan, parts, shift, plan.dac_bits + cell_bits + 2)
    digits = sum(2**digit for digit in range(0, plan.input_bits - 1, plan.dac_bits))
    entries, units, near, most = _layout(plan, parts, levels, columns[:, 1] + widths, digits)
    far = -(-most // _BYTE) * _BYTE
    if max(near, far, int(columns[:, 0].max())) > _MOST_PLANES:
        return None
    vectors = _TILE_BYTES // (plan.outputs * far * _VECTOR * _BYTE)
    words = _VECTOR * min(max(1, vectors), _MOST_VECTORS)
    lists, at = _lists(levels, cell_bits, words)
    corrections = np.zeros(plan.outputs, dtype=np.int64)
    outputs = np.concatenate([part.outputs.cpu().numpy() for part in parts])
    np.add.at(corrections, outputs, digits << (columns[:, 1] + widths - 1))
    bits = plan.converter.limit.bit_length() + 1
    setup = (shift, bits, _TIES[plan.converter.ties], plan.dac_bits, plan.input_bits - 1, near, far)
    return Program(words, _rows(plan, parts), units, entries, columns, lists, at, setup, corrections)


def add_planes(program: Program, plan: Plan, codes: Tensor, window: Window, sums: Tensor) -> None:
    """Adds what the columns of a plan give.

    Args:
        program: That of the plan.
        plan: The plan.
        codes: Inputs of an integer type, shape ``(images, channels, height, width)``.
        window: Of the convolution.
        sums: Where to add (float64), contiguous, shape ``(images, outputs, height, width)``.

    Raises:
        ConfigError: If program, plan, inputs and sums do not fit together: compiled loops do not look where they write.
    """
    loops = compiled_planes()
    if loops is None:
        raise ImportError("numba is not installed; expected the extra 'compiled'")
    _check_fit(program, plan, codes, window, sums)
    images, channels, height, width = codes.shape
    grid = _Grid.of(window, height, width)
    size = window.output_size(height, width)
    positions = images * grid.height * grid.width
    tile = program.words * _WORD
    tiles = -(-positions // tile)
    reach = (window.kernel[0] * window.dilation[0]) * grid.width + window.kernel[1] * window.dilation[1]
    words = tiles * program.words + reach // _WORD + 2
    planes = _planes(loops, plan, codes, window, grid, words)
    sources = _sources(program.rows, plan, channels, window, grid)
    runs, run_starts = _runs(images, plan.outputs, size, grid, tile, tiles)
    flat = sums.view(-1).numpy()
    setup = (*program.setup, math.prod(size))
    arrays = (program.units, program.entries, program.columns, program.lists, program.at)

    def run(first: int, last: int) -> None:
        space = _space(loops, program)
        loops.run_tiles(
            *(first, last, program.words, positions, planes, sources, *arrays, setup),
            *(program.corrections, runs, run_starts, space, flat),
        )

    parts = min(torch.get_num_threads(), tiles)
    bounds = [tiles * part // parts for part in range(parts + 1)]
    if parts == 1:
        run(*bounds)
    else:
        with ThreadPoolExecutor(parts) as threads:
            list(threads.map(run, bounds[:-1], bounds[1:]))


def _check_fit(program: Program, plan: Plan, codes: Tensor, window: Window, sums: Tensor) -> None:
    if codes.ndim != 4 or codes.is_floating_point() or codes.device.type != "cpu" or not codes.numel():  # noqa: PLR2004
        raise ConfigError(
            f"inputs have shape {tuple(codes.shape)} and type {codes.dtype}; expected whole numbers (images, channels, "
            "height, width)"
        )
    expected = (len(codes), plan.outputs, *window.output_size(*codes.shape[2:]))
    if tuple(sums.shape) != expected or sums.dtype != torch.float64 or not sums.is_contiguous():
        raise ConfigError(f"sums have shape {tuple(sums.shape)} and type {sums.dtype}; expected float64 {expected}")
    rows, last = codes.shape[1] // plan.groups * math.prod(window.kernel), int(program.rows[:, 1].max(initial=-1))
    if len(program.corrections) != plan.outputs or last >= rows:
        raise ConfigError(
            f"the program has {len(program.corrections)} outputs and reads row {last}; expected {plan.outputs} outputs "
            f"and rows below {rows}, as plan and inputs have"
        )


def _space(loops: ModuleType, program: Program) -> WordArray:
    """Room for one thread, at an address that vectors may have."""
    tallest = int((program.units[:, 1] - program.units[:, 0]).max())
    *_, dac_bits, _, _, far = program.setup
    words = loops.room(len(program.corrections), program.words, far, dac_bits, tallest)
    space = np.empty(words + _LINE, dtype=np.uint64)
    start = -space.ctypes.data % (_BYTE * _LINE) // _BYTE
    return space[start : start + words]


class _Grid(NamedTuple):
    """Positions of an image as they are numbered: those of outputs, and what lies between them.

    Rows share their padding with the next, and images too, where outputs are side by side.
    """

    height: int
    width: int

    @classmethod
    def of(cls, window: Window, height: int, width: int) -> _Grid:
        sizes = (height, width)
        return cls(
            *(
                max(size + pad, out) if stride == 1 else -(-(size + 2 * pad) // stride)
                for size, out, pad, stride in zip(
                    sizes, window.output_size(*sizes), window.padding, window.stride, strict=True
                )
            )
        )


def _planes(loops: ModuleType, plan: Plan, codes: Tensor, window: Window, grid: _Grid, words: int) -> WordArray:
    """Bits of the magnitudes, shape ``(channels, bits, words)``: each channel for every phase of the strides.

    Negative inputs are channels of their own, behind all others.
    """
    images, channels, height, width = codes.shape
    (stride_y, stride_x), (pad_y, pad_x) = window.stride, window.padding
    bits = plan.input_bits - 1
    sides = [codes.clamp_min(0), codes.neg().clamp_min(0)] if plan.signed else [codes]
    phases = len(sides) * channels * stride_y * stride_x
    planes = np.zeros((phases, bits, words), dtype=np.uint64)
    for low in range(0, bits, _BYTE):
        padded = torch.zeros(
            (len(sides) * channels, images, grid.height * stride_y, grid.width * stride_x), dtype=torch.uint8
        )
        for side, values in enumerate(sides):
            part = padded[side * channels : (side + 1) * channels]
            some = (values >> low & 255).to(torch.uint8).transpose(0, 1)
            inside = part[:, :, pad_y : pad_y + height, pad_x : pad_x + width]
            inside.copy_(some[:, :, : inside.shape[2], : inside.shape[3]])
        split = padded.reshape(-1, images, grid.height, stride_y, grid.width, stride_x).permute(0, 3, 5, 1, 2, 4)
        count = -(-images * grid.height * grid.width // _WORD)
        buffer = np.zeros((phases, count * _WORD), dtype=np.uint8)
        buffer[:, : images * grid.height * grid.width] = split.reshape(phases, -1).numpy()
        loops.pack(buffer.view(np.uint64), planes[:, low : low + _BYTE], count)
    return planes


def _sources(rows: IntArray, plan: Plan, channels: int, window: Window, grid: _Grid) -> IntArray:
    """Plane and first position of each row."""
    (high, wide), (stride_y, stride_x), dilation = window.kernel, window.stride, window.dilation
    channel, place = np.divmod(rows[:, 1], high * wide)
    y, x = place // wide * dilation[0], place % wide * dilation[1]
    channel += rows[:, 0] * (channels // plan.groups) + rows[:, 2] * channels
    plane = (channel * stride_y + y % stride_y) * stride_x + x % stride_x
    return np.stack([plane, y // stride_y * grid.width + x // stride_x], axis=1)


def _runs(
    images: int, outputs: int, size: tuple[int, int], grid: _Grid, tile: int, tiles: int
) -> tuple[IntArray, IntArray]:
    """Outputs side by side, cut where tiles end: position in the tile, number and place among all outputs."""
    image, y = (part.ravel() for part in np.divmod(np.arange(images * size[0]), size[0]))
    begin = (image * grid.height + y) * grid.width
    place = image * outputs * math.prod(size) + y * size[1]
    cuts = np.unique(np.concatenate([begin, begin + size[1], np.arange(tiles) * tile]))
    row = np.searchsorted(begin, cuts, side="right") - 1
    length = np.diff(cuts, append=cuts[-1])
    inside = (row >= 0) & (cuts < begin[row] + size[1]) & (length > 0)
    cuts, row, length = cuts[inside], row[inside], length[inside]
    runs = np.stack([cuts % tile, length, place[row] + cuts - begin[row]], axis=1)
    return runs, np.searchsorted(cuts, np.arange(tiles + 1) * tile)


def _by_output(part: Columns) -> Columns:
    order = torch.argsort(part.outputs, stable=True)
    chosen = (tensor[order] for tensor in (part.outputs, part.factors, part.levels, part.bounds))
    return Columns(part.group, part.rows, *chosen)


def _columns(plan: Plan, parts: list[Columns], shift: int, least: int) -> tuple[IntArray, IntArray]:
    """Planes, shift of the codes, clipping and sign of all columns, and the bits of their codes."""
    bounds = torch.cat([part.bounds for part in parts])
    factors = torch.cat([part.factors for part in parts]).cpu().numpy()
    converter = plan.converter
    rounded = torch.maximum(converter.round_(bounds.clone()).abs(), converter.round_(-bounds).abs())
    clips = (rounded > converter.limit).cpu().numpy()
    depth = np.frexp(bounds.cpu().numpy())[1] + 1  # bits of the bound, and a sign
    depth = np.maximum(depth, max(shift + 2, least))
    offset = np.frexp(np.abs(factors))[1] - 1
    columns = np.stack([depth, offset, clips, factors < 0], axis=1).astype(np.int64)
    return columns, np.where(clips, converter.limit.bit_length() + 1, columns[:, 0] - shift)


def _layout(
    plan: Plan, parts: list[Columns], levels: list[IntArray], tops: IntArray, digits: int
) -> tuple[IntArray, IntArray, int, int]:
    """Entries and blocks, and the bits of an output in a block and in all; ``tops`` are one above those of codes."""
    entries: list[tuple[int, ...]] = []
    units: list[tuple[int, ...]] = []
    row, column = 0, 0
    near, totals = 0, np.zeros(plan.outputs, dtype=object)
    for part, level in zip(parts, levels, strict=True):
        outputs, first, counts = np.unique(part.outputs.cpu().numpy(), return_index=True, return_counts=True)
        starts = column + first
        units.append((row, row + level.shape[1], len(entries), len(entries) + len(outputs)))
        entries += list(zip(outputs, starts, starts + counts, strict=True))
        for output, start, count in zip(outputs, starts, counts, strict=True):
            most = sum(2 ** int(top) for top in tops[start : start + count])
            near = max(near, most.bit_length())
            totals[output] += most * digits
        row, column = row + level.shape[1], column + len(level)
    return np.array(entries), np.array(units), near, int(max(totals)).bit_length()


def _lists(levels: list[IntArray], cell_bits: int, words: int) -> tuple[IntArray, IntArray]:
    """Rows of each bit of the negative digits of a column, then of the positive ones; a row of zeros fills them up."""
    starts, ats, end = [], [], 0
    for level in levels:
        bits = [
            (np.abs(level) >> b & 1).astype(bool) & (level < 0 if below else level > 0)
            for below in (True, False)
            for b in range(cell_bits)
        ]
        members = np.stack(bits, axis=1)  # columns, lists, rows
        padded = -(-members.sum(2) // _EIGHT) * _EIGHT
        ends = end + padded.ravel().cumsum()
        begins = (ends - padded.ravel()).reshape(padded.shape)
        at = np.full(padded.sum(), level.shape[1], dtype=np.int64)
        column, which, row = members.nonzero()
        place = begins[column, which] - end + (members.cumsum(2) - 1)[column, which, row]
        at[place] = row
        starts.append(4 * np.concatenate([begins, ends.reshape(padded.shape)[:, -1:]], axis=1))
        ats.append((at * words * _BYTE).astype(np.int32))
        end = int(ends[-1])
    return np.concatenate(starts), np.concatenate(ats)


def _rows(plan: Plan, parts: list[Columns]) -> IntArray:
    """Group, row and sign of the rows of all blocks."""
    rows = [(part.group, row, sign) for part in parts for sign in range(1 + plan.signed) for row in range(*part.rows)]
    return np.array(rows, dtype=np.int64)
