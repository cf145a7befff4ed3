"""Outlines of the ten shapes of `shapes32`, each of about unit radius around the origin.

An outline is a function of the plane: about the distance to the edge, negative within the shape. All take coordinates
``u`` and ``v`` (n, height, width), in radii, and return one number for each, in radii as well.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["OUTLINES"]

_Plane: TypeAlias = NDArray[Any]  # float32


def _box(u: _Plane, v: _Plane, centre: tuple[float, float], half: tuple[float, float]) -> _Plane:
    return np.maximum(np.abs(u - centre[0]) - half[0], np.abs(v - centre[1]) - half[1])


def _sector(u: _Plane, v: _Plane, corners: int) -> tuple[_Plane, _Plane]:
    """The plane folded into a half-sector of a regular polygon: along the middle of a side, and across it."""
    angle = np.float32(2 * np.pi / corners)
    off = np.abs(np.mod(np.arctan2(v, u), angle) - angle / 2)
    radius = np.hypot(u, v)
    return radius * np.cos(off), radius * np.sin(off)


def _disc(u: _Plane, v: _Plane) -> _Plane:
    return np.hypot(u, v) - 0.9


def _ring(u: _Plane, v: _Plane) -> _Plane:
    return np.abs(np.hypot(u, v) - 0.7) - 0.25


def _triangle(u: _Plane, v: _Plane) -> _Plane:
    return _sector(u, v, 3)[0] - 0.5


def _square(u: _Plane, v: _Plane) -> _Plane:
    return _box(u, v, (0, 0), (0.7, 0.7))


def _star(u: _Plane, v: _Plane) -> _Plane:
    """Five points at radius 1, the corners between them at radius 0.4."""
    along, across = _sector(u, v, 5)
    x, y = np.cos(np.pi / 5) - 0.4, np.sin(np.pi / 5)  # the edge, from a corner to a point
    return ((along - 0.4) * np.float32(y) - across * np.float32(x)) / np.float32(np.hypot(x, y))


def _cross(u: _Plane, v: _Plane) -> _Plane:
    return np.minimum(_box(u, v, (0, 0), (0.95, 0.28)), _box(u, v, (0, 0), (0.28, 0.95)))


def _crescent(u: _Plane, v: _Plane) -> _Plane:
    found: _Plane = np.maximum(np.hypot(u, v) - 1, 0.75 - np.hypot(u - 0.45, v))
    return found


def _l(u: _Plane, v: _Plane) -> _Plane:
    return np.minimum(_box(u, v, (-0.39, 0), (0.24, 0.75)), _box(u, v, (0, 0.51), (0.63, 0.24)))


def _t(u: _Plane, v: _Plane) -> _Plane:
    return np.minimum(_box(u, v, (0, 0), (0.24, 0.75)), _box(u, v, (0, -0.51), (0.65, 0.24)))


def _hourglass(u: _Plane, v: _Plane) -> _Plane:
    return np.maximum((np.abs(v) - np.abs(u)) * np.float32(np.sqrt(0.5)), np.abs(u) - 0.7)


OUTLINES: Mapping[str, Callable[[_Plane, _Plane], _Plane]] = MappingProxyType(
    {
        "disc": _disc,
        "ring": _ring,
        "triangle": _triangle,
        "square": _square,
        "star": _star,
        "cross": _cross,
        "crescent": _crescent,
        "L": _l,
        "T": _t,
        "hourglass": _hourglass,
    }
)
"""Name of a shape -> its outline."""
