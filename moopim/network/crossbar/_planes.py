"""Conversions of many positions at a time, a bit of each in a word; compiled by numba, for `planes`.

Numbers lie in planes: plane ``t`` holds bit ``t`` of 256 positions side by side. Sums over rows are counted with full
adders (Harley and Seal's carry-save tree; Warren, Hacker's Delight, 2nd ed., section 5-2), and converted, shifted and
added as planes too. Five logical operations add a row to 256 positions.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from moopim.network.crossbar._lanes import WORDS, all_ones, all_zeros, both, differ, either, invert, load, peek, store

__all__ = ["pack", "run_tiles"]

EVEN, ODD, FLOOR = 0, 1, 2
MOST_PLANES = 64
SIZE = 8 * WORDS  # bytes of a vector

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]


@njit(nogil=True)
def pack(codes: Words, planes: Words, words: int) -> None:
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
def _full(a, b, c):
    """Full adder: sum and carry of three bits."""
    u = differ(a, b)
    return differ(u, c), either(both(a, b), both(u, c))


@njit
def _ripple(planes, start, end, carry):
    """Adds a bit at plane ``start``."""
    for t in range(start, end):
        plane = load(planes + t * SIZE)
        store(planes + t * SIZE, differ(plane, carry))
        carry = both(plane, carry)


@njit
def _fill(planes, end, vector):
    for t in range(end):
        store(planes + t * SIZE, vector)


@njit
def _invert(planes, end):
    for t in range(end):
        store(planes + t * SIZE, invert(load(planes + t * SIZE)))


@njit(inline="always")
def _eight(rows, at, ones, twos, fours):
    """Adds eight rows; the totals last, so that a round waits for one operation of the round before."""
    x, a = _full(load(rows + peek(at)), load(rows + peek(at + 4)), load(rows + peek(at + 8)))
    y, b = _full(load(rows + peek(at + 12)), load(rows + peek(at + 16)), load(rows + peek(at + 20)))
    z, c = _full(load(rows + peek(at + 24)), load(rows + peek(at + 28)), x)
    ones, d = _full(y, z, ones)
    x, a = _full(a, b, c)
    twos, b = _full(d, x, twos)
    fours, a = _full(a, b, fours)
    return ones, twos, fours, a


@njit
def _count(counter, depth, rows, at, end):
    """Adds the rows of a list, eight by eight, to a counter of ``depth`` planes."""
    ones, twos, fours, eights = load(counter), load(counter + SIZE), load(counter + 2 * SIZE), load(counter + 3 * SIZE)
    while at + 64 <= end:
        ones, twos, fours, a = _eight(rows, at, ones, twos, fours)
        ones, twos, fours, b = _eight(rows, at + 32, ones, twos, fours)
        eights, a = _full(a, b, eights)
        _ripple(counter, 4, depth, a)
        at += 64
    if at < end:
        ones, twos, fours, a = _eight(rows, at, ones, twos, fours)
        _ripple(counter, 4, depth, both(a, eights))
        eights = differ(a, eights)
    store(counter, ones)
    store(counter + SIZE, twos)
    store(counter + 2 * SIZE, fours)
    store(counter + 3 * SIZE, eights)


@njit
def _plane(counter, depth, t):
    """Bit ``t`` of signed numbers of ``depth`` bits, whatever ``t``."""
    if t < 0:
        return all_zeros()
    return load(counter + min(t, depth - 1) * SIZE)


@njit
def _rounding(counter, shift, ties):
    """What rounding adds to the floor of ``counter / 2^shift``."""
    if shift <= 0 or ties == FLOOR:
        return all_zeros()
    more = load(counter + shift * SIZE)
    if ties == ODD:
        more = invert(more)
    for t in range(shift - 1):
        more = either(more, load(counter + t * SIZE))
    return both(more, load(counter + (shift - 1) * SIZE))


@njit
def _clip(counter, depth, shift, bits, up, code):
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


@njit
def _keep(counter, depth, shift, code):
    """As `_clip`, of sums within the range."""
    for t in range(depth - shift - 1):
        store(code + t * SIZE, _plane(counter, depth, shift + t))
    store(code + (depth - shift - 1) * SIZE, invert(load(counter + (depth - 1) * SIZE)))


@njit
def _add(total, start, end, code, width, carry):
    """Adds an unsigned number and a carry to another, from plane ``start`` on."""
    for t in range(width):
        plane, carry = _full(load(total + (start + t) * SIZE), load(code + t * SIZE), carry)
        store(total + (start + t) * SIZE, plane)
    _ripple(total, start + width, end, carry)


@njit
def _slide(planes, sources, bit, first, words, rows):
    """Rows of one bit of the inputs, each the plane of a channel from a position of its own on, then one of zeros."""
    for r in range(len(sources)):
        shift = sources[r, 1]
        word, left = first + (shift >> 6), np.uint64(shift & 63)
        plane = planes[sources[r, 0], bit]
        for w in range(words):
            value = plane[word + w] >> left
            if left:
                value |= plane[word + w + 1] << (np.uint64(64) - left)
            rows[r * words + w] = value
    rows[len(sources) * words : (len(sources) + 1) * words] = 0


@njit
def _spread(total, start, end, numbers):
    """Numbers of 256 positions from their planes."""
    numbers[:] = 0
    for t in range(start, end):
        for w in range(2 * WORDS):
            half = np.uint32(total[t * WORDS + (w >> 1)] >> np.uint64(32 * (w & 1)))
            for k in range(32):
                numbers[32 * w + k] |= ((half >> np.uint32(k)) & np.uint32(1)) << np.uint32(t - start)


@njit
def _collect(total, far, correction, runs, begin, low, high, sums, place):
    """Adds the numbers of 256 positions, from position ``begin`` of the tile on, to where they belong."""
    _spread(total, 0, min(far, 32), low)
    if far > 32:  # noqa: PLR2004 (bits of a number)
        _spread(total, 32, far, high)
    for r in range(len(runs)):
        start = max(runs[r, 0], begin)
        to = runs[r, 2] + place - runs[r, 0]
        for k in range(start, min(runs[r, 0] + runs[r, 1], begin + 64 * WORDS)):
            sums[to + k] += np.int64(low[k - begin]) + (np.int64(high[k - begin]) << 32) - correction


@njit
def _convert(column, lists, at, rows, plane_bytes, digit_bits, adc, counter, code, local):
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


@njit(nogil=True)
def run_tiles(
    first,
    last,
    words,
    planes,
    sources,
    units,
    entries,
    columns,
    lists,
    at,
    setup,
    corrections,
    runs,
    run_starts,
    space,
    sums,
):
    """Converts and adds, a tile of positions after the other.

    Args:
        first: First tile.
        last: The one behind the last.
        words: Words of a tile.
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
        space: Room for work, aligned to `SIZE` bytes, as `room` says.
        sums: Where to add, flat.
    """
    shift, bits, ties, dac_bits, input_bits, near, far, apart = setup
    cell_bits, vectors = (lists.shape[1] - 1) // 2, words // WORDS
    adc = (shift, bits, ties, cell_bits, near)
    at_address, counter = np.int64(at.ctypes.data), np.int64(space.ctypes.data)
    code = counter + MOST_PLANES * SIZE
    local = code + MOST_PLANES * SIZE
    total = local + MOST_PLANES * SIZE
    total_words = len(corrections) * vectors * far * WORDS
    totals = space[3 * MOST_PLANES * WORDS : 3 * MOST_PLANES * WORDS + total_words]
    rows, row_address = space[3 * MOST_PLANES * WORDS + total_words :], total + 8 * total_words
    low, high = np.empty(64 * WORDS, np.uint32), np.zeros(64 * WORDS, np.uint32)
    for tile in range(first, last):
        totals[:] = 0
        for u in range(len(units)):
            here = sources[units[u, 0] : units[u, 1]]
            plane_words = (len(here) + 1) * words
            for digit in range(0, input_bits, dac_bits):
                digit_bits = min(dac_bits, input_bits - digit)
                for a in range(digit_bits):
                    _slide(planes, here, digit + a, tile * words, words, rows[a * plane_words :])
                for e in range(units[u, 2], units[u, 3]):
                    for vector in range(vectors):
                        _fill(local, near, all_zeros())
                        for c in range(entries[e, 1], entries[e, 2]):
                            _convert(
                                columns[c],
                                lists[c],
                                at_address,
                                row_address + vector * SIZE,
                                8 * plane_words,
                                digit_bits,
                                adc,
                                counter,
                                code,
                                local,
                            )
                        to = total + (entries[e, 0] * vectors + vector) * far * SIZE
                        _add(to, digit, far, local, near, all_zeros())
        for o in range(len(corrections)):
            for vector in range(vectors):
                start = (o * vectors + vector) * far * WORDS
                _collect(
                    totals[start : start + far * WORDS],
                    far,
                    corrections[o],
                    runs[run_starts[tile] : run_starts[tile + 1]],
                    64 * WORDS * vector,
                    low,
                    high,
                    sums,
                    o * apart,
                )


@njit
def room(outputs, words, far, dac_bits, tallest):
    """Words that `run_tiles` needs to work."""
    return 3 * MOST_PLANES * WORDS + outputs * words * far + dac_bits * (tallest + 1) * words
