"""Bit-plane engine for processors: carry-save counters over packed bits, compiled by numba (the extra ``compiled``).

A word holds one bit of 64 positions, a number is a stack of such planes. A column's sum is counted with full adders
(the carry-save tree of Harley and Seal; Warren, Hacker's Delight, 2nd ed., section 5-2), converted, shifted and added
in planes too, for all digits of the inputs side by side. An inverted row counts for a negative level: ``-x = ~x - 1``
of a bit. Inner loops run over the words of a tile, so that the compiler vectorises them.

The engine takes cells of whole levels and ADCs whose step is a power of two; results are those of
`moopim.network.crossbar.engines` to the bit.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numba import njit
from torch import Tensor

from moopim.errors import ConfigError
from moopim.network.crossbar.mapping import Window, slice_count, sliding_windows
from moopim.network.crossbar.plan import Columns, Plan
from moopim.typing import FloatArray, IntArray, WordArray

Word: TypeAlias = np.uint64

_EVEN, _ODD, _FLOOR = 0, 1, 2
_TIES = {"even": _EVEN, "odd": _ODD, "floor": _FLOOR}
_ONES = np.uint64(2**64 - 1)
_WORD = 64  # positions
_MOST_PLANES = 60  # of a number
_ADDED = 16  # rows that are counted at a time
_LEAST_PLANES = 5  # of a counter that 16 rows are added to
_LEAST_WORDS = 4  # of a tile
_TILE_WORDS = 64  # of all digits side by side
_ROWS_BYTES = 2**18  # of the rows of a tile: half of the cache next to a core
_PATCH_BYTES = 2**20  # of unfolded inputs at a time and thread
_BYTE_BITS = 8


class Layout(NamedTuple):
    """Blocks of rows, their outputs and columns, as arrays for the compiled loops.

    Attributes:
        blocks: Group, first row in it, number of rows, and end of the entries, shape ``(blocks, 4)``.
        entries: Output and end of its columns, shape ``(entries, 2)``.
        columns: Planes of the counter, its start value, shift of the codes, and 1 if they are subtracted, shape
            ``(columns, 4)``.
        starts: Start of the list of each bit of the levels, and the end, shape ``(columns, cell bits + 1)``.
        lists: Rows of the columns: inverted ones for negative levels, and rows of zeros up to a multiple of 16.
        corrections: Sum of what codes are offset by, shape ``(outputs,)``.
    """

    blocks: IntArray
    entries: IntArray
    columns: IntArray
    starts: IntArray
    lists: WordArray
    corrections: IntArray


class PlanesProgram(NamedTuple):
    """Plan of a layer for the compiled loops.

    Attributes:
        layout: Blocks, outputs and columns.
        adc: Shift, ties, and bits of the magnitude of a code.
        dac_bits: Bits of a digit of an input.
        depths: Planes of an output: of one block and digit, and in all.
        words: Words of a tile of positions.
    """

    layout: Layout
    adc: tuple[int, int, int]
    dac_bits: int
    depths: tuple[int, int]
    words: int


def compile_plan(plan: Plan) -> PlanesProgram | None:
    """Compile a plan; None if this engine cannot run it."""
    shift, limit = plan.adc.shift, plan.adc.limit
    if not plan.whole or shift is None or not plan.columns or abs(shift) > _MOST_PLANES or limit & (limit + 1):
        return None
    parts = [part.at(torch.argsort(part.outputs, stable=True)) for part in plan.columns]
    levels = [part.levels.to(torch.int64).cpu().numpy() for part in parts]
    if plan.signed:
        levels = [np.concatenate([level, -level], axis=1) for level in levels]
    cell_bits = max(1, int(max(np.abs(level).max(initial=0) for level in levels)).bit_length())
    starts, lists, negative = _lists(levels, cell_bits)
    adc = shift, _TIES[plan.adc.ties], limit.bit_length()
    columns = _columns(parts, adc, plan.dac_bits, cell_bits, (2**plan.dac_bits - 1) * negative)
    if columns is None:
        return None
    digits = slice_count(plan.input_bits, plan.dac_bits)
    every = sum(2 ** (digit * plan.dac_bits) for digit in range(digits))
    outputs, units = torch.cat([part.outputs for part in parts]).cpu().numpy(), 2.0 ** columns[:, 2]
    most = float(np.bincount(outputs, 2.0 * 2 ** adc[2] * units).max())
    depths = math.frexp(most)[1], math.frexp(most * every)[1]
    if depths[1] > _MOST_PLANES:
        return None
    offsets = (2 ** adc[2] - columns[:, 3]) * np.left_shift(1, columns[:, 2]) * every
    corrections = np.zeros(plan.outputs, dtype=np.int64)
    np.subtract.at(corrections, outputs, offsets)
    blocks, entries = _blocks(parts)
    rows = 2 * max(level.shape[1] for level in levels) + 1
    words = min(_TILE_WORDS, _ROWS_BYTES // (8 * plan.dac_bits * rows)) // digits
    layout = Layout(blocks, entries, columns, starts, lists, corrections)
    return PlanesProgram(layout, adc, plan.dac_bits, depths, max(_LEAST_WORDS, words))


def add_columns(program: PlanesProgram, plan: Plan, window: Window, codes: Tensor, sums: Tensor) -> None:
    """Add the sums of a plan's columns to ``sums`` (float64), shape ``(images, outputs, height, width)``.

    ``codes`` have an integer type and shape ``(images, channels, height, width)``. Raise ConfigError unless all fit
    together, since compiled loops do not check where they write.
    """
    _check_fit(program, plan, window, codes, sums)
    size, threads = sums.shape[2:], torch.get_num_threads()
    rows = (1 + plan.signed) * codes.shape[1] * math.prod(window.kernel)
    step = max(1, threads * _PATCH_BYTES // (rows * math.prod(size)))
    with ThreadPoolExecutor(threads) as pool:
        for some, total in zip(torch.split(codes, step), torch.split(sums, step), strict=True):
            positions = len(some) * math.prod(size)
            words = min(program.words, -(-positions // _WORD))
            tiles = -(-positions // (_WORD * words))
            planes = _planes(program, plan, window, some, tiles * words)
            found = np.zeros((plan.outputs, positions))
            arguments: tuple[Any, ...] = (planes, plan.groups, words, *program[1:4], *program.layout, found)
            run = partial(_run_tiles, *arguments)
            ends = [tiles * part // threads for part in range(threads + 1)]
            list(pool.map(run, ends[:-1], ends[1:]))
            total.add_(torch.from_numpy(found).reshape(plan.outputs, len(some), *size).transpose(0, 1))


def _check_fit(program: PlanesProgram, plan: Plan, window: Window, codes: Tensor, sums: Tensor) -> None:
    if codes.ndim != 4 or codes.is_floating_point() or codes.device.type != "cpu" or not codes.numel():  # noqa: PLR2004
        raise ConfigError(
            f"inputs have shape {tuple(codes.shape)} and type {codes.dtype}; expected whole numbers (images, channels, "
            "height, width)"
        )
    expected = (len(codes), plan.outputs, *window.output_size(*codes.shape[2:]))
    if tuple(sums.shape) != expected or sums.dtype != torch.float64:
        raise ConfigError(f"sums have shape {tuple(sums.shape)} and type {sums.dtype}; expected float64 {expected}")
    rows, blocks = codes.shape[1] // plan.groups * math.prod(window.kernel), program.layout.blocks
    last = int((blocks[:, 1] + blocks[:, 2]).max())
    if len(program.layout.corrections) != plan.outputs or last > rows:
        raise ConfigError(
            f"the program has {len(program.layout.corrections)} outputs and {last} rows; expected {plan.outputs} "
            f"outputs and at most {rows} rows, as plan and inputs have"
        )


def _planes(program: PlanesProgram, plan: Plan, window: Window, codes: Tensor, words: int) -> WordArray:
    """Bits of the magnitudes of unfolded inputs, shape ``(bits, sides, rows, words)``; sides: >= 0, and below 0."""
    sides = [codes.clamp_min(0), codes.neg().clamp_min(0)] if plan.signed else [codes]
    rows = codes.shape[1] * math.prod(window.kernel)
    bits = slice_count(plan.input_bits, program.dac_bits) * program.dac_bits
    planes = np.zeros((bits, len(sides), rows, words), dtype=np.uint64)
    patches = np.zeros((rows, _WORD * words), dtype=np.uint8)
    for (side, magnitudes), low in itertools.product(enumerate(sides), range(0, plan.input_bits - 1, _BYTE_BITS)):
        windows = sliding_windows(window, (magnitudes >> low & 255).to(torch.uint8)).permute(3, 4, 5, 0, 1, 2).numpy()
        patches[:, : math.prod(windows.shape[3:])].reshape(windows.shape)[...] = windows
        _pack(patches.view(np.uint64), planes[low : low + _BYTE_BITS, side])
    return planes


def _columns(
    parts: list[Columns], adc: tuple[int, int, int], dac_bits: int, cell_bits: int, negative: IntArray
) -> IntArray | None:
    """Array of the columns, see `Layout`; None if a counter needs too many planes."""
    shift, ties, bits = adc
    finer, coarser = max(0, -shift), max(0, shift)
    bias = {_EVEN: 2**coarser // 2, _ODD: max(0, 2**coarser // 2 - 1), _FLOOR: 0}[ties]
    bounds = torch.cat([part.bounds for part in parts]).cpu().numpy()
    factors = torch.cat([part.factors for part in parts]).cpu().numpy()
    least = max(dac_bits + cell_bits - 2 + finer + _LEAST_PLANES, coarser + bits + 1)
    depths = np.maximum(np.frexp((bounds + bias) * 2.0**finer)[1] + 1, least)
    if depths.max() > _MOST_PLANES:
        return None
    first = np.left_shift(bias - negative, finer) & (np.left_shift(1, depths) - 1)
    return np.stack([depths, first, np.frexp(np.abs(factors))[1] - 1, factors < 0], axis=1).astype(np.int64)


def _lists(levels: list[IntArray], cell_bits: int) -> tuple[IntArray, WordArray, IntArray]:
    """Lists of rows and their starts, see `Layout`, and the sum of the magnitudes of negative levels of each column."""
    starts, lists, end = [], [], 0
    for level in levels:
        rows = level.shape[1]
        members = np.abs(level)[:, None] >> np.arange(cell_bits)[:, None] & 1  # columns, bits, rows
        lengths = -(-members.sum(2) // _ADDED) * _ADDED
        ends = lengths.ravel().cumsum().reshape(lengths.shape)
        begins = ends - lengths
        column, bit, row = members.nonzero()
        rank = (members.cumsum(2) - 1)[column, bit, row]
        found = np.full(lengths.sum(), 2 * rows)
        found[begins[column, bit] + rank] = np.where(level[column, row] < 0, rows + row, row)
        starts.append(end + np.concatenate([begins, ends[:, -1:]], axis=1))
        lists.append(found)
        end += len(found)
    negative = np.concatenate([-level.clip(max=0).sum(1) for level in levels])
    # Unsigned, since numba wraps negative indices round.
    return np.concatenate(starts), np.concatenate(lists).astype(np.uint64), negative


def _blocks(parts: list[Columns]) -> tuple[IntArray, IntArray]:
    """Blocks of rows and their entries, see `Layout`."""
    blocks, entries, column = [], [], 0
    for part in parts:
        outputs, counts = np.unique(part.outputs.cpu().numpy(), return_counts=True)
        entries += list(zip(outputs, column + counts.cumsum(), strict=True))
        blocks.append((part.group, part.rows[0], part.rows[1] - part.rows[0], len(entries)))
        column += len(part.outputs)
    return np.array(blocks), np.array(entries)


@njit(nogil=True)
def _pack(codes: WordArray, planes: WordArray) -> None:
    """Split bytes, eight to a word, into bits; shapes ``(rows, 8 words)`` and ``(bits, rows, words)``."""
    lowest, gather = np.uint64(0x0101010101010101), np.uint64(0x0102040810204080)
    for r in range(planes.shape[1]):
        for w in range(planes.shape[2]):
            for b in range(planes.shape[0]):
                word = np.uint64(0)
                for k in range(8):
                    eight = (codes[r, 8 * w + k] >> np.uint64(b)) & lowest
                    word |= ((eight * gather) >> np.uint64(56)) << np.uint64(8 * k)
                planes[b, r, w] = word


@njit(inline="always")
def _full(a: Word, b: Word, c: Word) -> tuple[Word, Word]:
    """Full adder: sum and carry of three bits."""
    u = a ^ b
    return u ^ c, (a & b) | (u & c)


@njit(inline="always")
def _eight(rows: WordArray, w: int, i: tuple[Word, ...], p0: Word, p1: Word, p2: Word) -> tuple[Word, Word, Word, Word]:
    """Add word ``w`` of eight rows to three planes of a counter; the carry comes last."""
    x, a = _full(rows[i[0], w], rows[i[1], w], rows[i[2], w])
    y, b = _full(rows[i[3], w], rows[i[4], w], rows[i[5], w])
    z, c = _full(rows[i[6], w], rows[i[7], w], x)
    p0, d = _full(y, z, p0)
    x, a = _full(a, b, c)
    p1, b = _full(d, x, p1)
    p2, carry = _full(a, b, p2)
    return p0, p1, p2, carry


@njit()
def _ripple(planes: WordArray, start: int, carry: WordArray) -> None:
    """Add a bit at plane ``start``; two planes at a time, or one is left. ``carry`` is changed."""
    for t in range(start, len(planes) - 1, 2):
        for w in range(len(carry)):
            bit, low, high = carry[w], planes[t, w], planes[t + 1, w]
            planes[t, w] = low ^ bit
            planes[t + 1, w] = high ^ (low & bit)
            carry[w] = low & high & bit
    if (len(planes) - start) % 2 == 1:
        for w in range(len(carry)):
            planes[-1, w] ^= carry[w]


@njit()
def _load(rows: WordArray, planes: WordArray) -> None:
    """Copy a tile's rows, all digits side by side: planes of bits, their inverses, and zeros, for each bit of a DAC."""
    bits, sides, count, words = planes.shape
    tall = sides * count
    for bit in range(bits):
        d, a = divmod(bit, len(rows))
        for side in range(sides):
            for r in range(count):
                for w in range(words):
                    rows[a, side * count + r, d * words + w] = planes[bit, side, r, w]
                    rows[a, tall + side * count + r, d * words + w] = ~planes[bit, side, r, w]
    rows[:, 2 * tall] = 0


