"""Thermal noise of stored values by device and temperature (HuNT, TCAD 2024, eqs 6-7)."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from moopim.checks import check_shapes
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.parameters import Stack
from moopim.typing import FloatArray, IntArray


def total_noise(
    held: FloatArray,
    tiers: IntArray,
    rise: FloatArray,
    devices: Sequence[StackDevice],
    stack: Stack,
    *,
    printed: bool = False,
) -> FloatArray:
    """Noise of all PEs, times the bits or values that they hold (HuNT eqs 6-7); shape ``(designs,)``.

    ``held`` and the temperature ``rise`` over ambient (K) have shape ``(designs, pes)``, ``tiers`` ``(designs,
    tiers)``. If ``printed``, an ``exponential`` device has noise at no rise, ``exp(0) = 1``, as the paper prints it.
    """
    shape = (len(rise), stack.pes)
    check_shapes(rise=(rise, shape), held=(held, shape), tiers=(tiers, (len(rise), stack.tiers)))
    kinds = _kinds(tuple(device.noise for device in devices))
    exponential, linear = (of_kind.take(tiers)[:, :, None] for of_kind in kinds)
    rise = rise.reshape(len(rise), stack.tiers, stack.pes_per_tier)
    noise = rise / stack.noise_scale_K
    np.minimum(noise, stack.noise_exponent_cap, out=noise)
    np.exp(noise, out=noise)
    if not printed:
        noise -= 1.0
    noise *= stack.noise_exponential * exponential
    noise += stack.noise_linear_per_K * linear * rise
    noise = noise.reshape(shape)
    noise *= held
    return np.asarray(noise.sum(axis=1))


@cache
def _kinds(noise: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """1 for each device whose noise is ``exponential``, and for each one whose noise is ``linear``; 0 for others."""
    exponential, linear = (np.array([kind == one for kind in noise], float) for one in ("exponential", "linear"))
    return exponential, linear
