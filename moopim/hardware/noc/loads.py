"""Link loads of many designs at once, each with flows of its own between the nodes of one mesh.

Dimension-order routing takes one dimension after the other, so a flow is three straight legs, and a leg is told by its
line, where on it it begins and where it ends. The legs of all flows are counted in one table per dimension; the load of
a link is the sum of the legs that begin on one side of it and end on the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.noc.routing import coordinates, link_count, link_groups

__all__ = ["link_loads", "tree_steps"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Numbers that are worked on at a time: they stay in the processor's cache, and their memory is reused without going back
# to the operating system. Designs at a time are at least so many, which spares calls where the mesh is large.
_NUMBERS = 15_000
_LEAST_DESIGNS = 16


def link_loads(
    tiers: int, mesh: int, flows: Sequence[tuple[IntArray, IntArray, FloatArray]], designs: int
) -> FloatArray:
    """Adds up what flows put on the links.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        flows: Groups of flows: where they begin, where they end, shape ``(flows, parts, designs)`` each, and what each
            carries in each part, shape ``(flows,)``.
        designs: Number of designs.

    Returns:
        Load of each link, numbered as in `moopim.hardware.noc.routing`, shape ``(designs, links)``.
    """
    loads = np.empty((designs, link_count(tiers, mesh)))
    step = max(_LEAST_DESIGNS, _NUMBERS // max(table.size for table in _tables(tiers, mesh)))
    for start in range(0, designs, step):
        here = slice(start, start + step)
        block = [(begin[:, :, here], end[:, :, here], volume) for begin, end, volume in flows]
        loads[here] = _block_loads(tiers, mesh, block, min(step, designs - start)).T
    return loads


def _block_loads(
    tiers: int, mesh: int, flows: Iterable[tuple[IntArray, IntArray, FloatArray]], designs: int
) -> FloatArray:
    """The loads of a few designs, shape ``(links, designs)``."""
    tables = _tables(tiers, mesh)
    counts = [np.zeros(table.size * designs) for table in tables]
    keys = [(table.begin * designs, table.end * designs) for table in tables]
    own = np.arange(designs)
    for begin, end, weights in _pieces(flows):
        for count, (begin_key, end_key) in zip(counts, keys, strict=True):
            leg = begin_key.take(begin)
            leg += end_key.take(end)
            leg += own
            count += np.bincount(leg.ravel(), weights, count.size)
    loads = np.empty((link_count(tiers, mesh), designs))
    groups = iter(link_groups(tiers, mesh))
    for table, count in zip(tables, counts, strict=True):
        legs = count.reshape(table.length, table.length, table.outer, table.inner, designs)
        for onwards in (True, False):
            links = loads[next(groups)].reshape(table.outer, table.length - 1, table.inner, designs)
            _cross(legs, onwards, links)
    return loads


def _pieces(
    flows: Iterable[tuple[IntArray, IntArray, FloatArray]],
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Cuts groups of flows into pieces: where they begin, where they end, and what each leg of them carries."""
    for begin, end, volume in flows:
        step = max(1, _NUMBERS // max(1, begin[:1].size))
        for first in range(0, len(begin), step):
            some = slice(first, first + step)
            # NumPy looks up by 64-bit numbers only.
            yield begin[some].astype(np.int64), end[some].astype(np.int64), np.repeat(volume[some], begin[:1].size)


def _cross(legs: FloatArray, onwards: bool, links: FloatArray) -> None:
    """Adds up the legs over each link: of those that begin on one side of it, the ones that end on the other.

    Args:
        legs: Legs by begin, end and line, shape ``(length, length, outer, inner, designs)``.
        onwards: Whether links towards larger or towards smaller places are meant.
        links: Takes the result, shape ``(outer, length - 1, inner, designs)``.
    """
    last = len(legs) - 1
    begun = legs[0 if onwards else last].copy()
    for link in range(last) if onwards else range(last - 1, -1, -1):
        np.add.reduce(begun[link + 1 :] if onwards else begun[: link + 1], axis=0, out=links[:, link])
        begun += legs[link + 1 if onwards else link]


@dataclass(frozen=True)
class _Table:
    """How the legs along a dimension are numbered: by begin, end and line.

    Attributes:
        length: Places on a line.
        outer: Lines outside of the dimension in the order of node numbers.
        inner: Lines inside of it.
        begin: What the node where a flow begins adds to the number of its leg, shape ``(nodes,)``.
        end: What the node where it ends adds, shape ``(nodes,)``.
    """

    length: int
    outer: int
    inner: int
    begin: IntArray
    end: IntArray

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


def tree_steps(tiers: int, mesh: int, source: IntArray, targets: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
    """Splits multicast trees into flows, one for each target, that share no link.

    The paths from one source form a tree. Taken in the order of x, y and tier, the path to a target leaves the tree of
    those before it where it leaves the path to the one right before it.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        source: Node that sends, shape ``(...)``.
        targets: Nodes that receive, shape ``(targets, ...)``.

    Returns:
        Where each flow begins and ends, and whether something arrives at its end: not where that is the source, or a
        target once more; shape ``(targets, ...)`` each. A flow that begins at its end adds no link.
    """
    x, y, tier = coordinates(tiers, mesh).astype(source.dtype)
    code = (x * mesh + y) * tiers + tier
    order = _sorted(code.take(targets))
    own = code.take(source)
    here, start = _places(order, tiers, mesh), _places(own, tiers, mesh)
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
    arrives = order != own
    arrives[1:] &= order[1:] != order[:-1]
    return begin, _node(here, mesh), arrives


def _sorted(values: IntArray) -> IntArray:
    """Sorts a few long rows against each other, in place: by neighbours, odd and even pairs in turn."""
    for turn in range(len(values) if len(values) > 2 else 1):  # noqa: PLR2004 (a pair is sorted at once)
        first, second = values[turn % 2 : -1 : 2], values[turn % 2 + 1 :: 2]
        low = np.minimum(first, second)
        np.maximum(first, second, out=second)
        first[:] = low
    return values


def _places(code: IntArray, tiers: int, mesh: int) -> tuple[IntArray, IntArray, IntArray]:
    """x, y and tier of nodes numbered in this order."""
    row = code // tiers
    x = row // mesh
    return x, row - x * mesh, code - row * tiers


def _node(place: "tuple[IntArray, ...] | list[IntArray]", mesh: int) -> IntArray:
    x, y, tier = place
    return x + mesh * (y + mesh * tier)
