"""Temperatures on a grid, whose matrix is factorised once for any number of loads; refinement of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.checks import numbers, whole_number
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.thermal.description import MOST_CELLS, ThermalStack, check_stack
from moopim.hardware.thermal.grids import ThermalSystem, full_system, hotspot_system, pe_of_cell
from moopim.typing import FloatArray

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

_SYSTEMS = {"hotspot": hotspot_system, "full": full_system}
GRID_MODES = tuple(_SYSTEMS)
"""Thermal modes with a grid."""

_REFINEMENTS = 2
_KEPT = 4  # factorised matrices, of up to some hundred megabytes each


class Factorised(NamedTuple):
    """System with the factors of its matrix."""

    system: ThermalSystem
    factors: SuperLU


@lru_cache(maxsize=_KEPT)
def factorised(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str) -> Factorised:
    """System of a stack in a mode of `GRID_MODES`, factorised; kept for the next call."""
    if mode not in _SYSTEMS:
        raise unknown_name("thermal mode with a grid", mode, GRID_MODES)
    check_stack(tiers, mesh, pe_area_mm2)
    system = _SYSTEMS[mode](tiers, mesh, pe_area_mm2, thermal)
    return Factorised(system, factorise(system))


def factorise(system: ThermalSystem) -> SuperLU:
    """Factorise the matrix, which is symmetric and positive definite and needs no pivots."""
    from scipy.sparse.linalg import splu

    return splu(system.matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def solve(body: Factorised, heat: FloatArray) -> NDArray[np.longdouble]:
    """Temperature rises over ambient (K) from the heat into each node (W), shape ``(nodes, loads)`` both.

    They are refined in extended precision, as the last bits of a solution depend on the number of threads of the linear
    algebra.
    """
    heat = numbers("heat", heat, (body.system.matrix.shape[0], "loads"))
    matrix = body.system.matrix.astype(np.longdouble)
    rise = body.factors.solve(heat).astype(np.longdouble)
    for _ in range(_REFINEMENTS):
        rise += body.factors.solve((heat - matrix @ rise).astype(np.float64))
    return rise


def temperature_map(
    power: FloatArray, tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str = "hotspot"
) -> FloatArray:
    """Temperature of each cell of silicon for the powers of the PEs.

    Args:
        power: Power of each PE (W), shape ``(pes,)``, in the order of `moopim.hardware.thermal.influence_matrix`.
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: The stack; ``cells_per_pe_side`` sets the grid.
        mode: ``hotspot`` or ``full``; HuNT's eq. 8 has no grid.

    Returns:
        Temperatures (K), shape ``(tiers, cells, cells)``, the axes being tier, y and x. The mean over a PE is its
        temperature by the influence matrix.

    Raises:
        ConfigError: If the mode has no grid, the stack does not fit the die, or there is not one power from 0 per PE.
    """
    check_stack(tiers, mesh, pe_area_mm2)
    power = numbers("power", power, None, least=0)
    if power.shape != (tiers * mesh**2,):
        raise ConfigError(f"powers have shape {power.shape}; expected ({tiers * mesh**2},), one per PE")
    body = factorised(tiers, mesh, pe_area_mm2, thermal, mode)
    heat = np.zeros(len(body.system.to_ambient))
    heat[body.system.cells] = power[pe_of_cell(body.system)] / thermal.cells_per_pe_side**2
    rise = solve(body, heat[:, None])[body.system.cells, 0]
    return np.asarray(thermal.ambient_K + rise, dtype=np.float64)


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
    """Temperatures of mode ``full`` on several grids that halve, third, ... the cells of the same coarse one.

    In the copper the growth of a cell to its neighbour shrinks along, so that cells get smaller everywhere. A layer of
    the die stays one cell high.

    Args:
        power: Power of each PE (W), shape ``(pes,)``.
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: Thermal stack.
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
