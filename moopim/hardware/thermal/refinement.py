"""How far the grid of mode ``full`` is from no grid at all: the same body in ever smaller cells."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from moopim.checks import whole_number
from moopim.hardware.thermal.description import MOST_CELLS, ThermalStack
from moopim.hardware.thermal.maps import temperature_map
from moopim.hardware.thermal.solving import factorised
from moopim.typing import FloatArray

__all__ = ["Refinement", "refine"]


class Refinement(NamedTuple):
    """Temperatures on one grid.

    Attributes:
        cells_per_pe_side: Cells along a side of a PE.
        growth: Size of a cell of copper over that of its neighbour nearer the die.
        nodes: Cells of the whole body.
        mean_K: Mean temperature of the silicon (K).
        peak_K: Mean temperature of the hottest PE (K).
    """

    cells_per_pe_side: int
    growth: float
    nodes: int
    mean_K: float
    peak_K: float


def refine(
    power: FloatArray,
    tiers: int,
    mesh: int,
    pe_area_mm2: float,
    thermal: ThermalStack,
    cells_per_pe_side: Sequence[int] = (1, 2, 4),
) -> list[Refinement]:
    """Solves mode ``full`` on several grids, each of which halves, thirds, ... the cells of the same coarse one.

    In the copper the growth of a cell to its neighbour shrinks along, so that cells get smaller everywhere. A layer of
    the die stays one cell high.

    Args:
        power: Power of each PE (W), shape ``(pes,)``.
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: The stack.
        cells_per_pe_side: Cells along a side of a PE, of each grid.

    Returns:
        Temperatures on each grid.

    Raises:
        ConfigError: If the stack does not fit the die, a grid is not allowed, or there is not one power from 0 per PE.
    """
    found = []
    for cells in cells_per_pe_side:
        whole_number("cells_per_pe_side", cells, 1, MOST_CELLS)
        growth = thermal.growth ** (thermal.cells_per_pe_side / cells)
        finer = replace(thermal, cells_per_pe_side=cells, growth=growth)
        nodes = len(factorised(tiers, mesh, pe_area_mm2, finer, "full").system.to_ambient)
        temperature = temperature_map(power, tiers, mesh, pe_area_mm2, finer, "full")
        pes = temperature.reshape(tiers, mesh, cells, mesh, cells).mean(axis=(2, 4))
        found.append(Refinement(cells, growth, nodes, float(temperature.mean()), float(pes.max())))
    return found
