"""Link loads of many designs, each with flows between the nodes of one mesh.

Dimension-order routing takes one dimension after the other, so a flow is three straight legs, each given by its line
and the places where it begins and ends on it. The legs of all flows are counted in one table per dimension; the load of
a link is the sum of the legs that begin on one side of it and end on the other.

A search calls these functions thousands of times a second with arrays of the model itself: nothing is checked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from moopim.hardware.noc.parameters import CACHED
from moopim.hardware.noc.routing import coordinates, link_count, link_groups
from moopim.typing import BoolArray, FloatArray, IntArray, NodeArray

# Least number of designs at a time: a large mesh would take many calls else.
_LEAST_DESIGNS = 16


def link_loads(tiers: int, mesh: int, begin: NodeArray, end: NodeArray, volume: FloatArray) -> FloatArray:
    """Load of each link, shape ``(designs, links)``, from flows between nodes of shape ``(flows, parts, designs)``.

    ``volume``, shape ``(flows,)``, is the load that a flow puts on each link of its path, in each part.
    """
    designs = begin.shape[2]
    loads = np.empty((designs, link_count(tiers, mesh)))
    step = max(_LEAST_DESIGNS, CACHED // max(table.size for table in _tables(tiers, mesh)))
    for first in range(0, designs, step):
        some = slice(first, first + step)
        loads[some] = _block_loads(tiers, mesh, begin[:, :, some], end[:, :, some], volume).T
    return loads


def _block_loads(tiers: int, mesh: int, begin: NodeArray, end: NodeArray, volume: FloatArray) -> FloatArray:
    """Loads of a few designs, shape ``(links, designs)``."""
    tables, (flows, parts, designs) = _tables(tiers, mesh), begin.shape
    design = np.arange(designs)
    # Legs are numbered by begin, end, line and design; the begin brings the design with it.
    keys = [((table.begin[:, None] * designs + design).ravel(), table.end * designs) for table in tables]
    counts: list[FloatArray] = []
    pieces = max(1, round(begin.size / CACHED))
    for piece in range(pieces):
        some = slice(flows * piece // pieces, flows * (piece + 1) // pieces)
        # NumPy looks up by 64-bit numbers only.
        begins, ends = begin[some].astype(np.int64), end[some].astype(np.int64)
        begins *= designs
        begins += design
        weights = np.repeat(volume[some], parts * designs)
        for i, (begin_key, end_key) in enumerate(keys):
            legs = begin_key.take(begins)
            legs += end_key.take(ends)
            count = np.asarray(np.bincount(legs.ravel(), weights, tables[i].size * designs), dtype=np.float64)
            if piece:
                counts[i] += count
            else:
                counts.append(count)
    loads = np.empty((link_count(tiers, mesh), designs))
    groups = iter(link_groups(tiers, mesh))
    for table, total in zip(tables, counts, strict=True):
        by_ends = total.reshape(table.length, table.length, table.outer, table.inner, designs)
        for onwards in (True, False):
            links = loads[next(groups)].reshape(table.outer, table.length - 1, table.inner, designs)
            _cross(by_ends, onwards, links)
    return loads


def _cross(legs: FloatArray, onwards: bool, links: FloatArray) -> None:
    """Add up the legs over each link: those that begin on one side of it and end on the other.

    Legs have shape ``(length, length, outer, inner, designs)``, by begin and end; the result goes to ``links``, shape
    ``(outer, length - 1, inner, designs)``, which lead to larger places if ``onwards``.
    """
    last = len(legs) - 1
    begun = legs[0 if onwards else last].copy()
    for link in range(last) if onwards else range(last - 1, -1, -1):
        np.add.reduce(begun[link + 1 :] if onwards else begun[: link + 1], axis=0, out=links[:, link])
        begun += legs[link + 1 if onwards else link]


@dataclass(frozen=True)
class _Table:
    """Numbering of the legs along a dimension: by begin, end and line."""

    length: int  # places on a line
    outer: int  # lines outside of the dimension in the order of node numbers
    inner: int  # lines inside of it
    begin: IntArray  # term of the number of a leg from the node where it begins, shape (nodes,)
    end: IntArray  # term from the node where it ends, shape (nodes,)

    @property
    def size(self) -> int:
        """Possible legs."""
        return self.length**2 * self.outer * self.inner


@cache
def _tables(tiers: int, mesh: int) -> tuple[_Table, _Table, _Table]:
    x, y, tier = coordinates(tiers, mesh)
    plane, column = tiers * mesh, mesh**2
    return (
        _Table(mesh, plane, 1, x * mesh * plane + tier * mesh + y, x * plane),
        _Table(mesh, tiers, mesh, y * mesh * plane + tier * mesh, y * plane + x),
        _Table(tiers, 1, column, tier * tiers * column, tier * column + y * mesh + x),
    )


def tree_steps(tiers: int, mesh: int, source: NodeArray, targets: NodeArray) -> tuple[NodeArray, NodeArray, BoolArray]:
    """Split multicast trees into flows, one for each target, that share no link.

    Sources have shape ``(...)``, targets ``(targets, ...)``. Returns begin and end of each flow, and whether something
    arrives at its end: not where that is the source, or a target once more; shape ``(targets, ...)`` each. The paths
    from one source form a tree. Taken in the order of x, y and tier, the path to a target leaves the tree of those
    before it where it leaves the path to the one right before it.
    """
    x, y, tier = coordinates(tiers, mesh).astype(source.dtype)
    code = (x * mesh + y) * tiers + tier
    order = _sorted(code.take(targets))
    root = code.take(source)
    here, start = _places(order, tiers, mesh), _places(root, tiers, mesh)
    begin = np.empty_like(order)
    begin[0] = source
    same: BoolArray | bool = True
    leaves = []
    for place, origin in zip(here, start, strict=True):
        before, now = place[:-1], place[1:]
        # As far as both paths go the same way, while they have been the same so far.
        common = np.maximum(before, np.minimum(now, origin))
        leaves.append(np.where(same, common, origin))
        same = same & (before == now)
    begin[1:] = _node(leaves, mesh)
    arrives = order != root
    arrives[1:] &= order[1:] != order[:-1]
    return begin, _node(here, mesh), arrives


def _sorted(values: NodeArray) -> NodeArray:
    """Sort a few long rows against each other, in place: by neighbours, odd and even pairs in turn."""
    for turn in range(len(values) if len(values) > 2 else 1):  # noqa: PLR2004 (a pair is sorted at once)
        first, second = values[turn % 2 : -1 : 2], values[turn % 2 + 1 :: 2]
        low = np.minimum(first, second)
        np.maximum(first, second, out=second)
        first[:] = low
    return values


def _places(code: NodeArray, tiers: int, mesh: int) -> tuple[NodeArray, NodeArray, NodeArray]:
    """x, y and tier of nodes numbered in this order."""
    row = code // tiers
    x = row // mesh
    return x, row - x * mesh, code - row * tiers


def _node(place: Sequence[NodeArray], mesh: int) -> NodeArray:
    x, y, tier = place
    return x + mesh * (y + mesh * tier)
