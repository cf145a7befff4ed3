"""Temperature and thermal noise of the stack (HuNT, TCAD 2024, eqs 6-8; steady state)."""

from collections.abc import Sequence

import numpy as np

from moopim.checks import check_shapes
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.parameters import Stack
from moopim.typing import FloatArray, IntArray

__all__ = ["noise", "temperature_rise", "total_noise"]


def temperature_rise(power: FloatArray, influence: FloatArray) -> FloatArray:
    """Temperature rise over ambient; steady state is linear in power.

    Args:
        power: Power of each PE (W), shape ``(designs, pes)``.
        influence: Rise per power (K/W), shape ``(pes, pes)``.

    Returns:
        Rise of each PE (K), shape ``(designs, pes)``. A design's values do not depend on the other designs: a matrix
        product by BLAS would round differently from one batch size to another.

    Raises:
        ConfigError: If an array has another shape.
    """
    check_shapes(influence=(influence, (len(influence),) * 2), power=(power, (len(power), len(influence))))
    return np.asarray(np.einsum("dk,pk->dp", power, influence))


def noise(rise: FloatArray, device: StackDevice, stack: Stack, *, printed: bool = False) -> FloatArray:
    """Thermal noise of a device, relative to its stored values (HuNT eq. 7).

    Args:
        rise: Temperature rise over ambient (K), any shape.
        device: The device.
        stack: The stack, for the scales.
        printed: Whether an ``exponential`` device has noise at no rise, ``exp(0) = 1``, as the paper prints it.

    Returns:
        The noise, same shape.
    """
    if device.noise == "exponential":
        exponent = np.minimum(rise / stack.noise_scale_K, stack.noise_exponent_cap)
        return np.asarray(stack.noise_exponential * (np.exp(exponent) - (0.0 if printed else 1.0)))
    return rise * stack.noise_linear_per_K if device.noise == "linear" else np.zeros_like(rise)


def total_noise(
    held: FloatArray,
    tiers: IntArray,
    rise: FloatArray,
    devices: Sequence[StackDevice],
    stack: Stack,
    *,
    printed: bool = False,
) -> FloatArray:
    """What PEs hold times their noise, added up (HuNT eq. 6).

    Args:
        held: Bits or values on each PE, shape ``(designs, pes)``.
        tiers: StackDevice of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        rise: Temperature rise of each PE (K), shape ``(designs, pes)``.
        devices: The devices that ``tiers`` counts.
        stack: The stack.
        printed: See `noise`.

    Returns:
        The sum, shape ``(designs,)``.

    Raises:
        ConfigError: If an array has another shape.
    """
    shape = (len(rise), stack.pes)
    check_shapes(rise=(rise, shape), held=(held, shape), tiers=(tiers, (len(rise), stack.tiers)))
    weighted = np.zeros_like(rise)
    device = np.repeat(tiers, stack.pes_per_tier, axis=1)
    for i, kind in enumerate(devices):
        if kind.noise != "none":
            np.multiply(held, noise(rise, kind, stack, printed=printed), out=weighted, where=device == i)
    return np.asarray(weighted.sum(axis=1))