@njit()
def _count(counter: WordArray, up: int, rows: WordArray, members: WordArray, carry: WordArray) -> None:
    """Add rows, 16 at a time, to a counter from plane ``up`` on."""
    for at in range(0, len(members), _ADDED):
        # Read in front of the loop, or it is not vectorised: the compiler cannot know that it does not change them.
        m, n = members[at : at + 8], members[at + 8 : at + 16]
        i = m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]
        j = n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]
        for w in range(len(carry)):
            p0, p1, p2, a = _eight(rows, w, i, counter[up, w], counter[up + 1, w], counter[up + 2, w])
            p0, p1, p2, b = _eight(rows, w, j, p0, p1, p2)
            counter[up, w], counter[up + 1, w], counter[up + 2, w] = p0, p1, p2
            counter[up + 3, w], carry[w] = _full(a, b, counter[up + 3, w])
        _ripple(counter, up + 4, carry)


@njit()
def _sum(
    counter: WordArray, start: int, up: int, rows: WordArray, lists: WordArray, ends: IntArray, carry: WordArray
) -> None:
    """Count a column from a start value on: the rows of each bit of a level, for each bit of a digit."""
    for t in range(len(counter)):
        counter[t] = _ONES if (start >> t) & 1 else np.uint64(0)
    for b in range(len(ends) - 1):
        for a in range(len(rows)):
            _count(counter, up + b + a, rows[a], lists[ends[b] : ends[b + 1]], carry)


