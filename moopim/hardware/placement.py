"""Where layers lie: tiers by type, layers along the snake of their tier's PEs (HuNT, TCAD 2024, section III)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.parameters import Stack

__all__ = ["Snake", "TierRoles", "copies_period", "snake", "tier_roles"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Snake:
    """The path along which a tier's PEs are filled; every array has shape ``(pes_per_tier,)``.

    Attributes:
        x: Column of the PE at each place of the path.
        y: Row of the PE at each place of the path.
        pe: Number of that PE in its tier, ``mesh y + x``.
    """

    x: IntArray
    y: IntArray
    pe: IntArray


def snake(stack: Stack) -> Snake:
    """Runs along the rows of the mesh, even rows to the right, odd rows to the left."""
    place = np.arange(stack.pes_per_tier)
    y, along = place // stack.mesh, place % stack.mesh
    x = np.where(y % 2 == 0, along, stack.mesh - 1 - along)
    return Snake(x, y, stack.mesh * y + x)


@dataclass(frozen=True)
class TierRoles:
    """Which tier serves back-propagation (BP) and which the forward pass.

    Attributes:
        has_bp: Whether a tier can serve back-propagation, shape ``(designs,)``.
        bp: That tier, counted from the heat sink from 0, shape ``(designs,)``; the farthest where there is none.
        forward: The other tiers from the heat sink outwards, shape ``(designs, tiers - 1)``.
    """

    has_bp: NDArray[np.bool_]
    bp: IntArray
    forward: IntArray


def tier_roles(can_serve_bp: NDArray[np.bool_]) -> TierRoles:
    """The BP tier is the farthest from the heat sink whose device stands the writes.

    Args:
        can_serve_bp: Shape ``(designs, tiers)``, tier 1 (at the heat sink) first.

    Returns:
        The roles.
    """
    n = can_serve_bp.shape[1]
    bp = n - 1 - can_serve_bp[:, ::-1].argmax(axis=1)
    others = np.array([[tier for tier in range(n) if tier != one] for one in range(n)])
    return TierRoles(can_serve_bp.any(axis=1), bp, others[bp])


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
    """
    designs, n_tiers = free.shape
    place = (np.arange(designs)[:, None] * n_tiers + tier).ravel()
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
