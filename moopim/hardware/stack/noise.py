"""Thermal noise of stored values by device and temperature (HuNT, TCAD 2024, eqs 6-7)."""

from collections.abc import Sequence

import numpy as np

from moopim.checks import check_shapes
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.parameters import Stack
from moopim.typing import FloatArray, IntArray


def noise(rise: FloatArray, device: StackDevice, stack: Stack, *, printed: bool = False) -> FloatArray:
    """Thermal noise of a device relative to its stored values, shape of ``rise`` over ambient (K) (HuNT eq. 7).

    If ``printed``, an ``exponential`` device has noise at no rise, ``exp(0) = 1``, as the paper prints it.
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
    """Noise of all PEs, times the bits or values that they hold (HuNT eq. 6); shape ``(designs,)``.

    ``held`` and the temperature ``rise`` (K) have shape ``(designs, pes)``, ``tiers`` ``(designs, tiers)``.
    """
    shape = (len(rise), stack.pes)
    check_shapes(rise=(rise, shape), held=(held, shape), tiers=(tiers, (len(rise), stack.tiers)))
    weighted = np.zeros_like(rise)
    device = np.repeat(tiers, stack.pes_per_tier, axis=1)
    for i, kind in enumerate(devices):
        if kind.noise != "none":
            np.multiply(held, noise(rise, kind, stack, printed=printed), out=weighted, where=device == i)
    return np.asarray(weighted.sum(axis=1))
