"""Influence matrix of a stack, the temperature rise of each PE per power of each, in four modes.

Steady state is linear in power, so that a product with this matrix gives the temperatures of any number of designs.
"""

from functools import lru_cache

import numpy as np

from moopim.checks import check_shapes
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.thermal.columns import column_matrix
from moopim.hardware.thermal.description import ThermalStack
from moopim.hardware.thermal.grids import pe_of_cell
from moopim.hardware.thermal.solving import GRID_MODES, Factorised, factorised, solve
from moopim.typing import FloatArray

THERMAL_MODES = ("hotspot", "full", "paper", "paper+")
"""Thermal models, see `influence_matrix`."""
_KEPT = 32
_BITS = 40


@lru_cache(maxsize=_KEPT)
def influence_matrix(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str) -> FloatArray:
    """Temperature rise of each PE per power of each PE in steady state; kept for the next call.

    ``hotspot`` and ``full`` solve ``conductances rise = heat`` on a grid of cells, with the heat of a PE spread over
    its silicon, and average the rise of the cells of each PE. ``paper`` and ``paper+`` have vertical columns ``o`` of
    PEs, tiers ``z``, ``u`` and ``v`` counted from the sink, with the resistances ``R_v`` of the layers, ``R_b`` of the
    base, and ``Phi_H`` and ``R_t`` fitted to ``hotspot`` (HuNT, TCAD 2024, eq. 8): ::

        paper:   rise_oz = (sum_{u <= z} power_ou sum_{v <= u} R_v        + R_b sum_{u <= z} power_ou) Phi_H
        paper+:  rise_oz = (sum_u        power_ou sum_{v <= min(u, z)} R_v + R_b sum_u        power_ou) Phi_H
                           + R_t sum of all powers

    Args:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: Thermal stack.
        mode: ``hotspot``, the equations of HotSpot; ``full``, finite volumes with a real spreader and sink; ``paper``,
            eq. 8 of HuNT (Ogbogu et al., IEEE TCAD 2024) as printed; ``paper+``, the same with the heat of all tiers.

    Returns:
        Rise per power (K/W), shape ``(pes, pes)``, read only; PE index ``(tier * mesh + y) * mesh + x``, tier 0 next to
        the sink. Entries are rounded to 40 bits, on which machines agree whatever their number of threads.

    Raises:
        ConfigError: If the mode is unknown, the stack does not fit the die, or ``paper+``, whose parameters are fitted,
            would have PEs cool others.
    """
    if mode not in THERMAL_MODES:
        raise unknown_name("thermal mode", mode, THERMAL_MODES)
    if mode in GRID_MODES:
        matrix = _responses(factorised(tiers, mesh, pe_area_mm2, thermal, mode))
    else:
        measured = influence_matrix(tiers, mesh, pe_area_mm2, thermal, "hotspot")
        matrix = column_matrix(tiers, mesh, pe_area_mm2, thermal, mode, measured)
        if mode == "paper+" and (matrix < 0).any():
            raise ConfigError(
                "thermal mode 'paper+' does not fit this stack: PEs would cool others; expected hotspot or full"
            )
    mantissa, exponent = np.frexp(matrix)
    rounded = np.asarray(np.ldexp(np.round(np.ldexp(mantissa, _BITS)), exponent - _BITS))
    rounded.flags.writeable = False
    return rounded


def _responses(body: Factorised) -> FloatArray:
    """Rises of the PEs for one watt in each.

    The body is symmetric along x and along y, so that only PEs of a quarter of each tier need a solution.
    """
    tiers, cells, _ = body.system.cells.shape
    mesh = cells // body.system.cells_per_pe_side
    quarter = -(-mesh // 2)
    pe = pe_of_cell(body.system)
    share = body.system.cells_per_pe_side**2
    # Axes: tier, y and x of the PE that is heated, then those of the PE that heats.
    G = np.empty((tiers, mesh, mesh, tiers, mesh, mesh))
    for tier in range(tiers):
        sources = (np.arange(quarter)[:, None] * mesh + np.arange(quarter)).ravel() + tier * mesh**2
        heat = np.zeros((len(body.system.to_ambient), len(sources)))
        heat[body.system.cells] = (pe[..., None] == sources) / share
        rise = solve(body, heat)[body.system.cells.ravel()]
        rise = rise.reshape(tiers, mesh, body.system.cells_per_pe_side, mesh, body.system.cells_per_pe_side, -1)
        G[:, :, :, tier, :quarter, :quarter] = rise.mean(axis=(2, 4)).reshape(tiers, mesh, mesh, quarter, quarter)
    G[..., -quarter:] = G[:, :, ::-1, :, :, :quarter][..., ::-1]
    G[..., -quarter:, :] = G[:, ::-1, :, :, :quarter][..., ::-1, :]
    return G.reshape(tiers * mesh**2, -1)


def temperature_rise(power: FloatArray, influence: FloatArray) -> FloatArray:
    """Temperature rise over ambient of each PE in steady state, ``rise = influence power``.

    Args:
        power: Power of each PE (W), shape ``(designs, pes)``.
        influence: Rise per power (K/W), shape ``(pes, pes)``; see `influence_matrix`.

    Returns:
        Rise of each PE (K), shape ``(designs, pes)``. A design's values do not depend on the others.

    Raises:
        ConfigError: If an array has another shape.
    """
    check_shapes(influence=(influence, (len(influence),) * 2), power=(power, (len(power), len(influence))))
    # A matrix product by BLAS would round differently from one batch size to another.
    return np.asarray(np.einsum("dk,pk->dp", power, influence))
