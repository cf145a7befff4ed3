"""Temperatures with leakage that grows with them: a fixed point of power and heat."""

from typing import NamedTuple

import numpy as np

from moopim.checks import check_shapes
from moopim.typing import BoolArray, FloatArray

MOST_CONTRACTION = 0.25
"""Largest contraction that is iterated; beyond, and beyond thermal runaway, the equations are solved at once."""
TOLERANCE = 2e-12
"""Largest error of the iteration, relative to the hottest PE: the last change times contraction / (1 - contraction)."""
ROUGH = 2e-7
"""The same for the iteration that comes before, with the high digits of the powers alone."""
LEAST_CONTRACTION = 1e-300
"""Contraction in place of none, to divide by."""
# Designs at a time: their products with the influence matrix are too small for BLAS to share them among threads.
_BLOCK = 32
# Digits of powers and influences, in bits, see `influence_parts`. With the contraction, powers stay below twice their
# largest at ambient temperature, and what their high digits leave below twice the unit of these. Two bits are
# spare, for sums of four powers or rises.
_POWER_HIGH, _POWER_LOW = 21, 22
_INFLUENCE_HIGH, _INFLUENCE_LOW = 27, 29
COARSE = 2.0 ** (52 - _POWER_HIGH)
"""Adding and subtracting this multiple of the largest power cuts off all but the high digits of a power."""
FINE = 2.0**-_POWER_LOW
"""The same for all digits that are used, relative to `COARSE`."""


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
    rise, parts = np.empty_like(power), influence_parts(influence)
    contraction = slope.max(axis=1, initial=0.0) * largest_row_sum(influence)
    iterated = contraction <= MOST_CONTRACTION
    rows = np.flatnonzero(iterated)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        rise[some] = _iterated(power[some], slope[some], parts, contraction[some])
    for row in np.flatnonzero(~iterated):
        rise[row] = _solved(power[row], slope[row], influence)
    return rise


def heat_gain(slope: FloatArray, influence: FloatArray) -> FloatArray:
    r"""Largest row sum of :math:`I \Lambda`, shape ``(designs,)``; at least 1 where the heat runs away."""
    return np.asarray(np.einsum("dk,pk->dp", slope, influence).max(axis=1))


def largest_row_sum(influence: FloatArray) -> float:
    """Largest rise of a PE (K) when all dissipate one watt."""
    return float(influence.sum(axis=1).max())


class InfluenceParts(NamedTuple):
    """High and low digits of an influence matrix, for products with the same bits in any order of adding up.

    Numbers are cut to so few digits that products, and their sums, are whole multiples of a unit up to its 2^53-fold:
    they are exact, whatever the batch, the processor and the library.

    Attributes:
        high: High digits, shape ``(pes, pes)``.
        low: Low digits, alike.
    """

    high: FloatArray
    low: FloatArray


def influence_parts(influence: FloatArray) -> InfluenceParts:
    """Cut an influence matrix into high and low digits."""
    # Adding and subtracting a large number cuts off the digits below its last one.
    coarse = 2.0 ** (52 - _INFLUENCE_HIGH) * largest_row_sum(influence)
    fine = coarse * 2.0 ** (len(influence).bit_length() - _INFLUENCE_LOW)
    high = influence + coarse - coarse
    return InfluenceParts(high, influence - high + fine - fine)


def _iterated(power: FloatArray, slope: FloatArray, parts: InfluenceParts, contraction: FloatArray) -> FloatArray:
    """Fixed point by iteration, first with the high digits of the power alone; arrays as in `leaky_rise`."""
    coarse = power.max(axis=1, keepdims=True) * COARSE
    high, fixed = np.zeros_like(power), np.zeros_like(power)
    rise = (power + coarse - coarse) @ parts.high.T
    contraction = np.maximum(contraction, LEAST_CONTRACTION)[:, None]
    scale = rise.max(axis=1, keepdims=True) * ((1 - contraction) / contraction)
    rise = _settled(power, slope, parts, high, fixed, rise, coarse, ROUGH * scale)
    high = slope * rise + power + coarse - coarse
    fixed = high @ parts.high.T + high @ parts.low.T
    return _settled(power, slope, parts, high, fixed, rise, coarse * FINE, TOLERANCE * scale)


def _settled(
    power: FloatArray,
    slope: FloatArray,
    parts: InfluenceParts,
    high: FloatArray,
    fixed: FloatArray,
    rise: FloatArray,
    unit: FloatArray,
    limit: FloatArray,
) -> FloatArray:
    """Iterate the rise, each design until no PE changes by more than a limit.

    ``fixed`` is the rise for the high digits of the power. The others change, down to those that adding and subtracting
    ``unit`` cuts off.
    """
    waiting: BoolArray = np.ones((len(power), 1), dtype=np.bool_)
    while waiting.any():
        rest = slope * rise
        rest += power
        rest -= high
        rest += unit
        rest -= unit
        new = rest @ parts.high.T
        new += fixed
        change = new - rise
        rise = np.where(waiting, new, rise)
        np.abs(change, out=change)
        waiting &= (change > limit).any(axis=1, keepdims=True)
    return rise


def _solved(power: FloatArray, slope: FloatArray, influence: FloatArray) -> FloatArray:
    """Solution of the linear system of one design; NaN beyond thermal runaway."""
    try:
        rise = np.asarray(np.linalg.solve(np.eye(len(power)) - influence * slope, influence @ power), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(power, np.nan)
    stable = (rise > 0).all() or heat_gain(slope[None], influence)[0] < 1
    return rise if stable else np.full_like(rise, np.nan)
