"""Conversions of many positions at a time, a bit of each in a word; compiled by numba, for `planes`.

Numbers lie in planes: plane ``t`` holds bit ``t`` of 256 positions side by side. Sums over rows are counted with full
adders (Harley and Seal's carry-save tree; Warren, Hacker's Delight, 2nd ed., section 5-2), and converted, shifted and
added as planes too. Five logical operations add a row to 256 positions.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from moopim.network.crossbar._lanes import (
    WORDS,
    all_ones,
    all_zeros,
    both,
    differ,
    either,
    invert,
    left,
    load,
    peek,
    repeat,
    right,
    store,
)
from moopim.typing import FloatArray, IntArray, WordArray

__all__ = ["pack", "run_tiles"]

EVEN, ODD, FLOOR = 0, 1, 2
MOST_PLANES = 64
SIZE = 8 * WORDS  # bytes of a vector
LIST_SIZE = 4 * 8  # bytes of eight rows in a list
IN_REGISTERS = 8  # planes of a counter

Numbers = tuple[int, ...]
Lanes = Any  # a vector, of a type that only numba knows


@njit(nogil=True)
def pack(codes: WordArray, planes: WordArray, words: int) -> None:
    """Takes bytes apart: bit ``b`` of eight bytes at a time.

    Args:
        codes: Eight bytes in each word, shape ``(channels, 8 words)``.
        planes: Where to put the bits, shape ``(channels, bits, ...)``.
        words: Words to fill of each.
    """
    lowest, gather = np.uint64(0x0101010101010101), np.uint64(0x0102040810204080)
    for c in range(planes.shape[0]):
        for w in range(words):
            for b in range(planes.shape[1]):
                word = np.uint64(0)
                for k in range(8):
                    eight = (codes[c, 8 * w + k] >> np.uint64(b)) & lowest
                    word |= ((eight * gather) >> np.uint64(56)) << np.uint64(8 * k)
                planes[c, b, w] = word


@njit(inline="always")
def _full(a: Lanes, b: Lanes, c: Lanes) -> tuple[Lanes, Lanes]:
    """Full adder: sum and carry of three bits."""
    u = differ(a, b)
    return differ(u, c), either(both(a, b), both(u, c))


@njit()
def _ripple(planes: int, start: int, end: int, carry: Lanes) -> None:
    """Adds a bit at plane ``start``."""
    for t in range(start, end):
        plane = load(planes + t * SIZE)
        store(planes + t * SIZE, differ(plane, carry))
        carry = both(plane, carry)


@njit()
def _fill(planes: int, end: int, vector: Lanes) -> None:
    for t in range(end):
        store(planes + t * SIZE, vector)


@njit()
def _invert(planes: int, end: int) -> None:
    for t in range(end):
        store(planes + t * SIZE, invert(load(planes + t * SIZE)))


@njit(inline="always")
def _eight(rows: int, at: int, ones: Lanes, twos: Lanes, fours: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Adds eight rows; the totals last, so that a round waits for one operation of the round before."""
    x, a = _full(load(rows + peek(at)), load(rows + peek(at + 4)), load(rows + peek(at + 8)))
    y, b = _full(load(rows + peek(at + 12)), load(rows + peek(at + 16)), load(rows + peek(at + 20)))
    z, c = _full(load(rows + peek(at + 24)), load(rows + peek(at + 28)), x)
    ones, d = _full(y, z, ones)
    x, a = _full(a, b, c)
    twos, b = _full(d, x, twos)
    fours, a = _full(a, b, fours)
    return ones, twos, fours, a


