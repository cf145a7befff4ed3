"""Placement of tiles on a planar chip, and distances between the tiles of layers.

Tiles are numbered layer by layer and laid in square shells around a corner of the chip (MNSIM 2.0, pattern 2).
Distances are Manhattan distances in tiles. The largest distance from a tile to a set of tiles follows from the extremes
of row + column and row - column over the set.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.checks import whole_number
from moopim.hardware.planar.compiled import compiled_loops
from moopim.hardware.planar.mapping import LayerMapping
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload.layers import IMAGE, LayerTable

# "No tile" in a maximum over sums of rows and columns.
_NONE = -(2**40)
_MOST_TILES = 2**27  # whose places take some gigabytes


class Hops(NamedTuple):
    """Distances in tiles, shape ``(designs, layers)``."""

    within: FloatArray  # from the tiles of a layer to the one that merges their results
    onward: FloatArray  # from there to the layers that read them


def tile_places(count: int) -> tuple[IntArray, IntArray]:
    """Rows and columns of the first ``count`` tiles of a chip, shape ``(count,)`` each."""
    whole_number("count of tiles", count, 0, _MOST_TILES)
    number = np.arange(count, dtype=np.int64)
    shell = np.sqrt(number).astype(np.int64)
    step = number - shell**2
    along, across = np.minimum(step, shell), shell - np.maximum(step - shell, 0)
    odd = shell % 2 == 1
    return np.where(odd, along, across), np.where(odd, across, along)


def hop_distances(table: LayerTable, mapping: LayerMapping, grid: IntArray, most: int = 2**31) -> Hops:
    """Largest distances to and from the tile that merges the results of each layer.

    It is the tile with the least sum of the longest way to it and the longest way on, the first in row-major order.
    Element-wise layers are at the global buffer, halfway down the first column. Designs of more than ``most`` tiles
    have distances 0.
    """
    shape = np.broadcast_shapes(mapping.tiles.shape, table.kind.shape, (len(grid), 1))
    placed = mapping.total_tiles <= most
    layout = _Layout(
        np.broadcast_to((mapping.tiles * placed[:, None]).astype(np.int64), shape),
        np.broadcast_to(mapping.first_tile.astype(np.int64), shape),
        np.broadcast_to(table.inputs, (*shape, table.inputs.shape[2])),
        np.broadcast_to(table.element_wise, shape),
        np.broadcast_to(grid, shape[:1]),
        *tile_places(int(mapping.total_tiles[placed].max(initial=0))),
    )
    loops = compiled_loops(0)
    if loops is None:
        within, onward = _hops_in_numpy(layout)
    else:
        within, onward = loops.hops(*(np.ascontiguousarray(column) for column in layout), _NONE)
    return Hops(within / 2, onward / 2)


class _Layout(NamedTuple):
    """Layout of designs, shape ``(designs, layers)`` unless said otherwise."""

    tiles: IntArray  # tiles of each layer
    first_tile: IntArray  # number of tiles before those of the layer
    inputs: IntArray  # layers that each one reads, shape ``(designs, layers, inputs)``
    element_wise: BoolArray  # whether a layer is computed in the global accumulator
    grid: IntArray  # tiles along a side of the chip, shape ``(designs,)``
    rows: IntArray  # row of each tile of a chip
    columns: IntArray  # column of each tile of a chip


def _hops_in_numpy(layout: _Layout) -> tuple[IntArray, IntArray]:
    """Twice the distances, for all designs at once."""
    tiles, grid = _lay_tiles(layout), layout.grid[:, None]
    row, column = np.divmod(tiles.corner, tiles.side)
    to_buffer = np.abs(2 * row - grid) + 2 * column
    reach = [*tiles.reach, np.where(tiles.any, to_buffer, _NONE)]
    (*read_by, far), summed = _consumers(layout, reach)
    none = read_by[0] == _NONE
    within, onward = _best_tile(tiles, read_by, none & summed, none & ~summed, grid)
    onward = np.where(tiles.any, onward, np.where(layout.element_wise, np.maximum(far, 0), 0))
    return np.where(tiles.any, within, 0), onward


class _Tiles(NamedTuple):
    """Tiles of all layers in flat arrays, and their extent for each layer."""

    counts: IntArray  # tiles of each layer that has some
    starts: IntArray  # index of the first of them in the flat arrays
    rows: IntArray
    columns: IntArray
    any: BoolArray  # whether a layer has tiles, shape ``(designs, layers)``
    # Largest row + column, -(row + column), row - column and column - row of each layer, `_NONE` without tiles, shape
    # ``(designs, layers)`` each
    reach: list[IntArray]
    corner: IntArray  # first tile of each layer in row-major order, as row * side + column, shape ``(designs, layers)``
    side: int  # more than the largest row and column


def _lay_tiles(layout: _Layout) -> _Tiles:
    some = layout.tiles > 0
    counts = layout.tiles[some]
    starts = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) + np.repeat(layout.first_tile[some] - starts, counts)
    rows, columns = layout.rows[number], layout.columns[number]
    side = int(max(layout.rows.max(initial=0), layout.columns.max(initial=0))) + 1

    def over_tiles(ufunc: np.ufunc, value: IntArray, none: int) -> IntArray:
        result = np.full(some.shape, none)
        result[some] = ufunc.reduceat(value, starts) if len(starts) else none
        return result

    sums, differences = rows + columns, rows - columns
    reach = [over_tiles(np.maximum, value, _NONE) for value in (sums, -sums, differences, -differences)]
    return _Tiles(counts, starts, rows, columns, some, reach, over_tiles(np.minimum, rows * side + columns, 0), side)


def _consumers(layout: _Layout, reach: list[IntArray]) -> tuple[list[IntArray], BoolArray]:
    """Largest reach over the layers that read each layer, and whether an element-wise one is among them."""
    shape = layout.tiles.shape
    design, layer, slot = np.nonzero(layout.inputs > IMAGE)
    producer = np.ravel_multi_index((design, layout.inputs[design, layer, slot]), shape)
    reader = np.ravel_multi_index((design, layer), shape)
    found = [np.full(shape, _NONE) for _ in reach]
    for largest, value in zip(found, reach, strict=True):
        np.maximum.at(largest.reshape(-1), producer, value.reshape(-1)[reader])
    summed = np.zeros(shape, dtype=bool)
    summed.reshape(-1)[producer[layout.element_wise.reshape(-1)[reader]]] = True
    return found, summed


def _farthest(row: IntArray, column: IntArray, reach: Sequence[IntArray]) -> IntArray:
    """Largest distance from tiles to sets of tiles given by their reach."""
    down, across = row + column, row - column
    return np.maximum(np.maximum(reach[0] - down, reach[1] + down), np.maximum(reach[2] - across, reach[3] + across))


def _best_tile(
    tiles: _Tiles, read_by: list[IntArray], to_buffer: BoolArray, last: BoolArray, grid: IntArray
) -> tuple[IntArray, IntArray]:
    """Twice the ways to and from the tile with the least sum of both, for each layer."""
    grids = np.broadcast_to(grid, tiles.any.shape)

    def ways(
        row: IntArray, column: IntArray, spread: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> tuple[IntArray, IntArray]:
        within = 2 * _farthest(row, column, [spread(value) for value in tiles.reach])
        onward = 2 * _farthest(row, column, [spread(value) for value in read_by])
        buffer = np.abs(2 * row - spread(grids)) + 2 * column
        return within, np.where(spread(to_buffer), buffer, np.where(spread(last), 0, onward))

    within, onward = ways(tiles.rows, tiles.columns, lambda values: np.repeat(values[tiles.any], tiles.counts))
    side = tiles.side
    key = (within + onward) * side**2 + tiles.rows * side + tiles.columns
    best = np.zeros(tiles.any.shape, dtype=np.int64)
    if len(tiles.starts):
        best[tiles.any] = np.minimum.reduceat(key, tiles.starts)
    return ways(*np.divmod(best % side**2, side), lambda values: values)
