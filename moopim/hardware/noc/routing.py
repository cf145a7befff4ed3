"""Links and paths of a mesh of ``mesh x mesh x tiers`` nodes with dimension-order routing: first x, then y, then tier.

Node ``x + mesh y + mesh^2 tier`` is at (x, y) of a tier, tier 0 next to the heat sink. Links are directed and
numbered in six groups: towards larger x, smaller x, larger y, smaller y, larger tier, smaller tier. In a group they
follow the tier, y and x of their lower end, the end with the smaller number.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from moopim.checks import whole_number
from moopim.errors import ConfigError
from moopim.typing import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MOST_NODES = 1_000_000
_MOST_PAIRED = 4096  # the hops between all of them take 128 MiB
_MOST_ROUTED = 1024  # the paths between all of them take some hundred megabytes


def check_mesh(tiers: int, mesh: int, most: int = _MOST_NODES) -> None:
    """Raise ConfigError unless ``tiers`` and ``mesh`` are counts, of ``most`` nodes in all at most."""
    whole_number("tiers", tiers, 1)
    whole_number("mesh", mesh, 1)
    if tiers * mesh**2 > most:
        raise ConfigError(f"a mesh of {mesh} x {mesh} x {tiers} has too many nodes; expected at most {most}")


def link_count(tiers: int, mesh: int) -> int:
    """Number of directed links of the mesh."""
    return int(link_groups(tiers, mesh)[-1].stop)


@cache
def link_groups(tiers: int, mesh: int) -> tuple[slice, ...]:
    """Slices of the numbers of the links in the six groups."""
    check_mesh(tiers, mesh)
    plane, vertical = tiers * mesh * (mesh - 1), (tiers - 1) * mesh**2
    ends = np.cumsum([0, plane, plane, plane, plane, vertical, vertical]).tolist()
    return tuple(slice(first, last) for first, last in pairwise(ends))


@cache
def link_ends(tiers: int, mesh: int) -> IntArray:
    """Nodes at the ends of every link.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.

    Returns:
        Begin and end of each link, shape ``(links, 2)``; read only.

    Raises:
        ConfigError: If there is no such mesh.
    """
    check_mesh(tiers, mesh)
    nodes = np.arange(tiers * mesh**2).reshape(tiers, mesh, mesh)
    pairs = (
        (nodes[:, :, :-1], nodes[:, :, 1:]),
        (nodes[:, :-1], nodes[:, 1:]),
        (nodes[:-1], nodes[1:]),
    )
    groups = []
    for lower, upper in pairs:
        up = np.stack([lower.ravel(), upper.ravel()], axis=1)
        groups += [up, up[:, ::-1]]
    ends = np.concatenate(groups)
    ends.flags.writeable = False
    return ends


@cache
def coordinates(tiers: int, mesh: int) -> IntArray:
    """Coordinates x, y and tier of each node, shape ``(3, nodes)``; read only."""
    check_mesh(tiers, mesh)
    tier, y, x = np.unravel_index(np.arange(tiers * mesh**2), (tiers, mesh, mesh))
    place = np.stack([x, y, tier])
    place.flags.writeable = False
    return place


@cache
def hop_counts(tiers: int, mesh: int) -> IntArray:
    """Hops between every two nodes, their Manhattan distance, shape ``(nodes, nodes)``; read only."""
    check_mesh(tiers, mesh, _MOST_PAIRED)
    place = coordinates(tiers, mesh)
    hops = np.asarray(np.abs(place[:, :, None] - place[:, None, :]).sum(axis=0))
    hops.flags.writeable = False
    return hops


@cache
def routing_matrix(tiers: int, mesh: int) -> csr_array:
    """Links of the path between every two nodes, as a sparse matrix.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.

    Returns:
        1 where the path from node ``src`` to node ``dst``, row ``nodes src + dst``, takes a link, else 0; shape
        ``(nodes^2, links)``.

    Raises:
        ConfigError: If there is no such mesh, or it has more than 1024 nodes.
    """
    check_mesh(tiers, mesh, _MOST_ROUTED)
    from scipy.sparse import csr_array

    x, y, tier = coordinates(tiers, mesh)
    source, target = (side.ravel() for side in np.indices((x.size, x.size)))
    row = np.arange(source.size)
    corner = np.stack([tier[source], y[source], x[source]])  # position of the paths so far
    rows, links = [row[:0]], [row[:0]]
    groups = iter(link_groups(tiers, mesh))
    for axis, along in ((2, x), (1, y), (0, tier)):
        shape = [tiers, mesh, mesh]
        shape[axis] -= 1
        for begin, end in ((along[source], along[target]), (along[target], along[source])):
            first = next(groups).start
            for at in range(shape[axis]):
                taken = (begin <= at) & (at < end)
                lower = corner[:, taken]
                lower[axis] = at
                rows.append(row[taken])
                links.append(first + np.ravel_multi_index(tuple(lower), shape))
        corner[axis] = along[target]
    entries = np.concatenate(rows), np.concatenate(links)
    return csr_array((np.ones(entries[0].size), entries), shape=(row.size, link_count(tiers, mesh)))
