"""Temperatures with leakage that grows with them: a fixed point of power and heat."""

from typing import NamedTuple

import numpy as np

from moopim.checks import check_shapes
from moopim.typing import BoolArray, FloatArray

# Largest contraction that is iterated; beyond, and beyond thermal runaway, the equations are solved at once.
MOST_CONTRACTION = 0.25
# Last change, relative to the hottest PE, after which the rest is below TOLERANCE contraction / (1 - contraction).
TOLERANCE = 1e-11
# Designs at a time: their products with the influence matrix stay in the processor's cache.
_BLOCK = 32
# Digits of powers and influences, in bits, see `influence_parts`. With the contraction, powers stay below twice
# their largest at ambient temperature, and their low digits below twice the unit of the high ones.
_POWER_HIGH, _POWER_LOW = 22, 24
_INFLUENCE_HIGH, _INFLUENCE_LOW = 27, 29
COARSE = 2.0 ** (52 - _POWER_HIGH)
"""Adding and subtracting this multiple of the largest power leaves the high digits of a power."""
FINE = 2.0**-_POWER_LOW
"""The same for the low digits, relative to that."""
ROUGH = 1e-6
"""Last change, relative to the hottest PE, of the iteration with the high digits."""


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
    iterated = slope.max(axis=1, initial=0.0) * largest_row_sum(influence) <= MOST_CONTRACTION
    rows = np.flatnonzero(iterated)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        rise[some] = _iterated(power[some], slope[some], parts)
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

    Numbers are cut to few digits, so that products and their sums are whole multiples of a unit below its 2^53-fold:
    they are exact, whatever batch, processor, library or compiler. `cut` has the digits.

    Attributes:
        high: High digits, transposed, shape ``(pes, pes)``.
        low: Low digits, alike.
    """

    high: FloatArray
    low: FloatArray


def influence_parts(influence: FloatArray) -> InfluenceParts:
    """Cut an influence matrix into high and low digits."""
    transposed = np.ascontiguousarray(influence.T)
    coarse = 2.0 ** (52 - _INFLUENCE_HIGH) * largest_row_sum(influence)
    fine = coarse * 2.0 ** (len(influence).bit_length() - _INFLUENCE_LOW)
    high = (transposed + coarse) - coarse
    return InfluenceParts(high, (transposed - high + fine) - fine)


def _iterated(power: FloatArray, slope: FloatArray, parts: InfluenceParts) -> FloatArray:
    """Fixed point by iteration, first with the high digits of the power alone; arrays as in `leaky_rise`."""
    coarse = power.max(axis=1, keepdims=True) * COARSE
    rise = _settled(power, slope, parts, np.zeros_like(power), np.zeros_like(power), coarse, ROUGH)
    high = power + slope * rise + coarse - coarse
    return _settled(power, slope, parts, high, rise, coarse * FINE, TOLERANCE)


def _settled(
    power: FloatArray,
    slope: FloatArray,
    parts: InfluenceParts,
    high: FloatArray,
    rise: FloatArray,
    unit: FloatArray,
    tolerance: float,
) -> FloatArray:
    """Iterate the rise, each design until its change is within the tolerance.

    Digits of the power from ``high`` on change; those below are cut off: so do adding and subtracting ``unit``.
    """
    of_high, of_low = high @ parts.high, high @ parts.low
    waiting: BoolArray = np.ones(len(power), dtype=np.bool_)
    while waiting.any():
        rest = slope * rise
        rest += power
        rest -= high
        rest += unit
        rest -= unit
        new = rest @ parts.high
        new += of_low
        new += of_high
        change = np.abs(new - rise).max(axis=1)
        rise = np.where(waiting[:, None], new, rise)
        waiting &= change > tolerance * new.max(axis=1)
    return rise


def _solved(power: FloatArray, slope: FloatArray, influence: FloatArray) -> FloatArray:
    """Solution of the linear system of one design; NaN beyond thermal runaway."""
    try:
        rise = np.asarray(np.linalg.solve(np.eye(len(power)) - influence * slope, influence @ power), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(power, np.nan)
    stable = (rise > 0).all() or heat_gain(slope[None], influence)[0] < 1
    return rise if stable else np.full_like(rise, np.nan)
