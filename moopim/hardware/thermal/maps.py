"""Temperatures of all cells of a stack, for pictures."""

import numpy as np

from moopim.checks import numbers
from moopim.errors import ConfigError
from moopim.hardware.thermal.assembly import pe_of_cell
from moopim.hardware.thermal.description import ThermalStack
from moopim.hardware.thermal.geometry import check_stack
from moopim.hardware.thermal.solving import factorised, solve
from moopim.typing import FloatArray

__all__ = ["temperature_map"]


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
