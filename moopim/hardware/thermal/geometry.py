"""Layers and sides of the die of a 3-D stack."""

import math
from typing import NamedTuple

import numpy as np

from moopim.checks import number, whole_number
from moopim.errors import ConfigError
from moopim.hardware.thermal.description import ThermalStack
from moopim.typing import FloatArray, IntArray

__all__ = ["DieLayers", "check_stack", "die_layers", "die_side_m"]

_MOST_PES = 4096  # a matrix of 128 MiB
_AREAS_MM2 = (1e-6, 1e6)  # no PE lies outside; within, the equations can be solved


class DieLayers(NamedTuple):
    """Layers of the die, from the sink outwards.

    Attributes:
        thickness_m: Thickness (m), shape ``(layers,)``.
        conductivity: Conductivity (W/(m K)), shape ``(layers,)``.
        silicon: Layer that is the silicon of each tier, shape ``(tiers,)``.
    """

    thickness_m: FloatArray
    conductivity: FloatArray
    silicon: IntArray


def check_stack(tiers: int, mesh: int, pe_area_mm2: float) -> None:
    """Refuses what is no stack.

    Args:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).

    Raises:
        ConfigError: If it is none, or has too many PEs for an influence matrix.
    """
    whole_number("tiers", tiers, 1)
    whole_number("mesh", mesh, 1)
    if tiers * mesh**2 > _MOST_PES:
        raise ConfigError(f"{tiers} tiers of {mesh} x {mesh} PEs are {tiers * mesh**2}; expected at most {_MOST_PES}")
    number("pe_area_mm2", pe_area_mm2, positive=True)
    number("pe_area_mm2", pe_area_mm2, least=_AREAS_MM2[0], most=_AREAS_MM2[1])


def die_layers(tiers: int, thermal: ThermalStack) -> DieLayers:
    """Layers of a die of so many tiers: under each its interface or bond, then its silicon.

    Args:
        tiers: Tiers.
        thermal: The stack.

    Returns:
        The layers.

    Raises:
        ConfigError: If there are no tiers, or ``thermal`` has figures of one that is not there.
    """
    whole_number("tiers", tiers, 1, _MOST_PES)
    own = {layers.tier: layers.given for layers in thermal.tiers}
    if own and max(own) > tiers:
        raise ConfigError(f"thermal.tier.{max(own)} is given; expected one of the tiers, 1 .. {tiers}")
    layers = []
    for tier in range(1, tiers + 1):
        here = vars(thermal) | own.get(tier, {})
        layers += [
            (here[f"{name}_um"], here[f"{name}_W_per_mK"]) for name in ("interface" if tier == 1 else "bond", "silicon")
        ]
    thickness_um, conductivity = np.array(layers, dtype=np.float64).T
    return DieLayers(thickness_um * 1e-6, conductivity, 2 * np.arange(tiers) + 1)


def die_side_m(mesh: int, pe_area_mm2: float, thermal: ThermalStack) -> float:
    """Side of the square die.

    Args:
        mesh: PEs along each side.
        pe_area_mm2: Area of a PE (mm2).
        thermal: The stack.

    Returns:
        The side (m).

    Raises:
        ConfigError: If the die is larger than the spreader, or there is none.
    """
    whole_number("mesh", mesh, 1)
    number("pe_area_mm2", pe_area_mm2, positive=True)
    side_mm = mesh * math.sqrt(pe_area_mm2)
    if math.isclose(side_mm, thermal.spreader_side_mm):
        return thermal.spreader_side_mm * 1e-3  # without a rim, not with one of the width of a rounding error
    if side_mm > thermal.spreader_side_mm:
        raise ConfigError(
            f"spreader_side_mm of the thermal stack is {thermal.spreader_side_mm:g}; "
            f"expected at least the side of the die, {side_mm:.4g}"
        )
    return side_mm * 1e-3