@njit(inline="always")
def _half(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """Half adder: sum and carry of two bits."""
    return differ(a, b), both(a, b)


@njit()
def _count(counter: int, depth: int, rows: int, at: int, end: int) -> None:
    """Adds the rows of a list, eight by eight, to a counter of ``depth`` planes; up to eight more are overwritten."""
    p0, p1, p2, p3 = load(counter), load(counter + SIZE), load(counter + 2 * SIZE), load(counter + 3 * SIZE)
    high = counter + 4 * SIZE
    p4, p5, p6, p7 = load(high), load(high + SIZE), load(high + 2 * SIZE), load(high + 3 * SIZE)
    while at < end:
        p0, p1, p2, a = _eight(rows, at, p0, p1, p2)
        at += LIST_SIZE
        if at < end:
            p0, p1, p2, b = _eight(rows, at, p0, p1, p2)
            at += LIST_SIZE
            p3, a = _full(a, b, p3)
        else:
            p3, a = _half(a, p3)
        p4, a = _half(a, p4)
        p5, a = _half(a, p5)
        p6, a = _half(a, p6)
        p7, a = _half(a, p7)
        _ripple(counter, IN_REGISTERS, depth, a)
    store(counter, p0)
    store(counter + SIZE, p1)
    store(counter + 2 * SIZE, p2)
    store(counter + 3 * SIZE, p3)
    store(high, p4)
    store(high + SIZE, p5)
    store(high + 2 * SIZE, p6)
    store(high + 3 * SIZE, p7)


@njit()
def _plane(counter: int, depth: int, t: int) -> Lanes:
    """Bit ``t`` of signed numbers of ``depth`` bits, whatever ``t``."""
    if t < 0:
        return all_zeros()
    return load(counter + min(t, depth - 1) * SIZE)


@njit()
def _rounding(counter: int, shift: int, ties: int) -> Lanes:
    """What rounding adds to the floor of ``counter / 2^shift``."""
    if shift <= 0 or ties == FLOOR:
        return all_zeros()
    more = load(counter + shift * SIZE)
    if ties == ODD:
        more = invert(more)
    for t in range(shift - 1):
        more = either(more, load(counter + t * SIZE))
    return both(more, load(counter + (shift - 1) * SIZE))


@njit()
def _clip(counter: int, depth: int, shift: int, bits: int, up: Lanes, code: int) -> Lanes:
    """Code of ``bits`` bits as an unsigned number, half of its range more; ``up`` is what rounding adds.

    Returns what is still to be added: the smallest signed number is no code, and one that is clipped is not rounded.
    """
    sign = load(counter + (depth - 1) * SIZE)
    over = all_zeros()
    if shift + bits < 1:
        over = sign
    for t in range(max(shift + bits - 1, 0), depth - 1):
        over = either(over, differ(sign, load(counter + t * SIZE)))
    high, fine = both(over, invert(sign)), invert(both(over, sign))
    every, some = all_ones(), all_zeros()
    for t in range(bits):
        plane = _plane(counter, depth, shift + t)
        if t == bits - 1:
            plane = invert(plane)
        plane = both(either(plane, high), fine)
        every, some = both(every, plane), either(some, plane)
        store(code + t * SIZE, plane)
    return either(both(up, invert(every)), invert(some))


@njit()
def _keep(counter: int, depth: int, shift: int, code: int) -> None:
    """As `_clip`, of sums within the range."""
    for t in range(depth - shift - 1):
        store(code + t * SIZE, _plane(counter, depth, shift + t))
    store(code + (depth - shift - 1) * SIZE, invert(load(counter + (depth - 1) * SIZE)))


@njit()
def _add(total: int, start: int, end: int, code: int, width: int, carry: Lanes) -> None:
    """Adds an unsigned number and a carry to another, from plane ``start`` on."""
    for t in range(width):
        plane, carry = _full(load(total + (start + t) * SIZE), load(code + t * SIZE), carry)
        store(total + (start + t) * SIZE, plane)
    _ripple(total, start + width, end, carry)


@njit()
def _slide(planes: WordArray, sources: IntArray, bit: int, first: int, words: int, used: int, rows: WordArray) -> None:
    """Rows of one bit of the inputs, each the plane of a channel from a position of its own on, then one of zeros."""
    for r in range(len(sources)):
        shift = sources[r, 1]
        word, left = first + (shift >> 6), np.uint64(shift & 63)
        plane = planes[sources[r, 0], bit]
        for w in range(used):
            value = plane[word + w] >> left
            if left:
                value |= plane[word + w + 1] << (np.uint64(64) - left)
            rows[r * words + w] = value
    rows[len(sources) * words : (len(sources) + 1) * words] = 0


@njit(inline="always")
def _swap(planes: int, a: int, b: int, width: int, mask: Lanes) -> None:
    """Exchanges bits of two planes: one step of the transposition of 8 x 8 bits (Hacker's Delight, section 7-3)."""
    upper, lower = load(planes + a * SIZE), load(planes + b * SIZE)
    moved = both(differ(right(upper, width), lower), mask)
    store(planes + b * SIZE, differ(lower, moved))
    store(planes + a * SIZE, differ(upper, left(moved, width)))


@njit()
def _spread(planes: int) -> None:
    """Turns eight planes of bits into bytes: byte ``i`` of word ``w`` of vector ``r`` is of position 64 w + 8 i + r."""
    four, two, one = repeat(0x0F0F0F0F0F0F0F0F), repeat(0x3333333333333333), repeat(0x5555555555555555)
    for r in range(4):
        _swap(planes, r, r + 4, 4, four)
    for r in range(2):
        _swap(planes, r, r + 2, 2, two)
        _swap(planes, r + 4, r + 6, 2, two)
    for r in range(0, 8, 2):
        _swap(planes, r, r + 1, 1, one)


@njit()
def _collect(
    bytes_: NDArray[np.uint8],
    far: int,
    correction: int,
    runs: IntArray,
    begin: int,
    numbers: IntArray,
    sums: FloatArray,
    place: int,
) -> None:
    """Adds the numbers of 256 positions, from position ``begin`` of the tile on, to where they belong."""
    numbers[:] = -correction
    for q in range(far // 8):
        some = bytes_[64 * WORDS * q : 64 * WORDS * (q + 1)]
        for k in range(64 * WORDS):
            numbers[k] += np.int64(some[k]) << (8 * q)
    for r in range(len(runs)):
        to = runs[r, 2] + place - runs[r, 0]
        for k in range(max(runs[r, 0], begin), min(runs[r, 0] + runs[r, 1], begin + 64 * WORDS)):
            sums[to + k] += numbers[((k & 7) << (WORDS + 1)) | ((k - begin) >> 3)]


@njit()
def _convert(
    column: IntArray,
    lists: IntArray,
    at: int,
    rows: int,
    plane_bytes: int,
    digit_bits: int,
    adc: Numbers,
    counter: int,
    code: int,
    local: int,
) -> None:
    """Counts, converts and adds one column for the positions of a vector."""
    depth, offset, clips, subtracts = column[0], column[1], column[2], column[3]
    shift, bits, ties, cell_bits, near = adc
    # Negative digits first: the complement of what they make of -1 is less by them than 0.
    _fill(counter, depth, all_ones())
    for b in range(2 * cell_bits):
        if b == cell_bits:
            _invert(counter, depth)
        level = b % cell_bits
        for a in range(digit_bits):
            up = a + level
            if lists[b] < lists[b + 1]:
                _count(counter + up * SIZE, depth - up, rows + a * plane_bytes, at + lists[b], at + lists[b + 1])
    up = _rounding(counter, shift, ties)
    width = bits
    if clips:
        up = _clip(counter, depth, shift, bits, up, code)
    else:
        width = depth - shift
        _keep(counter, depth, shift, code)
    if subtracts:
        up = invert(up)
        _invert(code, width)
    _add(local, offset, near, code, width, up)


@njit()
def _block(
    entries: IntArray,
    columns: IntArray,
    lists: IntArray,
    at: int,
    rows: int,
    plane_bytes: int,
    digit: int,
    digit_bits: int,
    adc: Numbers,
    vectors: int,
    used: int,
    far: int,
    total: int,
    counter: int,
) -> None:
    """Converts and adds the columns of a block of rows for one digit of the inputs; the last two are places to work."""
    near = adc[4]
    code = counter + MOST_PLANES * SIZE
    local = code + MOST_PLANES * SIZE
    for e in range(len(entries)):
        _fill(local, used * near, all_zeros())
        for c in range(entries[e, 1], entries[e, 2]):
            for vector in range(used):
                here, to = rows + vector * SIZE, local + vector * near * SIZE
                _convert(columns[c], lists[c], at, here, plane_bytes, digit_bits, adc, counter, code, to)
        for vector in range(used):
            to = total + (entries[e, 0] * vectors + vector) * far * SIZE
            _add(to, digit, far, local + vector * near * SIZE, near, all_zeros())


@njit(nogil=True)
def run_tiles(
    first: int,
    last: int,
    words: int,
    positions: int,
    planes: WordArray,
    sources: IntArray,
    units: IntArray,
    entries: IntArray,
    columns: IntArray,
    lists: IntArray,
    at: NDArray[np.int32],
    setup: Numbers,
    corrections: IntArray,
    runs: IntArray,
    run_starts: IntArray,
    space: WordArray,
    sums: FloatArray,
) -> None:
    """Converts and adds, a tile of positions after the other.

    Args:
        first: First tile.
        last: The one behind the last.
        words: Words of a tile.
        positions: Positions in all.
        planes: Bits of the inputs, shape ``(channels, bits, words)``.
        sources: Channel and first position of each row, shape ``(rows, 2)``.
        units: First row and entry of each block of rows, and those behind its last, shape ``(units, 4)``.
        entries: Output, first column and the one behind the last, shape ``(entries, 3)``.
        columns: Planes of its sums, shift of its codes, whether they may be clipped and are subtracted, shape
            ``(columns, 4)``.
        lists: Where the rows of a column begin and end in ``at`` (bytes): those of negative digits, bit by bit, then
            those of positive ones, shape ``(columns, 2 cell bits + 1)``.
        at: Rows (int32), in bytes from the first, in groups of eight.
        setup: Shift and bits of the ADC, its ties, bits of a DAC, bits of an input, planes of an output within one
            block and in all, outputs of a channel.
        corrections: What an output has too much, shape ``(outputs,)``.
        runs: Position in a tile, number, and place in ``sums`` for output 0, of outputs side by side, shape
            ``(runs, 3)``.
        run_starts: First run of each tile, and the end.
        space: Room for work, as much as `room` says, its address a multiple of `SIZE`.
        sums: Where to add, flat.
    """
    shift, bits, ties, dac_bits, input_bits, near, far, apart = setup
    cell_bits, vectors = (lists.shape[1] - 1) // 2, words // WORDS
    adc = (shift, bits, ties, cell_bits, near)
    start = (2 + vectors) * MOST_PLANES * WORDS
    end = start + len(corrections) * words * far
    totals, rows = space[start:end], space[end:]
    # As numbers, so that inner functions take few arguments; `space` and `at` live as long as this call.
    at_address: Any = np.int64(at.ctypes.data)
    counter: Any = np.int64(space.ctypes.data)
    total, row_address = counter + 8 * start, counter + 8 * end
    numbers, bytes_ = np.empty(64 * WORDS, np.int64), totals.view(np.uint8)
    for tile in range(first, last):
        used = min(vectors, -((tile * words * 64 - positions) // (64 * WORDS)))
        totals[:] = 0
        for u in range(len(units)):
            some = sources[units[u, 0] : units[u, 1]]
            plane_words = (len(some) + 1) * words
            for digit in range(0, input_bits, dac_bits):
                digit_bits = min(dac_bits, input_bits - digit)
                for a in range(digit_bits):
                    _slide(planes, some, digit + a, tile * words, words, used * WORDS, rows[a * plane_words :])
                _block(
                    entries[units[u, 2] : units[u, 3]],
                    columns,
                    lists,
                    at_address,
                    row_address,
                    8 * plane_words,
                    digit,
                    digit_bits,
                    adc,
                    vectors,
                    used,
                    far,
                    total,
                    counter,
                )
        here = runs[run_starts[tile] : run_starts[tile + 1]]
        for o in range(len(corrections)):
            for vector in range(used):
                start = (o * vectors + vector) * far * WORDS
                for q in range(far // 8):
                    _spread(total + 8 * start + 8 * q * SIZE)
                part = bytes_[8 * start : 8 * (start + far * WORDS)]
                _collect(part, far, corrections[o], here, 64 * WORDS * vector, numbers, sums, o * apart)


@njit()
def room(outputs: int, words: int, far: int, dac_bits: int, tallest: int) -> int:
    """WordArray of `space` that `run_tiles` needs, for the most rows of a block."""
    return MOST_PLANES * (2 * WORDS + words) + outputs * words * far + dac_bits * (tallest + 1) * words
