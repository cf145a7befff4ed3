"""Loops of the pipeline and the placement for numba to compile, once enough is computed for that to pay off.

They give the same bits as the array code in `moopim.hardware.planar.pipeline` and `moopim.hardware.planar.placement`,
which has the equations.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from moopim.typing import BoolArray, FloatArray, IntArray

# Compiling takes about as long as the array code takes for so many positions.
_WORTH_COMPILING = 100_000_000


class Loops(NamedTuple):
    """Compiled functions."""

    finish: Callable[..., Any]
    hops: Callable[..., Any]


class _Work:
    """Positions computed in this process so far."""

    positions = 0


def compiled_loops(positions: int) -> Loops | None:
    """Compiled loops; None without numba, or while few positions, these ones included, have been computed."""
    _Work.positions += positions
    return _compile() if _Work.positions >= _WORTH_COMPILING else None


@cache
def _compile() -> Loops | None:
    if find_spec("numba") is None:
        return None
    from numba import njit

    return Loops(njit(nogil=True)(_finish_loops), njit(nogil=True)(_hop_loops))


def _finish_loops(  # noqa: C901, PLR0912, PLR0915 (one loop nest: calls would cost as much as the work)
    inputs: IntArray,
    whole: BoolArray,
    reach_h: IntArray,
    reach_w: IntArray,
    stride_h: IntArray,
    stride_w: IntArray,
    h_in: IntArray,
    w_in: IntArray,
    h_out: IntArray,
    w_out: IntArray,
    positions: IntArray,
    corner: FloatArray,
    top: FloatArray,
    left: FloatArray,
    inner: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Begin, first and last finish of each layer (ns), shape ``(designs, layers)``; takes the geometry's columns."""
    networks, layers, slots = inputs.shape
    designs = corner.shape[0]
    begin, first, last = np.zeros((designs, layers)), np.zeros((designs, layers)), np.zeros((designs, layers))
    most = 0
    for n in range(networks):
        most = max(most, positions[n].sum())
    finish = np.empty(most)
    start = np.empty(layers, dtype=np.int64)
    stream = np.empty(slots, dtype=np.int64)
    number = np.arange(w_out.max()).astype(np.float64)
    for d in range(designs):
        n = d if networks > 1 else 0
        used = 0
        for k in range(layers):
            start[k] = used
            if positions[n, k] == 0:
                continue
            used += positions[n, k]
            # Inputs that are needed whole give one time for all positions, the others are streamed.
            whole_ready, streams = 0.0, 0
            for slot in range(slots):
                producer = inputs[n, k, slot]
                if producer < 0:
                    continue
                if whole[n, k, slot]:
                    whole_ready = max(whole_ready, last[d, producer])
                else:
                    stream[streams] = start[producer]
                    streams += 1
            width, size_w, reach, step = w_out[n, k], w_in[n, k], reach_w[n, k], stride_w[n, k]
            first_row = corner[d, k] + (width - 1) * top[d, k]
            each_row = left[d, k] + (width - 1) * inner[d, k]
            last_column = min(reach + step * (width - 1), size_w) - 1
            wait = 0.0
            for i in range(h_out[n, k]):
                if i == 0:
                    row_start, end_of_first, each = 0.0, 0.0 + corner[d, k], top[d, k]
                else:
                    row_start = first_row + (i - 1) * each_row
                    end_of_first, each = row_start + left[d, k], inner[d, k]
                row = (min(reach_h[n, k] + stride_h[n, k] * i, h_in[n, k]) - 1) * size_w
                out = start[k] + i * width
                # Inputs get ready in order: if those of the last column do not delay the row, none does.
                ready = whole_ready
                for s in range(streams):
                    ready = max(ready, finish[stream[s] + row + last_column])
                if i > 0 and ready - row_start <= wait:
                    for j in range(width):
                        finish[out + j] = (end_of_first + number[j] * each) + wait
                    continue
                before = row_start
                if streams == 1:
                    # From column ``full`` on, the last column of the input decides.
                    full, base = min(max((size_w - reach) // step + 1, 0), width), stream[0] + row + reach - 1
                    if i == 0:
                        begin[d, k] = max(whole_ready, finish[stream[0] + row + min(reach, size_w) - 1])
                    for j in range(full):
                        wait = max(wait, max(finish[base + step * j], whole_ready) - before)
                        before = end_of_first + number[j] * each
                        finish[out + j] = before + wait
                    for j in range(full, width):
                        wait = max(wait, ready - before)
                        before = end_of_first + number[j] * each
                        finish[out + j] = before + wait
                    continue
                for j in range(width):
                    ready = whole_ready
                    for s in range(streams):
                        ready = max(ready, finish[stream[s] + row + min(reach + step * j, size_w) - 1])
                    if i == 0 and j == 0:
                        begin[d, k] = ready
                    wait = max(wait, ready - before)
                    before = end_of_first + number[j] * each
                    finish[out + j] = before + wait
            first[d, k] = finish[start[k]]
            last[d, k] = finish[start[k] + positions[n, k] - 1]
    return begin, first, last


def _hop_loops(  # noqa: C901, PLR0912 (one loop nest)
    tiles: IntArray,
    first_tile: IntArray,
    inputs: IntArray,
    element_wise: BoolArray,
    grid: IntArray,
    rows: IntArray,
    columns: IntArray,
    none: int,
) -> tuple[IntArray, IntArray]:
    """Twice the distances within and onward, shape ``(designs, layers)``; ``none``: reach of no tile."""
    designs, layers = tiles.shape
    within, onward = np.zeros((designs, layers), dtype=np.int64), np.zeros((designs, layers), dtype=np.int64)
    reach, read_by = np.empty((layers, 4), dtype=np.int64), np.empty((layers, 4), dtype=np.int64)
    to_buffer = np.empty(layers, dtype=np.int64)
    summed = np.empty(layers, dtype=np.bool_)
    for d in range(designs):
        reach[:], read_by[:], summed[:] = none, none, False
        for k in range(layers):
            corner_row, corner_column = 0, 0
            for tile in range(first_tile[d, k], first_tile[d, k] + tiles[d, k]):
                row, column = rows[tile], columns[tile]
                reach[k, 0], reach[k, 1] = max(reach[k, 0], row + column), max(reach[k, 1], -row - column)
                reach[k, 2], reach[k, 3] = max(reach[k, 2], row - column), max(reach[k, 3], column - row)
                before = row < corner_row or (row == corner_row and column < corner_column)
                if tile == first_tile[d, k] or before:
                    corner_row, corner_column = row, column
            to_buffer[k] = abs(2 * corner_row - grid[d]) + 2 * corner_column
        for k in range(layers):
            for slot in range(inputs.shape[2]):
                producer = inputs[d, k, slot]
                if producer < 0:
                    continue
                summed[producer] |= element_wise[d, k]
                if tiles[d, k] > 0:
                    for i in range(4):
                        read_by[producer, i] = max(read_by[producer, i], reach[k, i])
                    if element_wise[d, producer]:
                        onward[d, producer] = max(onward[d, producer], to_buffer[k])
        for k in range(layers):
            best, best_place = -1, -1
            for tile in range(first_tile[d, k], first_tile[d, k] + tiles[d, k]):
                row, column = rows[tile], columns[tile]
                down, across = row + column, row - column
                way_in = 2 * max(reach[k, 0] - down, reach[k, 1] + down, reach[k, 2] - across, reach[k, 3] + across)
                way_on = 0
                if read_by[k, 0] != none:
                    to = read_by[k]
                    way_on = 2 * max(to[0] - down, to[1] + down, to[2] - across, to[3] + across)
                elif summed[k]:
                    way_on = abs(2 * row - grid[d]) + 2 * column
                place = (row << 32) + column
                if best < 0 or way_in + way_on < best or (way_in + way_on == best and place < best_place):
                    best, best_place, within[d, k], onward[d, k] = way_in + way_on, place, way_in, way_on
    return within, onward
