"""The linear system of a body cut into cells: what flows between them, to the ambient, and where the PEs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from moopim.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["Link", "ThermalSystem", "assemble", "pe_of_cell"]

Link: TypeAlias = tuple[IntArray, IntArray, FloatArray]
"""Nodes, as many other nodes, and the conductance between each two (W/K); shapes are broadcast."""


@dataclass(frozen=True, eq=False)
class ThermalSystem:
    """Steady state of a body: ``matrix @ rise = heat``.

    Attributes:
        matrix: Conductance matrix (W/K), shape ``(nodes, nodes)``, symmetric.
        to_ambient: Conductance from each node to the ambient (W/K), shape ``(nodes,)``.
        cells: Node of each cell of silicon, shape ``(tiers, cells, cells)``, the axes being tier, y and x.
        cells_per_pe_side: Cells along a side of a PE.
    """

    matrix: csc_array[np.float64]
    to_ambient: FloatArray
    cells: IntArray
    cells_per_pe_side: int


def assemble(links: Sequence[Link], to_ambient: FloatArray, cells: IntArray, cells_per_pe_side: int) -> ThermalSystem:
    """Sums up what flows.

    Args:
        links: Between nodes.
        to_ambient: Conductance from each node to the ambient (W/K), shape ``(nodes,)``.
        cells: Node of each cell of silicon, shape ``(tiers, cells, cells)``.
        cells_per_pe_side: Cells along a side of a PE.

    Returns:
        The system.
    """
    from scipy.sparse import coo_array

    broadcast = [[part.ravel() for part in np.broadcast_arrays(*link)] for link in links]
    first, second, conductance = (np.concatenate(parts) for parts in zip(*broadcast, strict=True))
    nodes = np.arange(len(to_ambient))
    rows = np.concatenate([first, second, first, second, nodes])
    columns = np.concatenate([second, first, first, second, nodes])
    values = np.concatenate([-conductance, -conductance, conductance, conductance, to_ambient])
    matrix = coo_array((values, (rows, columns)), shape=(len(nodes), len(nodes))).tocsc()
    return ThermalSystem(matrix, to_ambient, cells, cells_per_pe_side)


def pe_of_cell(system: ThermalSystem) -> IntArray:
    """Tells which PE a cell belongs to.

    Args:
        system: The system.

    Returns:
        PE index ``(tier * mesh + y) * mesh + x``, shape ``(tiers, cells, cells)``.
    """
    tiers, cells, _ = system.cells.shape
    mesh = cells // system.cells_per_pe_side
    place = np.arange(cells) // system.cells_per_pe_side
    return np.asarray((np.arange(tiers)[:, None, None] * mesh + place[:, None]) * mesh + place)
