"""Whole numbers out of quotients and logarithms, exact and in arrays.

They stay floats, which NumPy divides and mixes several times as fast as whole numbers. A quotient that is not whole
lies at least 1 / divisor away from the next whole number, so that its rounding cannot reach that as long as numbers
stay below 2**52.
"""

import numpy as np
from numpy.typing import ArrayLike

from moopim.typing import FloatArray

__all__ = ["ceil_div", "ceil_log2", "floor_div", "next_power_of_two"]


def ceil_div(number: ArrayLike, divisor: ArrayLike) -> FloatArray:
    """Rounds quotients up.

    Args:
        number: Whole numbers from 0 to 2**52.
        divisor: Whole numbers from 1 to 2**52, of a shape that broadcasts.

    Returns:
        The quotients.
    """
    quotient: FloatArray = np.ceil(np.true_divide(number, divisor))
    return quotient


def floor_div(number: ArrayLike, divisor: ArrayLike) -> FloatArray:
    """Rounds quotients down; see `ceil_div`.

    Args:
        number: Whole numbers from 0 to 2**52.
        divisor: Whole numbers from 1 to 2**52, of a shape that broadcasts.

    Returns:
        The quotients.
    """
    quotient: FloatArray = np.floor(np.true_divide(number, divisor))
    return quotient


def ceil_log2(number: ArrayLike) -> FloatArray:
    """Levels of binary trees.

    Args:
        number: Numbers of leaves.

    Returns:
        Levels; 0 for one leaf or none.
    """
    mantissa, exponent = np.frexp(np.maximum(number, 1))
    levels: FloatArray = exponent - (mantissa == 0.5).astype(np.float64)  # noqa: PLR2004 (a power of two needs one less)
    return levels


def next_power_of_two(number: ArrayLike) -> FloatArray:
    """Rounds up to powers of two.

    Args:
        number: Positive numbers.

    Returns:
        The smallest power of two, of 1/2 and less, too, that is not below each; 1 for 0.
    """
    mantissa, exponent = np.frexp(number)
    power: FloatArray = np.ldexp(1.0, exponent - (mantissa == 0.5))  # noqa: PLR2004 (a power of two stays as it is)
    return power
