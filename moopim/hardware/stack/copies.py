"""Copies of bottleneck layers (HuNT, TCAD 2024, section III: copies fill a tier's arrays)."""

import numpy as np

from moopim.checks import check_shapes
from moopim.typing import FloatArray, IntArray

__all__ = ["copies_period"]


def copies_period(
    arrays: FloatArray, time: FloatArray, tier: IntArray, free: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Period of each forward tier when its bottleneck layers are copied until the tier is full (water filling).

    The period is the smallest T with ``sum arrays max(1, time / T) <= free``; copies are continuous.

    Args:
        arrays: Arrays of one copy of each layer, shape ``(designs, layers)``.
        time: Time of one copy of each layer (ns), shape ``(designs, layers)``.
        tier: Forward tier of each layer, shape ``(designs, layers)``.
        free: Arrays of each forward tier that do not hold activations, at least those of one copy of its layers,
            shape ``(designs, forward_tiers)``.

    Returns:
        The period of each forward tier (ns), 0 where it holds no layer, shape ``(designs, forward_tiers)``; and the
        number of copies of each layer, shape ``(designs, layers)``.

    Raises:
        ConfigError: If an array has another shape.
    """
    check_shapes(time=(time, arrays.shape), tier=(tier, arrays.shape), free=(free, (len(arrays), free.shape[-1])))
    designs, n_tiers = free.shape
    place = (np.arange(0, designs * n_tiers, n_tiers)[:, None] + tier).ravel()
    room, work = free.ravel(), (arrays * time).ravel()
    flat_arrays, flat_time = arrays.ravel(), time.ravel()
    period = np.bincount(place, work, room.size) / room
    active = flat_time > period[place]
    while True:
        idle = np.bincount(place, np.where(active, 0.0, flat_arrays), room.size)
        total = np.bincount(place, np.where(active, work, 0.0), room.size)
        # A tier whose layers all are faster than its period keeps it: every layer then has one copy.
        period = np.divide(total, room - idle, out=period, where=total > 0)
        now = flat_time > period[place]
        now &= active
        if np.array_equal(now, active):
            break
        active = now
    copies = np.maximum(1.0, flat_time / period[place]).reshape(arrays.shape)
    return period.reshape(free.shape), copies
