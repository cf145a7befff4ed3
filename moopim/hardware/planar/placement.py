"""Where tiles lie on a planar chip, and how far the values of a layer travel between them.

Tiles are numbered layer by layer and laid in square shells around a corner of the chip (MNSIM 2.0, pattern 2).
Distances are Manhattan distances in tiles. The largest distance from a tile to a set of tiles follows from the extremes
of row + column and row - column over the set.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.planar.mapping import Mapping
from moopim.workload.layers import IMAGE, LayerTable

__all__ = ["Hops", "hop_distances", "tile_places"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Stands for "no tile" where the largest of several sums is looked for.
_NONE = np.int64(-(2**40))


class Hops(NamedTuple):
    """Distances in tiles, shape ``(designs, layers)``.

    Attributes:
        within: From the tiles of a layer to the one that merges their results.
        onward: From there to the layers that read them.
    """

    within: FloatArray
    onward: FloatArray


def tile_places(count: int) -> tuple[IntArray, IntArray]:
    """Places of the first tiles of a chip.

    Args:
        count: Number of tiles.

    Returns:
        Rows and columns, each of shape ``(count,)``.
    """
    number = np.arange(count, dtype=np.int64)
    shell = np.sqrt(number).astype(np.int64)
    step = number - shell**2
    along, across = np.minimum(step, shell), shell - np.maximum(step - shell, 0)
    odd = shell % 2 == 1
    return np.where(odd, along, across), np.where(odd, across, along)


def hop_distances(table: LayerTable, mapping: Mapping, grid: IntArray) -> Hops:
    """Picks for each layer the tile that merges its results, and measures the ways to it and from it.

    It is the tile for which the longest way to it and the longest way on add up to the least, the first such in
    row-major order. Element-wise layers lie with the global buffer, halfway down the first column.

    Args:
        table: The networks.
        mapping: Their mapping.
        grid: Tiles along each side of the chip, shape ``(designs,)`` or ``(1,)``.

    Returns:
        The distances.
    """
    shape = np.broadcast_shapes(mapping.tiles.shape, table.kind.shape, (len(grid), 1))
    inputs = np.broadcast_to(table.inputs, (*shape, table.inputs.shape[2]))
    elementwise = np.broadcast_to(table.element_wise, shape)
    tiles = _lay_tiles(mapping, shape)
    # The way to the global buffer, doubled: where the grid is odd, that lies between two tiles.
    row, column = np.divmod(tiles.corner, tiles.side)
    to_buffer = np.abs(2 * row - grid[:, None]) + 2 * column
    reach = np.dstack([tiles.reach, np.where(tiles.any, to_buffer, _NONE)])
    consumers, read_by_sum = _consumers(inputs, reach, elementwise)
    onward_of = consumers[..., :4]
    none = onward_of[..., 0] == _NONE
    way = _best_tile(tiles, onward_of, none & read_by_sum, none & ~read_by_sum, grid)
    return Hops(
        np.where(tiles.any, way.within, 0.0),
        np.where(elementwise, np.maximum(consumers[..., 4], 0) / 2, np.where(tiles.any, way.onward, 0.0)),
    )


class _Tiles(NamedTuple):
    """The tiles of every layer, one after the other in flat arrays, and what they add up to for each layer.

    Attributes:
        counts: Tiles of each layer, shape ``(designs, layers)``.
        starts: Where the tiles of each layer that has some begin in the flat arrays.
        rows: Row of each tile.
        columns: Column of each tile.
        any: Whether a layer has tiles, shape ``(designs, layers)``.
        reach: Largest row + column, -(row + column), row - column and column - row of each layer, `_NONE` without
            tiles, shape ``(designs, layers, 4)``.
        corner: First tile of each layer in row-major order, as row * side + column, shape ``(designs, layers)``.
        side: More than the largest row and column.
    """

    counts: IntArray
    starts: IntArray
    rows: IntArray
    columns: IntArray
    any: NDArray[np.bool_]
    reach: IntArray
    corner: IntArray
    side: int


def _lay_tiles(mapping: Mapping, shape: tuple[int, ...]) -> _Tiles:
    counts = np.broadcast_to(mapping.tiles, shape)
    some = counts > 0
    ends = np.cumsum(counts, axis=None)
    starts = (ends - counts.ravel())[some.ravel()]
    all_rows, all_columns = tile_places(int(mapping.total_tiles.max(initial=0)))
    offset = np.broadcast_to(mapping.first_tile, shape).ravel()[some.ravel()] - starts
    number = np.arange(ends[-1]) + np.repeat(offset, counts[some])
    rows, columns = all_rows[number], all_columns[number]
    side = int(max(all_rows.max(initial=0), all_columns.max(initial=0))) + 1
    reach = np.full((*shape, 4), _NONE)
    corner = np.zeros(shape, dtype=np.int64)
    if len(starts):
        for i, value in enumerate((rows + columns, -rows - columns, rows - columns, columns - rows)):
            reach[..., i][some] = np.maximum.reduceat(value, starts)
        corner[some] = np.minimum.reduceat(rows * side + columns, starts)
    return _Tiles(counts, starts, rows, columns, some, reach, corner, side)


def _consumers(inputs: IntArray, reach: IntArray, elementwise: NDArray[np.bool_]) -> tuple[IntArray, NDArray[np.bool_]]:
    """Largest reach over the layers that read each layer, and whether an element-wise one is among them."""
    designs, layers, slots = inputs.shape
    found = np.full_like(reach, _NONE)
    read_by_sum = np.zeros((designs, layers), dtype=bool)
    for layer in range(layers):
        for slot in range(slots):
            design = np.flatnonzero(inputs[:, layer, slot] > IMAGE)
            producer = inputs[design, layer, slot]
            found[design, producer] = np.maximum(found[design, producer], reach[design, layer])
            read_by_sum[design, producer] |= elementwise[design, layer]
    return found, read_by_sum


def _farthest(row: IntArray, column: IntArray, reach: IntArray) -> IntArray:
    """Largest distance from tiles to sets of tiles given by their reach."""
    down, across = row + column, row - column
    return np.maximum(
        np.maximum(reach[..., 0] - down, reach[..., 1] + down),
        np.maximum(reach[..., 2] - across, reach[..., 3] + across),
    )


def _best_tile(
    tiles: _Tiles, onward_of: IntArray, to_buffer: NDArray[np.bool_], last: NDArray[np.bool_], grid: IntArray
) -> Hops:
    """Ways to and from the tile that keeps both short together, for each layer."""
    grids = np.broadcast_to(grid[:, None], tiles.any.shape)

    def ways(
        row: IntArray, column: IntArray, spread: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> tuple[IntArray, IntArray]:
        within = 2 * _farthest(row, column, spread(tiles.reach))
        onward = 2 * _farthest(row, column, spread(onward_of))
        buffer = np.abs(2 * row - spread(grids)) + 2 * column
        return within, np.where(spread(to_buffer), buffer, np.where(spread(last), 0, onward))

    counts = tiles.counts[tiles.any]
    within, onward = ways(tiles.rows, tiles.columns, lambda values: np.repeat(values[tiles.any], counts, axis=0))
    side = tiles.side
    key = (within + onward) * side**2 + tiles.rows * side + tiles.columns
    best = np.zeros(tiles.any.shape, dtype=np.int64)
    if len(tiles.starts):
        best[tiles.any] = np.minimum.reduceat(key, tiles.starts)
    row, column = np.divmod(best % side**2, side)
    within, onward = ways(row, column, lambda values: values)
    return Hops(within / 2, onward / 2)