@njit()
def _break_ties(counter: WordArray, shift: int, ties: int, some: WordArray, every: WordArray) -> None:
    """Make codes of ties even or odd; sums are biased by half a code, one unit less if codes are to be odd."""
    some[:], every[:] = 0, _ONES
    for t in range(shift):
        for w in range(len(some)):
            some[w] |= counter[t, w]
            every[w] &= counter[t, w]
    for w in range(len(some)):
        counter[shift, w] = counter[shift, w] & some[w] if ties == _EVEN else counter[shift, w] | every[w]


@njit()
def _clip(low: WordArray, high: WordArray, sign: WordArray, some: WordArray, every: WordArray, over: WordArray) -> None:
    """Clip codes to the magnitudes that their low planes hold."""
    some[:], every[:], over[:] = 0, _ONES, 0
    for t in range(len(low)):
        for w in range(len(some)):
            some[w] |= low[t, w]
    for t in range(len(high)):
        for w in range(len(some)):
            every[w] &= high[t, w]
            over[w] |= high[t, w]
    for w in range(len(some)):
        over[w] &= ~sign[w]
        some[w] = sign[w] & ~(every[w] & some[w])  # below the range
    for t in range(len(low)):
        for w in range(len(some)):
            low[t, w] = (low[t, w] & ~some[w]) | over[w]
    for w in range(len(some)):
        low[0, w] |= some[w]


