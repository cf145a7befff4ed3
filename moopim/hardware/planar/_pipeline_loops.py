"""The pipeline of layers as loops over positions, compiled by numba; see `moopim.hardware.planar.pipeline`."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["finish_loops"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@njit(nogil=True)
def finish_loops(  # noqa: C901, PLR0912, PLR0915 (one loop nest: calls would cost as much as the work)
    inputs: IntArray,
    whole: NDArray[np.bool_],
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
    for d in range(designs):
        n = d if networks > 1 else 0
        used = 0
        for k in range(layers):
            start[k] = used
            count = positions[n, k]
            if count == 0:
                continue
            used += count
            # Inputs that are needed whole set one time for all positions, the others are followed.
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
            height, width, size_w = h_out[n, k], w_out[n, k], w_in[n, k]
            first_row = corner[d, k] + (width - 1) * top[d, k]
            each_row = left[d, k] + (width - 1) * inner[d, k]
            reach, step = reach_w[n, k], stride_w[n, k]
            wait = 0.0
            for i in range(height):
                if i == 0:
                    row_start, end_of_first, each = 0.0, 0.0 + corner[d, k], top[d, k]
                else:
                    row_start = first_row + (i - 1) * each_row
                    end_of_first, each = row_start + left[d, k], inner[d, k]
                row = (min(reach_h[n, k] + stride_h[n, k] * i, h_in[n, k]) - 1) * size_w
                out = start[k] + i * width
                # Inputs get ready one after the other: if those of the last column do not hold the row up, none does.
                ready = whole_ready
                for s in range(streams):
                    ready = max(ready, finish[stream[s] + row + min(reach + step * (width - 1), size_w) - 1])
                if i > 0 and ready - row_start <= wait:
                    for j in range(width):
                        finish[out + j] = (end_of_first + j * each) + wait
                    continue
                before = row_start
                for j in range(width):
                    ready = whole_ready
                    column = row + min(reach + step * j, size_w) - 1
                    for s in range(streams):
                        ready = max(ready, finish[stream[s] + column])
                    wait = max(wait, ready - before)
                    before = end_of_first + j * each
                    finish[out + j] = before + wait
                    if i == 0 and j == 0:
                        begin[d, k], first[d, k] = ready, finish[out]
            last[d, k] = finish[out + width - 1]
    return begin, first, last
