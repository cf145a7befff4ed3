"""Temperatures with leakage that grows with them: a fixed point of power and heat."""

import numpy as np

from moopim.checks import check_shapes
from moopim.typing import BoolArray, FloatArray

# Largest contraction that is iterated; beyond, and beyond thermal runaway, the equations are solved at once.
MOST_CONTRACTION = 0.5
# Last change, relative to the hottest PE, after which the rest is below TOLERANCE contraction / (1 - contraction).
TOLERANCE = 1e-11
# Designs at a time: their products with the influence matrix stay in the processor's cache.
_BLOCK = 16


def leaky_rise(power: FloatArray, slope: FloatArray, influence: FloatArray) -> FloatArray:
    r"""Temperature rise over ambient of each PE in steady state, with power that grows with it.

    .. math:: Q = I (P_0 + \Lambda Q)

    A steady state exists if the spectral radius of :math:`I \Lambda` is below 1, and only then is the solution positive
    in every PE; else the heat runs away. Where the largest row sum of :math:`I \Lambda` is small, the equation is
    iterated, else it is solved as a linear system.

    Args:
        power: Power :math:`P_0` of each PE at ambient temperature (W), shape ``(designs, pes)``, above 0 in total.
        slope: Growth of the power with the rise, the diagonal of :math:`\Lambda` (W/K), shape ``(designs, pes)``.
        influence: Rise per power (K/W), shape ``(pes, pes)``; see `influence_matrix`.

    Returns:
        Rise of each PE (K), shape ``(designs, pes)``; NaN where the heat runs away. A design's values do not depend on
        the others.

    Raises:
        ConfigError: If an array has another shape.
    """
    shape = (len(power), len(influence))
    check_shapes(influence=(influence, (len(influence),) * 2), power=(power, shape), slope=(slope, shape))
    rise, transposed = np.empty_like(power), np.ascontiguousarray(influence.T)
    iterated = slope.max(axis=1, initial=0.0) * largest_row_sum(influence) <= MOST_CONTRACTION
    rows = np.flatnonzero(iterated)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        rise[some] = _iterated(power[some], slope[some], transposed)
    for row in np.flatnonzero(~iterated):
        rise[row] = _solved(power[row], slope[row], influence)
    return rise


def heat_gain(slope: FloatArray, influence: FloatArray) -> FloatArray:
    r"""Largest row sum of :math:`I \Lambda`, shape ``(designs,)``; at least 1 where the heat runs away."""
    return np.asarray(np.einsum("dk,pk->dp", slope, influence).max(axis=1))


def largest_row_sum(influence: FloatArray) -> float:
    """Largest rise of a PE (K) when all dissipate one watt."""
    return float(influence.sum(axis=1).max())


def _iterated(power: FloatArray, slope: FloatArray, transposed: FloatArray) -> FloatArray:
    """Fixed point by iteration, each design until it is reached; arrays as in `leaky_rise`."""
    rise = _product(power, transposed)
    waiting: BoolArray = np.ones(len(power), dtype=np.bool_)
    while waiting.any():
        new = _product(power + slope * rise, transposed)
        reached = np.abs(new - rise).max(axis=1) <= TOLERANCE * new.max(axis=1)
        rise[waiting] = new[waiting]
        waiting &= ~reached
    return rise


def _product(power: FloatArray, transposed: FloatArray) -> FloatArray:
    """Rise for a power, added up PE by PE, so that it does not depend on batch, processor or compiler."""
    return np.asarray(np.add.reduce(transposed[:, None, :] * power.T[:, :, None], axis=0))


def _solved(power: FloatArray, slope: FloatArray, influence: FloatArray) -> FloatArray:
    """Solution of the linear system of one design; NaN beyond thermal runaway."""
    try:
        rise = np.asarray(np.linalg.solve(np.eye(len(power)) - influence * slope, influence @ power), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(power, np.nan)
    stable = (rise > 0).all() or heat_gain(slope[None], influence)[0] < 1
    return rise if stable else np.full_like(rise, np.nan)
