"""Temperatures of a body: its matrix is factorised once and serves any number of loads."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.checks import numbers
from moopim.errors import unknown_name
from moopim.hardware.thermal.assembly import ThermalSystem
from moopim.hardware.thermal.description import ThermalStack
from moopim.hardware.thermal.geometry import check_stack
from moopim.hardware.thermal.hotspot import hotspot_system
from moopim.hardware.thermal.volumes import full_system
from moopim.typing import FloatArray

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

__all__ = ["GRID_MODES", "Factorised", "factorise", "factorised", "solve"]

_SYSTEMS = {"hotspot": hotspot_system, "full": full_system}
GRID_MODES = tuple(_SYSTEMS)
"""Modes that have a grid."""

_REFINEMENTS = 2
_KEPT = 4  # factorised matrices, of up to some hundred megabytes each


class Factorised(NamedTuple):
    """A system that is ready to be solved.

    Attributes:
        system: The system.
        factors: Its factors.
    """

    system: ThermalSystem
    factors: SuperLU


@lru_cache(maxsize=_KEPT)
def factorised(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str) -> Factorised:
    """Cuts a body into cells and factorises its matrix; kept for the next call.

    Args:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: The stack.
        mode: One of `GRID_MODES`.

    Returns:
        The system and its factors.

    Raises:
        ConfigError: If the mode has no grid, or the stack does not fit the die.
    """
    if mode not in _SYSTEMS:
        raise unknown_name("thermal mode with a grid", mode, GRID_MODES)
    check_stack(tiers, mesh, pe_area_mm2)
    system = _SYSTEMS[mode](tiers, mesh, pe_area_mm2, thermal)
    return Factorised(system, factorise(system))


def factorise(system: ThermalSystem) -> SuperLU:
    """Factorises a matrix, which is symmetric and positive definite and needs no pivots.

    Args:
        system: The system.

    Returns:
        The factors.
    """
    from scipy.sparse.linalg import splu

    return splu(system.matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def solve(body: Factorised, heat: FloatArray) -> NDArray[np.longdouble]:
    """Temperature rises over ambient.

    Args:
        body: The body.
        heat: Heat into each node (W), shape ``(nodes, loads)``.

    Returns:
        Rises (K), shape ``(nodes, loads)``, refined in extended precision, as the last bits of a solution depend on how
        many threads the linear algebra takes.

    Raises:
        ConfigError: If there is not one finite heat per node and load.
    """
    heat = numbers("heat", heat, (body.system.matrix.shape[0], "loads"))
    matrix = body.system.matrix.astype(np.longdouble)
    rise = body.factors.solve(heat).astype(np.longdouble)
    for _ in range(_REFINEMENTS):
        rise += body.factors.solve((heat - matrix @ rise).astype(np.float64))
    return rise
