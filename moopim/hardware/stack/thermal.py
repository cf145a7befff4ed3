"""Temperature and thermal noise of the stack (HuNT, TCAD 2024, eqs 6-8; steady state)."""

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.stack.devices import Device
from moopim.hardware.stack.parameters import Stack

__all__ = ["noise", "temperature_rise"]

FloatArray = NDArray[np.float64]


def temperature_rise(power: FloatArray, influence: FloatArray) -> FloatArray:
    """Temperature rise over ambient; steady state is linear in power.

    Args:
        power: Power of each PE (W), shape ``(designs, pes)``.
        influence: Rise per power (K/W), shape ``(pes, pes)``.

    Returns:
        Rise of each PE (K), shape ``(designs, pes)``. A design's values do not depend on the other designs: a matrix
        product by BLAS would round differently from one batch size to another.
    """
    return np.asarray(np.einsum("dk,pk->dp", power, influence))


def noise(rise: FloatArray, device: Device, stack: Stack) -> FloatArray:
    """Thermal noise of a device, relative to its stored values (HuNT eq. 7).

    Args:
        rise: Temperature rise over ambient (K), any shape.
        device: The device.
        stack: The stack, for the scales.

    Returns:
        The noise, same shape.
    """
    if device.noise == "exponential":
        exponent = np.minimum(rise / stack.noise_scale_K, stack.noise_exponent_cap)
        return np.asarray(stack.noise_exponential * (np.exp(exponent) - 1.0))
    return rise * stack.noise_linear_per_K if device.noise == "linear" else np.zeros_like(rise)