@njit()
def _add(total: WordArray, number: WordArray, up: int, flip: Word, carry: WordArray) -> None:
    """Add a number, inverted if ``flip`` is all ones, to another from plane ``up`` on."""
    carry[:] = 0
    for t in range(len(number)):
        for w in range(len(carry)):
            total[up + t, w], carry[w] = _full(total[up + t, w], number[t, w] ^ flip, carry[w])
    _ripple(total, up + len(number), carry)


@njit()
def _collect(total: WordArray, correction: int, tile: int, numbers: IntArray, sums: FloatArray) -> None:
    """Add the numbers of a tile's planes to the sums of an output, shape ``(positions,)``."""
    for w in range(total.shape[1]):
        first = _WORD * (tile * total.shape[1] + w)
        numbers[:] = correction
        for t in range(len(total)):
            word = total[t, w]
            for k in range(_WORD):
                numbers[k] += np.int64((word >> np.uint64(k)) & np.uint64(1)) << t
        for k in range(min(_WORD, len(sums) - first)):
            sums[first + k] += numbers[k]


@njit(nogil=True)
def _run_tiles(
    planes: WordArray,
    groups: int,
    words: int,
    adc: tuple[int, int, int],
    dac_bits: int,
    depths: tuple[int, int],
    blocks: IntArray,
    entries: IntArray,
    columns: IntArray,
    starts: IntArray,
    lists: WordArray,
    corrections: IntArray,
    sums: FloatArray,
    first: int,
    last: int,
) -> None:
    """Add the sums of tiles ``first`` to ``last`` - 1 to ``sums``, shape ``(outputs, positions)``."""
    digits, sides, each = planes.shape[0] // dac_bits, planes.shape[1], planes.shape[2] // groups
    width, finer, shift, bits = digits * words, max(0, -adc[0]), max(0, adc[0]), adc[2]
    rows = np.empty((dac_bits, 2 * sides * blocks[:, 2].max() + 1, width), np.uint64)
    counter, local = np.empty((64, width), np.uint64), np.empty((depths[0], width), np.uint64)
    total = np.empty((len(corrections), depths[1], words), np.uint64)
    carry, some = np.empty(width, np.uint64), np.empty(width, np.uint64)
    every, over = np.empty(width, np.uint64), np.empty(width, np.uint64)
    numbers = np.empty(_WORD, np.int64)
    for tile in range(first, last):
        total[:] = 0
        e = c = 0
        for block in range(len(blocks)):
            begin, count = blocks[block, 0] * each + blocks[block, 1], blocks[block, 2]
            _load(rows, planes[:, :, begin : begin + count, tile * words : (tile + 1) * words])
            while e < blocks[block, 3]:
                local[:] = 0
                while c < entries[e, 1]:
                    number = counter[: columns[c, 0]]
                    _sum(number, columns[c, 1], finer, rows, lists, starts[c], carry)
                    if shift and adc[1] != _FLOOR:
                        _break_ties(number, shift, adc[1], some, every)
                    code = number[shift : shift + bits + 1]
                    _clip(code[:bits], number[shift + bits : -1], number[-1], some, every, over)
                    code[bits] = ~number[-1]  # 2^bits more, without a sign
                    _add(local, code, columns[c, 2], _ONES if columns[c, 3] else np.uint64(0), carry)
                    c += 1
                for d in range(digits):
                    part = local[:, d * words : (d + 1) * words]
                    _add(total[entries[e, 0]], part, d * dac_bits, np.uint64(0), carry[:words])
                e += 1
        for o in range(len(corrections)):
            _collect(total[o], corrections[o], tile, numbers, sums[o])
