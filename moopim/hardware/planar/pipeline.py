"""Pipeline of layers: finish times of their output positions (MNSIM 2.0).

A layer computes its positions row by row. A position starts when the one before it is done and the inputs that it
needs are there: ``finish[q] = max(finish[q - 1], ready[q]) + time[q]``. With ``S`` the running sum of the times this is
``finish[q] = S[q] + max over p <= q of (ready[p] - S[p - 1])``, a running maximum. The times of all positions but those
of the first row and column are equal, so that ``S`` has a closed form.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError
from moopim.hardware.planar.compiled import compiled_loops
from moopim.hardware.planar.timing import Edges
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload.layers import IMAGE, LayerKind, LayerTable

# Output positions of a layer, whose times take 8 bytes each.
_MOST_POSITIONS = 2**26
# About so many positions are handled at a time, which bounds memory.
_BLOCK_POSITIONS = 4_000_000


class LayerTimes(NamedTuple):
    """Times of the layers (ns), shape ``(designs, layers)``; 0 where there is no layer."""

    begin: FloatArray  # start of the first position
    first: FloatArray  # finish of the first position
    finish: FloatArray  # finish of the last position


def finish_times(table: LayerTable, position: Edges) -> LayerTimes:
    """Times of the layers of each design, from those of their output positions (ns), ``(designs, layers)``.

    Raises ConfigError if a layer has more than 2**26 output positions.
    """
    geometry = _geometry(table)
    largest = int(geometry.positions.max())
    if largest > _MOST_POSITIONS:
        raise ConfigError(
            f"a layer has {largest} output positions; expected at most {_MOST_POSITIONS}, for the sake of memory"
        )
    designs = max(len(table), len(position.inner))
    shape = (designs, table.layers)
    times = [np.ascontiguousarray(np.broadcast_to(part, shape)) for part in position]
    work = int(geometry.positions.sum()) * (designs // len(geometry.positions))
    loops = compiled_loops(work)
    if loops is None:
        return _finish_in_numpy(geometry, times)
    return LayerTimes(*loops.finish(*geometry, *times))


class _Geometry(NamedTuple):
    """Geometry that decides when inputs are ready; shape ``(networks, layers)``."""

    inputs: IntArray  # layers that each one reads, -1 for none or the image; shape ``(networks, layers, inputs)``
    whole: BoolArray  # whether a layer has to wait for all of an input; same shape
    reach_h: IntArray  # rows of the input that the first row of outputs needs
    reach_w: IntArray  # columns of the input that the first column of outputs needs
    stride_h: IntArray  # rows more for each row
    stride_w: IntArray  # columns more for each column
    h_in: IntArray
    w_in: IntArray
    h_out: IntArray
    w_out: IntArray
    positions: IntArray  # output positions, 0 where there is no layer

    def windows(self) -> tuple[IntArray, ...]:
        reach = (self.reach_h, self.reach_w, self.stride_h, self.stride_w)
        return (*reach, self.h_in, self.w_in, self.h_out, self.w_out)

    def take(self, networks: slice) -> "_Geometry":
        return _Geometry(*(column[networks] for column in self))  # type: ignore[arg-type]  # columns of two types


def _geometry(table: LayerTable) -> _Geometry:
    some = table.kind != LayerKind.NONE
    columns: list[NDArray[Any]] = [
        np.maximum(table.kernel_h - table.padding_h, 1),
        np.maximum(table.kernel_w - table.padding_w, 1),
        table.stride_h,
        table.stride_w,
        table.h_in,
        table.w_in,
        table.h_out,
        table.w_out,
        np.where(some, table.positions, 0),
    ]
    networks = max(len(table.inputs), *(len(column) for column in columns))
    columns = [np.ascontiguousarray(np.broadcast_to(column, (networks, table.layers))) for column in columns]
    producers = np.maximum(table.inputs, IMAGE)
    inputs = np.ascontiguousarray(np.broadcast_to(producers, (networks, *table.inputs.shape[1:])))
    given = columns[-1][np.arange(networks)[:, None, None], np.maximum(inputs, 0)]
    # The second operand of a product of two activations is in the crossbars before the first one is streamed.
    held = (table.kind == LayerKind.MATMUL)[:, :, None] & (np.arange(inputs.shape[2]) > 0)
    whole = table.waits[:, :, None] | held | (given != (columns[4] * columns[5])[:, :, None])
    return _Geometry(inputs, whole & (inputs > IMAGE), *columns)


def _finish_in_numpy(geometry: _Geometry, times: list[FloatArray]) -> LayerTimes:
    """Times of blocks of designs, with all designs of one geometry at an index handled together."""
    shape = times[0].shape
    result = LayerTimes(*(np.zeros(shape) for _ in range(3)))
    shared = len(geometry.positions) == 1
    size = np.broadcast_to(geometry.positions.sum(axis=1), shape[:1])
    start = 0
    while start < shape[0]:
        stop = start + max(int(np.searchsorted(np.cumsum(size[start:]), _BLOCK_POSITIONS)), 1)
        block = slice(start, stop)
        part = geometry if shared else geometry.take(block)
        done = _finish_block(part, [time[block] for time in times])
        for target, values in zip(result, done, strict=True):
            target[block] = values
        start = stop
    return result


def _finish_block(geometry: _Geometry, times: list[FloatArray]) -> LayerTimes:
    designs, layers = times[0].shape
    result = LayerTimes(*(np.zeros((designs, layers)) for _ in range(3)))
    positions = np.broadcast_to(geometry.positions, (designs, layers))
    inputs = np.broadcast_to(geometry.inputs, (designs, *geometry.inputs.shape[1:]))
    # Finish times of all positions of all layers of all designs, behind zeros for the image and for missing inputs.
    zeros = int((geometry.h_in * geometry.w_in).max())
    ends = zeros + np.cumsum(positions, axis=None).reshape(designs, layers)
    starts = ends - positions
    flat = np.zeros(int(ends[-1, -1]))
    for layer, network, members in _alike(geometry):
        design = members if len(geometry.positions) > 1 else np.arange(designs)
        sums = _running_sums(geometry, network, layer, [time[design, layer] for time in times])
        count = sums[0, :, 1:].size
        ready = np.zeros((len(design), count))
        for slot, whole in enumerate(geometry.whole[network, layer]):
            producer = inputs[design, layer, slot]
            if producer.max() < 0:
                continue
            read = np.where(producer >= 0, starts[design, producer], 0)[:, None]
            if whole:
                read = read + (positions[design, producer] - 1)[:, None]
            else:
                read = read + _needed(geometry, network, layer)
            np.maximum(ready, flat[read], out=ready)
        result.begin[design, layer] = ready[:, 0]
        done = ready.reshape(len(design), *sums[0, :, 1:].shape)
        np.subtract(done, sums[:, :, :-1], out=done)
        np.maximum.accumulate(ready, axis=1, out=ready)
        np.add(done, sums[:, :, 1:], out=done)
        flat[starts[design, layer][:, None] + np.arange(count)] = ready
        result.first[design, layer] = ready[:, 0]
        result.finish[design, layer] = ready[:, -1]
    return result


def _alike(geometry: _Geometry) -> Iterator[tuple[int, int, IntArray]]:
    """Layers of one geometry at one index: the index, one of the networks and all of them."""
    if len(geometry.positions) == 1:
        only: IntArray = np.zeros(1, dtype=np.int64)
        for layer in np.flatnonzero(geometry.positions[0]).tolist():
            yield layer, 0, only
        return
    whole = geometry.whole @ (1 << np.arange(geometry.whole.shape[2]))
    code: IntArray = np.zeros(geometry.positions.shape, dtype=np.int64)
    for column in (whole, *geometry.windows()):
        code = np.unique(code * (int(column.max()) + 1) + column, return_inverse=True)[1].reshape(code.shape)
    code[geometry.positions == 0] = -1
    for layer in range(code.shape[1]):
        order = np.argsort(code[:, layer], kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(code[order, layer])) + 1):
            if code[members[0], layer] >= 0:
                yield layer, int(members[0]), members


def _running_sums(geometry: _Geometry, network: int, layer: int, times: list[FloatArray]) -> FloatArray:
    """Time to the start of each row and the end of each position without waits, ``(designs, height, width + 1)``."""
    corner, top, left, inner = (time[:, None] for time in times)
    height, width = int(geometry.h_out[network, layer]), int(geometry.w_out[network, layer])
    # The compiled loops take the same steps in the same order, so that both give the same bits.
    sums = np.empty((len(corner), height, width + 1))
    start, first, each = sums[:, :, 0], np.empty((len(corner), height)), np.empty((len(corner), height))
    start[:, :1], first[:, :1], each[:, :1] = 0.0, corner, top
    start[:, 1:] = (corner + (width - 1) * top) + np.arange(height - 1) * (left + (width - 1) * inner)
    first[:, 1:], each[:, 1:] = left, inner
    np.multiply(each[:, :, None], np.arange(width, dtype=np.float64), out=sums[:, :, 1:])
    sums[:, :, 1:] += (start + first)[:, :, None]
    return sums


def _needed(geometry: _Geometry, network: int, layer: int) -> IntArray:
    """Index of the last input position that each output position needs, shape ``(positions,)``."""

    def axis(reach: IntArray, stride: IntArray, size: IntArray, count: IntArray) -> IntArray:
        first, step, most = (int(column[network, layer]) for column in (reach, stride, size))
        last: IntArray = np.minimum(first + step * np.arange(count[network, layer]), most) - 1
        return last

    rows = axis(geometry.reach_h, geometry.stride_h, geometry.h_in, geometry.h_out)
    columns = axis(geometry.reach_w, geometry.stride_w, geometry.w_in, geometry.w_out)
    needed: IntArray = (rows[:, None] * geometry.w_in[network, layer] + columns).ravel()
    return needed
